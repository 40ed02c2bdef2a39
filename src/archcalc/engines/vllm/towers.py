"""Towers for images whose attention heads vLLM divides among the ranks of tensor parallelism."""

from __future__ import annotations

from archcalc.engines.placement import Placement
from archcalc.engines.plan import Ask
from archcalc.engines.served import is_one_of
from archcalc.engines.vllm.rules import at_least
from archcalc.engines.vllm.weights import spares_towers
from archcalc.model import Architecture
from archcalc.records import NamedTuple

WHOLE = "--mm-encoder-tp-mode data"
_WHOLE_SINCE = (0, 10, 2)


class Divided(NamedTuple):
    """A file with a tower's attention, the classes that build it, and whether they take `WHOLE` (`supports_encoder_tp_data`), which is
    ignored where they do not."""

    file: str
    whole: bool
    classes: tuple[str, ...]


def _row(file: str, whole: bool, *names: str) -> Divided:
    return Divided(file, whole, tuple(f"{name}ForConditionalGeneration" if name[-1] != "." else name[:-1] for name in names))


DIVIDED = (
    _row("clip", False, "Llava", "LlavaNext", "LlavaNextVideo"),
    _row("cohere_compass", True, "CohereCompass"),
    _row("dots_ocr", True, "DotsOCRForCausalLM."),
    _row("ernie45_vl", False, "Ernie4_5_VLMoe"),
    _row("exaone4_5", True, "Exaone4_5_"),
    _row("glm4_1v", True, "Glm4v", "Glm4vMoe"),
    _row("glm_ocr", True, "GlmOcr"),
    _row("isaac", True, "Isaac"),
    _row("keye", False, "Keye"),
    _row("llava_onevision2", False, "LlavaOnevision2"),
    _row("mimo_v2_omni", False, "MiMoV2OmniForCausalLM."),
    _row("mllama4", True, "Llama4"),
    _row("moonvit", True, "KimiVL"),
    _row("openpangu_vl", False, "OpenPanguVL"),
    _row("paddleocr_vl", False, "PaddleOCRVL"),
    _row("pixtral", False, "Mistral3"),
    _row("qwen2_5_vl", True, "Qwen2_5_VL", "Qwen3VL", "Qwen3VLMoe", "Qwen3_5", "Qwen3_5Moe", "OpenCUA", "InternS1Pro"),
    _row("qwen2_5_vl", False, "Qwen2_5OmniModel.", "Qwen2_5Omni", "Qwen3OmniMoe", "BailingMoeV3VL", "HCXVisionV2ForCausalLM."),
    _row("qwen2_vl", True, "Qwen2VL"),
    _row("qwen2_vl", False, "KananaV"),
    _row("siglip", True, "Eagle2_5_VL"),
    _row("siglip", False, "Bagel", "Cohere2Vision", "Gemma3", "Granite4Vision", "LlavaOnevision", "PaliGemma"),
    _row("siglip2navit", False, "Ovis2_5."),
    _row("step3_vl", True, "Step3VL", "StepVL", "Step3p7"),
)
"""vLLM 0.33, model_executor/models/, where `divide(num_heads, tp_size)` or an assertion refuses heads that do not divide ("12 is not
divisible by 8"); so in 0.21 and 0.24 in the files that those have. Not among them are those that fall back to a whole tower by
themselves (`vision.py` `is_vit_use_data_parallel` with the heads: kimi_k25_vit.py, muse_glimmer.py; intern_vit.py). Classes end with
ForConditionalGeneration, but where a name ends with a dot."""


def cannot_divide(architecture: Architecture, placement: Placement, ask: Ask) -> str:
    """Why the heads of a tower do not divide among the ranks, and what starts all the same; empty where they do, or no tower is loaded."""
    tp, own = placement.tp, ask.own
    row = next((row for row in DIVIDED if is_one_of(architecture, row.classes)), None) if tp > 1 else None
    if row is None or spares_towers(own, ask.version):
        return ""
    if own is not None and own.whole_towers and row.whole:
        return ""
    for stack in architecture.stacks:
        if stack.part == "vision":
            for heads in sorted({attend.heads for layer in stack.kinds for attend in layer.attends}):
                if heads % tp:
                    takes = row.whole and at_least(ask.version, *_WHOLE_SINCE)
                    way = f"; with {WHOLE} each rank holds the tower whole" if takes else ""
                    return f"tp is {tp}, and the {heads} attention heads of the tower for images do not divide by it{way}"
    return ""
