"""The tokens of a sequence that llama-server serves: the trained length, or what YaRN that a command asks for makes of it."""

from __future__ import annotations

from ctypes import c_float

from archcalc.engines.llamacpp.settings import Settings
from archcalc.model import Architecture


def served_length(architecture: Architecture, own: Settings) -> int | None:
    """The trained length, in tokens; with YaRN of another scale than the file's the original length over that scale. None where no
    length is stated.

    Source: llama.cpp 0c1e57098, src/llama-context.cpp `llama_init_from_model` ("custom YaRN scaling detected, re-adjusting n_ctx_train")
    and `llama_context` (the original length), gguf-py/gguf (`{arch}.rope.scaling.*`); tools/server/server-context.cpp `n_ctx_slot`.
    """
    trained = own.trained or architecture.facts.context_tokens
    stated = architecture.lengths.ropes if architecture.lengths is not None else ()
    rope = stated[0] if len(stated) == 1 else None
    yarn = own.rope_kind == "yarn" or (not own.rope_kind and rope is not None and rope.kind == "yarn")
    if trained is None or not yarn or not own.rope_scale:
        return trained
    scale = c_float(own.rope_scale).value
    if rope is not None and rope.factor and scale == c_float(1 / c_float(rope.factor).value).value:
        return trained
    original = own.yarn_original or (rope.original if rope is not None else None) or trained
    return int(c_float(original / scale).value)
