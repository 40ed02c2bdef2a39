"""A page in one file: anatomy, knobs, parameters, cache and fit of models side by side. It needs no network.

The page's skeleton, styles and script are files of their own beside this one. All but the fit panel is written here and stands without
the script. A page is written in parts: what is read comes first, then the plans of one GPU after the other, so that a page that is served
stands there at once.
"""

from __future__ import annotations

import json
import os
from base64 import b64encode
from collections.abc import Iterable, Iterator, Sequence
from functools import cache
from hashlib import sha256
from itertools import chain, islice, repeat
from string import Template
from typing import Any

from archcalc import __version__, report, units
from archcalc.analysis import page
from archcalc.analysis.charts import USERS
from archcalc.analysis.compare import compare
from archcalc.analysis.inspect import inspect
from archcalc.analysis.speed.plan import USUAL
from archcalc.errors import ArchcalcError
from archcalc.loader import Loaded
from archcalc.records import NamedTuple
from archcalc.render.html import chart, figure
from archcalc.render.html._text import escape
from archcalc.render.page import component_name, knobs
from archcalc.render.plain import plain

_HERE = os.path.dirname(__file__)
_VENDORS = {"nvidia": "NVIDIA", "amd": "AMD", "intel": "Intel"}
_TOWERS = {"vision": "vision tower", "audio": "audio tower"}
_SECTIONS = (
    ("fit", "Does it fit?"), ("speed", "How fast?"), ("glance", "At a glance"), ("parameters", "Parameters"), ("cache", "KV cache"),
    ("anatomy", "Anatomy"), ("notes", "Notes"),
)  # fmt: skip


@cache
def asset(name: str) -> str:
    """A file that stands beside this one."""
    with open(os.path.join(_HERE, name), encoding="utf-8") as file:
        return file.read()


class Page(NamedTuple):
    """A page in parts, and the content security policy that it needs and that it states itself; `more` are lines that its script asks for
    once it is there."""

    policy: str
    parts: Iterator[str]
    more: Iterator[str] = iter(())


def policy(styles: Sequence[str], scripts: Sequence[str], forms: bool = False, asks: bool = False) -> str:
    """Nothing but these very styles and scripts, and forms and requests where there are some, to where the page is from."""

    def hashes(texts: Sequence[str]) -> str:
        return " ".join(f"'sha256-{b64encode(sha256(text.encode()).digest()).decode()}'" for text in texts) or "'none'"

    sent = "'self'" if forms else "'none'"
    return (
        f"default-src 'none'; style-src {hashes(styles)}; script-src {hashes(scripts)}; img-src data:; base-uri 'none'; "
        f"form-action {sent}" + ("; connect-src 'self'" if asks else "")
    )


def document(
    title: str, header: str, nav: str, main: str, *scripts: str, style: str = "", forms: bool = False, asks: bool = False,
    before: Iterable[str] = (), after: Iterable[str] = (),
) -> Page:  # fmt: skip
    """A whole page around its parts, which are HTML already; the title is text. `before` and `after` stand around the scripts."""
    styles = [text for text in (asset("page.css"), style) if text]
    said = policy(styles, scripts, forms, asks)
    begin, end = Template(asset("page.html")).substitute(
        version=__version__, title=escape(title), policy=said, styles="".join(f"<style>{text}</style>\n" for text in styles),
        header=header, nav=nav, main=main, more="\0",
    ).split("\0")  # fmt: skip

    def parts() -> Iterator[str]:
        yield begin
        yield from before
        yield from (f"<script>{text}</script>\n" for text in scripts)
        yield from after
        yield end

    return Page(said, parts())


def write_page(models: Sequence[Loaded], home: str = "") -> str:
    """The page on these models. `home` is where a list of models stands, for a page that is served."""
    return "".join(make_page(models, home).parts)


