"""What a chart shows, as numbers: titles, axes with units, and series. Drawing is `render.plot`'s."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, NamedTuple

from archcalc import hardware, units
from archcalc.analysis import roofline
from archcalc.analysis.fit import Ask, judge, plans
from archcalc.analysis.params import components
from archcalc.errors import UsageError
from archcalc.figures import memory
from archcalc.loader import Loaded

GIB = 1 << 30
KINDS = ("kv", "memory", "params", "roofline")


class Series(NamedTuple):
    """One model's values over the positions of the chart."""

    name: str
    values: tuple[float, ...]


class Chart(NamedTuple):
    """A chart. `positions` are what stands along the first axis; `marks` are named levels of the second, such as a GPU's memory.

    `line` joins the values of a series, `stack` piles the values of all series up at each position.
    """

    title: str
    axis: str
    unit: str
    positions: tuple[str, ...]
    series: tuple[Series, ...]
    shape: Literal["line", "stack"]
    marks: tuple[Series, ...] = ()
    note: str = ""


def kv(models: Sequence[Loaded], longest: int | None, dtype: str) -> Chart:
    """The textbook cache of one sequence against its length, at powers of two."""
    most = longest or max(m.architecture.facts.context_tokens or 0 for m in models) or 131072
    shortest = min(m.architecture.facts.context_tokens or most for m in models)
    lengths = [1 << i for i in range(min(12, shortest.bit_length() - 1), most.bit_length())] or [most]
    if lengths[-1] != most:
        lengths.append(most)
    width = memory.DTYPE_BYTES.get(dtype)
    if width is None:
        raise UsageError(
            f"--kv-dtype {dtype}: the textbook cache knows {', '.join(memory.DTYPE_BYTES)}",
            "`archcalc kv --engine E` knows the formats of engines",
        )
    series, ended = [], []
    for m in models:
        limit = m.architecture.facts.context_tokens or most
        if longest and limit < longest:
            ended.append(f"{m.source.name} at {units.format_tokens(limit)}")
        # Beyond its own context a model has no cache to draw.
        values = [sum(k.bytes for k in memory.textbook(m.architecture, n, 1, width)) / GIB for n in lengths if n <= limit]
        series.append(Series(m.source.name, tuple(values)))
    positions = tuple(units.format_tokens(n) for n in lengths)
    note = f"made for no longer contexts: {', '.join(ended)}" if ended else ""
    return Chart(f"KV cache of one sequence, {dtype}", "context (tokens)", "GiB", positions, tuple(series), "line", note=note)


def params(models: Sequence[Loaded]) -> Chart:
    """Parameters by component, in billions."""
    names = ("embedding", "attention", "mlp", "experts", "shared_experts", "router", "norm", "head", "other")
    piles: dict[str, list[float]] = {name: [] for name in names}
    for m in models:
        sums = dict.fromkeys(names, 0)
        for c in components(m.architecture):
            if c.part != "mtp":
                sums["other" if c.part in ("vision", "audio", "other") else c.role] += c.total
        for name in names:
            piles[name].append(sums[name] / 1e9)
    series = tuple(Series(name.replace("_", " "), tuple(values)) for name, values in piles.items() if any(values))
    return Chart(
        "Parameters by component",
        "model",
        "billion",
        tuple(m.source.name for m in models),
        series,
        "stack",
        note="other: towers and the rest",
    )


def fit_memory(models: Sequence[Loaded], ask: Ask) -> Chart:
    """What the fullest GPU holds, by component, against the memory that the engine sees and takes."""
    piles: dict[str, list[float]] = {"weights": [], "activations": [], "overhead": [], "KV cache": []}
    budget = 0
    for m in models:
        best = plans(m.architecture, ask, alternatives=0).best
        b = best.budget
        budget = b.budget_bytes
        for name, size in zip(piles, (b.weights_bytes, b.activation_bytes, b.overhead_bytes, best.kv_needed_bytes), strict=True):
            piles[name].append(size / GIB)
    device = ask.gpus.device
    marks = (Series(f"{device.name}: seen", (device.visible_bytes / GIB,)), Series(f"{ask.engine} takes", (budget / GIB,)))
    title = f"Memory of the fullest of {ask.gpus.count} x {device.name}, {ask.engine}"
    series = tuple(Series(name, tuple(values)) for name, values in piles.items())
    return Chart(title, "model", "GiB", tuple(m.source.name for m in models), series, "stack", marks)


def decode(models: Sequence[Loaded], ask: Ask) -> Chart:
    """The bandwidth's ceiling on decoded tokens against the number of sequences, as far as they fit."""
    from archcalc.analysis.fit import read_bytes

    batches = [1 << i for i in range(11)]
    series = []
    for m in models:
        found = plans(m.architecture, ask, alternatives=0)
        values = []
        for n in batches:
            fit = judge(found.model, found.best.placement, ask, found.best.context_tokens, n)
            if not fit.fits:
                break
            each = -(-n // fit.placement.dp)
            rate = roofline.decode_tokens_per_s(ask.gpus.device, read_bytes(found.model, fit), fit.kv_needed_bytes // each, each)
            if rate is None:
                raise UsageError(f"no bandwidth is published for {ask.gpus.device.name}", "choose another --gpu")
            values.append(rate * fit.placement.dp)
        series.append(Series(m.source.name, tuple(values)))
    context = units.format_tokens(ask.context_tokens) if ask.context_tokens else "the model's own context"
    title = f"Ceiling of decoding on {ask.gpus.count} x {ask.gpus.device.name}, {context}"
    return Chart(
        title,
        "sequences at once",
        "tokens/s",
        tuple(map(str, batches)),
        tuple(series),
        "line",
        note="a bound of bandwidth, not a forecast",
    )


def machine(text: str | None) -> hardware.GpuSpec:
    """The machine that a chart is about."""
    if text is None:
        raise UsageError("--gpu is missing: this chart is about a machine", "such as --gpu 8xH100")
    return hardware.parse_spec(text)
