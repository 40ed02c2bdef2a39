"""A model that the GPUs do not hold alone, with the rest of it in a CPU's memory whose size is known.

Routed experts go first, of which a token visits few (`--n-cpu-moe`), then whole layers (`-ngl`): as few as make it fit. Only llama.cpp
is asked, whose placement of tensors is known tensor by tensor (`engines/llamacpp/layout.py`).
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from itertools import product

from archcalc.analysis.ask import understand
from archcalc.analysis.choose import ENOUGH, LEAST, Held, Own
from archcalc.analysis.fit import Ask, Candidate, Plans, candidate, plans
from archcalc.commands.words import of_arguments
from archcalc.engines.engine import LOCAL, server
from archcalc.engines.plan import largest, largest_left
from archcalc.errors import ArchcalcError
from archcalc.model import Architecture

_CONTEXTS = (131072, 65536, 32768, 16384, 8192, LEAST)
"""Tokens that are tried where no context was asked for and the model's own does not fit, halved from the longest that people name."""


def spilled(architecture: Architecture, ask: Ask, quants: Sequence[str | None]) -> Held | None:
    """The plans with as little as must be in the CPU's memory, in the first of these storages with which they fit, or None.

    `ask.ram_bytes` is that memory. The context is the one asked for, else the model's own, else a shorter one.
    """
    device = ask.gpus.device
    if ask.ram_bytes is None or ask.own is not None or device.shared_memory or server(LOCAL).runs_on(device):
        return None
    trained = architecture.facts.context_tokens
    asked = ask.context_tokens or trained
    if asked is None:
        return None
    lengths = [asked, *(tokens for tokens in _CONTEXTS if ask.context_tokens is None and tokens < asked)]
    # Attention stays on the GPUs with a shorter context before layers leave them for the whole of it.
    ways = ("cpu_experts", "gpu_layers") if architecture.facts.moe is not None else ("gpu_layers",)

    @cache
    def held(quant: str | None) -> Candidate | None:
        try:
            model = candidate(architecture, ask._replace(engine=LOCAL, quant=quant))
        except ArchcalcError:
            return None
        size = sum(t.copies * (len(t.layers) or 1) * sum(piece.bytes for piece in t.pieces) for t in model.tensors)
        return model if size <= _whole(ask) else None

    for way, quant in product(ways, quants):
        if (model := held(quant)) is None:
            continue
        for tokens in lengths if way == ways[-1] else [each for each in lengths if each >= min(asked, ENOUGH)]:
            try:
                found = _fewest(architecture, ask._replace(quant=quant, context_tokens=tokens), model, way)
            except ArchcalcError:
                continue
            if found is None:
                continue
            placed, made = found
            own = None if ask.context_tokens is not None else Own(asked, made if tokens == asked else plans(architecture, ask, 0))
            return Held(made, placed, own, published=quant == ask.quant)
    return None


def _whole(ask: Ask) -> int:
    """All memory that there is."""
    return (ask.ram_bytes or 0) + sum(device.visible_bytes for device in ask.gpus.each)


def _fewest(architecture: Architecture, ask: Ask, model: Candidate, way: str) -> tuple[Ask, Plans] | None:
    """The question with the fewest experts, or else layers, in the CPU's memory, and its plans; None where nothing fits."""
    words = [
        "llama-server",
        "-m",
        "model.gguf",
        "-c",
        str((ask.context_tokens or 0) * ask.concurrency),
        "-np",
        str(ask.concurrency),
    ]
    words += ["-ctk", ask.kv_dtype, "-ctv", ask.kv_dtype] if ask.kv_dtype else []
    read = understand(of_arguments(words), ask.version).asked
    own = read.own
    ask = Ask(ask.gpus, LOCAL, version=ask.version, ram_bytes=ask.ram_bytes, own=own, **{**read.values, "quant": ask.quant})
    layers = architecture.layers

    def judged(n: int, ram_bytes: int | None) -> Plans:
        # What was made of placements is of the experts and layers that they have on the GPUs.
        fresh = model._replace(weights={}, caches={}, refused={}, works={})
        return plans(architecture, ask._replace(own=own._replace(**{way: n}), ram_bytes=ram_bytes), 0, fresh)

    @cache
    def left(n: int) -> int:
        # The CPU's memory is judged at the end: the search is about the GPUs' alone.
        best = judged(n, None).best
        return best.headroom_bytes if best.fits else min(-1, best.headroom_bytes)

    if way == "cpu_experts":
        # None of them left to the CPU is what does not fit.
        n = layers - largest_left(lambda stay: left(layers - stay), layers - 1, 0) if left(layers) >= 0 else None
    elif left(0) < 0:
        n = None
    elif ask.gpus.count > 1:
        # With the border between GPUs what is left rises and falls.
        n = largest(lambda n: left(n) >= 0, layers)
    else:
        n = largest_left(left, layers, 0)
    if n is None:
        return None
    placed = ask._replace(own=own._replace(**{way: n}))
    found = judged(n, ask.ram_bytes)
    return (placed, found) if found.best.fits else None
