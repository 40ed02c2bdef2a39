"""What a chart shows, as numbers: titles, axes with units, and series. Drawing is `render.plot`'s."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Literal

from archcalc import hardware, units
from archcalc.analysis import roofline
from archcalc.analysis.fit import Ask, judge, largest, plans
from archcalc.analysis.params import components
from archcalc.errors import UsageError
from archcalc.figures import memory
from archcalc.loader import Loaded
from archcalc.records import NamedTuple
from archcalc.report import PlotPoint

if TYPE_CHECKING:
    from archcalc.analysis.speed.plan import Wanted
    from archcalc.engines.placement import Placement

GIB = 1 << 30
KINDS = ("kv", "memory", "params", "roofline", "sequences", "pareto", "cost")


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


def values(kind: str, chart: Chart) -> Iterator[PlotPoint]:
    """Every value of a chart, series by series, and then the levels beside them."""
    for n, series in enumerate(chart.series):
        low, high = chart.bands[n] if n < len(chart.bands) else (None, None)
        for i, (at, value) in enumerate(zip(chart.positions, series.values, strict=False)):
            ends = (low.values[i], high.values[i]) if low is not None and high is not None else (None, None)
            yield PlotPoint(kind, series.name, chart.axis, at, value, chart.unit, *ends)
    for mark in chart.marks:
        yield PlotPoint(kind, mark.name, chart.axis, None, mark.values[0], chart.unit, None, None)


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
    series, lacking = [], []
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
        if values:
            series.append(Series(m.source.name, tuple(values)))
        else:
            lacking.append(f"{m.source.name}: it does not fit")
    if not series:
        raise UsageError(f"nothing to draw: {'; '.join(lacking)}", "name a larger machine: --gpu 8xH100")
    note = "a bound of bandwidth, not a forecast"
    context = units.format_tokens(ask.context_tokens) if ask.context_tokens else "the model's own context"
    title = f"Ceiling of decoding on {ask.gpus.count} x {ask.gpus.device.name}, {context}"
    return Chart(
        title,
        "sequences at once",
        "tokens/s",
        tuple(map(str, batches)),
        tuple(series),
        "line",
        note=f"{note}; not shown: {'; '.join(lacking)}" if lacking else note,
    )


USERS = (5, 10, 15, 20, 30, 50, 75, 100, 150, 200, 300)
"""Tokens a second of each user: the first axis of a Pareto chart."""
_STEPS = tuple(sorted({round(2 ** (i / 2)) for i in range(25)}))


class Point(NamedTuple):
    """One plan at one concurrency: tokens a second of one user as they decode, and of one GPU with the 80 % around it: the output of whole
    requests, by which `fit` chooses plans, or as they decode where a first token is not forecast (`whole` is false)."""

    user: float
    gpu: float
    low: float
    high: float
    whole: bool
    concurrency: int


def points(m: Loaded, ask: Ask, wanted: Wanted) -> tuple[list[Point], str]:
    """What is forecast over concurrencies and plans, and why where nothing is."""
    from archcalc.analysis.speed.fastest import Search
    from archcalc.errors import ArchcalcError

    made: list[Point] = []
    curves: list[tuple[Callable[[int], tuple[Point | None, str]], list[Point]]] = []
    why = "no plan fits" + ("" if ask.quant else " with weights as stored: --quant names another storage")
    try:
        found = plans(m.architecture, ask, alternatives=0)
    except ArchcalcError as error:
        return [], error.message
    search = Search(found, ask, wanted)
    for placement in search.placements:

        def at(n: int, placement: Placement = placement) -> tuple[Point | None, str]:
            rated = search.rated(placement, n)
            if rated is None:
                return None, ""
            speed = rated.made
            rate = speed.output_per_s or speed.tokens_per_s
            if speed.tpot is None or rate is None:
                return None, speed.why or ""
            value, low, high = (x / ask.gpus.count for x in rate)
            return Point(1 / speed.tpot.value, value, low, high, speed.output_per_s is not None, n), ""

        last, held = 0, list[Point]()
        for n in (n for n in _STEPS if n >= placement.dp):
            point, said = at(n)
            if point is None:
                why = said or why
                # The most that run at once lie between two steps.
                most = largest(lambda n: at(n)[0] is not None, n, last) if held else 0
                held += [end for end in (at(most)[0],) if end is not None] if most > last else []
                break
            held.append(point)
            last = n
        made += held
        curves.append((at, held))
    for user in USERS:
        # Between two steps lies the most that leaves each user so many; no curve gives more there than at its next step.
        best = max((p.gpu for p in made if p.user >= user), default=0.0)
        for curve, held in curves:
            for low, high in pairwise(held):
                if low.user >= user > high.user and high.gpu > best:
                    point = _leaving(user, curve, low, high)
                    made += [point] if point not in made else []
                    best = max(best, point.gpu)
    return made, why


def _leaving(user: float, at: Callable[[int], tuple[Point | None, str]], low: Point, high: Point) -> Point:
    """The most requests at once between two points that leave each user so many tokens a second."""
    found = low

    def leaves(n: int) -> bool:
        nonlocal found
        point = at(n)[0]
        if point is None or point.user < user:
            return False
        found = max(found, point, key=lambda p: p.concurrency)
        return True

    largest(leaves, high.concurrency, low.concurrency)
    return found


def _forecasts(
    models: Sequence[Loaded], asks: Sequence[Ask], wanted: Wanted, lacking: list[str]
) -> Iterator[tuple[str, Ask, list[Point]]]:
    """For each model and machine the best plan that leaves each user so many tokens a second, as far as `USERS` is reached."""
    if wanted.osl == 1:
        raise UsageError(
            "a request of one output token has no time between two", "give a larger --osl; `archcalc fit` has the price of one"
        )
    several = len({ask.engine for ask in asks}) > 1
    for m in models:
        for ask in asks:
            stored = f" in {ask.quant}" if ask.quant else ""
            served = f", {ask.engine}" if several else ""
            name = f"{m.source.name}{stored} on {ask.gpus.count} x {ask.gpus.device.id}{served}"
            found, why = points(m, ask, wanted)
            best = [max((p for p in found if p.user >= user), key=lambda p: p.gpu, default=None) for user in USERS]
            reached = [p for p in best if p is not None]
            if reached:
                yield name, ask, reached
            else:
                lacking.append(f"{name}: {f'no user gets {USERS[0]} tokens/s' if found else why}")


def _said(asks: Sequence[Ask], wanted: Wanted, lacking: Sequence[str]) -> str:
    load = wanted.load(asks[0].context_tokens or 2048, 1)
    said = f"{units.format_tokens(load.isl)} prompt and {units.format_tokens(load.osl)} output tokens; forecasts with their 80 %"
    return f"{said}; none for {'; '.join(lacking)}" if lacking else said


def pareto(models: Sequence[Loaded], asks: Sequence[Ask], wanted: Wanted) -> Chart:
    """The most output tokens a second of a GPU, of whole requests, that leave each user so many as they decode, over concurrencies and
    plans, forecast with its 80 %.

    Raises `UsageError` where nothing is forecast for any model and machine, with the reasons.
    """
    series, bands, lacking, decoded = [], [], list[str](), list[str]()
    for name, _, reached in _forecasts(models, asks, wanted, lacking):
        decoded += [] if all(p.whole for p in reached) else [name]
        series.append(Series(name, tuple(p.gpu for p in reached)))
        bands.append((Series(name, tuple(p.low for p in reached)), Series(name, tuple(p.high for p in reached))))
    if not series:
        raise UsageError(f"nothing is forecast: {'; '.join(lacking)}", "see docs/speed.md for what is")
    bare = f"; tokens as they decode, for no first token is forecast: {', '.join(decoded)}" if decoded else ""
    return Chart(
        "Tokens of a GPU against those of a user", "tokens/s of each user, at least", "output tokens/s of a GPU", tuple(map(str, USERS)),
        tuple(series), "line", note=_said(asks, wanted, lacking) + bare, bands=tuple(bands),
    )  # fmt: skip


def cost(models: Sequence[Loaded], asks: Sequence[Ask], wanted: Wanted) -> Chart:
    """Dollars a million output tokens, their wait for the first one paid too, against the time between two tokens of a user, by the same
    plans as `pareto`, with its 80 %.

    The rent is the cheapest offer of the catalog for that many GPUs. Raises `UsageError` where nothing is forecast or nothing is let.
    """
    from archcalc.analysis.speed.plan import price

    series, bands, lacking, prices = [], [], list[str](), dict[str, None]()
    for name, ask, reached in _forecasts(models, asks, wanted, lacking):
        priced = price(ask.gpus)
        if priced is None:
            lacking.append(f"{name}: no price is listed")
            continue
        a_second = priced.usd / 3600 / ask.gpus.count
        if not all(p.whole for p in reached):
            lacking.append(f"{name}: the first token is not forecast, for which a request is paid too")
            continue
        prices[f"${priced.usd:,.2f} an hour for {ask.gpus.count} x {ask.gpus.device.id}: {priced.of}"] = None
        series.append(Series(name, tuple(1e6 * a_second / p.gpu for p in reached)))
        ends = [tuple(1e6 * a_second / getattr(p, end) for p in reached) for end in ("high", "low")]
        bands.append((Series(name, ends[0]), Series(name, ends[1])))
    if not series:
        raise UsageError(f"nothing is forecast: {'; '.join(lacking)}", "see docs/speed.md for what is")
    return Chart(
        "Cost of output against latency", "ms between a user's tokens, at most", "$ a million output tokens",
        tuple(f"{1000 / user:.3g}" for user in USERS), tuple(series), "line",
        note=f"{_said(asks, wanted, lacking)}; {'; '.join(prices)}", bands=tuple(bands),
    )  # fmt: skip


def sequences(models: Sequence[Loaded], ask: Ask) -> Chart:
    """Sequences that one GPU holds against their context, every one as long as that, for the plan that `fit` chooses at each.

    With several GPUs their number is shared out: sequences of the machine over its GPUs.
    """
    from archcalc.errors import ArchcalcError

    own = [m.architecture.facts.context_tokens or 131072 for m in models]
    most = ask.context_tokens or max(own)
    lengths = [1 << i for i in range(10, most.bit_length()) if 1 << i <= most] or [most]
    if lengths[-1] != most:
        lengths.append(most)
    series, lacking = [], []
    for m, limit in zip(models, own, strict=True):
        values: list[float] = []
        why = "it does not fit"
        for n in (n for n in lengths if n <= limit):
            try:
                best = plans(m.architecture, ask._replace(context_tokens=n), alternatives=0).best
            except ArchcalcError as error:
                why = error.message
                break
            if not best.fits:
                break
            values.append(best.max_concurrency / ask.gpus.count)
        if values:
            series.append(Series(m.source.name, tuple(values)))
        else:
            lacking.append(f"{m.source.name}: {why}")
    if not series:
        raise UsageError(f"nothing to draw: {'; '.join(lacking)}", "name a larger machine: --gpu 8xH100")
    note = "every sequence as long as that; shorter ones leave room for more"
    return Chart(
        f"Sequences that a GPU of {ask.gpus.count} x {ask.gpus.device.name} holds, {ask.engine}", "context (tokens)", "sequences a GPU",
        tuple(map(units.format_tokens, lengths)), tuple(series), "line",
        note=f"{note}; not shown: {'; '.join(lacking)}" if lacking else note,
    )  # fmt: skip


_IDLE = {"kv": ("gpu", "vram", "engine"), "params": ("ctx", "gpu", "vram", "engine", "kv_dtype")}
"""The options that a chart does not use."""
FORECAST = ("pareto", "cost")
"""The charts of forecasts: they take the lengths of requests, and several machines."""


def check(kind: str, given: Mapping[str, object]) -> None:
    """Raises `UsageError` for an option that changes nothing in a chart of this kind."""
    for option in (*_IDLE.get(kind, ()), *(() if kind in FORECAST else ("isl", "osl", "quant"))):
        if given.get(option) is not None:
            raise UsageError(f"--{option.replace('_', '-')} changes nothing in a chart of {kind}", "leave it out")


def drawn(
    kind: str, models: Sequence[Loaded], machines: Sequence[hardware.GpuSpec], *, ctx: str | None, engine: str | None, isl: str | None,
    osl: str | None, quant: str | None, kv_dtype: str | None,
) -> Chart:  # fmt: skip
    """The chart of that kind, its options written as on the command line. `check` has let them pass."""
    from archcalc.engines.engine import check_engine, chosen_for, servers

    tokens = units.parse_tokens(ctx) if ctx is not None else None
    if kind == "kv":
        return kv(models, tokens, units.parse_dtype(kv_dtype) if kv_dtype else "bf16")
    if kind == "params":
        return params(models)
    if not machines:
        raise UsageError("--gpu is missing: this chart is about a machine", "such as --gpu 8xH100, or --gpu here")
    # Forecasts set engines side by side, one or several.
    named = (
        [] if engine is None else list(dict.fromkeys(one.strip() for one in engine.split(","))) if kind in FORECAST else [engine]
    )
    known = [check_engine(one, servers()) for one in named]
    dtype = units.parse_cache_dtype(kv_dtype) if kv_dtype else None
    if kind in FORECAST:
        from archcalc.analysis.speed.plan import USUAL, Wanted
        from archcalc.quant import check_name

        wanted = Wanted(None if isl is None else units.parse_tokens(isl), None if osl is None else units.parse_tokens(osl))
        context = wanted.context(tokens) or 2 * USUAL
        quants = list(dict.fromkeys(name.strip() for name in quant.split(","))) if quant else [None]
        for name in filter(None, quants):
            check_name(name)
        asks = [
            Ask(one, held, context, kv_dtype=dtype, quant=name)
            for one in machines
            for held in known or [chosen_for(one.device)]
            for name in quants
        ]
        return (pareto if kind == "pareto" else cost)(models, asks, wanted)
    if len(machines) > 1:
        raise UsageError(f"a chart of {kind} is about one machine", "name one with --gpu")
    ask = Ask(machines[0], known[0] if known else chosen_for(machines[0].device), tokens, kv_dtype=dtype)
    return {"memory": fit_memory, "roofline": decode, "sequences": sequences}[kind](models, ask)
