"""`llama-server` for a plan, and how many layers it can be given where not all fit. Source: llama.cpp 0c1e57098, common/arg.cpp."""

from __future__ import annotations

import os
from collections.abc import Iterator

from archcalc.engines._command import everywhere, not_set, word
from archcalc.engines.plan import Ask, Candidate, Command, Fit, Named, machines


def command(named: Named, ask: Ask, fit: Fit) -> Command:
    words, notes = [*_words(named, ask, fit), *named.how, *fit.taken.flags], not_set("llama.cpp", named)
    count = machines(ask.gpus)
    if count > 1:
        words.append("--rpc <address-of-the-other-machines>")
        notes += (f"run ggml-rpc-server {everywhere(count)[0]}, and name each address and port after --rpc",)
    return Command(" ".join(words), notes)


def _words(named: Named, ask: Ask, fit: Fit) -> Iterator[str]:
    yield f"llama-server {'-hf' if ':' in named.name and not os.path.exists(named.name) else '-m'} {word(named)}"
    yield f"-c {fit.context_tokens * fit.concurrency}"
    # Left out, it is four slots that share the cells.
    yield f"-np {fit.concurrency}"
    if ask.kv_dtype is not None:
        yield f"-ctk {fit.kv_dtype} -ctv {fit.kv_dtype}"


def offload(model: Candidate, fit: Fit) -> tuple[int, int, int] | None:
    """How many of the layers fit on the GPUs beside their cache (`-ngl`, the head counting as one), how many there are, and the bytes of
    weights and cache that the CPU's memory holds of the rest.

    Layers are taken from the last, as llama.cpp does, the head first: one GPU is filled after the other. None if nothing fits.
    """
    layers = model.architecture.layers
    each = [0] * layers
    rest = 0
    for tensor in model.tensors:
        size = sum(piece.bytes for piece in tensor.pieces)
        if not tensor.gpu:
            continue
        for layer in tensor.layers:
            each[layer] += size
        if not tensor.layers:
            rest += size * tensor.copies
    gpus = fit.placement.pp
    whole = fit.budget.kv_room_bytes + fit.budget.weights_bytes
    # What is needed is told of the fullest GPU, which has its share of the layers.
    cache = -(-fit.kv_needed_bytes // -(-layers // gpus))
    room, left, held = whole - rest, gpus - 1, 0
    for size in reversed(each):
        if room < size + cache and left:
            room, left = whole, left - 1
        room -= size + cache
        if room < 0:
            break
        held += 1
    if room < 0 and not held:
        return None
    return held + 1, layers + 1, sum(size + cache for size in each[: layers - held])