def make_page(models: Sequence[Loaded], home: str = "", more: str = "") -> Page:
    """The same in parts: the plans of each GPU are made when their part is asked for. Where there is an address for `more`, the page has
    those of the first GPU alone, and asks for the others there."""
    inspected = [inspect(m.architecture, m.source, note=m.note) for m in models]
    names = [r.source.name for r in inspected]
    title = ", ".join(names)
    summaries = "".join(f"<li><strong>{escape(r.source.name)}</strong>: {escape(r.summary)}</li>" for r in inspected)
    header = f'<h1>{escape(title)}</h1>\n<ul class="summaries">{summaries}</ul>'
    nav = "".join(f'<li><a href="#{key}">{escape(text)}</a></li>' for key, text in _SECTIONS)
    if home:
        nav += f'<li><a href="{escape(home)}">All models</a></li>'
    fits = [_opening(m) for m in models]
    devices = page.devices()
    data = {
        "engine": page.ENGINE, "devices": devices, "dtypes": [name or "" for name in page.KV_DTYPES],
        "models": [{"name": name, "fit": fit} for name, fit in zip(names, fits, strict=True)],
    }  # fmt: skip
    series = page.caches(models, _CACHE)
    fast, lacking = page.fronts([m for m, fit in zip(models, fits, strict=True) if "error" not in fit])
    bodies = {
        "fit": _panel(data, names),
        "speed": _speed(fast, lacking),
        "glance": _glance(models),
        "parameters": f'<div class="models">{"".join(map(_params, inspected))}</div>',
        "cache": _cache(models, series),
        "anatomy": _anatomies(models, inspected),
        "notes": "".join(map(_notes, inspected)),
    }
    main = "\n".join(
        f'<section id="{key}" aria-labelledby="{key}-title"><h2 id="{key}-title">{escape(text)}</h2>\n{bodies[key]}</section>'
        for key, text in _SECTIONS
    )
    pieces = _pieces([m if "error" not in fit else None for m, fit in zip(models, fits, strict=True)], [d["id"] for d in devices])
    # The panel answers for the GPU that it begins with before the plans of the others are there.
    opening = 'id="data"' + (f' data-more="{escape(more)}"' if more else "")
    first = chain([_block(_packed(data), opening)], (_block(piece, _PIECE) for piece in islice(pieces, 1)))
    style, scripts = chart.styles(series) + chart.styles(fast, "f"), [asset("page.js"), *([asset("more.js")] if more else [])]
    after = () if more else (_block(piece, _PIECE) for piece in pieces)
    made = document(
        f"{title} - archcalc", header, nav, main, *scripts, style=style, asks=bool(more), before=first, after=after
    )  # fmt: skip
    return made._replace(more=(piece + "\n" for piece in pieces)) if more else made


def _opening(m: Loaded) -> dict[str, Any]:
    try:
        return page.opening(m)
    except ArchcalcError as error:
        return {"error": error.message}


_PIECE = 'class="piece"'


def _pieces(models: Sequence[Loaded | None], devices: Sequence[str]) -> Iterator[str]:
    """What the fit panel calculates with, device by device, packed; null for a model that no verdict stands on."""
    made: list[Iterable[str]] = [repeat("null") if m is None else _of_one(m) for m in models]
    for device, *of in zip(devices, *made, strict=False):
        yield f'{{"device":{_packed(device)},"models":[{",".join(of)}]}}'


def _of_one(m: Loaded) -> Iterator[str]:
    return (_packed(piece) for _, piece in page.pieces(m))


def _packed(data: Any) -> str:
    """In one line, which no tag ends."""
    return plain(json.dumps(data, separators=(",", ":"), ensure_ascii=False)).replace("<", "\\u003c")


def _block(packed: str, attributes: str) -> str:
    return f'<script type="application/json" {attributes}>{packed}</script>\n'


def _scroll(label: str, table: str) -> str:
    """A table or a chart that may be wider than a phone; the region takes the focus, so that the keys scroll it."""
    return f'<div class="scroll" tabindex="0" role="region" aria-label="{escape(label)}">{table}</div>'


