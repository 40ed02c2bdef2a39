"""Models side by side, and each as what it changes against a baseline."""

from __future__ import annotations

from collections.abc import Sequence

from archcalc import report, units
from archcalc.analysis import memory
from archcalc.analysis.inspect import inspect
from archcalc.loader import Loaded


def compare(
    models: Sequence[Loaded], *, context_tokens: int | None = None, kv_dtype: str = "bf16", baseline: Loaded | None = None
) -> report.Comparison:
    """One column a model. The cache is told at `context_tokens`, by default at the longest context that all of them have."""
    inspected = [inspect(m.architecture, m.source, kv_dtype=kv_dtype) for m in models]
    common = context_tokens or min((r.architecture.context_tokens or 0) for r in inspected) or 4096
    rows = [
        report.ComparedRow(key, label, values, len(set(values)) == 1)
        for key, label, values in (
            *((key, label, [_fact(r, key) for r in inspected]) for key, label in _FACTS),
            ("kv_bytes_per_token", f"KV a token, {kv_dtype}", [_per_token(m, common, kv_dtype) for m in models]),
            ("kv_bytes", f"cache at {units.format_tokens(common)}", [_cache(m, common, kv_dtype) for m in models]),
            ("checkpoint_bytes", "weights on disk", [_weights(r) for r in inspected]),
        )
    ]
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
        rows=rows,
        baseline=baseline.source.name if baseline else None,
        changes=changes,
    )


_FACTS = (
    ("kind", "type"), ("attention", "attention"), ("norm", "norm"), ("activation", "FFN"), ("position", "position"), ("moe", "MoE"),
    ("context_tokens", "context"), ("vocab_size", "vocabulary"), ("total", "parameters"), ("active", "active"), ("layers", "layers"),
    ("hidden_size", "width"), ("heads", "heads"),
)  # fmt: skip


def _fact(r: report.Inspection, key: str) -> str:
    a, p = r.architecture, r.params
    guess = "~" if r.status == "guessed" else ""
    if key == "kind":
        return "MoE" if a.moe else "dense"
    if key == "moe":
        shared = f" + {a.moe.shared} shared" if a.moe and a.moe.shared else ""
        return f"{a.moe.experts} experts, top-{a.moe.active}{shared}" if a.moe else "no"
    if key == "heads":
        if a.heads is None:
            return "not known"
        return f"{a.heads}" if a.heads == a.kv_heads else f"{a.heads}/{a.kv_heads}"
    if key == "attention":
        window = f", window {a.sliding_window:,}" if a.sliding_window else ""
        norm = " + QK-norm" if "QK-norm" in a.more else ""
        return f"{a.attention}{window}{norm}"
    if key == "context_tokens":
        return units.format_tokens(a.context_tokens) if a.context_tokens else "not stated"
    if key == "total":
        return guess + units.format_count(p.total)
    if key == "active":
        return guess + units.format_count(p.active)
    value = getattr(a, key)
    return f"{value:,}" if isinstance(value, int) else str(value)


def _kinds(m: Loaded, tokens: int, dtype: str) -> list[memory.KindBytes]:
    return memory.textbook(m.architecture, tokens, 1, memory.DTYPE_BYTES[dtype])


def _per_token(m: Loaded, tokens: int, dtype: str) -> str:
    if m.architecture.status == "header":
        return "not known"
    return units.format_bytes(sum(k.bytes_per_token for k in _kinds(m, tokens, dtype)))


def _cache(m: Loaded, tokens: int, dtype: str) -> str:
    if m.architecture.status == "header":
        return "not known"
    return units.format_bytes(sum(k.bytes for k in _kinds(m, tokens, dtype)))


def _weights(r: report.Inspection) -> str:
    return units.format_bytes(r.checkpoint.bytes) if r.checkpoint else "not known"


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
