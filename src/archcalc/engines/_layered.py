"""Caches of engines that give each GPU its layers whole: the fullest has the most layers' caches."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from archcalc.engines._allocation import Workload
from archcalc.engines.engine import Server
from archcalc.engines.placement import Placement
from archcalc.engines.plan import Ask, Pooled, largest
from archcalc.model import Architecture


def pooled(
    engine: Server, architecture: Architecture, placement: Placement, ask: Ask, options: Mapping[str, Any] | None = None
) -> Pooled:
    layers = max(1, architecture.layers)
    most = -(-layers // placement.pp)

    def needed(context: int, sequences: int) -> int:
        size = engine.cache(architecture, Workload(context, sequences, ask.kv_dtype), options or {}).bytes
        return int(-(-size * most // layers))

    made = engine.cache(architecture, Workload(1, 1, ask.kv_dtype), options or {})

    def held(room: int, context: int) -> tuple[float, int]:
        if not made.figures:
            # Nothing is kept of an input, and so as many are read at once as a batch is made of.
            return (float(-(-ask.concurrency // placement.dp)), 0) if room >= 0 else (0.0, 0)
        sequences = largest(lambda n: needed(context, n) <= room, 1 << 14)
        return float(sequences), sequences * context

    return Pooled(needed, held, made.dtype, made.rule)
