"""Drawings of one model as SVG: its anatomy, its layers as a strip, and who sees whom in each kind of attention."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Sequence

from archcalc import units
from archcalc.model import Architecture, Layer
from archcalc.records import NamedTuple
from archcalc.render.html._text import escape
from archcalc.report import Inspection, LayerKind

WIDTH = 340
_TRUNK, _LEFT, _RIGHT = 26, 56, 330
_MIDDLE = (_LEFT + _RIGHT) // 2
_LINE = 15
_GAP = 12
_DRAWN_KINDS = 6

MIXERS = {
    "F": "full attention", "W": "sliding window", "C": "chunked attention", "M": "latent attention (MLA)", "L": "linear, a state",
    "H": "attention and linear side by side", "-": "no mixer",
}  # fmt: skip
FFNS = {"d": "dense FFN", "e": "experts", "-": "no FFN"}


class Kind(NamedTuple):
    """Layers of one kind: what is said of them, the first of them, and its letters in the pattern."""

    said: LayerKind
    layer: Layer
    mixer: str
    ffn: str


def kinds(architecture: Architecture, r: Inspection) -> list[Kind]:
    """The kinds of layers, in the order they first occur."""
    firsts: dict[tuple[str, str], tuple[Layer, int]] = {}
    place = 0
    for stack in architecture.shown_stacks:
        for k in stack.pattern:
            layer = stack.kinds[k]
            firsts.setdefault((layer.mixer, layer.ffn), (layer, place))
            place += 1
    pattern = r.architecture.pattern
    out = []
    for said in r.architecture.layer_kinds:
        layer, place = firsts[said.mixer, said.ffn]
        out.append(Kind(said, layer, pattern["mixer"][place], pattern["ffn"][place]))
    return out


class _Drawing:
    """Shapes from the top down; `y` is where the next one begins."""

    def __init__(self) -> None:
        self.parts: list[str] = []
        self.y = 4.0

    def text(self, x: float, y: float, text: str, cls: str = "") -> None:
        self.parts.append(
            f'<text x="{x:g}" y="{y:g}"{f" class={cls!r}".replace(chr(39), chr(34)) if cls else ""}>{escape(text)}</text>'
        )

    def line(self, *points: tuple[float, float]) -> None:
        path = "L".join(f"{x:g} {y:g}" for x, y in points)
        self.parts.append(f'<path class="wire" d="M{path}"/>')

    def box(self, cls: str, lines: Sequence[str], left: float = _LEFT, right: float = _RIGHT) -> float:
        """A box with text in it, the first line strong; returns its height."""
        fit = int((right - left - 10) / 6.4)
        wrapped = [(part, i == 0 and len(lines) > 1) for i, line in enumerate(lines) for part in textwrap.wrap(line, fit) or [""]]
        height = len(wrapped) * _LINE + 8
        self.parts.append(
            f'<rect class="box {cls}" x="{left:g}" y="{self.y:g}" width="{right - left:g}" height="{height}" rx="4"/>'
        )
        for i, (part, strong) in enumerate(wrapped):
            self.text((left + right) / 2, self.y + 16 + i * _LINE, part, "mid strong" if strong else "mid")
        return height

    def add(self) -> None:
        """Where a branch joins the residual stream again."""
        self.parts.append(f'<circle class="box" cx="{_TRUNK}" cy="{self.y:g}" r="7"/>')
        self.line((_TRUNK - 4, self.y), (_TRUNK + 4, self.y))
        self.line((_TRUNK, self.y - 4), (_TRUNK, self.y + 4))

    def svg(self, label: str) -> str:
        height = self.y + 4
        size = f'viewBox="0 0 {WIDTH} {height:g}" width="{WIDTH}" height="{height:g}"'
        return f'<svg class="anatomy" role="img" aria-label="{escape(label)}" {size}>{"".join(self.parts)}</svg>'


class _Norms(NamedTuple):
    """Where the norms of a layer sit: before a branch, behind it, on the stream after the sum, and whether one serves both branches."""

    name: str
    before: bool
    behind: bool
    after: bool
    parallel: bool


def _norms(text: str, mixer: str) -> _Norms:
    name, _, where = text.partition(" (")
    if "linear layers" in where:
        where = "pre" if mixer == "L" else "post, inside"
    before = where.startswith("pre")
    behind = "post" in where and (before or "inside" in where)
    return _Norms(name, before, behind, "post" in where and not behind, "parallel" in where)


def anatomy(architecture: Architecture, r: Inspection) -> str:
    """The model from its tokens to its logits, each kind of layer once."""
    a, draw = r.architecture, _Drawing()
    found = kinds(architecture, r)
    _top(draw, r)
    top = draw.y
    for kind in found[:_DRAWN_KINDS]:
        begin = draw.y
        draw.y += 20
        layers = f"{kind.said.count} layer{'s' if kind.said.count > 1 else ''}"
        title = f"{layers}: {kind.said.layers}" if len(found) > 1 else layers
        for n, line in enumerate(textwrap.wrap(title, 46)):
            draw.text(_LEFT - 10, draw.y + n * _LINE - 4, line, "strong")
            draw.y += _LINE if n else 0
        _layer(draw, r, kind, sum(k.mixer not in ("L", "-") for k in found) == 1)
        draw.parts.append(f'<rect class="frame" x="2" y="{begin:g}" width="{WIDTH - 4}" height="{draw.y - begin:g}" rx="8"/>')
        draw.y += _GAP
    if len(found) > _DRAWN_KINDS:
        draw.y += draw.box("none", [f"{len(found) - _DRAWN_KINDS} further kinds of layers"], _LEFT) + _GAP
    draw.parts.insert(0, f'<path class="wire" d="M{_TRUNK} {top - 6:g}V{draw.y:g}"/>')
    _bottom(draw, r)
    each = "; ".join(f"{k.said.count} layers of {k.said.mixer} and {k.said.ffn}" for k in found)
    return draw.svg(f"Anatomy of {r.source.name}: embedding, {each}, norm {a.norm}, head")


def _top(draw: _Drawing, r: Inspection) -> None:
    a = r.architecture
    towers = [(part, r.params.by_part[part]) for part in ("vision", "audio") if r.params.by_part.get(part)]
    wide = f"{a.hidden_size:,}" if a.hidden_size else "?"
    lines = ["embedding", f"{a.vocab_size:,} x {wide}"] if a.vocab_size else ["input", f"{wide} wide"]
    if not a.position.startswith(("RoPE", "ALiBi", "NoPE", "none", "relative", "T5")):
        lines.append(f"positions: {a.position}")
    if not towers:
        height = draw.box("none", lines, 4)
        draw.y += height
        draw.line((_TRUNK, draw.y), (_TRUNK, draw.y + _GAP))
    else:
        size = units.format_count(sum(n for _, n in towers))
        left = draw.box("none", lines, 4, 162)
        right = draw.box(
            "none", [f"{' and '.join(part for part, _ in towers)} tower{'s' if len(towers) > 1 else ''}", size], 172, _RIGHT
        )
        ends = draw.y + left, draw.y + right
        draw.y += max(left, right) + 10
        draw.line((251, ends[1]), (251, draw.y), (_TRUNK, draw.y))
        draw.line((_TRUNK, ends[0]), (_TRUNK, draw.y + _GAP))
    draw.y += _GAP


def _layer(draw: _Drawing, r: Inspection, kind: Kind, alone: bool) -> None:
    norms = _norms(r.architecture.norm, kind.mixer)
    mixer, ffn = (kind.mixer, _mixer_lines(r, kind, alone)), (kind.ffn, [FFNS.get(kind.ffn, "FFN"), kind.said.ffn])
    if norms.parallel and "-" not in (kind.mixer, kind.ffn):
        _parallel(draw, norms, mixer, ffn)
        return
    for letter, lines in (mixer, ffn):
        if letter == "-":
            continue
        draw.y += 4
        branch = draw.y
        draw.y += 8
        start = draw.y
        boxes = [(letter, lines)]
        if norms.before:
            boxes.insert(0, ("norm", [norms.name]))
        if norms.behind:
            boxes.append(("norm", [norms.name]))
        for cls, part in boxes:
            draw.y += draw.box(cls, part) + 6
        end = draw.y + 2
        draw.parts.insert(0, f'<path class="wire" d="M{_TRUNK} {branch:g}H{_MIDDLE}V{start:g}V{end:g}H{_TRUNK}"/>')
        draw.y = end
        draw.add()
        draw.y += 10
        if norms.after:
            height = draw.box("norm", [norms.name], 8, 160)
            draw.y += height + 6
    draw.y += 2


def _parallel(draw: _Drawing, norms: _Norms, mixer: tuple[str, list[str]], ffn: tuple[str, list[str]]) -> None:
    """Both branches side by side, which join the stream together."""
    draw.y += 4
    branch = draw.y
    draw.y += 8
    if norms.before:
        draw.y += draw.box("norm", [norms.name]) + 10
    half = (_LEFT + _RIGHT) / 2
    heights = draw.box(mixer[0], mixer[1], _LEFT, half - 4), draw.box(ffn[0], ffn[1], half + 4, _RIGHT)
    end = draw.y + max(heights) + 8
    centres = (_LEFT + half - 4) / 2, (half + 4 + _RIGHT) / 2
    path = f"M{_TRUNK} {branch:g}H{_MIDDLE}V{draw.y - 5:g}"
    for x in centres:
        path += f"M{_MIDDLE} {draw.y - 5:g}H{x:g}V{end:g}H{_TRUNK}"
    draw.parts.insert(0, f'<path class="wire" d="{path}"/>')
    draw.y = end
    draw.add()
    draw.y += 12


def _mixer_lines(r: Inspection, kind: Kind, alone: bool) -> list[str]:
    """What stands in a mixer's box. Facts of the whole model are told of a kind in full only if it alone attends."""
    a = r.architecture
    lines = [MIXERS[kind.mixer], kind.said.mixer]
    if kind.mixer in ("L", "-"):
        return lines
    if "NoPE" not in kind.said.mixer and a.position.startswith(("RoPE", "ALiBi")):
        lines.append(a.position if alone else re.split(r"[ ,]", a.position)[0])
    if "QK-norm" in a.more and (alone or any("q_norm" in t.name or "q_layernorm" in t.name for t in kind.layer.tensors)):
        lines.append(f"QK-norm: {a.more['QK-norm']}")
    return lines


