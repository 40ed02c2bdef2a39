"""What bitsandbytes quantizes as transformers loads a model: one answer for `fit`, its advice and `train`.

transformers replaces modules whose class is `nn.Linear` itself (or Conv1D) and no other. It spares the output embeddings, whatever is
tied to them, and what its class keeps in float32. Routed experts are one parameter of a module of their own since transformers 5, so
they stay as they are: huggingface/transformers' bitsandbytes path never sees them (bitsandbytes#1849, unsloth#4687).

vLLM and SGLang quantize their own linear layers and their fused experts alike: what `_plan.is_linear` says.

Sources: transformers 5.24, integrations/bitsandbytes.py `replace_with_bnb_linear`, quantizers/base.py `get_modules_to_not_convert`,
`get_keys_to_not_convert`, quantizers/quantizer_bnb_4bit.py and quantizer_bnb_8bit.py `param_needs_quantization`; vLLM 0.27,
model_executor/layers/quantization/bitsandbytes.py `BitsAndBytesConfig.get_quant_method`; SGLang 0.5.23, srt/layers/quantization/
bitsandbytes.py (the same).
"""

from __future__ import annotations

from archcalc.model import Part, Tensor
from archcalc.quant._plan import is_linear

# Tables that are looked up, beside the token embedding: `nn.Embedding`, whatever their role.
_TABLES = ("relative_attention_bias.weight", "rel_attn_bias.weight", "rel_embeddings.weight")


def bitsandbytes_takes(tensor: Tensor, part: Part) -> bool:
    """Whether transformers hands this tensor to bitsandbytes."""
    return (
        is_linear(tensor, part)
        and tensor.experts is None
        and not tensor.name.endswith(_TABLES)
        and "conv" not in tensor.name.rpartition(".")[0].rpartition(".")[2]
    )
