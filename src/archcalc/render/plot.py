"""Charts: bars of text on a terminal, SVG or PNG with matplotlib. Readable without colour: series differ in letter, marker and hatch."""

from __future__ import annotations

from itertools import pairwise
from textwrap import fill
from typing import Any, TextIO

from archcalc import files
from archcalc.analysis.charts import Chart
from archcalc.errors import UsageError
from archcalc.render.terminal import console, plain_table

# Okabe and Ito 2008, "Color universal design": told apart by people with any kind of colour vision.
_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#999933")
SHADES = (
    ("#123C8C", "#4486FF"), ("#9A3A00", "#F69715"), ("#0A9458", "#A8F0DA"), ("#C413D8", "#EE4A9B"),
    ("#5B6470", "#9AA5B1"), ("#7A6A00", "#E3D24F"), ("#A11D33", "#FF7C8C"), ("#00808A", "#3CC8D4"),
)  # fmt: skip
"""Lines on a light and on a dark ground. The first four, as many models as a page holds, differ in hue and lightness, so that they are told
apart by people with any kind of colour vision; with more, markers and dashes tell."""
_MARKERS = "osD^vPX*"
_DASHES = ("-", "--", "-.", ":")
_HATCHES = ("", "//", "..", "xx", "\\\\", "++", "oo", "--", "**")
_EIGHTHS = " ▏▎▍▌▋▊▉█"


def number(value: float) -> str:
    """Three digits, and no more than are known."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def colour(place: int) -> str:
    """The colour of a series on a light ground, by its place in the chart."""
    return SHADES[place % len(SHADES)][0]


def lighter(place: int) -> str:
    """The same on a dark ground."""
    return SHADES[place % len(SHADES)][1]


def write_text(chart: Chart, out: TextIO) -> None:
    """Bars, one a value, to one scale."""
    page = console(out)
    page.print(f"{chart.title} ({chart.unit})", style="bold")
    if chart.shape == "stack":
        _stacked_text(chart, page)
    else:
        _lines_text(chart, page)
    for mark in chart.marks:
        page.print(f"{mark.name}: {number(mark.values[0])} {chart.unit}")
    if chart.shape == "line":
        page.print(f"down the side: {chart.axis}", style="dim")
    if chart.note:
        page.print(chart.note, style="dim")


def _bar(value: float, most: float, width: int) -> str:
    eighths = round(value / most * width * 8) if most else 0
    return "█" * (eighths // 8) + (_EIGHTHS[eighths % 8] if eighths % 8 else "")


def _lines_text(chart: Chart, page: Any) -> None:
    most = max((max(s.values, default=0.0) for s in chart.series), default=0.0)
    label = max(len(s.name) for s in chart.series)
    ends = [[f"({number(a)} to {number(b)})" for a, b in zip(low.values, high.values, strict=True)] for low, high in chart.bands]
    beside = max((len(text) for texts in ends for text in texts), default=0)
    width = max(10, page.width - label - max(map(len, chart.positions)) - 16 - beside)
    table = plain_table(heads=False)
    for _ in range(5 if ends else 4):
        table.add_column(no_wrap=True)
    for i, position in enumerate(chart.positions):
        shown = [s for s in chart.series if i < len(s.values)]
        for n, s in enumerate(shown):
            around = [ends[chart.series.index(s)][i]] if ends else []
            table.add_row(position if n == 0 else "", s.name, _bar(s.values[i], most, width), number(s.values[i]), *around)
    page.print(table)


def _stacked_text(chart: Chart, page: Any) -> None:
    totals = [sum(s.values[i] for s in chart.series) for i in range(len(chart.positions))]
    most = max([*totals, *(m.values[0] for m in chart.marks)], default=0.0)
    letters = _letters([s.name for s in chart.series])
    width = max(10, page.width - max(map(len, chart.positions)) - 14)
    table = plain_table(heads=False)
    for _ in range(3):
        table.add_column(no_wrap=True)
    for i, position in enumerate(chart.positions):
        at, line = 0.0, ""
        for s, letter in zip(chart.series, letters, strict=True):
            at += s.values[i]
            line += letter * (round(at / most * width) - len(line) if most else 0)
        table.add_row(position, line, number(totals[i]))
    page.print(table)
    page.print(", ".join(f"{letter} {s.name}" for s, letter in zip(chart.series, letters, strict=True)), style="dim")


def _letters(names: list[str]) -> list[str]:
    """A letter of each name that no other has."""
    used: list[str] = []
    for name in names:
        used.append(next((c for c in name.upper() + "ZYX" if c.isalpha() and c not in used), "?"))
    return used


def write_file(chart: Chart, path: str) -> None:
    """An SVG or PNG file, by its ending. Raises `UsageError` where matplotlib is missing or the ending is another."""
    if not path.endswith((".svg", ".png")):
        raise UsageError(f"--out {path}: the ending says no format", "one of .svg, .png")
    made = drawn(chart, path.rpartition(".")[2])
    with files.replacing(path) as temporary, open(temporary, "wb") as file:
        file.write(made)


def drawn(chart: Chart, kind: str) -> bytes:
    """The chart as SVG or PNG. Raises `UsageError` where matplotlib is missing."""
    import io

    try:
        import matplotlib
    except ImportError:
        raise UsageError(
            "drawing needs matplotlib, which is not installed", "pip install 'archcalc[plot]', or leave --out for a chart of text"
        ) from None
    out = io.BytesIO()
    # Text stays text, and a chart drawn twice is the same file. A figure of its own leaves the settings of a notebook as they are.
    with matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": "archcalc", "font.size": 10}):
        figure_of(chart).savefig(out, format=kind, dpi=150, metadata={"Date": None} if kind == "svg" else None)
    return out.getvalue()


def figure_of(chart: Chart) -> Any:
    """The chart as a matplotlib figure."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 5), layout="constrained")
    axes = figure.add_subplot()
    (_lines if chart.shape == "line" else _piles)(chart, figure, axes)
    axes.set(xlabel=chart.axis, ylabel=chart.unit)
    # Over the whole figure, legends and names at lines' ends included.
    figure.suptitle(fill(chart.title, 80), x=0.01, ha="left", fontsize=12)
    axes.grid(axis="y", alpha=0.3)
    if chart.note:
        figure.supxlabel(fill(chart.note, 110), fontsize=8, color="#555555")
    return figure


