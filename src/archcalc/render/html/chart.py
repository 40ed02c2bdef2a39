"""The cache against the context as SVG lines, one a model, both axes by powers of two."""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil, floor, log2

from archcalc import units
from archcalc.analysis.page import Front, Line
from archcalc.render.html._text import escape
from archcalc.render.plot import colour, lighter

_WIDTH, _HEIGHT, _LEFT, _TOP, _BOTTOM = 720, 340, 66, 26, 40
_LETTER = 6.6
# Of names below each other.
_APART = 16
_DASHES = ("", "7 4", "2 3", "10 3 2 3")


def lines(series: Sequence[Line], dtype: str) -> str:
    """All models in one drawing; each line ends with its model's own context, and its name stands beside its end."""
    points = [point for line in series for point in line.points if point[1]]
    if not points:
        return ""
    x0, x1 = log2(min(n for n, _ in points)), log2(max(n for n, _ in points))
    y0, y1 = floor(log2(min(size for _, size in points))), ceil(log2(max(size for _, size in points)))
    x1, y1 = max(x1, x0 + 1), max(y1, y0 + 1)
    right = round(min(272, 56 + _LETTER * max(len(line.name) for line in series)))

    def at(n: int, size: int) -> tuple[float, float]:
        x = _LEFT + (log2(n) - x0) / (x1 - x0) * (_WIDTH - _LEFT - right)
        y = _TOP + (y1 - log2(size)) / (y1 - y0) * (_HEIGHT - _TOP - _BOTTOM)
        return round(x, 1), round(y, 1)

    parts = []
    step = max(1, ceil((y1 - y0) / 8))
    for power in range(int(y0), int(y1) + 1, step):
        _, y = at(1 << int(x0), 1 << power)
        parts.append(f'<path class="grid" d="M{_LEFT} {y}H{_WIDTH - right}"/>')
        parts.append(f'<text class="end" x="{_LEFT - 6}" y="{y + 4}">{_short(1 << power)}</text>')
    step = max(1, ceil((x1 - x0) / 8))
    for power in range(ceil(x0), floor(x1) + 1, step):
        x, _ = at(1 << power, 1 << int(y0))
        parts.append(f'<text class="mid" x="{x}" y="{_HEIGHT - _BOTTOM + 18}">{units.format_tokens(1 << power)}</text>')
    parts.append(f'<text class="mid soft" x="{(_LEFT + _WIDTH - right) / 2}" y="{_HEIGHT - 4}">context (tokens)</text>')
    parts.append(f'<text class="soft" x="2" y="12">cache of one sequence, {escape(dtype)}</text>')
    ends = {i: at(*line.points[-1])[1] for i, line in enumerate(series) if line.points[-1][1]}
    places = _apart(ends, _TOP + 4, _HEIGHT - _BOTTOM)
    for i, line in enumerate(series):
        found = [at(*point) for point in line.points if point[1]]
        if not found:
            continue
        dash = f' stroke-dasharray="{_DASHES[i % 4]}"' if i % 4 else ""
        parts.append(f'<g class="s{i}"><path{dash} d="M{"L".join(f"{x} {y}" for x, y in found)}"/>')
        parts += [_dot(i, x, y) for x, y in found]
        x, y = _WIDTH - right + 18, places[i]
        parts.append(
            f'<path{dash} d="M{x} {y}h24"/>{_dot(i, x + 12, y)}<text x="{x + 30}" y="{y + 4}">{escape(line.name)}</text></g>'
        )
    label = escape(f"KV cache against context for {', '.join(line.name for line in series)}; the table beside it has the numbers")
    return (
        f'<svg class="chart" role="img" aria-label="{label}" viewBox="0 0 {_WIDTH} {_HEIGHT}" width="{_WIDTH}" height="{_HEIGHT}">'
        f"{''.join(parts)}</svg>"
    )


