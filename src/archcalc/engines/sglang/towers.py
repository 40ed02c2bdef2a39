"""Towers for images and audio whose heads and columns SGLang divides among the ranks of tensor parallelism."""

from __future__ import annotations

from archcalc.engines.placement import Placement
from archcalc.engines.plan import Ask
from archcalc.engines.served import is_one_of
from archcalc.engines.sglang.rules import since
from archcalc.engines.vllm.towers import Divided, divided, refused
from archcalc.model import Architecture

WHOLE = "--mm-enable-dp-encoder"
_WHOLE_SINCE = (0, 5, 6)

SEEING = (
    divided("qwen2_vl", False, "Qwen2VL"),
    divided("qwen2_5_vl", True, "Qwen2_5_VL"),
    divided("qwen3_vl", True, "Qwen3VL", "Qwen3VLMoe", "Qwen3_5", "Qwen3_5Moe"),
    divided("qwen3_vl", False, "Qwen3OmniMoe"),
    divided("kimi_vl_moonvit", True, "KimiVL"),
    divided("siglip", False, "Gemma3"),
)
HEARING = (divided("qwen3_omni_moe", False, "Qwen3OmniMoe"), divided("gemma3n_audio", False, "Gemma3n"))
"""SGLang 0.5.23, srt/models/: files whose towers are `VisionAttention` (srt/layers/attention/vision.py, `divide(num_heads, tp_size)`) or
joined projections, without heads that are added to make them divide, and whether they take `WHOLE`. Qwen2-Audio's is transformers' own,
whole on every rank (qwen2_audio.py)."""


_BY_ATTENTION = frozenset(
    f"{name}ForConditionalGeneration" for name in "Qwen3VL Qwen3VLMoe Qwen3_5 Qwen3_5Moe Qwen3OmniMoe KimiVL Glm4v Glm4vMoe".split()
)
"""Classes whose tower has the ranks of the attention alone, so that data parallelism of that leaves each rank the whole of it: the group
`attn_tp` of 0.5.23, srt/models/qwen3_vl.py `_resolve_vision_parallel_group`, glm4v.py `_glm4v_vision_parallel_group` and
kimi_vl_moonvit.py. In others attention alone follows it (layers/attention/vision.py): feed-forward layers are divided among all ranks."""


def whole(architecture: Architecture, placement: Placement, ask: Ask) -> bool:
    """Whether each rank holds the tower for images whole: as the command says, or else a plan where it lifts what refuses the ranks."""
    if ask.own is not None:
        alone = ask.own.attention_dp and placement.tp == 1 and is_one_of(architecture, _BY_ATTENTION)
        return bool(ask.own.whole_towers or alone)
    row = _row_of(SEEING, architecture)
    if row is None or not row.whole or placement.tp == 1 or not since(ask.version, *_WHOLE_SINCE):
        return False
    return bool(refused(architecture, placement.tp, "vision"))


def _row_of(rows: tuple[Divided, ...], architecture: Architecture) -> Divided | None:
    return next((row for row in rows if is_one_of(architecture, row.classes)), None)


def cannot_divide(architecture: Architecture, placement: Placement, ask: Ask) -> str:
    """Why a tower does not divide among the ranks, and what starts all the same; empty where it does."""
    tp = placement.tp
    if tp == 1 or (ask.own is not None and ask.own.text_alone):
        return ""
    for rows, part, what in ((SEEING, "vision", "images"), (HEARING, "audio", "audio")):
        row = _row_of(rows, architecture)
        if row is None or not (of := refused(architecture, tp, part)) or (row.whole and whole(architecture, placement, ask)):
            continue
        way = f"; with {WHOLE} each rank holds the tower whole" if row.whole and since(ask.version, *_WHOLE_SINCE) else ""
        return f"tp is {tp}, and the {of} of the tower for {what} do not divide by it{way}"
    return ""