def _lines(chart: Chart, figure: Any, axes: Any) -> None:
    """Lines with their names at their ends, on axes that begin and end with the data."""
    ends: list[tuple[float, int, str, str]] = []
    for n, s in enumerate(chart.series):
        marker, dash, shade = _MARKERS[n % len(_MARKERS)], _DASHES[n % len(_DASHES)], colour(n)
        axes.plot(range(len(s.values)), s.values, label=s.name, color=shade, marker=marker, linestyle=dash)
        if s.values:
            ends.append((s.values[-1], len(s.values) - 1, s.name, shade))
        if n < len(chart.bands):
            low, high = chart.bands[n]
            axes.fill_between(range(len(low.values)), low.values, high.values, color=shade, alpha=0.15)
    values = [value for s in chart.series for value in s.values]
    values += [value for pair in chart.bands for s in pair for value in s.values]
    above = [value for value in values if value > 0]
    last = max((len(s.values) for s in chart.series), default=1) - 1
    axes.set_xticks(range(last + 1), chart.positions[: last + 1])
    axes.set_xlim(-0.2, last + 0.2)
    if above:
        axes.set_yscale("log")
        axes.set_ylim(min(above) / 1.25, max(above) * 1.25)
        axes.yaxis.set_major_locator(_ticks(min(above) / 1.25, max(above) * 1.25))
        axes.yaxis.set_major_formatter(lambda value, _: number(value))
        axes.yaxis.set_minor_locator(_none())
    spread = _spread([value for value, *_ in ends], *axes.get_ylim()) if above else [value for value, *_ in ends]
    for (value, place, name, shade), at in zip(ends, spread, strict=True):
        axes.annotate(
            name, (place, value), xytext=(1.02, at), textcoords=("axes fraction", "data"), color=shade, va="center", fontsize=9,
            annotation_clip=False, arrowprops={"arrowstyle": "-", "color": shade, "lw": 0.6, "alpha": 0.6},
        )  # fmt: skip
    _marks(chart, axes)
    if chart.marks:
        axes.legend(loc="best")


def _ticks(low: float, high: float) -> Any:
    """1, 2 and 5 of each decade in the range, or only 1 where those are many."""
    import math

    from matplotlib.ticker import FixedLocator

    decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    steps = (1, 2, 5) if len(decades) < 5 else (1,)
    return FixedLocator([step * 10.0**d for d in decades for step in steps if low <= step * 10.0**d <= high])


def _none() -> Any:
    from matplotlib.ticker import NullLocator

    return NullLocator()


def _spread(values: list[float], low: float, high: float, least: float = 0.05) -> list[float]:
    """Places for names beside values on a logarithmic axis, no two closer than a share of it."""
    import math

    whole = math.log(high / low)
    shares = [min(1.0, max(0.0, math.log(max(value, low) / low) / whole)) for value in values]
    order = sorted(range(len(shares)), key=lambda i: shares[i])
    places = list(shares)
    for before, i in pairwise(order):
        places[i] = max(places[i], places[before] + least)
    over = max(0.0, max(places, default=0.0) - 1)
    return [low * math.exp((place - over) * whole) for place in places]


def _piles(chart: Chart, figure: Any, axes: Any) -> None:
    base = [0.0] * len(chart.positions)
    for n, s in enumerate(chart.series):
        hatch, shade = _HATCHES[n % len(_HATCHES)], _COLOURS[n % len(_COLOURS)]
        axes.bar(chart.positions, s.values, bottom=base, label=s.name, color=shade, hatch=hatch, edgecolor="white")
        base = [a + b for a, b in zip(base, s.values, strict=True)]
    axes.yaxis.set_major_formatter(lambda value, _: number(value))
    if len(chart.positions) > 3:
        axes.tick_params(axis="x", labelrotation=20)
    _marks(chart, axes)
    figure.legend(loc="outside right center")


def _marks(chart: Chart, axes: Any) -> None:
    for n, mark in enumerate(chart.marks):
        axes.axhline(mark.values[0], color="black", linestyle=_DASHES[(n + 1) % len(_DASHES)], label=mark.name)