def _bottom(draw: _Drawing, r: Inspection) -> None:
    a = r.architecture
    sized = f"{a.hidden_size:,} x {a.vocab_size:,}" if a.hidden_size and a.vocab_size else "of a size that is not known"
    words = "tied to the embedding" if a.tied_embeddings else sized
    norm = ("norm", [f"final {a.norm.partition(' (')[0]}"])
    head = ("none", ["head", a.more.get("head", words if a.vocab_size else "not a part of it")])
    for cls, lines in (norm, head):
        height = draw.box(cls, lines, 4)
        draw.y += height
        if cls == "norm":
            draw.line((_TRUNK, draw.y), (_TRUNK, draw.y + 8))
            draw.y += 8
    if a.mtp_layers:
        draw.y += 8
        layers = "1 layer" if a.mtp_layers == 1 else f"{a.mtp_layers} layers"
        draw.y += draw.box(
            "none", ["multi-token prediction", f"{layers} beside the decoder, {units.format_count(r.params.mtp)}"], 4
        )


_PER_LINE = 32


def strip(r: Inspection) -> str:
    """One cell a layer: what mixes its tokens, and what follows it."""
    pattern = r.architecture.pattern
    rows = [(name, pattern[key]) for name, key in (("mixer", "mixer"), ("FFN", "ffn")) if set(pattern[key]) != {"-"}]
    parts, y, size, left = [], 12, 10, 40
    layers = len(pattern["mixer"])
    for first in range(0, layers, _PER_LINE):
        last = min(first + _PER_LINE, layers)
        parts.append(f'<text class="soft start" x="{left}" y="{y - 3}">{first}</text>')
        if last - first > 3:
            end = left + (last - first) * size
            parts.append(f'<text class="soft end" x="{end}" y="{y - 3}">{last - 1}</text>')
        for name, letters in rows:
            parts.append(f'<text class="soft start" x="0" y="{y + 12}">{name}</text>')
            for i, letter in enumerate(letters[first:last]):
                x = left + i * size
                parts.append(f'<rect class="{_cls(letter)}" x="{x}" y="{y}" width="{size}" height="16"/>')
                parts.append(f'<text x="{x + size / 2:g}" y="{y + 12}">{letter}</text>')
            y += 18
        y += 16
    width = left + min(layers, _PER_LINE) * size + 2
    said = "; ".join(f"layers {k.layers}: {k.mixer}, {k.ffn}" for k in r.architecture.layer_kinds)
    return (
        f'<svg class="strip" role="img" aria-label="{escape(f"Layers of {r.source.name}: {said}")}" viewBox="0 0 {width} {y - 12}" '
        f'width="{width}" height="{y - 12}">{"".join(parts)}</svg>'
    )


