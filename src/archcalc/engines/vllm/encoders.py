"""What an engine sets aside for the encoders of images, video and sound, before it knows what will be asked of them.

vLLM runs an encoder over the largest inputs that its processor makes, as many as a step may hold, and keeps what comes out while it
profiles the text model. How large an input can be is on the architecture's record (`archcalc.model.Encoder`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from archcalc.engines._once import once
from archcalc.engines.placement import Placement
from archcalc.engines.vllm.rules import at_least, rules
from archcalc.engines.vllm.runner import second_runner
from archcalc.model import Architecture, Encoder, widths
from archcalc.records import NamedTuple

if TYPE_CHECKING:
    from archcalc.engines.budget import Serving
    from archcalc.engines.vllm.settings import Settings
    from archcalc.hardware import Device


class Encoding(NamedTuple):
    """What the profiling of an encoder takes: bytes at its peak, and of outputs that are kept while the text model is profiled.

    `spared_by` is the flag that spares it, at the price of every input but text.
    """

    peak: int = 0
    kept: int = 0
    formula: str = ""
    note: str = ""
    spared_by: str = ""


# Where neither a config nor a processor's default says how large an input can be: a square of 1,792 pixels in patches of 14, four
# to a token, or half a minute of sound in frames of 20 ms.
_UNKNOWN = {"vision": (16384, 4096, 588), "audio": (1500, 1500, 256)}


# `--limit-mm-per-prompt` by default (vLLM 0.10.0, config.py `MultiModalConfig.get_limit_per_prompt`).
_IMAGES_PER_PROMPT = 999
# From when Model Runner V2's profiling runs encoders.
_V2_PROFILES = (0, 27)
# In 0.11 and 0.12 a token of a video with times was taken for 12.5 positions, and the outputs were kept at that length (models/qwen3_vl.py
# `get_max_video_tokens`, v1/worker/gpu_model_runner.py `profile_run`).
_STAMPS_COUNTED_UNTIL = (0, 13)
# Positions put together from four neighbours in fp32 took more than a layer, until one kernel did it (models/qwen3_vl.py
# `fast_pos_embed_interpolate`, `triton_pos_embed_interpolate`).
_FUSED_POSITIONS = (0, 20)
# Encoders that took images one by one have taken them in batches of a tenth of the memory since (models/gemma4_mm.py `_encoder_chunk`).
_BATCHES = (0, 22)


@once
def encoders(architecture: Architecture) -> tuple[tuple[Encoder, ...], str]:
    """The encoders of known input, or where there are none a bounded guess, and what to say of that."""
    if architecture.encoders:
        return architecture.encoders, ""
    notes = []
    for part, (patches, tokens, pixels) in _UNKNOWN.items():
        kind: Literal["image", "audio"] = "image" if part == "vision" else "audio"
        layers = [layer for stack in architecture.stacks if stack.part == part for layer in stack.kinds]
        if layers:
            hidden, inner = widths(layers)
            notes.append(f"the largest {kind} input is not known for this model: one of {tokens:,} tokens was assumed")
            return (Encoder(kind, patches, tokens, pixels, hidden, inner, ""),), notes[0]
        if any(group.part == part for group in architecture.groups):
            notes.append(f"what this model computes for {kind} inputs before its layers was not counted")
    return (), "; ".join(notes)


def encoding(
    device: Device,
    architecture: Architecture,
    placement: Placement,
    serving: Serving,
    tokens: int,
    sequences: int,
    *,
    v0: bool = False,
) -> Encoding:
    """The encoder over as many of the largest inputs as a step may hold.

    One modality is profiled, that whose input has most tokens. Attention is fused, so no matrix of scores is counted. What is alive at
    once are the pixels of all inputs, in fp32 as the processor makes them and cast, and of each row the tower's input, the residual
    stream, its norm, and the inside of the widest layer.

    Source: vLLM 0.33, v1/worker/gpu_model_runner.py `profile_run`, multimodal/encoder_budget.py `MultiModalBudget`; 0.12,
    v1/worker/utils.py; 0.10.0, v1/worker/gpu_model_runner.py; 0.6.4, worker/model_runner.py `profile_run`; models/qwen3_vl.py
    `fast_pos_embed_interpolate`.
    """
    if not serving.images or not _profiles_encoders(device, architecture, serving.version, serving.own):
        return Encoding()
    known, note = encoders(architecture)
    limits = dict(serving.own.limits) if serving.own is not None else {}
    known = tuple(e for e in known if limits.get(e.modality, 1) > 0)
    if not known:
        return Encoding(note=note)
    context = serving.context_tokens or architecture.facts.context_tokens or tokens

    image = max((e.tokens for e in known if e.modality == "image"), default=0)

    def length(e: Encoder) -> int:
        """Positions that the input takes in a prompt."""
        if e.stamped and not at_least(serving.version, *_STAMPS_COUNTED_UNTIL):
            return e.tokens * 25 // 2
        # Until 0.10.2 every video had to leave room for an image.
        left = context - image if e.with_image or not at_least(serving.version, 0, 11) else context
        return e.tokens * max(1, min(e.clips, left // e.tokens))

    longest = max(known, key=length)
    each = length(longest)
    # The budget has room for the longest input at least; it was divided with the rest rounded up until 0.9.2.
    room = max(tokens, each)
    items = room // each if v0 or rules(serving.version).encoder_items == "whole" else -(-room // each)
    if v0:
        in_prompt = 1
    else:
        in_prompt = max(1, context // each) if at_least(serving.version, 0, 10, 1) else _IMAGES_PER_PROMPT
    in_prompt = min(in_prompt, limits.get(longest.modality, in_prompt))
    items = max(1, min(items, sequences * in_prompt))
    peak, formula, batches = 0, "", at_least(serving.version, *_BATCHES)
    for e in known:
        if e.modality != longest.modality or length(e) != each:
            continue
        rows = items * (1 if e.stamped else each // e.tokens) * e.patches
        live = min(rows, (device.visible_bytes // 10 // e.row_bytes if e.row_bytes and batches else e.chunk) or rows)
        wide = 6 * e.hidden + 2 * e.inner // placement.tp
        if e.interpolated and not at_least(serving.version, *_FUSED_POSITIONS):
            wide = max(wide, 18 * e.hidden)
        size = 6 * e.pixels * rows + wide * live + 2 * e.bias
        if size >= peak:
            what = f"{items:,} {e.modality}{'s' if items > 1 else ''} of {each:,} tokens: {rows:,} patches x 6 B x {e.pixels:,}"
            peak, formula = size, f"{what} + {live:,} x {wide:,} B" + (f" + 2 B x {e.bias:,}" if e.bias else "")
    kept = 2 * items * each * longest.levels * architecture.facts.hidden_size
    return Encoding(peak, kept, formula, note, _text_alone(known, serving.version))


def _text_alone(known: tuple[Encoder, ...], version: str | None) -> str:
    """The flag that turns every kind of input but text off.

    Source: vLLM 0.33, engine/arg_utils.py (`--language-model-only`, since 0.17; `--limit-mm-per-prompt`, which takes JSON since 0.9).
    """
    if at_least(version, 0, 17):
        return "--language-model-only"
    kinds = sorted({e.modality for e in known})
    if at_least(version, 0, 9):
        return "--limit-mm-per-prompt '{" + ", ".join(f'"{kind}": 0' for kind in kinds) + "}'"
    return "--limit-mm-per-prompt " + ",".join(f"{kind}=0" for kind in kinds)


def _profiles_encoders(device: Device, architecture: Architecture, version: str | None, own: Settings | None) -> bool:
    """Whether the profiling runs encoders: until 0.26 Model Runner V2 did not.

    Source: vLLM 0.25, v1/worker/gpu/model_runner.py `profile_run`.
    """
    return at_least(version, *_V2_PROFILES) or not second_runner(device, architecture, version, own)
