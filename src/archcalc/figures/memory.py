"""The textbook cache: every token a layer can see, once, and each recurrent state once. Engines reserve more."""

from __future__ import annotations

from archcalc.errors import UnsupportedError
from archcalc.model import Architecture, Cache, CacheKind
from archcalc.records import NamedTuple

KINDS: frozenset[CacheKind] = frozenset({"full", "sliding", "chunked", "latent", "index", "state"})
"""The kinds that the formula holds for; a kind that is named elsewhere alone is refused."""
DTYPE_BYTES = {"fp32": 4, "bf16": 2, "fp16": 2, "fp8": 1, "int8": 1}
"""Bytes per element of the cache dtypes that have no scales."""


class KindBytes(NamedTuple):
    """What all layers of one cache kind take: bytes in all, for one more token, and the part that does not grow."""

    kind: str
    window: int | None
    layers: int
    bytes: int
    bytes_per_token: int
    state_bytes: int


def cached_rows(cache: Cache, tokens: int) -> int:
    """Rows one layer keeps after `tokens` tokens: all, or those of its window."""
    rows = tokens if cache.window is None else min(tokens, cache.window)
    return rows // cache.compress


def state_bytes(cache: Cache, dtype_bytes: int) -> int:
    """Bytes of the recurrent state of one layer for one sequence; states with a dtype of their own keep it."""
    return sum(s.elements * (s.own_bytes or dtype_bytes) for s in cache.states)


def textbook(architecture: Architecture, tokens: int, batch: int, dtype_bytes: int, tp: int = 1) -> list[KindBytes]:
    """The cache of `batch` sequences of `tokens` tokens, by kind of cache; with `tp` what one of so many ranks holds: whole heads, at
    least one, and so all of a latent (vLLM 0.33, config/model.py `get_num_kv_heads`), and its part of a state.

    `bytes_per_token` is what one more token costs one sequence at this length: nothing in a full window. Raises `UnsupportedError` for a
    kind of cache that this rule does not know.
    """
    rows: dict[tuple[str, int | None], list[int]] = {}
    for stack in architecture.stacks:
        if stack.part != "decoder":
            continue
        for layer, layers in zip(stack.kinds, stack.counts(), strict=True):
            for cache in layer.caches:
                if cache.kind not in KINDS:
                    raise UnsupportedError(
                        f"the textbook has no rule for caches of kind {cache.kind!r}",
                        "its parameters are counted all the same: archcalc tensors",
                    )
                state = state_bytes(cache, dtype_bytes) * batch // tp
                width = cache.per_token * dtype_bytes
                if tp > 1 and cache.heads:
                    width = width // cache.heads * max(1, cache.heads // tp)
                grows = cache.window is None or tokens < cache.window
                sums = rows.setdefault((cache.kind, cache.window), [0, 0, 0, 0])
                sums[0] += layers
                sums[1] += layers * (width * cached_rows(cache, tokens) * batch + state)
                sums[2] += layers * (width // cache.compress if grows else 0)
                sums[3] += layers * state
    return [KindBytes(kind, window, *sums) for (kind, window), sums in rows.items()]
