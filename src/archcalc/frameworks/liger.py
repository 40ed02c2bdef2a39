"""Liger's kernels: which models have them, and what they change.

Read in liger-kernel 0.8.5, transformers/monkey_patch.py `MODEL_TYPE_TO_APPLY_LIGER_FN` and the functions that it names.
"""

from __future__ import annotations

from collections.abc import Callable

from archcalc.model import Architecture

_NORMS = frozenset(
    """
    deepseek_v2 deepseek_v3 deepseek_v4 exaone4 falcon_h1 gemma gemma2 gemma3 gemma3_text gemma4 gemma4_text glm4 glm4v glm4v_moe gpt_oss
    granite hunyuan_v1_dense hunyuan_v1_moe internvl llama llama4 llama4_text llava ministral mistral mixtral mllama mllama_text_model olmo2
    olmo3
    paligemma phi3 pixtral qwen2 qwen2_5_vl qwen2_5_vl_text qwen2_vl qwen2_vl_text qwen3 qwen3_5 qwen3_5_moe qwen3_5_moe_text qwen3_5_text
    qwen3_moe qwen3_next qwen3_vl qwen3_vl_moe qwen3_vl_moe_text qwen3_vl_text smollm3 smolvlm
    """.split()
)
# Of those whose FFN is left as it is.
_NO_GLU = frozenset(
    """
    deepseek_v4 gpt_oss internvl llava paligemma qwen3_vl qwen3_vl_moe qwen3_vl_moe_text qwen3_vl_text smolvlm
    """.split()
)


def norms(used: bool) -> Callable[[Architecture], bool | None] | None:
    """Whether the model's RMSNorms are Liger's."""
    return (lambda a: a.model_type in _NORMS or None) if used else None


def glu(used: bool) -> Callable[[Architecture], bool | None] | None:
    """Whether its dense gated FFNs are."""
    return (lambda a: a.model_type in _NORMS - _NO_GLU or None) if used else None
