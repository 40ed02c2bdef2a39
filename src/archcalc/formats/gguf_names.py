"""What llama.cpp calls the tensors of the architectures whose GGUF metadata are read.

Source: llama.cpp b9500, gguf-py/gguf/tensor_mapping.py (names), convert_hf_to_gguf.py (fused weights split, experts stacked).
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from archcalc.errors import UnsupportedError
from archcalc.figures import checkpoint
from archcalc.model import Architecture, Tensor

# Tables that the converter computes from the config: files hold them or not, and they are no weights.
COMPUTED = frozenset(("rope_freqs.weight", "rope_factors_long.weight", "rope_factors_short.weight"))

_OUTSIDE = {
    "embed_tokens": "token_embd", "wte": "token_embd", "wpe": "position_embd", "norm": "output_norm", "ln_f": "output_norm",
    "lm_head": "output",
}  # fmt: skip
_LAYER = {
    "input_layernorm": "attn_norm", "ln_1": "attn_norm", "ln_2": "ffn_norm", "post_attention_layernorm": "ffn_norm",
    "pre_feedforward_layernorm": "ffn_norm", "post_feedforward_layernorm": "post_ffw_norm",
    "self_attn.q_proj": "attn_q", "self_attn.k_proj": "attn_k", "self_attn.v_proj": "attn_v", "self_attn.o_proj": "attn_output",
    "self_attn.q_norm": "attn_q_norm", "self_attn.k_norm": "attn_k_norm", "self_attn.qkv_proj": "attn_qkv",
    "self_attn.sinks": "attn_sinks.weight", "self_attn.q_a_proj": "attn_q_a", "self_attn.q_a_layernorm": "attn_q_a_norm",
    "self_attn.q_b_proj": "attn_q_b", "self_attn.kv_a_proj_with_mqa": "attn_kv_a_mqa",
    "self_attn.kv_a_layernorm": "attn_kv_a_norm", "attn.c_attn": "attn_qkv", "attn.c_proj": "attn_output",
    "mlp.c_fc": "ffn_up", "mlp.c_proj": "ffn_down", "mlp.gate_up_proj": "ffn_up", "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up", "mlp.down_proj": "ffn_down", "mlp.gate": "ffn_gate_inp", "mlp.router": "ffn_gate_inp",
    "mlp.experts.down_proj": "ffn_down_exps", "mlp.shared_experts.gate_proj": "ffn_gate_shexp",
    "mlp.shared_experts.up_proj": "ffn_up_shexp", "mlp.shared_experts.down_proj": "ffn_down_shexp",
    "mlp.shared_expert.gate_proj": "ffn_gate_shexp", "mlp.shared_expert.up_proj": "ffn_up_shexp",
    "mlp.shared_expert.down_proj": "ffn_down_shexp", "mlp.shared_expert_gate": "ffn_gate_inp_shexp",
}  # fmt: skip
# Stored in two: gate and up of the experts, keys and values of MLA.
_HALVES = {"mlp.experts.gate_up_proj": ("ffn_gate_exps", "ffn_up_exps"), "self_attn.kv_b_proj": ("attn_k_b", "attn_v_b")}
# Where the norm behind the attention is not the one before the FFN.
_BEHIND = "post_attention_norm"


def inventory(architecture: Architecture) -> Iterator[tuple[str, tuple[int, ...], str]]:
    """Name, shape and type of every tensor of the GGUF file of an architecture, whose `quantization` names the file type.

    Raises `UnsupportedError` for an architecture with tensors whose names are not known here.
    """
    leaves = {t.name for _, t, _ in architecture.each_tensor()}
    behind = architecture.model_type == "gpt_oss" or "post_feedforward_layernorm.weight" in leaves
    seen: dict[tuple[str, tuple[int, ...]], int] = {}
    for entry in checkpoint.inventory(architecture):
        for layer in entry.layers or (None,):
            if entry.tensor.name.endswith("experts.gate_up_proj_bias"):
                half = (*entry.shape[:-1], entry.shape[-1] // 2)
                yield from ((f"blk.{layer}.{name}.bias", half, entry.dtype) for name in _HALVES["mlp.experts.gate_up_proj"])
                continue
            key = (entry.tensor.name, (-1 if layer is None else layer,))
            piece = seen.get(key, 0)
            seen[key] = piece + 1
            yield _name(architecture, entry.tensor, layer, piece, behind), entry.shape, entry.dtype


def _name(architecture: Architecture, tensor: Tensor, layer: int | None, piece: int, behind: bool) -> str:
    name = tensor.name
    if name.endswith("e_score_correction_bias"):
        return f"blk.{layer}.exp_probs_b.bias"
    match = re.fullmatch(r"(.*?)(?:[._](weight|bias))?", name)
    stem, kind = (match[1], match[2] or "weight") if match else (name, "weight")
    if layer is None:
        made = _OUTSIDE.get(stem.rpartition(".")[2])
        if made:
            return f"{made}.{kind}"
    else:
        made = _LAYER.get(stem)
        if stem in _HALVES:
            made = "attn_kv_b" if architecture.whole_latents and "kv_b" in stem else _HALVES[stem][piece]
        if stem == "post_attention_layernorm" and behind:
            made = _BEHIND
        if made:
            return f"blk.{layer}.{made}" if "." in made else f"blk.{layer}.{made}.{kind}"
    raise UnsupportedError(
        f"what llama.cpp calls {name} of {architecture.model_type} is not known", "verify against safetensors files instead"
    )
