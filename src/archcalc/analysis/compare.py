"""Models side by side, and each as what it changes against a baseline."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import gcd
from typing import TYPE_CHECKING

from archcalc import report, units
from archcalc.analysis.inspect import inspect
from archcalc.errors import ArchcalcError, UsageError
from archcalc.figures import memory
from archcalc.loader import Loaded
from archcalc.records import NamedTuple

if TYPE_CHECKING:
    from archcalc.analysis.speed.plan import Wanted
    from archcalc.engines.plan import Ask

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
"""The rows of a comparison by their keys, in order. Those of the cache are told at a context and a dtype, which their labels name, and
what fits on a machine at a context."""

ON = {
    "fits": "fits",
    "plan": "plan",
    "concurrency": "requests at once",
    "tpot_ms": "a token",
    "tokens_per_s": "tokens/s in all",
    "requests_per_s": "requests/s",
    "ttft_ms": "first token",
    "usd_per_million_output_tokens": "$/M output tokens",
}
"""The rows that a comparison on a machine has besides."""

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
        "concurrency",
        "tpot_ms",
        "tokens_per_s",
        "requests_per_s",
        "ttft_ms",
        "usd_per_million_output_tokens",
    }
)
"""The rows that hold numbers."""


class _Cell(NamedTuple):
    text: str
    exact: float | None = None


def compare(
    models: Sequence[Loaded],
    *,
    context_tokens: int | None = None,
    kv_dtype: str = "bf16",
    baseline: Loaded | None = None,
    rows: Sequence[str] | None = None,
    failed: Sequence[report.Failure] = (),
    on: tuple[Ask, Wanted] | None = None,
    alone: bool = False,
) -> report.Comparison:
    """One column a model. The cache is told at `context_tokens`, by default at the longest context that all of them have.

    `rows` are keys of `LABELS`, and of `ON` with a machine, to have those rows alone, in that order. `on` is a machine and what is asked of
    its speed: the plan that does best there stands beside each model, with the same margin under a target as in `fit`, and with weights in
    the storage that `fit` takes; `alone` is whether the engine was named, and no other may stand in for it.
    """
    if kv_dtype not in memory.DTYPE_BYTES:
        raise UsageError(
            f"--kv-dtype {kv_dtype}: caches are compared in {', '.join(memory.DTYPE_BYTES)}",
            "`archcalc kv --engine E` knows the formats of engines",
        )
    keys = {**LABELS, **(ON if on else {})}
    wrong = [key for key in rows or () if key not in keys]
    if wrong:
        hint = "name a machine with --gpu" if wrong[0] in ON else f"some of {', '.join(keys)}"
        raise UsageError(f"--rows {wrong[0]}: there is no such row", hint)
    inspected = [inspect(m.architecture, m.source, kv_dtype=kv_dtype) for m in models]
    common = context_tokens or min((r.architecture.context_tokens or 0) for r in inspected) or 4096
    judged = [_judged(m, *on, alone) for m in models] if on else []
    labels = {
        **keys,
        "kv_bytes_per_token": f"one more token, {kv_dtype}",
        "kv_bytes": f"cache at {units.format_tokens(common)}",
        **({"fits": f"fits at {units.format_tokens(_asked(on[0]))}"} if on else {}),
    }
    made = []
    for key in rows or keys:
        cells = (
            [_on(key, fit, on[0].engine if on else "") for fit in judged]
            if key in ON
            else [_cell(key, m, r, common, kv_dtype) for m, r in zip(models, inspected, strict=True)]
        )
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
        notes=[
            *([_taken(*on, alone, judged)] if on and (not rows or any(key in ON for key in rows)) else []),
            *(said for m, fit in zip(models, judged, strict=False) for said in _unforecast(m, fit)),
            *(f"{model.source.name}: {doubt}" for model in models for doubt in model.architecture.doubts),
        ],
    )


def _asked(ask: Ask) -> int:
    """The tokens of a sequence that a machine is asked to hold: what was named, else a request of usual lengths."""
    from archcalc.analysis.speed.plan import USUAL

    return ask.context_tokens or 2 * USUAL


def _taken(ask: Ask, wanted: Wanted, alone: bool, judged: Sequence[report.FitReport | ArchcalcError]) -> str:
    """What the answers on a machine are of: the same that `fit` says it takes for granted."""
    from archcalc.engines.engine import server, servers

    requests = wanted.load(_asked(ask), 1)
    isl, osl = units.format_tokens(requests.isl), units.format_tokens(requests.osl)
    load = f"requests of {isl} prompt and {osl} output tokens (--isl, --osl)"
    if ask.context_tokens is not None and wanted.isl is None and wanted.osl is None:
        load = f"{units.format_tokens(ask.context_tokens)} tokens of context (--ctx)"
    weights = f"weights in {ask.quant}" if ask.quant else "weights as published"
    if ask.quant is None and ask.gpus.device.personal:
        weights += ", or in a format that fits where they do not (--quant)"
    many = "as many at once as keep the target" if wanted.aims and wanted.requests is None else f"{ask.concurrency:,} at once"
    of = dict.fromkeys(fit.engine for fit in judged if isinstance(fit, report.FitReport)) or {ask.engine: None}
    known = servers()
    engines = " or ".join(server(name).title if name in known else name for name in of)
    return f"on {ask.gpus.named}: {engines}{'' if alone else ' (--engine)'}; {weights}; {load}, {many}" + (
        "; --ctx asks for a longer context" if ask.context_tokens is None else ""
    )


def _judged(m: Loaded, ask: Ask, wanted: Wanted, alone: bool) -> report.FitReport | ArchcalcError:
    """The verdict on the machine, for requests of usual lengths where no others are asked for."""
    from archcalc.analysis.choose import steps_of
    from archcalc.analysis.verdict import fit_report

    context = min(_asked(ask), m.architecture.longest or _asked(ask)) if ask.context_tokens is None else ask.context_tokens
    try:
        steps = () if wanted.engine else steps_of(ask.gpus.device, ask.engine, alone=alone)
        unsaid = () if alone else ("--engine",)
        return fit_report(m, ask._replace(context_tokens=context), brief=True, wanted=wanted, steps=steps, unsaid=unsaid)
    except ArchcalcError as error:
        return error


def _on(key: str, fit: report.FitReport | ArchcalcError, engine: str) -> _Cell:
    if isinstance(fit, ArchcalcError):
        return _Cell(f"no: {fit.message}" if key == "fits" else "not judged")
    s, missing = fit.speed, -fit.per_gpu.headroom_bytes
    if key == "fits":
        if fit.fits:
            return _Cell("yes" if s.target is None or s.target.met else f"yes, the target is not shown to be kept: {s.target.why}")
        in_ = f" ({fit.plan.quant})"
        return _Cell(
            f"no, {units.format_bytes(missing)} missing on the fullest GPU{in_}" if missing > 0 else f"no: {fit.start.limit}"
        )
    if not fit.fits:
        return _Cell("does not fit")
    if key == "plan":
        p = fit.plan
        ways = " ".join(f"{name} {n}" for name, n in (("TP", p.tp), ("PP", p.pp), ("EP", p.ep), ("DP", p.dp)) if n > 1)
        other = f" ({fit.engine})" if fit.engine != engine and engine else ""
        return _Cell(f"{ways or 'one GPU'}, {p.quant}{other}")
    if key == "concurrency":
        return _Cell(f"{fit.concurrency:,}", fit.concurrency)
    held: object = fit.cost if key.startswith("usd") else s
    name = "decode_tokens_per_s" if key == "tokens_per_s" else key
    value, low, high = (getattr(held, name + end, None) for end in ("", "_low", "_high"))
    if value is None or low is None or high is None:
        return _Cell(_missing(key, fit))
    said = [units.format_seconds(x / 1000) if key.endswith("_ms") else units.format_rate(x) for x in (value, low, high)]
    if key in ("tpot_ms", "tokens_per_s") and s.osl == 1:
        return _Cell(_missing(key, fit))
    return _Cell(f"{said[0]} ({said[1]} to {said[2]})", value)


def _missing(key: str, fit: report.FitReport) -> str:
    """What stands in place of a forecast: a bound, or which figure is missing."""
    s = fit.speed
    if key == "usd_per_million_output_tokens" and fit.cost is None:
        return "no price is listed"
    if s.osl == 1 and key == "tpot_ms":
        return "one token has no time between two"
    if key == "tokens_per_s" and s.bound_tokens_per_s is not None:
        return f"at most {units.format_at_most(s.bound_tokens_per_s)} (a bound)"
    if key == "tpot_ms" and s.bound_tokens_per_s:
        return f"at least {units.format_seconds(s.concurrency / s.bound_tokens_per_s, least=True)} (a bound)"
    if key == "ttft_ms" and s.prefill_ms_floor is not None:
        return f"at least {units.format_seconds(s.prefill_ms_floor / 1000, least=True)} (a bound)"
    if key in ("requests_per_s", "usd_per_million_output_tokens") and s.tpot_ms is not None and s.ttft_ms is None:
        return "first token not forecast"
    return "not forecast"


def _unforecast(m: Loaded, fit: report.FitReport | ArchcalcError) -> list[str]:
    """Why nothing, or not all, is forecast of a model that fits."""
    if isinstance(fit, ArchcalcError) or not fit.fits or not fit.speed.why:
        return []
    return [f"{m.source.name}: not forecast: {fit.speed.why}"]


_UNKNOWN = "not known"


def _cell(key: str, m: Loaded, r: report.Inspection, tokens: int, dtype: str) -> _Cell:
    a, p = r.architecture, r.params
    guess = "~" if r.status == "guessed" else ""
    if key == "release":
        return _Cell(_release(m) or _UNKNOWN)
    if key == "kind":
        return _Cell("MoE" if a.kind == "moe" else "dense")
    if a.kind == "moe" and a.moe is None and key in ("moe", "active"):
        # Headers show that there are experts, and not how many of them a token visits.
        return _Cell(_UNKNOWN)
    if key == "moe":
        shared = f" + {a.moe.shared} shared" if a.moe and a.moe.shared else ""
        return _Cell(f"{a.moe.experts} experts, top-{a.moe.active}{shared}" if a.moe else "no")
    if key == "heads":
        if a.heads is None:
            return _Cell(_UNKNOWN)
        return _Cell(f"{a.heads}" if a.heads == a.kv_heads else f"{a.heads}/{'?' if a.kv_heads is None else a.kv_heads}")
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
    return _Cell(f"{value:,}", value) if isinstance(value, int) else _Cell(_UNKNOWN if value is None else str(value))


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
            if hides or (layer.keeps("full", "sliding", "chunked", "latent") is not None):
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