def _heads(names: Sequence[str], numbers: bool = False) -> str:
    cls = ' class="n"' if numbers else ""
    return "".join(f'<th scope="col"{cls}>{escape(name)}</th>' for name in names)


def _glance(models: Sequence[Loaded]) -> str:
    made = compare(models)
    rows = []
    for row in made.rows:
        cells = "".join(f"<td{_stands_out(value, row.values)}>{escape(value)}</td>" for value in row.values)
        rows.append(f'<tr><th scope="row">{escape(row.label)}</th>{cells}</tr>')
    several = {2: "; what differs in bold"}.get(len(models), "; in bold what most of the others do not share")
    caption = "Knobs and sizes" + (several if len(models) > 1 else "")
    table = (
        f'<table><caption>{caption}</caption><thead><tr><th scope="col">knob</th>{_heads(made.sources)}</tr></thead>'
        f"<tbody>{''.join(rows)}</tbody></table>"
    )
    return _scroll(caption, table)


def _stands_out(value: str, values: Sequence[str]) -> str:
    """Bold for what most of the models do not share, and grey for what all of them do."""
    if len(values) == 1:
        return ""
    if len(set(values)) == 1:
        return ' class="same"'
    return "" if values.count(value) * 2 > len(values) else ' class="differs"'


def _anatomies(models: Sequence[Loaded], inspected: Sequence[report.Inspection]) -> str:
    """A column for each of several models; one alone has its figure beside the rest."""
    made = [_anatomy(m, r) for m, r in zip(models, inspected, strict=True)]
    if len(made) == 1:
        drawn, said = made[0]
        return f'<h3>{escape(inspected[0].source.name)}</h3><div class="models">{drawn}<div>{said}</div></div>'
    names = [escape(r.source.name) for r in inspected]
    columns = (f"<div><h3>{name}</h3>{drawn}{said}</div>" for name, (drawn, said) in zip(names, made, strict=True))
    return f'<div class="models">{"".join(columns)}</div>'


def _anatomy(m: Loaded, r: report.Inspection) -> tuple[str, str]:
    """The figure, and what is said beside it."""
    name = r.source.name
    pattern = r.architecture.pattern
    letters = [(x, figure.MIXERS[x]) for x in dict.fromkeys(pattern["mixer"]) if x != "-"]
    letters += [(x, figure.FFNS[x]) for x in dict.fromkeys(pattern["ffn"]) if x != "-"]
    legend = "".join(f"<li><strong>{x}</strong> {escape(text)}</li>" for x, text in letters)
    kinds = "".join(
        f'<tr><th scope="row">{escape(k.said.layers)}</th><td class="n">{k.said.count}</td><td>{escape(k.said.mixer)}</td>'
        f"<td>{escape(k.said.ffn)}</td></tr>"
        for k in figure.kinds(m.architecture, r)
    )
    heads = '<th scope="col">layers</th><th scope="col" class="n">count</th><th scope="col">mixer</th><th scope="col">FFN</th>'
    layers = f"<table><caption>Kinds of layers</caption><thead><tr>{heads}</tr></thead><tbody>{kinds}</tbody></table>"
    masks = "".join(
        f"<li>{figure.mask_svg(mask)}<strong>{escape(mask.title)}</strong>, {n} layer{'s' if n > 1 else ''}: {escape(mask.said)}</li>"
        for mask, n in figure.masks(m.architecture, r)
    )
    rows = "".join(
        f'<tr><th scope="row">{escape(label)}</th><td>{escape(str(value))}</td></tr>' for label, value in knobs(r.architecture)
    )
    drawn = f"<figure>{figure.anatomy(m.architecture, r)}<figcaption>From tokens to logits, each kind of layer once.</figcaption></figure>"
    parts = [
        "<h4>Layer by layer</h4>",
        f'<figure>{figure.strip(r)}</figure><ul class="legend">{legend}</ul>',
        _scroll(f"Kinds of layers of {name}", layers),
    ]
    if masks:
        parts.append(
            f'<h4>Who sees whom</h4><ul class="masks">{masks}</ul><p class="note">16 tokens, a row each; not to scale.</p>'
        )
    knobs_table = f"<table><caption>Knobs of {escape(name)}</caption><tbody>{rows}</tbody></table>"
    parts.append(f"<h4>Knobs</h4>{_scroll(f'Knobs of {name}', knobs_table)}")
    return drawn, "".join(parts)


