"""Towers for images whose attention heads vLLM divides among the ranks of tensor parallelism."""

from __future__ import annotations

from archcalc.engines.placement import Placement
from archcalc.engines.plan import Ask
from archcalc.engines.served import is_one_of
from archcalc.engines.vllm.rules import at_least
from archcalc.engines.vllm.weights import spares_towers
from archcalc.model import Architecture

WHOLE = "--mm-encoder-tp-mode data"
_WHOLE_SINCE = (0, 10, 2)

DIVIDED: dict[str, tuple[str, ...]] = {
    "clip": ("LlavaForConditionalGeneration", "LlavaNextForConditionalGeneration", "LlavaNextVideoForConditionalGeneration"),
    "dots_ocr": ("DotsOCRForCausalLM",),
    "ernie45_vl": ("Ernie4_5_VLMoeForConditionalGeneration",),
    "glm4_1v": ("Glm4vForConditionalGeneration", "Glm4vMoeForConditionalGeneration"),
    "glm_ocr": ("GlmOcrForConditionalGeneration",),
    "mllama4": ("Llama4ForConditionalGeneration",),
    "moonvit": ("KimiVLForConditionalGeneration",),
    "paddleocr_vl": ("PaddleOCRVLForConditionalGeneration",),
    "pixtral": ("Mistral3ForConditionalGeneration",),
    "qwen2_5_vl": (
        "Qwen2_5_VLForConditionalGeneration", "Qwen2_5OmniModel", "Qwen2_5OmniForConditionalGeneration",
        "Qwen3OmniMoeForConditionalGeneration", "Qwen3VLForConditionalGeneration", "Qwen3VLMoeForConditionalGeneration",
        "Qwen3_5ForConditionalGeneration", "Qwen3_5MoeForConditionalGeneration",
    ),
    "qwen2_vl": ("Qwen2VLForConditionalGeneration",),
    "siglip": (
        "Cohere2VisionForConditionalGeneration", "Gemma3ForConditionalGeneration", "LlavaOnevisionForConditionalGeneration",
        "PaliGemmaForConditionalGeneration",
    ),
}  # fmt: skip
"""By the file of the tower's attention, the classes that build it: vLLM 0.33, model_executor/models/, where `divide(num_heads, tp_size)`
asserts that heads divide ("12 is not divisible by 8"); so in 0.21 and 0.24. Not among them are those that fall back to a whole tower by
themselves (`vision.py` `is_vit_use_data_parallel` with the heads: kimi_k25_vit.py, muse_glimmer.py; intern_vit.py)."""

_TAKES_WHOLE = frozenset({"dots_ocr", "glm4_1v", "glm_ocr", "mllama4", "moonvit", "qwen2_5_vl", "qwen2_vl"})
"""Of those, the files whose classes have `supports_encoder_tp_data` (0.21 to 0.33), without which the flag is ignored."""


def cannot_divide(architecture: Architecture, placement: Placement, ask: Ask) -> str:
    """Why the heads of a tower do not divide among the ranks, and what starts all the same; empty where they do, or no tower is loaded."""
    tp, own = placement.tp, ask.own
    file = next((file for file, classes in DIVIDED.items() if is_one_of(architecture, classes)), None)
    if tp == 1 or file is None or spares_towers(own, ask.version):
        return ""
    if own is not None and own.whole_towers and file in _TAKES_WHOLE:
        return ""
    for stack in architecture.stacks:
        if stack.part == "vision":
            for heads in sorted({attend.heads for layer in stack.kinds for attend in layer.attends}):
                if heads % tp:
                    takes = file in _TAKES_WHOLE and at_least(ask.version, *_WHOLE_SINCE)
                    way = f"; with {WHOLE} each rank holds the tower whole" if takes else ""
                    return f"tp is {tp}, and the {heads} attention heads of the tower for images do not divide by it{way}"
    return ""
