"""A comparison as a table on a terminal, in Markdown, CSV, LaTeX or HTML."""

from __future__ import annotations

import html
from collections.abc import Sequence
from typing import TYPE_CHECKING, TextIO

from archcalc.analysis.compare import NUMBERS
from archcalc.render.rows import Column, markdown_text, write_csv, write_latex, write_markdown
from archcalc.render.terminal import console, plain_table
from archcalc.report import Change, Comparison

if TYPE_CHECKING:
    from rich.console import Console

_STYLE = (
    "body{font:15px/1.4 system-ui,sans-serif;margin:2rem;color-scheme:light dark}table{border-collapse:collapse}"
    "main{overflow-x:auto}th,td{padding:.35rem .8rem;text-align:left;vertical-align:top;border-bottom:1px solid #8884}td.same{opacity:.6}"
)

_ALIKE = "the same kinds of parts; what differs are sizes and numbers"


def kept_rows(c: Comparison, fold: bool) -> list[tuple[str, list[str], bool]]:
    """The rows to show: all, or those in which the models differ."""
    return [(row.label, row.values, row.same) for row in c.rows if not (fold and row.same)]


def write_page(c: Comparison, out: TextIO, fold: bool, by_model: bool = False) -> None:
    """As many models side by side as the terminal is wide for, the rest below; values that differ stand out."""
    page = console(out, pipe_width=max(120, 22 * (len(c.rows if by_model else c.sources) + 1)))
    (_write_lines if by_model else _write_columns)(c, page, fold)
    _write_changes(c, page)
    for note in c.notes:
        page.print(f"\n{note}", style="dim")
    same_rows = sum(row.same for row in c.rows)
    if fold and same_rows:
        page.print(f"\n({same_rows} equal {'columns' if by_model else 'rows'} left out)", style="dim")


def _write_lines(c: Comparison, page: Console, fold: bool) -> None:
    """One line a model: as many facts as the terminal is wide for with their words whole, the rest below."""
    names = max(map(len, c.sources))
    left = 0
    pieces: list[list[tuple[str, list[str], int]]] = []
    for label, values, _ in kept_rows(c, fold):
        words = max(len(word) for text in (label, *values) for word in text.split(" "))
        if not pieces or words + 2 > left:
            pieces.append([])
            left = page.width - names - 2
        pieces[-1].append((label, values, words))
        left -= words + 2
    for i, piece in enumerate(pieces):
        if i:
            page.print()
        table = plain_table()
        table.add_column("model", style="bold", no_wrap=True)
        for label, _, words in piece:
            table.add_column(label, overflow="fold", min_width=words)
        for n, name in enumerate(c.sources):
            table.add_row(name, *(values[n] for _, values, _ in piece))
        page.print(table)


def _write_columns(c: Comparison, page: Console, fold: bool) -> None:
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


def _write_changes(c: Comparison, page: Console) -> None:
    for changed in c.changes:
        page.print(f"\n{changed.source} against {c.baseline}", style="bold")
        table = plain_table(heads=False)
        table.add_column(style="dim", no_wrap=True)
        table.add_column(overflow="fold")
        for change in changed.changes:
            table.add_row(change.knob, f"{change.before} -> {change.after}")
        page.print(table if changed.changes else _ALIKE)


def _rows(c: Comparison, fold: bool, by_model: bool) -> tuple[list[Column], list[dict[str, str]]]:
    if by_model:
        kept = kept_rows(c, fold)
        columns = [Column("row", "model"), *(Column(str(i), label) for i, (label, _, _) in enumerate(kept))]
        lines = [{"row": name, **{str(i): row[1][n] for i, row in enumerate(kept)}} for n, name in enumerate(c.sources)]
        return columns, lines
    columns = [Column("row", ""), *(Column(str(i), name) for i, name in enumerate(c.sources))]
    return columns, [{"row": label, **{str(i): v for i, v in enumerate(values)}} for label, values, _ in kept_rows(c, fold)]


def write_comparison_markdown(c: Comparison, out: TextIO, fold: bool, by_model: bool = False) -> None:
    """A GitHub table, one column a model, or one row."""
    write_markdown(*_rows(c, fold, by_model), out)
    for changed in c.changes:
        out.write("\n" + markdown_text(f"**{changed.source}** against {c.baseline}: {_said(changed.changes)}"))
        out.write("\n")
    out.writelines(f"\n{markdown_text(note)}\n" for note in c.notes)


def write_comparison_latex(c: Comparison, out: TextIO, fold: bool, by_model: bool = False) -> None:
    """The same as a tabular."""
    notes = [f"{x.source} against {c.baseline}: " + _said(x.changes) for x in c.changes]
    write_latex(*_rows(c, fold, by_model), out, [*notes, *c.notes])


def _said(changes: Sequence[Change]) -> str:
    return "; ".join(f"{x.knob}: {x.before} → {x.after}" for x in changes) or _ALIKE


def write_comparison_csv(c: Comparison, out: TextIO, fold: bool) -> None:
    """One row a model, the keys of the rows as head; numbers exact, and empty where not known."""
    rows = [row for row in c.rows if not (fold and row.same)]
    columns = [Column("source", "source"), *(Column(row.key, row.label) for row in rows)]
    lines = [
        {"source": name, **{row.key: row.exact[i] if row.key in NUMBERS else row.values[i] for row in rows}}
        for i, name in enumerate(c.sources)
    ]
    write_csv(columns, lines, out)


def write_html(c: Comparison, out: TextIO, fold: bool, by_model: bool = False) -> None:
    """One page that needs no network."""
    cell = html.escape
    out.write('<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">')
    out.write(f"<title>{cell(', '.join(c.sources))}</title><style>{_STYLE}</style></head><body><main><table>")
    kept = kept_rows(c, fold)
    grey = [' class="same"' if same and len(c.sources) > 1 else "" for _, _, same in kept]
    heads = [label for label, _, _ in kept] if by_model else c.sources
    out.write("<thead><tr><td></td>" + "".join(f'<th scope="col">{cell(head)}</th>' for head in heads) + "</tr></thead><tbody>\n")
    if by_model:
        lines = [(name, [(cls, row[1][i]) for cls, row in zip(grey, kept, strict=True)]) for i, name in enumerate(c.sources)]
    else:
        lines = [(label, [(cls, value) for value in values]) for cls, (label, values, _) in zip(grey, kept, strict=True)]
    for head, cells in lines:
        row = "".join(f"<td{cls}>{cell(value)}</td>" for cls, value in cells)
        out.write(f'<tr><th scope="row">{cell(head)}</th>{row}</tr>\n')
    out.write("</tbody></table>")
    for changed in c.changes:
        out.write(f"<h2>{cell(changed.source)} against {cell(c.baseline or '')}</h2><ul>")
        out.write("".join(f"<li>{cell(x.knob)}: {cell(x.before)} → {cell(x.after)}</li>" for x in changed.changes) + "</ul>")
    out.writelines(f"<p>{cell(note)}</p>" for note in c.notes)
    out.write("</main></body></html>\n")