def _params(r: report.Inspection) -> str:
    p, guess = r.params, "~" if r.status == "guessed" else ""
    moe = p.active != p.total
    rows = [(component_name(c.part, c.role), c.total, c.active) for c in p.components if c.part not in ("mtp", *_TOWERS)]
    rows += [(_TOWERS[part], total, total) for part, total in p.by_part.items() if part in _TOWERS and total]
    most = max(total for _, total, _ in rows)
    body = []
    for name, total, active in rows:
        bar = (
            '<svg class="share" aria-hidden="true" viewBox="0 0 100 1" preserveAspectRatio="none">'
            f'<rect width="{max(0.2, 100 * total / most):.2f}" height="1"/></svg>'
        )
        more = f'<td class="n">{guess}{active:,}</td>' if moe else ""
        share = units.format_share(total, p.total)
        body.append(
            f'<tr><th scope="row">{escape(name)}{bar}</th><td class="n">{guess}{total:,}</td><td class="n">{share}</td>{more}</tr>'
        )
    total_more = f'<td class="n">{guess}{p.active:,}</td>' if moe else ""
    foot = f'<tr><th scope="row">total</th><td class="n">{guess}{p.total:,}</td><td></td>{total_more}</tr>'
    if p.mtp:
        mtp = "multi-token prediction, not in the total"
        foot += f'<tr><th scope="row">{mtp}</th><td class="n">{guess}{p.mtp:,}</td><td></td>{"<td></td>" if moe else ""}</tr>'
    active_head = '<th scope="col" class="n">active</th>' if moe else ""
    said = ""
    if moe:
        others = [f"{name} {guess}{units.format_count(n)}" for name, n in p.active_by_convention.items() if n != p.active]
        said = f'<p class="note">Active by other conventions: {escape(", ".join(others))}.</p>' if others else ""
    stored = ""
    if r.checkpoint:
        dtypes = ", ".join(f"{units.format_count(n)} {name}" for name, n in r.checkpoint.by_dtype.items())
        scaled = "with scales; weights: " if r.checkpoint.stored_elements != r.checkpoint.elements else ""
        stored = f'<p class="note">On disk: {units.format_bytes(r.checkpoint.bytes)} ({scaled}{escape(dtypes)}).</p>'
    table = (
        f'<table><caption>Parameters of {escape(r.source.name)}</caption><thead><tr><th scope="col">component</th>'
        f'<th scope="col" class="n">count</th><th scope="col" class="n">share</th>{active_head}</tr></thead>'
        f"<tbody>{''.join(body)}</tbody><tfoot>{foot}</tfoot></table>"
    )
    return f"<div><h3>{escape(r.source.name)}</h3>{_scroll(f'Parameters of {r.source.name}', table)}{said}{stored}</div>"


_CACHE = "bf16"
"""What caches are told in."""


def _cache(models: Sequence[Loaded], series: Sequence[page.Line]) -> str:
    dtype = _CACHE
    by_length = [dict(line.points) for line in series]
    if not any(size for line in series for _, size in line.points):
        return "<p>These models keep no cache.</p>"
    rows = []
    for n in page.lengths(models):
        cells = "".join(f'<td class="n">{units.format_bytes(sizes[n]) if n in sizes else "–"}</td>' for sizes in by_length)
        rows.append(f'<tr><th scope="row">{units.format_tokens(n)}</th>{cells}</tr>')
    caption = f"Cache of one sequence by context, {dtype}; – is beyond the model's own"
    heads = _heads([line.name for line in series], numbers=True)
    table = (
        f'<table><caption>{caption}</caption><thead><tr><th scope="col">tokens</th>{heads}</tr></thead>'
        f"<tbody>{''.join(rows)}</tbody></table>"
    )
    drawn = (
        f"<figure>{_scroll('KV cache against context', chart.lines(series, dtype))}<figcaption>Every token a layer can see, once; "
        "engines reserve more, which the fit above counts. Both axes are logarithmic.</figcaption></figure>"
    )
    # Beside a drawing there is no room for the columns of many.
    return f'<div class="{"models" if len(models) < 3 else "one"}">{drawn}{_scroll(caption, table)}</div>'


