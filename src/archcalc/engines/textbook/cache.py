"""The textbook cache as an engine of its own, so that it stands beside the others. The rule itself is `figures.memory.textbook`."""

from __future__ import annotations

from collections.abc import Iterator

from archcalc.engines._allocation import (
    Allocation,
    Figure,
    Workload,
    batch_text,
    default_dtype,
    held_caches,
    lacks_dtype,
    layers_text,
    nothing_kept,
    row_text,
    times,
)
from archcalc.figures import memory
from archcalc.model import Architecture, Cache

SOURCE = "every token a layer can see, once"


def allocate(architecture: Architecture, work: Workload) -> Allocation:
    """Every token a layer can see, once, and each recurrent state once. Raises `UsageError` for a dtype with scales of its own."""
    dtype = work.kv_dtype or default_dtype(architecture)
    if dtype not in memory.DTYPE_BYTES:
        raise lacks_dtype("the textbook", dtype, memory.DTYPE_BYTES, "name an --engine for its own formats")
    size = memory.DTYPE_BYTES[dtype]
    formulas: dict[tuple[str, int | None], list[str]] = {}
    for held in held_caches(architecture):
        for terms in _products(held.cache, work.context_tokens, size):
            text = times(layers_text(held.layers), batch_text(work.batch), *terms)
            formulas.setdefault((held.cache.kind, held.cache.window), []).append(text)
    kinds = memory.textbook(architecture, work.context_tokens, work.batch, size)
    figures = tuple(Figure(*kind, " + ".join(formulas[kind.kind, kind.window]), SOURCE) for kind in kinds)
    return Allocation(
        "textbook",
        "",
        work.context_tokens,
        work.batch,
        dtype,
        figures,
        "every token a layer can see, once; each recurrent state once" if figures else nothing_kept(architecture),
    )


def _products(cache: Cache, tokens: int, size: int) -> Iterator[list[str]]:
    """The factors of what grows with the tokens, and of what does not."""
    if cache.per_token:
        seen = f"{tokens:,}" if cache.window is None else f"min({tokens:,}, {cache.window:,})"
        rows = (
            f"{tokens // cache.compress:,} rows ({tokens:,} tokens / {cache.compress})" if cache.compress > 1 else f"{seen} tokens"
        )
        yield [row_text(cache), f"{size} B", rows]
    if cache.states:
        parts = [f"{times(*s.shape)} x {s.own_bytes or size} B" for s in cache.states]
        yield [f"({' + '.join(parts)})"]
