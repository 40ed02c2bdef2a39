"""The projector: towers for images and audio, which are a file of their own (`--mmproj`) beside the model's.

Sources: llama.cpp 0c1e57098, conversion/base.py `MmprojModel` (what its tensors are stored as), tools/mtmd/clip.cpp `load_tensors` (one
GPU holds all of them, the first unless another is named) and `get_dummy_batch`, `reserve_compute_meta` (the buffer that is reserved for a
warm-up image), tools/server/server-context.cpp `load_model` (`--fit` leaves both free).
"""

from __future__ import annotations

import re
from math import isqrt, prod

from archcalc.engines._once import once
from archcalc.engines.llamacpp.settings import Settings
from archcalc.engines.served import classes_of
from archcalc.figures.checkpoint import inventory, storage_bytes
from archcalc.model import Architecture

# conversion/qwen3vl.py: the classes of `Qwen3VLVisionModel`, whose graph is tools/mtmd/models/qwen3vl.cpp.
_QWEN3 = frozenset(
    """
    Qwen3VLForConditionalGeneration Qwen3VLMoeForConditionalGeneration Qwen3_5ForConditionalGeneration Qwen3_5MoeForConditionalGeneration
    """.split()
)
# conversion/gemma.py `Gemma3VisionModel.tensor_force_quant`: all of "embeddings.", patches too.
_WHOLE = frozenset({"Gemma3ForConditionalGeneration"})
LIBRARY = "of the library's model"
_TEXT_ALONE = frozenset({"Gemma3nForConditionalGeneration"})
"""Published in Ollama's library without towers (model/models/gemma3n has model_text.go alone)."""
_SIDE = 46
"""Tokens of a side of the image that the buffer is reserved for (clip.cpp, `set_warmup_n_tokens(46*46)`)."""


def kind_of(name: str) -> str:
    """What a projector's file is stored as, by its name: F16 where that says nothing, as most are published."""
    found = re.search(r"(?i)(?<![a-z0-9])(bf16|f16|fp16|f32|fp32|q8_0)(?![a-z0-9])", name)
    return "F16" if found is None else found[1].upper().replace("FP", "F")


@once
def stored(architecture: Architecture, kind: str = "F16") -> int:
    """Bytes of a projector in that type: vectors, norms and tables of positions are F32, and patches F32 where the file is not F16."""
    patches = "F16" if kind == "F16" and not _WHOLE.intersection(classes_of(architecture)) else "F32"
    return sum(
        e.copies * storage_bytes(_type(e.name, e.shape, kind, patches), e.elements)
        for e in inventory(architecture)
        if e.part in ("vision", "audio")
    )


def _type(name: str, shape: tuple[int, ...], kind: str, patches: str) -> str:
    if len(shape) < 2 or "norm" in name.rpartition(".")[0].rpartition(".")[2] or re.search(r"pos(?:ition)?_emb", name):
        return "F32"
    if len(shape) > 3:
        return patches
    return "F16" if kind == "Q8_0" and shape[-1] % 32 else kind


@once
def reserved(architecture: Architecture) -> int | None:
    """The buffer for the warm-up image on the projector's GPU, in bytes; None of towers whose graph is not known here.

    Of Qwen3-VL's: six times the tower's width for each patch (what goes past a layer, keys, queries and values, and the first two
    rotated), the pixels and four positions, all in F32; and what each level hands on to the decoder.
    """
    if not _QWEN3.intersection(classes_of(architecture)):
        return None
    tensors = {e.name: e for e in inventory(architecture) if e.part == "vision"}
    conv = next((e.shape for e in tensors.values() if len(e.shape) == 5), None)
    merger = next((e.shape for name, e in tensors.items() if name.endswith("merger.linear_fc1.weight")), None)
    if conv is None or merger is None:
        return None
    width, pixels = conv[0], conv[1] * prod(conv[3:])
    merge = isqrt(merger[1] // width)
    levels = sum(e.shape[0] * e.copies for n, e in tensors.items() if "deepstack" in n and n.endswith("linear_fc2.weight"))
    patches = (_SIDE * merge) ** 2
    return 4 * patches * (6 * width + pixels + 4 + levels // merge**2)


def on_gpu(own: Settings | None, architecture: Architecture) -> tuple[int, int]:
    """The weights and the buffer of a command's projector on its GPU, in bytes; nothing where it names none, or keeps it on the CPU."""
    if own is None or not own.projector or not own.towers:
        return 0, 0
    size = weights(own, architecture)
    return size, (reserved(architecture) or 0) if size else 0


def weights(own: Settings, architecture: Architecture) -> int:
    """The size of the file that is here, or that which the converter makes of the model's towers."""
    if own.projector_named == LIBRARY and _TEXT_ALONE.intersection(classes_of(architecture)):
        return 0
    return (own.projector_bytes or stored(architecture, own.projector)) if own.projector else 0


def in_ram(own: Settings | None, architecture: Architecture) -> int:
    """What of it the CPU's memory holds with `--no-mmproj-offload`."""
    return weights(own, architecture) if own is not None and not own.towers else 0