def _cls(letter: str) -> str:
    return "none" if letter == "-" else letter


class Mask(NamedTuple):
    """Who sees whom: a title, a sentence, and 16 x 16 cells of which those `on` are seen (`half`: held in a state)."""

    title: str
    said: str
    on: frozenset[tuple[int, int]]
    half: frozenset[tuple[int, int]] = frozenset()


_SIZE = 16
_CAUSAL = frozenset((row, col) for row in range(_SIZE) for col in range(row + 1))


def masks(architecture: Architecture, r: Inspection) -> list[tuple[Mask, int]]:
    """The masks of the decoder's layers, each with how many layers have it."""
    # What keeps nothing between tokens generates none, and sees them all at once.
    causal = any(layer.caches for stack in architecture.stacks for layer in stack.kinds)
    out: dict[str, tuple[Mask, int]] = {}
    for kind in kinds(architecture, r):
        for mask in _masks(kind) if causal else _both_ways(kind):
            before = out.get(mask.title)
            out[mask.title] = mask, kind.said.count + (before[1] if before else 0)
    return list(out.values())


def _masks(kind: Kind) -> list[Mask]:
    layer, out = kind.layer, []
    window = next((c.window for c in layer.caches if c.kind in ("sliding", "chunked")), None)
    window = window or next((a.window for a in layer.attends if a.window), None)
    if layer.keeps("index") is not None or "sparse" in layer.mixer:
        chosen = {(row, col) for row, col in _CAUSAL if col == row or (row * 7 + col * 5) % 11 in (0, 3)}
        out.append(Mask("Sparse", f"each token sees the {_tokens(window)} that an indexer chose", frozenset(chosen)))
    elif kind.mixer == "C":
        cells = {(row, col) for row, col in _CAUSAL if row // 4 == col // 4}
        out.append(Mask(f"Chunks of {_number(window)}", "tokens see those before them in their chunk", frozenset(cells)))
    elif kind.mixer == "W" or (kind.mixer == "H" and window):
        cells = {(row, col) for row, col in _CAUSAL if row - col < 4}
        out.append(Mask(f"Window of {_number(window)}", "each token sees itself and those just before it", frozenset(cells)))
    elif kind.mixer == "M":
        out.append(Mask("Full, latent", "each token sees all before it, kept as one compressed latent each", _CAUSAL))
    elif kind.mixer in ("F", "H"):
        out.append(Mask("Full", "each token sees all before it", _CAUSAL))
    if kind.mixer in ("L", "H") or ((state := layer.keeps("state")) and state.recurrence):
        own = frozenset((n, n) for n in range(_SIZE))
        out.append(Mask("State", "all before is folded into a state of fixed size", own, _CAUSAL - own))
    return out


def _both_ways(kind: Kind) -> list[Mask]:
    """Of a model that reads a whole input at once: what stands behind a token is seen as well."""
    window = next((a.window for a in kind.layer.attends if a.window), None)
    if not kind.layer.attends:
        return []
    if window:
        cells = {(row, col) for row in range(_SIZE) for col in range(_SIZE) if abs(row - col) < 4}
        return [Mask(f"Window of {window:,}", "each token sees itself and those beside it", frozenset(cells))]
    every = frozenset((row, col) for row in range(_SIZE) for col in range(_SIZE))
    return [Mask("Full, both ways", "each token sees every other", every)]


def _number(window: int | None) -> str:
    return f"{window:,}" if window else "some"


def _tokens(window: int | None) -> str:
    return f"{window:,} tokens" if window else "tokens"


def mask_svg(mask: Mask) -> str:
    """The cells, a row a token that looks, a column a token that is seen."""
    size = 8

    def cells(which: frozenset[tuple[int, int]]) -> str:
        return "".join(f"M{col * size + 1} {row * size + 1}h{size - 1}v{size - 1}h-{size - 1}z" for row, col in sorted(which))

    edge = _SIZE * size + 1
    every = frozenset((row, col) for row in range(_SIZE) for col in range(_SIZE))
    half = f'<path class="half" d="{cells(mask.half)}"/>' if mask.half else ""
    label = escape(f"{mask.title}: {mask.said}")
    return (
        f'<svg class="mask" role="img" aria-label="{label}" viewBox="0 0 {edge} {edge}" width="{edge}" height="{edge}">'
        f'<path class="cell" d="{cells(every - mask.on - mask.half)}"/>{half}<path class="on" d="{cells(mask.on)}"/></svg>'
    )
