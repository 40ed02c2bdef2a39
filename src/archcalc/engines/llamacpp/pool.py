"""llama.cpp's buffers under a command: the caches of the layers that lie on the fullest GPU."""

from __future__ import annotations

from operator import add

from archcalc.engines._allocation import Workload
from archcalc.engines.budget import Budget
from archcalc.engines.llamacpp import cache as llamacpp
from archcalc.engines.llamacpp.budget import draft_cache, options_of
from archcalc.engines.llamacpp.layout import CPU, devices_of
from archcalc.engines.llamacpp.settings import Settings
from archcalc.engines.plan import Ask, Pooled, largest
from archcalc.model import Architecture


def pooled(architecture: Architecture, ask: Ask, plan: Budget) -> Pooled:
    own: Settings = ask.own or Settings()
    memories = [d.visible_bytes for d in ask.gpus.each]
    places = devices_of(architecture.layers, len(memories), own, memories)[: architecture.layers]
    # What each GPU has less than the fullest: one that has the head may be full first at another length.
    left = [memory - size for memory, size in zip(memories, plan.stages, strict=True)]
    less = [left[plan.gpu] - each for each in left]

    options = options_of(ask.own, 1)._replace(computes=False)
    made = llamacpp.allocate(architecture, Workload(llamacpp.PAD, 1, ask.kv_dtype), options)

    def needed(context: int, sequences: int) -> int:
        """What the cache needs of the fullest GPU, or as much as makes another the fullest."""
        work = Workload(context, sequences, ask.kv_dtype)
        caches, states = llamacpp.layer_bytes(architecture, work, options_of(ask.own, sequences))
        found = [0] * len(memories)
        for place, size, state in zip(places, caches, states, strict=True):
            if place != CPU and not own.cache_on_cpu:
                found[place] += size + state
        return int(max(map(add, found, less))) + draft_cache(own, architecture, context, sequences)

    def held(room: int, context: int) -> tuple[float, int]:
        """Of a command that names its context what it allocates, if there is room for that: a server takes no more."""
        if not made.figures:
            return (float(own.slots), 0) if needed(context, 1) <= room else (0.0, 0)
        if own.unified:
            given = llamacpp.pad(own.cells) if own.cells else 0
            if given and needed(given, 1) <= room:
                return given / context, given
            tokens = largest(lambda n: needed(n * llamacpp.PAD, 1) <= room, 1 << 16) * llamacpp.PAD
            return tokens / context, tokens
        if own.cells and needed(context, own.slots) <= room:
            return float(own.slots), own.slots * context
        sequences = largest(lambda n: needed(context, n) <= room, 1 << 10)
        return float(sequences), sequences * context

    return Pooled(needed, held, made.dtype, made.rule)


def on_cpu(architecture: Architecture, ask: Ask, context: int, sequences: int) -> int:
    """What of the cache lies in the CPU's memory: of layers that do, and all of it with `--no-kv-offload` (0c1e57098,
    src/llama-kv-cache.cpp: a layer's cache lies where the layer does)."""
    own: Settings = ask.own
    memories = [d.visible_bytes for d in ask.gpus.each]
    places = devices_of(architecture.layers, len(memories), own, memories)[: architecture.layers]
    caches, states = llamacpp.layer_bytes(architecture, Workload(context, sequences, ask.kv_dtype), options_of(own, sequences))
    return int(sum(c + s for place, c, s in zip(places, caches, states, strict=True) if place == CPU or own.cache_on_cpu))


def planned(made: Pooled, ask: Ask) -> Pooled:
    """Of a plan without a command: how many sequences there is room for, and the tokens that a server of the plan allocates."""

    def held(room: int, context: int) -> tuple[float, int]:
        most, tokens = made.held(room, context)
        return most, context * ask.concurrency if tokens and made.needed(context, ask.concurrency) <= room else tokens

    return made._replace(held=held)