def fronts(series: Sequence[Front]) -> str:
    """Tokens of a GPU against those of a user, each line with the 80 % around it as a band; both axes logarithmic."""
    users = [p.user for line in series for p in line.points]
    rates = [x for line in series for p in line.points for x in (p.low, p.high)]
    x0, x1, y0, y1 = (log2(f(values)) for values in (users, rates) for f in (min, max))
    x1, y1 = max(x1, x0 + 1), max(y1, y0 + 1)
    right = round(min(292, 56 + _LETTER * max(len(line.name) for line in series)))

    def at(user: float, rate: float) -> tuple[float, float]:
        x = _LEFT + (log2(user) - x0) / (x1 - x0) * (_WIDTH - _LEFT - right)
        y = _TOP + (y1 - log2(rate)) / (y1 - y0) * (_HEIGHT - _TOP - _BOTTOM)
        return round(x, 1), round(y, 1)

    def line_of(found: Sequence[tuple[float, float]]) -> str:
        return "M" + "L".join(f"{x} {y}" for x, y in found)

    parts = []
    for n in _steps(2**y0, 2**y1):
        _, y = at(2**x0, n)
        parts.append(
            f'<path class="grid" d="M{_LEFT} {y}H{_WIDTH - right}"/><text class="end" x="{_LEFT - 6}" y="{y + 4}">{n:,}</text>'
        )
    for n in _steps(2**x0, 2**x1):
        x, _ = at(n, 2**y0)
        parts.append(f'<text class="mid" x="{x}" y="{_HEIGHT - _BOTTOM + 18}">{n:,}</text>')
    parts.append(f'<text class="mid soft" x="{(_LEFT + _WIDTH - right) / 2}" y="{_HEIGHT - 4}">tokens/s of each user</text>')
    parts.append('<text class="soft" x="2" y="12">output tokens/s of a GPU</text>')
    places = _apart(
        {i: at(line.points[-1].user, line.points[-1].gpu)[1] for i, line in enumerate(series)}, _TOP + 4, _HEIGHT - _BOTTOM
    )
    for i, line in enumerate(series):
        dash = f' stroke-dasharray="{_DASHES[i % 4]}"' if i % 4 else ""
        middle = [at(p.user, p.gpu) for p in line.points]
        band = [at(p.user, p.low) for p in line.points] + [at(p.user, p.high) for p in reversed(line.points)]
        x, y = _WIDTH - right + 18, places[i]
        parts.append(
            f'<g class="f{i}"><path class="band" d="{line_of(band)}Z"/><path{dash} d="{line_of(middle)}"/>'
            + "".join(_dot(i, *point) for point in middle)
            + f'<path{dash} d="M{x} {y}h24"/>{_dot(i, x + 12, y)}<text x="{x + 30}" y="{y + 4}">{escape(line.name)}</text></g>'
        )
    label = escape(
        f"Tokens of a GPU against tokens of a user for {', '.join(line.name for line in series)}; the table has the numbers"
    )
    return (
        f'<svg class="chart" role="img" aria-label="{label}" viewBox="0 0 {_WIDTH} {_HEIGHT}" width="{_WIDTH}" height="{_HEIGHT}">'
        f"{''.join(parts)}</svg>"
    )


def _steps(least: float, most: float) -> list[int]:
    """One, two and five times powers of ten between the ends, fewer where they are many."""
    found = [n * 10**power for power in range(7) for n in (1, 2, 5) if least <= n * 10**power <= most]
    return found if len(found) < 9 else [n for n in found if str(n)[0] == "1"]


def _apart(ends: dict[int, float], top: float, bottom: float) -> dict[int, float]:
    """Places for names beside the ends of lines, none over another: from the top down, and moved up where the bottom is reached."""
    places: dict[int, float] = {}
    last = top - _APART
    for i in sorted(ends, key=lambda i: ends[i]):
        last = places[i] = max(ends[i], last + _APART)
    last = bottom + _APART
    for i in sorted(ends, key=lambda i: -places[i]):
        last = places[i] = round(min(places[i], last - _APART), 1)
    return places


def styles(series: Sequence[Line | Front], letter: str = "s") -> str:
    """The colour of each line, on light and on dark ground: a style sheet, as a strict policy takes no styles of elements."""
    return "".join(f".{letter}{i} {{ --c: {colour(i)}; --d: {lighter(i)}; }}\n" for i in range(len(series)))


def _dot(place: int, x: float, y: float) -> str:
    if place % 2:
        return f'<rect class="dot" x="{x - 3:g}" y="{y - 3:g}" width="6" height="6"/>'
    return f'<circle cx="{x:g}" cy="{y:g}" r="3.5"/>'


def _short(size: int) -> str:
    """A power of two without decimals."""
    for name, bits in (("TiB", 40), ("GiB", 30), ("MiB", 20), ("KiB", 10)):
        if size >> bits:
            return f"{size >> bits} {name}"
    return f"{size} B"
