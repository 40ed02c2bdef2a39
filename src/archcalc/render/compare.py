"""A comparison as a table on a terminal, in Markdown, CSV or HTML."""

from __future__ import annotations

import html
from typing import TextIO

from archcalc.render.rows import Column, write_csv, write_markdown
from archcalc.render.terminal import console, plain_table
from archcalc.report import Comparison

_STYLE = (
    "body{font:15px/1.4 system-ui,sans-serif;margin:2rem;color-scheme:light dark}table{border-collapse:collapse}"
    "th,td{padding:.35rem .8rem;text-align:left;vertical-align:top;border-bottom:1px solid #8884}td.same{opacity:.6}"
)


def kept_rows(c: Comparison, fold: bool) -> list[tuple[str, list[str], bool]]:
    """The rows to show: all, or those in which the models differ."""
    return [(row.label, row.values, row.same) for row in c.rows if not (fold and row.same)]


def write_page(c: Comparison, out: TextIO, fold: bool) -> None:
    """As many models side by side as the terminal is wide for, the rest below; values that differ stand out."""
    page = console(out, pipe_width=max(120, 22 * (len(c.sources) + 1)))
    each = max(1, (page.width - 14) // 18)
    for start in range(0, len(c.sources), each):
        if start:
            page.print()
        names = c.sources[start : start + each]
        table = plain_table()
        table.add_column("", style="dim", no_wrap=True)
        for name in names:
            table.add_column(name, overflow="fold")
        for label, values, same in kept_rows(c, fold):
            table.add_row(label, *values[start : start + each], style="dim" if same and len(c.sources) > 1 else None)
        page.print(table)
    for changed in c.changes:
        page.print(f"\n{changed.source} against {c.baseline}", style="bold")
        table = plain_table(heads=False)
        table.add_column(style="dim", no_wrap=True)
        table.add_column(overflow="fold")
        for change in changed.changes:
            table.add_row(change.knob, f"{change.before} -> {change.after}")
        page.print(table if changed.changes else "nothing changed")
    same_rows = sum(row.same for row in c.rows)
    if fold and same_rows:
        page.print(f"\n({same_rows} equal rows left out)", style="dim")


def _rows(c: Comparison, fold: bool) -> tuple[list[Column], list[dict[str, str]]]:
    columns = [Column("row", ""), *(Column(str(i), name) for i, name in enumerate(c.sources))]
    return columns, [{"row": label, **{str(i): v for i, v in enumerate(values)}} for label, values, _ in kept_rows(c, fold)]


def write_comparison_markdown(c: Comparison, out: TextIO, fold: bool) -> None:
    """A GitHub table, one column a model."""
    write_markdown(*_rows(c, fold), out)
    for changed in c.changes:
        out.write(f"\n**{changed.source}** against {c.baseline}: ")
        out.write("; ".join(f"{x.knob}: {x.before} → {x.after}" for x in changed.changes) or "nothing changed")
        out.write("\n")


def write_comparison_csv(c: Comparison, out: TextIO, fold: bool) -> None:
    """One row a model, the keys of the rows as head."""
    rows = [row for row in c.rows if not (fold and row.same)]
    columns = [Column("source", "source"), *(Column(row.key, row.label) for row in rows)]
    write_csv(columns, [{"source": name, **{row.key: row.values[i] for row in rows}} for i, name in enumerate(c.sources)], out)


def write_html(c: Comparison, out: TextIO, fold: bool) -> None:
    """One page that needs no network."""
    cell = html.escape
    out.write('<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">')
    out.write(f"<title>{cell(', '.join(c.sources))}</title><style>{_STYLE}</style></head><body><main><table>")
    out.write(
        "<thead><tr><td></td>" + "".join(f'<th scope="col">{cell(name)}</th>' for name in c.sources) + "</tr></thead><tbody>\n"
    )
    for label, values, same in kept_rows(c, fold):
        cls = ' class="same"' if same and len(c.sources) > 1 else ""
        out.write(f'<tr><th scope="row">{cell(label)}</th>' + "".join(f"<td{cls}>{cell(v)}</td>" for v in values) + "</tr>\n")
    out.write("</tbody></table>")
    for changed in c.changes:
        out.write(f"<h2>{cell(changed.source)} against {cell(c.baseline or '')}</h2><ul>")
        out.write("".join(f"<li>{cell(x.knob)}: {cell(x.before)} → {cell(x.after)}</li>" for x in changed.changes) + "</ul>")
    out.write("</main></body></html>\n")
