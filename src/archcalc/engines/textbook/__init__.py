"""The textbook cache as an engine of its own: every token a layer can see, once, and each recurrent state once."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, get_args

from archcalc.engines.engine import Engine
from archcalc.model import CacheKind, Recurrence

if TYPE_CHECKING:
    from archcalc.engines._allocation import Allocation, Workload
    from archcalc.model import Architecture


class Textbook(Engine):
    name = "textbook"
    title = "the textbook"
    # Its formula is the cache's own: it has a rule for whatever there is.
    kinds = frozenset(get_args(CacheKind))
    recurrences = frozenset(get_args(Recurrence))

    def cache(self, architecture: Architecture, work: Workload, options: Mapping[str, Any]) -> Allocation:
        from archcalc.engines.textbook import cache

        return cache.allocate(architecture, work)


ENGINE = Textbook()