def _speed(fast: Sequence[page.Front], lacking: Sequence[str]) -> str:
    """Forecasts over concurrencies and plans: drawn, and as a table of the most that leaves each user so many tokens a second."""
    left = "".join(f'<p class="note">Not forecast: {escape(why)}.</p>' for why in lacking)
    if not fast:
        return left or "<p>Nothing is forecast.</p>"
    load = units.format_tokens(USUAL)
    said = (
        f"Forecasts for requests of {load} prompt and {load} output tokens, or half of a shorter context each, under vLLM, weights as "
        "published, over plans and requests at once: what no other plan of the machine beats. The bands hold 80 % of the measurements of "
        "sources that the forecast had not seen. <code>archcalc plot pareto</code> draws other machines, engines, formats and lengths."
    )
    rows = []
    for user in USERS:
        best = [max((p for p in line.points if p.user >= user), key=lambda p: p.gpu, default=None) for line in fast]
        if any(best):
            cells = "".join(f'<td class="n">{f"{p.gpu:,.0f} ({p.low:,.0f} to {p.high:,.0f})" if p else "–"}</td>' for p in best)
            rows.append(f'<tr><th scope="row">{user}</th>{cells}</tr>')
    caption = "Tokens a second of a GPU as requests decode, by what each user gets at least"
    table = (
        f'<table><caption>{caption}</caption><thead><tr><th scope="col">tokens/s of a user</th>'
        f"{_heads([line.name for line in fast], numbers=True)}</tr></thead><tbody>{''.join(rows)}</tbody></table>"
    )
    drawn = _scroll("Tokens of a GPU against tokens of a user", chart.fronts(fast))
    return f"<figure>{drawn}<figcaption>{said}</figcaption></figure>{_scroll(caption, table)}{left}"


def _panel(data: dict[str, Any], names: Sequence[str]) -> str:
    gpus = []
    for vendor in dict.fromkeys(d["vendor"] for d in data["devices"]):
        options = "".join(
            f'<option value="{escape(d["id"])}">{escape(d["name"])}, {units.format_bytes(d["memory"])}</option>'
            for d in data["devices"]
            if d["vendor"] == vendor
        )
        gpus.append(f'<optgroup label="{escape(_VENDORS.get(vendor, vendor))}">{options}</optgroup>')
    limits = [m["fit"].get("context") or page.UNSTATED_CONTEXT for m in data["models"]]
    shortest, longest = min(limits), max(limits)
    contexts = "".join(
        f'<option value="{units.format_tokens(1 << i)}"></option>' for i in range(10, longest.bit_length()) if 1 << i <= longest
    )
    dtypes = "".join(f'<option value="{i}">{escape(name or "the default")}</option>' for i, name in enumerate(data["dtypes"]))
    return Template(asset("panel.html")).substitute(
        engine="vLLM", gpus="".join(gpus), context=units.format_tokens(min(8192, shortest)), contexts=contexts, dtypes=dtypes,
        heads=_heads(names),
    )  # fmt: skip


def _notes(r: report.Inspection) -> str:
    origin = f"{r.source.kind}{f' at {r.source.revision}' if r.source.revision else ''}"
    notes = [f"Figures are {r.status}, from a config of format {r.source.format} ({origin}).", *r.notes]
    items = "".join(f"<li>{escape(note)}</li>" for note in notes)
    return f"<h3>{escape(r.source.name)}</h3><ul>{items}</ul>"
