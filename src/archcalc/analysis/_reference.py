"""What transformers 5.23 computes in other ways than most, where the tensors do not show it: it decides which intermediates
autograd keeps.

Only exceptions stand here, each by `model_type`; the source of each is models/<model_type>/modeling_<model_type>.py.
"""

from __future__ import annotations

import re
from typing import Literal

from archcalc.model import Architecture

NormStyle = Literal["rms", "rms-fp32", "gemma", "gemma4", "layer", "layer-fp32", "layer-1p", "bare", "bare-layer"]
Router = Literal["softmax", "normalized", "grouped", "chosen", "dense"]

# `rms` casts the normalized input down before it is multiplied by the gain; these multiply in fp32.
_NORMS: dict[str, NormStyle] = {
    **dict.fromkeys(("afmoe", "flex_olmo", "gpt_oss", "helium", "olmo2", "olmo3", "deepseek_v4"), "rms-fp32"),
    # The gain is a deviation from one: `1 + weight`, a new fp32 vector.
    **dict.fromkeys(
        ("gemma", "gemma2", "gemma3", "gemma3_text", "qwen3_next", "qwen3_5", "qwen3_5_text", "qwen3_5_moe", "qwen3_5_moe_text"),
        "gemma",
    ),
    **dict.fromkeys(("gemma3n", "gemma3n_text", "gemma4", "gemma4_text", "gemma4_unified", "gemma4_unified_text"), "gemma4"),
    **dict.fromkeys(("cohere", "cohere2", "cohere2_moe"), "layer-fp32"),
    "nemotron": "layer-1p",
    "nanochat": "bare",
    "olmo": "bare-layer",
}

# Queries and keys are put together of a turned and an unturned part, which makes a new tensor in the order [head, token, channel];
# the attention's output follows that order, and the output projection then needs a copy of it. So it is wherever a part of the
# head alone is turned; these do it even where all of it is.
_JOINED = frozenset(
    """phi3 gpt_neox gpt_neox_japanese nemotron stablelm persimmon phi glm glm4 glm4_moe minimax_m2 qwen3_next qwen3_5 qwen3_5_text
    qwen3_5_moe qwen3_5_moe_text gptj codegen""".split()
)

_ROUTERS: dict[str, Router] = {
    **dict.fromkeys(("mixtral", "minimax", "minimax_m2", "phimoe", "minimax_text_01", "minimax_m1", "afmoe"), "normalized"),
    **dict.fromkeys(
        ("deepseek_v2", "deepseek_v3", "deepseek_v32", "glm4_moe", "glm4_moe_lite", "glm_moe_dsa", "kimi_k2", "kimi_k25",
        "exaone_moe",
         "ernie4_5_moe", "nemotron_h"), "grouped"
    ),
    **dict.fromkeys(("granitemoe", "granitemoeshared", "granitemoehybrid", "granitemoe_swa", "gpt_oss"), "chosen"),
    # Every expert computes every token.
    **dict.fromkeys(("llama4", "llama4_text"), "dense"),
}  # fmt: skip


# Cosines and sines stay in fp32.
_FP32_TABLES = frozenset(("olmo", "olmo2", "olmo3", "flex_olmo"))


def table_size(a: Architecture, size: int) -> int:
    """Bytes of an element of the tables of cosines and sines, where the residual stream has `size`."""
    return 4 if a.model_type in _FP32_TABLES else size


def norm_style(a: Architecture) -> NormStyle:
    """How the norms of the decoder are computed."""
    style = _NORMS.get(a.model_type)
    return style or ("layer" if a.facts.norm.startswith("LayerNorm") else "rms")


def joined(a: Architecture, head_dim: int) -> bool:
    """Whether queries and keys are joined of two parts."""
    return a.model_type in _JOINED or any(width < head_dim for width in turned(a))


def turned(a: Architecture) -> list[int]:
    """The width of each table of cosines and sines: the part of the head that turns."""
    share = re.search(r"(\d+)% of the head", a.facts.position)
    whole = a.facts.head_dim
    return [whole * int(share[1]) // 100 if share and width == whole else width for _, width in a.rotary]


def router(a: Architecture) -> Router:
    return _ROUTERS.get(a.model_type, "softmax")


def capped(a: Architecture) -> tuple[bool, bool]:
    """Whether scores and logits pass through a tanh."""
    caps = dict(a.facts.more).get("soft-capping", "")
    return "attention" in caps, "logits" in caps or a.model_type == "nanochat"
