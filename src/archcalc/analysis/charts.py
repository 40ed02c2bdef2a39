"""What a chart shows, as numbers: titles, axes with units, and series. Drawing is `render.plot`'s."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal, NamedTuple

from archcalc import hardware, units
from archcalc.analysis import roofline
from archcalc.analysis.fit import Ask, judge, plans
from archcalc.analysis.params import components
from archcalc.errors import UsageError
from archcalc.figures import memory
from archcalc.loader import Loaded

if TYPE_CHECKING:
    from archcalc.analysis.speed.plan import Wanted

GIB = 1 << 30
KINDS = ("kv", "memory", "params", "roofline", "pareto")


class Series(NamedTuple):
    """One model's values over the positions of the chart."""

    name: str
    values: tuple[float, ...]


class Chart(NamedTuple):
    """A chart. `positions` are what stands along the first axis; `marks` are named levels of the second, such as a GPU's memory.

    `line` joins the values of a series, `stack` piles the values of all series up at each position. `bands` are the lower and the upper
    ends of the 80 % around each series, where it is a forecast.
    """

    title: str
    axis: str
    unit: str
    positions: tuple[str, ...]
    series: tuple[Series, ...]
    shape: Literal["line", "stack"]
    marks: tuple[Series, ...] = ()
    note: str = ""
    bands: tuple[tuple[Series, Series], ...] = ()


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


USERS = (5, 10, 15, 20, 30, 50, 75, 100, 150, 200, 300)
"""Tokens a second of each user: the first axis of a Pareto chart."""
_STEPS = tuple(sorted({round(2 ** (i / 2)) for i in range(25)}))


def pareto(models: Sequence[Loaded], asks: Sequence[Ask], wanted: Wanted) -> Chart:
    """The most tokens a second of a GPU that leave each user so many, over concurrencies and plans, forecast with its 80 %.

    Raises `UsageError` where nothing is forecast for any model and machine, with the reasons.
    """
    from archcalc.analysis.fit import cannot, placements
    from archcalc.analysis.speed.plan import of_fit
    from archcalc.errors import ArchcalcError

    series, bands, lacking = [], [], []
    for m in models:
        for ask in asks:
            name = f"{m.source.name} on {ask.gpus.count} x {ask.gpus.device.id}"
            points: list[tuple[float, float, float, float]] = []
            why = "no plan fits"
            try:
                found = plans(m.architecture, ask, alternatives=0)
            except ArchcalcError as error:
                lacking.append(f"{name}: {error.message}")
                continue
            for placement in placements(m.architecture, ask):
                if cannot(found.model, placement, ask):
                    continue
                for n in _STEPS:
                    if n < placement.dp:
                        continue
                    try:
                        fit = judge(found.model, placement, ask, found.best.context_tokens, n)
                    except ArchcalcError:
                        break
                    if not fit.fits:
                        break
                    made = of_fit(found, fit, ask, wanted)
                    if made.tpot is None or made.tokens_per_s is None:
                        why = made.why or why
                        break
                    rate = made.tokens_per_s
                    gpus = ask.gpus.count
                    points.append((1 / made.tpot.value, rate.value / gpus, rate.low / gpus, rate.high / gpus))
            if not points:
                lacking.append(f"{name}: {why}")
                continue
            best = [max((p[1:] for p in points if p[0] >= user), default=None) for user in USERS]
            reached = [b for b in best if b is not None]
            values, low, high = zip(*reached, strict=True) if reached else ((), (), ())
            series.append(Series(name, values))
            bands.append((Series(name, low), Series(name, high)))
    if not series:
        raise UsageError(f"nothing is forecast: {'; '.join(lacking)}", "see docs/speed.md for what is")
    load = wanted.load(asks[0].context_tokens or 2048, 1)
    said = f"{units.format_tokens(load.isl)} prompt and {units.format_tokens(load.osl)} output tokens; forecasts"
    note = f"{said}; none for {'; '.join(lacking)}" if lacking else said
    return Chart(
        "Tokens of a GPU against those of a user", "tokens/s of each user, at least", "tokens/s of a GPU", tuple(map(str, USERS)),
        tuple(series), "line", note=note, bands=tuple(bands),
    )  # fmt: skip


def machine(text: str | None) -> hardware.GpuSpec:
    """The machine that a chart is about."""
    if text is None:
        raise UsageError("--gpu is missing: this chart is about a machine", "such as --gpu 8xH100")
    return hardware.parse_spec(text)
