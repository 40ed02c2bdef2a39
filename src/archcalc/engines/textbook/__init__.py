"""The textbook cache as an engine of its own: every token a layer can see, once, and each recurrent state once."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from archcalc.engines.engine import Engine

if TYPE_CHECKING:
    from archcalc.engines._allocation import Allocation, Workload
    from archcalc.model import Architecture


class Textbook(Engine):
    name = "textbook"
    title = "the textbook"
    kinds = frozenset({"full", "sliding", "chunked", "latent", "index", "state"})
    recurrences = frozenset({"", "mamba1", "mamba2", "gated-delta", "kda", "lightning", "rg-lru", "short-conv", "rwkv", "xlstm"})

    def cache(self, architecture: Architecture, work: Workload, options: Mapping[str, Any]) -> Allocation:
        from archcalc.engines.textbook import cache

        return cache.allocate(architecture, work)


ENGINE = Textbook()
