"""Towers for images and audio whose attention heads vLLM divides among the ranks of tensor parallelism."""

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
_WHOLE_LATER = {"dots_ocr": (0, 11), "qwen2_vl": (0, 11)}
"""Files whose classes take `WHOLE` since a later release than the first that has it (0.10.0 to 0.33; the others had it then, or came with
it)."""


class Divided(NamedTuple):
    """A file with a tower's attention, the classes that build it, and whether they take `WHOLE` (`supports_encoder_tp_data`), which is
    ignored where they do not."""

    file: str
    whole: bool
    classes: tuple[str, ...]

    def takes_whole(self, version: str | None) -> bool:
        return self.whole and at_least(version, *_WHOLE_LATER.get(self.file, _WHOLE_SINCE))


def divided(file: str, whole: bool, *names: str) -> Divided:
    """A row: names of classes end with ForConditionalGeneration, but for those that end with a dot."""
    return Divided(file, whole, tuple(f"{name}ForConditionalGeneration" if name[-1] != "." else name[:-1] for name in names))


DIVIDED = (
    divided("clip", False, "Llava", "LlavaNext", "LlavaNextVideo"),
    divided("cohere_compass", True, "CohereCompass"),
    divided("dots_ocr", True, "DotsOCRForCausalLM."),
    divided("ernie45_vl", False, "Ernie4_5_VLMoe"),
    divided("exaone4_5", True, "Exaone4_5_"),
    divided("glm4_1v", True, "Glm4v", "Glm4vMoe"),
    divided("glm_ocr", True, "GlmOcr"),
    divided("isaac", True, "Isaac"),
    divided("keye", False, "Keye"),
    divided("llava_onevision2", False, "LlavaOnevision2"),
    divided("mimo_v2_omni", False, "MiMoV2OmniForCausalLM."),
    divided("mllama4", True, "Llama4"),
    divided("moonvit", True, "KimiVL"),
    divided("openpangu_vl", False, "OpenPanguVL"),
    divided("paddleocr_vl", False, "PaddleOCRVL"),
    divided("pixtral", False, "Mistral3"),
    divided("qwen2_5_vl", True, "Qwen2_5_VL", "Qwen3VL", "Qwen3VLMoe", "Qwen3_5", "Qwen3_5Moe", "OpenCUA", "InternS1Pro"),
    divided("qwen2_5_vl", False, "Qwen2_5OmniModel.", "Qwen2_5Omni", "Qwen3OmniMoe", "BailingMoeV3VL", "HCXVisionV2ForCausalLM."),
    divided("qwen2_vl", True, "Qwen2VL"),
    divided("qwen2_vl", False, "KananaV"),
    divided("siglip", True, "Eagle2_5_VL"),
    divided("siglip", False, "Bagel", "Cohere2Vision", "Gemma3", "Granite4Vision", "LlavaOnevision", "PaliGemma"),
    divided("siglip2navit", False, "Ovis2_5."),
    divided("step3_vl", True, "Step3VL", "StepVL", "Step3p7"),
)
"""vLLM 0.33, model_executor/models/, where `divide(num_heads, tp_size)` or an assertion refuses heads that do not divide ("12 is not
divisible by 8"); so in 0.21 and 0.24 in the files that those have. Not among them are those that fall back to a whole tower by
themselves (`vision.py` `is_vit_use_data_parallel` with the heads: kimi_k25_vit.py, muse_glimmer.py; intern_vit.py). Classes end with
ForConditionalGeneration, but where a name ends with a dot."""


HEARING = (
    divided("whisper", False, "Voxtral", "VoxtralRealtimeGeneration.", "MoonshotKimiaForCausalLM."),
    divided("midashenglm", False, "MiDashengLMModel."),
    divided("glmasr", False, "GlmAsr"),
    divided("funasr", False, "FunASR"),
)
"""The same of towers for audio (vLLM 0.33, whisper.py `WhisperAttention`, midashenglm.py, and the joined projections of glmasr.py and
funasr.py). Not among them are those of transformers' own modules, which every rank holds whole (qwen2_audio.py, ultravox.py,
gemma3n_mm.py), and Qwen3-Omni's, which is whole where its heads do not divide (qwen3_omni_moe_thinker.py `disable_tp`)."""


def undivided(architecture: Architecture, tp: int, part: str) -> int:
    """The heads of a tower that do not divide among so many ranks; 0 where all do."""
    stacks = (stack for stack in architecture.stacks if stack.part == part)
    heads = {attend.heads for stack in stacks for layer in stack.kinds for attend in layer.attends}
    return min((n for n in heads if n % tp), default=0)


def refused(architecture: Architecture, tp: int, part: str) -> str:
    """What of a tower does not divide among so many ranks: heads, or the columns of its feed-forward layers (vLLM 0.33,
    model_executor/layers/linear.py `MergedColumnParallelLinear`, `divide`; SGLang 0.5.23, srt/layers/linear.py)."""
    if heads := undivided(architecture, tp, part):
        return f"{heads} attention heads"
    for stack in architecture.stacks:
        for tensor in (t for layer in stack.kinds for t in layer.tensors) if stack.part == part == "vision" else ():
            if tensor.role == "mlp" and tensor.shard is not None and tensor.shard.units % tp:
                return f"{tensor.shard.units:,} columns"
    return ""


def whole(architecture: Architecture, placement: Placement, ask: Ask) -> bool:
    """Whether each rank holds the tower for images whole: as the command says, or else a plan where it lifts what refuses the ranks."""
    if ask.own is not None:
        return bool(ask.own.whole_towers)
    row = _row_of(DIVIDED, architecture)
    if row is None or placement.tp == 1 or not row.takes_whole(ask.version):
        return False
    return bool(refused(architecture, placement.tp, "vision"))


def _row_of(rows: tuple[Divided, ...], architecture: Architecture) -> Divided | None:
    return next((row for row in rows if is_one_of(architecture, row.classes)), None)


def cannot_divide(architecture: Architecture, placement: Placement, ask: Ask) -> str:
    """Why a tower does not divide among the ranks, and what starts all the same; empty where they do, or no tower is loaded."""
    tp, own = placement.tp, ask.own
    if tp == 1 or spares_towers(own, ask.version):
        return ""
    for rows, part, what in ((DIVIDED, "vision", "images"), (HEARING, "audio", "audio")):
        row = _row_of(rows, architecture)
        if (
            row is None
            or not (of := refused(architecture, tp, part))
            or (row.takes_whole(ask.version) and whole(architecture, placement, ask))
        ):
            continue
        way = f"; with {WHOLE} each rank holds the tower whole" if row.takes_whole(ask.version) else ""
        return f"tp is {tp}, and the {of} of the tower for {what} do not divide by it{way}"
    return ""
