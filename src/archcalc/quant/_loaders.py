"""What transformers makes of weights as it loads them: one answer for `fit`, its advice and `train`.

bitsandbytes gets modules whose class is `nn.Linear` itself (or Conv1D) and no other. It spares the output embeddings, whatever is
tied to them, and what its class keeps in float32. Routed experts are one parameter of a module of their own since transformers 5, so
they stay as they are (bitsandbytes#1849, unsloth#4687). Checkpoints of compressed-tensors hold experts apart, and these are written out
into that one parameter. FP8 and MXFP4 checkpoints are written out whole on GPUs that do not compute in them.

vLLM and SGLang quantize their own linear layers and their fused experts alike: what `_plan.is_linear` says.

Sources: transformers 5.24, quantizers/base.py `update_weight_conversions` (what has no parameter for scales is dequantized),
quantizers/quantizer_compressed_tensors.py, quantizer_finegrained_fp8.py, quantizer_fbgemm_fp8.py and quantizer_mxfp4.py
`validate_environment`; integrations/bitsandbytes.py `replace_with_bnb_linear`, quantizers/base.py `get_modules_to_not_convert`,
`get_keys_to_not_convert`, quantizers/quantizer_bnb_4bit.py and quantizer_bnb_8bit.py `param_needs_quantization`; vLLM 0.27,
model_executor/layers/quantization/bitsandbytes.py `BitsAndBytesConfig.get_quant_method`; SGLang 0.5.23, srt/layers/quantization/
bitsandbytes.py (the same).
"""

from __future__ import annotations

from archcalc.errors import UnsupportedError
from archcalc.model import Architecture, Part, Tensor
from archcalc.quant._plan import is_linear

# Tables that are looked up, beside the token embedding: `nn.Embedding`, whatever their role.
_TABLES = ("relative_attention_bias.weight", "rel_attn_bias.weight", "rel_embeddings.weight")


def bitsandbytes_takes(tensor: Tensor, part: Part) -> bool:
    """Whether transformers hands this tensor to bitsandbytes."""
    return is_linear(tensor, part) and tensor.experts is None and not tensor.name.endswith(_TABLES) and not tensor.convolves


# The compute capability from which transformers keeps a method's weights; below, and on Macs, it dequantizes them to bf16.
_COMPUTED_FROM = {"fp8": (8, 9), "mxfp8": (8, 9), "mxfp4": (7, 5), "fbgemm_fp8": (9, 0)}


def in_transformers(architecture: Architecture, method: str, capability: tuple[int, int] | None, apple: bool) -> Architecture:
    """The checkpoint as transformers holds it on a GPU of a CUDA compute capability (None for others) or on a Mac.

    Raises `UnsupportedError` where it refuses to load it.
    """
    least = _COMPUTED_FROM.get(method)
    if least is not None and (apple or (capability is not None and capability < least)):
        if method == "fbgemm_fp8":
            raise UnsupportedError(
                f"transformers loads {method} checkpoints on GPUs of compute capability 9.0 and newer only",
                "another checkpoint, or --engine vllm",
            )
        return architecture._replace(quantization=None, dtype="BF16")
    if method == "compressed-tensors":
        return architecture._replace(quantization={**(architecture.quantization or {}), "loader": "transformers"})
    return architecture
