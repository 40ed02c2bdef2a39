"""Models side by side, and each as what it changes against a baseline."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import gcd
from typing import NamedTuple

from archcalc import report, units
from archcalc.analysis.inspect import inspect
from archcalc.errors import UsageError
from archcalc.figures import memory
from archcalc.loader import Loaded

LABELS = {
    "release": "released",
    "kind": "type",
    "attention": "attention",
    "norm": "norm",
    "activation": "FFN",
    "position": "position",
    "moe": "MoE",
    "context_tokens": "context",
    "vocab_size": "vocabulary",
    "total": "parameters",
    "active": "active",
    "layers": "layers",
    "hidden_size": "width",
    "heads": "heads",
    "kv_bytes_per_token": "one more token",
    "kv_bytes": "cache",
    "checkpoint_bytes": "weights on disk",
}
"""The rows of a comparison by their keys, in order. Those of the cache are told at a context and a dtype, which their labels name."""

NUMBERS = frozenset(
    {
        "context_tokens",
        "vocab_size",
        "total",
        "active",
        "layers",
        "hidden_size",
        "kv_bytes_per_token",
        "kv_bytes",
        "checkpoint_bytes",
    }
)
"""The rows that hold numbers."""


class _Cell(NamedTuple):
    text: str
    exact: int | None = None


def compare(
    models: Sequence[Loaded],
    *,
    context_tokens: int | None = None,
    kv_dtype: str = "bf16",
    baseline: Loaded | None = None,
    rows: Sequence[str] | None = None,
    failed: Sequence[report.Failure] = (),
) -> report.Comparison:
    """One column a model. The cache is told at `context_tokens`, by default at the longest context that all of them have.

    `rows` are keys of `LABELS`, to have those rows alone, in that order.
    """
    if kv_dtype not in memory.DTYPE_BYTES:
        raise UsageError(
            f"--kv-dtype {kv_dtype}: caches are compared in {', '.join(memory.DTYPE_BYTES)}",
            "`archcalc kv --engine E` knows the formats of engines",
        )
    wrong = [key for key in rows or () if key not in LABELS]
    if wrong:
        raise UsageError(f"--rows {wrong[0]}: there is no such row", f"some of {', '.join(LABELS)}")
    inspected = [inspect(m.architecture, m.source, kv_dtype=kv_dtype) for m in models]
    common = context_tokens or min((r.architecture.context_tokens or 0) for r in inspected) or 4096
    labels = {
        **LABELS,
        "kv_bytes_per_token": f"one more token, {kv_dtype}",
        "kv_bytes": f"cache at {units.format_tokens(common)}",
    }
    made = []
    for key in rows or LABELS:
        cells = [_cell(key, m, r, common, kv_dtype) for m, r in zip(models, inspected, strict=True)]
        values = [cell.text for cell in cells]
        if key == "release" and not rows and set(values) == {_UNKNOWN}:
            continue
        made.append(report.ComparedRow(key, labels[key], values, [cell.exact for cell in cells], len(set(values)) == 1))
    changes = []
    if baseline is not None:
        from_knobs = knobs(inspect(baseline.architecture, baseline.source))
        changes = [report.Changes(r.source.name, _changes(from_knobs, knobs(r))) for r in inspected]
    return report.Comparison(
        schema_version=report.SCHEMA_VERSION,
        sources=[r.source.name for r in inspected],
        statuses=[r.status for r in inspected],
        context_tokens=common,
        kv_dtype=kv_dtype,
        rows=made,
        baseline=baseline.source.name if baseline else None,
        changes=changes,
        failed=list(failed),
    )


_UNKNOWN = "not known"


def _cell(key: str, m: Loaded, r: report.Inspection, tokens: int, dtype: str) -> _Cell:
    a, p = r.architecture, r.params
    guess = "~" if r.status == "guessed" else ""
    if key == "release":
        return _Cell(_release(m) or _UNKNOWN)
    if key == "kind":
        return _Cell("MoE" if a.moe else "dense")
    if key == "moe":
        shared = f" + {a.moe.shared} shared" if a.moe and a.moe.shared else ""
        return _Cell(f"{a.moe.experts} experts, top-{a.moe.active}{shared}" if a.moe else "no")
    if key == "heads":
        if a.heads is None:
            return _Cell(_UNKNOWN)
        return _Cell(f"{a.heads}" if a.heads == a.kv_heads else f"{a.heads}/{a.kv_heads}")
    if key == "attention":
        return _Cell(_attention(m, a))
    if key == "context_tokens":
        return _Cell(units.format_tokens(a.context_tokens), a.context_tokens) if a.context_tokens else _Cell("not stated")
    if key == "total":
        return _Cell(guess + units.format_count(p.total), p.total)
    if key == "active":
        return _Cell(guess + units.format_count(p.active), p.active)
    if key == "checkpoint_bytes":
        return _Cell(units.format_bytes(r.checkpoint.bytes), r.checkpoint.bytes) if r.checkpoint else _Cell(_UNKNOWN)
    if key == "kv_bytes_per_token":
        return _cached(m, tokens, dtype, lambda k: k.bytes_per_token)
    if key == "kv_bytes":
        return _cached(m, tokens, dtype, lambda k: k.bytes)
    value = getattr(a, key)
    return _Cell(f"{value:,}", value) if isinstance(value, int) else _Cell(str(value))


def _release(m: Loaded) -> str | None:
    if m.source.kind != "bundled":
        return None
    from archcalc import zoo

    entry = zoo.find(m.source.name)
    return entry.release if entry else None


def _attention(m: Loaded, a: report.ArchitectureInfo) -> str:
    """The attention by name, and where layers see different spans which ones, as in `sliding + full GQA (1:1), window 128`."""
    spans: dict[str, int] = {}
    windows = set()
    for stack in m.architecture.stacks:
        for layer, layers in zip(stack.kinds, stack.counts(), strict=True) if stack.part == "decoder" else ():
            window = next((c.window for c in layer.caches if c.window is not None), None)
            # A window as long as the context hides nothing.
            hides = window is not None and not (a.context_tokens and window >= a.context_tokens)
            kind = next((c.kind for c in layer.caches if c.kind in ("sliding", "chunked")), "sliding") if hides else "full"
            if hides:
                windows.add(window)
            if hides or any(c.kind in ("full", "sliding", "chunked", "latent") for c in layer.caches):
                spans[kind] = spans.get(kind, 0) + layers
    name = a.attention
    if windows and len(spans) > 1 and " + " not in name:
        counts = list(spans.values())
        common = gcd(*counts)
        order = sorted(spans, key=lambda kind: kind == "full")
        name = f"{' + '.join(order)} {name} ({':'.join(str(spans[kind] // common) for kind in order)})"
    if len(windows) == 1:
        name += f", window {windows.pop():,}"
    elif a.sliding_window and windows:
        name += f", window {a.sliding_window:,}"
    return name + "".join(
        f" + {short}" for label, short in (("QK-norm", "QK-norm"), ("attention sinks", "sinks")) if label in a.more
    )


def _cached(m: Loaded, tokens: int, dtype: str, figure: Callable[[memory.KindBytes], int]) -> _Cell:
    if m.architecture.status == "header":
        return _Cell(_UNKNOWN)
    size = sum(map(figure, memory.textbook(m.architecture, tokens, 1, memory.DTYPE_BYTES[dtype])))
    return _Cell(units.format_bytes(size), size)


def knobs(r: report.Inspection) -> dict[str, str]:
    """The six knobs that decoders have turned since GPT-2, and what a model has beyond them."""
    a = r.architecture
    kind, _, placement = a.norm.partition(" (")
    found = {
        "normalization": kind,
        "norm placement": placement.rstrip(")") or "none",
        "position": a.position,
        "activation": a.activation,
        "head sharing": a.attention,
        "FFN": "sparse" if a.moe else "dense",
    }
    beyond = [
        name
        for letter, name in (("L", "linear attention"), ("H", "linear attention beside softmax"))
        if letter in a.pattern["mixer"]
    ]
    beyond += [
        name for kind_, name in (("index", "sparse attention"),) if r.kv_cache and any(k.kind == kind_ for k in r.kv_cache.by_kind)
    ]
    if a.mtp_layers:
        beyond.append("MTP")
    beyond += [name for name in ("per-layer embeddings", "AltUp", "hyper-connections", "attention sinks") if name in a.more]
    if beyond:
        found["beyond"] = ", ".join(beyond)
    return found


def _changes(base: dict[str, str], mine: dict[str, str]) -> list[report.Change]:
    return [
        report.Change(knob, base.get(knob, "none"), mine.get(knob, "none"))
        for knob in (*base, *(k for k in mine if k not in base))
        if base.get(knob, "none") != mine.get(knob, "none")
    ]
