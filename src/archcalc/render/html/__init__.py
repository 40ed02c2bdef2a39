"""A page in one file: anatomy, knobs, parameters, cache and fit of models side by side. It needs no network.

The page's skeleton, styles and script are files of their own beside this one. All but the fit panel is written here and stands without
the script.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from functools import cache
from string import Template
from typing import Any

from archcalc import __version__, report, units
from archcalc.analysis import page
from archcalc.analysis.compare import compare
from archcalc.analysis.inspect import inspect
from archcalc.errors import ArchcalcError
from archcalc.loader import Loaded
from archcalc.render.html import chart, figure
from archcalc.render.html._text import escape
from archcalc.render.page import component_name, knobs
from archcalc.render.plain import plain

_HERE = os.path.dirname(__file__)
_VENDORS = {"nvidia": "NVIDIA", "amd": "AMD", "intel": "Intel"}
_TOWERS = {"vision": "vision tower", "audio": "audio tower"}
_SECTIONS = (
    ("glance", "At a glance"), ("anatomy", "Anatomy"), ("parameters", "Parameters"), ("cache", "KV cache"), ("fit", "Does it fit?"),
    ("notes", "Notes"),
)  # fmt: skip


@cache
def asset(name: str) -> str:
    """A file that stands beside this one."""
    with open(os.path.join(_HERE, name), encoding="utf-8") as file:
        return file.read()


def document(title: str, header: str, nav: str, main: str, script: str = "") -> str:
    """A whole page around its parts, which are HTML already; the title is text."""
    return Template(asset("page.html")).substitute(
        version=__version__, title=escape(title), css=asset("page.css"), header=header, nav=nav, main=main, script=script
    )


def write_page(models: Sequence[Loaded], home: str = "") -> str:
    """The page on these models. `home` is where a list of models stands, for a page that is served."""
    inspected = [inspect(m.architecture, m.source, note=m.note) for m in models]
    names = [r.source.name for r in inspected]
    title = ", ".join(names)
    summaries = "".join(f"<li><strong>{escape(r.source.name)}</strong>: {escape(r.summary)}</li>" for r in inspected)
    header = f'<h1>{escape(title)}</h1>\n<ul class="summaries">{summaries}</ul>'
    nav = "".join(f'<li><a href="#{key}">{escape(text)}</a></li>' for key, text in _SECTIONS)
    if home:
        nav += f'<li><a href="{escape(home)}">All models</a></li>'
    data = _data(models)
    bodies = {
        "glance": _glance(models),
        "anatomy": _anatomies(models, inspected),
        "parameters": f'<div class="models">{"".join(map(_params, inspected))}</div>',
        "cache": _cache(models),
        "fit": _panel(data, names),
        "notes": "".join(map(_notes, inspected)),
    }
    main = "\n".join(
        f'<section id="{key}" aria-labelledby="{key}-title"><h2 id="{key}-title">{escape(text)}</h2>\n{bodies[key]}</section>'
        for key, text in _SECTIONS
    )
    packed = plain(json.dumps(data, separators=(",", ":"), ensure_ascii=False)).replace("<", "\\u003c")
    script = f'<script type="application/json" id="data">{packed}</script>\n<script>\n{asset("page.js")}</script>'
    return document(f"{title} - archcalc", header, nav, main, script)


def _data(models: Sequence[Loaded]) -> dict[str, Any]:
    """What the fit panel calculates with."""
    out = []
    for m in models:
        try:
            fit = page.tables(m)
        except ArchcalcError as error:
            fit = {"error": error.message}
        out.append({"name": m.source.name, "fit": fit})
    return {"engine": page.ENGINE, "devices": page.devices(), "dtypes": [name or "" for name in page.KV_DTYPES], "models": out}


def _scroll(label: str, table: str) -> str:
    """A table that may be wider than a phone; the region takes the focus, so that the keys scroll it."""
    return f'<div class="scroll" tabindex="0" role="region" aria-label="{escape(label)}">{table}</div>'


def _heads(names: Sequence[str], numbers: bool = False) -> str:
    cls = ' class="n"' if numbers else ""
    return "".join(f'<th scope="col"{cls}>{escape(name)}</th>' for name in names)


def _glance(models: Sequence[Loaded]) -> str:
    made = compare(models)
    rows = []
    for row in made.rows:
        cls = "" if len(models) == 1 else ' class="same"' if row.same else ' class="differs"'
        cells = "".join(f"<td{cls}>{escape(value)}</td>" for value in row.values)
        rows.append(f'<tr><th scope="row">{escape(row.label)}</th>{cells}</tr>')
    caption = "Knobs and sizes" + ("; where the models differ, in bold" if len(models) > 1 else "")
    table = (
        f'<table><caption>{caption}</caption><thead><tr><th scope="col">knob</th>{_heads(made.sources)}</tr></thead>'
        f"<tbody>{''.join(rows)}</tbody></table>"
    )
    return _scroll(caption, table)


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
        bar = f'<span class="share" style="width:{100 * total / most:.2f}%"></span>'
        more = f'<td class="n">{guess}{active:,}</td>' if moe else ""
        share = units.format_share(total, p.total)
        body.append(
            f'<tr><th scope="row">{escape(name)}{bar}</th><td class="n">{guess}{total:,}</td><td class="n">{share}</td>{more}</tr>'
        )
    total_more = f'<td class="n">{guess}{p.active:,}</td>' if moe else ""
    foot = f'<tr><th scope="row">total</th><td class="n">{guess}{p.total:,}</td><td></td>{total_more}</tr>'
    if p.mtp:
        foot += f'<tr><th scope="row">MTP, beside</th><td class="n">{guess}{p.mtp:,}</td><td></td>{"<td></td>" if moe else ""}</tr>'
    active_head = '<th scope="col" class="n">active</th>' if moe else ""
    said = ""
    if moe:
        others = [f"{name} {guess}{units.format_count(n)}" for name, n in p.active_by_convention.items() if n != p.active]
        said = f'<p class="note">Active as others count: {escape(", ".join(others))}.</p>' if others else ""
    stored = ""
    if r.checkpoint:
        dtypes = ", ".join(f"{units.format_count(n)} {name}" for name, n in r.checkpoint.by_dtype.items())
        stored = f'<p class="note">On disk: {units.format_bytes(r.checkpoint.bytes)} ({escape(dtypes)}).</p>'
    table = (
        f'<table><caption>Parameters of {escape(r.source.name)}</caption><thead><tr><th scope="col">component</th>'
        f'<th scope="col" class="n">count</th><th scope="col" class="n">share</th>{active_head}</tr></thead>'
        f"<tbody>{''.join(body)}</tbody><tfoot>{foot}</tfoot></table>"
    )
    return f"<div><h3>{escape(r.source.name)}</h3>{_scroll(f'Parameters of {r.source.name}', table)}{said}{stored}</div>"


def _cache(models: Sequence[Loaded]) -> str:
    dtype = "bf16"
    series = page.caches(models, dtype)
    by_length = [dict(line.points) for line in series]
    if not any(size for line in series for _, size in line.points):
        return "<p>These models keep no cache.</p>"
    rows = []
    for n in page.lengths(models):
        cells = "".join(
            f'<td class="n">{units.format_bytes(sizes[n]) if n in sizes else "beyond its context"}</td>' for sizes in by_length
        )
        rows.append(f'<tr><th scope="row">{units.format_tokens(n)}</th>{cells}</tr>')
    caption = f"Cache of one sequence by context, {dtype}"
    heads = _heads([line.name for line in series], numbers=True)
    table = (
        f'<table><caption>{caption}</caption><thead><tr><th scope="col">tokens</th>{heads}</tr></thead>'
        f"<tbody>{''.join(rows)}</tbody></table>"
    )
    drawn = (
        f"<figure>{chart.lines(series, dtype)}<figcaption>Every token a layer can see, once; engines reserve more, which the fit below "
        "counts. Both axes double from line to line.</figcaption></figure>"
    )
    return f'<div class="models">{drawn}{_scroll(caption, table)}</div>'


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
    dtypes = "".join(
        f'<option value="{i}">{escape(name or "what the engine chooses")}</option>' for i, name in enumerate(data["dtypes"])
    )
    return Template(asset("panel.html")).substitute(
        engine="vLLM", gpus="".join(gpus), context=units.format_tokens(min(8192, shortest)), contexts=contexts, dtypes=dtypes,
        heads=_heads(names),
    )  # fmt: skip


def _notes(r: report.Inspection) -> str:
    origin = f"{r.source.kind}{f' at {r.source.revision}' if r.source.revision else ''}"
    notes = [f"Figures are {r.status}, from a config of format {r.source.format} ({origin}).", *r.notes]
    items = "".join(f"<li>{escape(note)}</li>" for note in notes)
    return f"<h3>{escape(r.source.name)}</h3><ul>{items}</ul>"
