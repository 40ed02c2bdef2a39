"""Rows under column heads, for commands that print lists, in every format."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from typing import Any, TextIO

from archcalc import units
from archcalc.records import NamedTuple


class Column(NamedTuple):
    """A key of the JSON object, the head above it on a page, and how a cell reads there.

    `fold` lets a terminal wrap the cell; other cells are kept on one line. On a terminal too narrow for all, columns with the highest
    `spare` go first; those with 0 stay.
    """

    key: str
    head: str
    show: Callable[[Any], str] = str
    right: bool = False
    fold: bool = False
    spare: int = 0


_FOLDED = 28
"""A folded column is at least this wide."""
_LONG = 5000


def exact(value: Any) -> str:
    """A count with separators, or nothing."""
    return "" if value is None else units.format_exact(value)


def count(value: Any) -> str:
    return "" if value is None else units.format_count(value)


def text(value: Any) -> str:
    return "" if value is None else str(value)


def write(form: str, columns: Sequence[Column], rows: Sequence[dict[str, Any]], out: TextIO) -> None:
    """The rows in one of the formats. JSON holds every key of a row, the others the columns."""
    if form in ("json", "jsonl"):
        import json

        if form == "json":
            out.write(json.dumps(list(rows), indent=2, ensure_ascii=False) + "\n")
        for row in rows if form == "jsonl" else ():
            out.write(json.dumps(row, ensure_ascii=False) + "\n")
    else:
        {"table": write_table, "markdown": write_markdown, "csv": write_csv}[form](columns, rows, out)


def write_table(columns: Sequence[Column], rows: Sequence[dict[str, Any]], out: TextIO) -> Sequence[str]:
    """Aligned columns: as many as fit a terminal, as wide as they need to be in a pipe. The heads of those that do not are given back."""
    from archcalc.render.terminal import known_width

    cells = [[column.show(row[column.key]) for column in columns] for row in rows]
    widths = [max([len(column.head), *(len(line[i]) for line in cells)]) for i, column in enumerate(columns)]
    width = known_width(out)
    if width is None or sum(widths) + 2 * len(widths) <= width:
        # Nothing has to be folded: a list of ninety thousand tensors is written as fast as it is made.
        if out.isatty():
            _write_head(columns, widths, out)
        else:
            out.write(_aligned([column.head for column in columns], columns, widths))
        out.writelines(_aligned(line, columns, widths) for line in cells)
        return ()
    return _write_folded(columns, widths, cells, out)


def told_of(notes: Iterable[str], left_out: Sequence[str]) -> list[str]:
    """The notes below a table, without those that say what a column is which it has no room for.

    >>> told_of(["sequences: how many", "price of h100: the whole"], ["sequences", "plan"])
    ['price of h100: the whole']
    """
    return [note for note in notes if note.partition(":")[0] not in left_out]


def _aligned(line: Sequence[str], columns: Sequence[Column], widths: Sequence[int]) -> str:
    parts = (text.rjust(w) if column.right else text.ljust(w) for text, column, w in zip(line, columns, widths, strict=True))
    return "  ".join(parts).rstrip() + "\n"


def _write_head(columns: Sequence[Column], widths: Sequence[int], out: TextIO) -> None:
    from archcalc.render.terminal import console

    console(out).print(_aligned([column.head for column in columns], columns, widths).rstrip("\n"), style="bold")


def _write_folded(columns: Sequence[Column], widths: Sequence[int], cells: Sequence[Sequence[str]], out: TextIO) -> Sequence[str]:
    from archcalc.render.terminal import console, plain_table

    page = console(out)
    # A column that is empty in all rows takes no room from others where room is short.
    kept = [i for i in range(len(columns)) if any(line[i] for line in cells) or not cells]
    filled = len(kept)
    while sum(min(widths[i], _FOLDED) if columns[i].fold else widths[i] for i in kept) + 2 * len(kept) > page.width:
        spare = max(kept, key=lambda i: columns[i].spare)
        if not columns[spare].spare:
            break
        kept.remove(spare)
    if len(cells) > _LONG:
        # Folding costs a millisecond a row: lines of long lists are left for the terminal to wrap.
        shown = [columns[i] for i in kept]
        own = [widths[i] for i in kept]
        out.write(_aligned([column.head for column in shown], shown, own))
        out.writelines(_aligned([line[i] for i in kept], shown, own) for line in cells)
    else:
        table = plain_table()
        for i in kept:
            column = columns[i]
            table.add_column(
                column.head, justify="right" if column.right else "left", overflow="fold", no_wrap=not column.fold,
                min_width=min(widths[i], _FOLDED) if column.fold else widths[i],
            )  # fmt: skip
        folded = [i for i in kept if columns[i].fold]
        room = page.width - sum(widths[i] for i in kept if i not in folded) - 2 * len(kept) if len(folded) == 1 else 0
        for line in cells:
            table.add_row(*(_at_dots(line[i], room) if i in folded else line[i] for i in kept))
        page.print(table)
    left_out = [column.head for i, column in enumerate(columns) if i not in kept and any(line[i] for line in cells)]
    if len(kept) < filled:
        page.print(f"(too narrow for: {', '.join(left_out)})", style="dim")
    return left_out


def _at_dots(text: str, room: int) -> str:
    """A name of parts that is longer than its column, broken between them where they fit."""
    parts = text.split(".")
    if len(text) <= room or " " in text or max(map(len, parts)) >= room:
        return text
    lines = [parts[0]]
    for part in parts[1:]:
        if len(lines[-1]) + len(part) < room:
            lines[-1] += f".{part}"
        else:
            lines.append(f".{part}")
    return "\n".join(lines)


_LATEX = {"\\": "\\textbackslash{}", "~": "\\textasciitilde{}", "^": "\\textasciicircum{}"} | {c: f"\\{c}" for c in "&%$#_{}"}
# Signs that the usual fonts have others in place of, and those that LaTeX's UTF-8 has no letters for.
_LATEX |= {"<": "\\textless{}", ">": "\\textgreater{}", "|": "\\textbar{}", "≤": "$\\leq$", "≥": "$\\geq$", "→": "$\\rightarrow$"}


def latex_text(text: str) -> str:
    r"""Text in a cell of LaTeX, with none of its signs a command.

    >>> latex_text("50 % of a_b <= 3")
    '50 \\% of a\\_b $\\leq$ 3'
    """
    return "".join(_LATEX.get(c, c) for c in " ".join(text.split()).replace("<=", "≤").replace(">=", "≥"))


def write_latex(columns: Sequence[Column], rows: Iterable[dict[str, Any]], out: TextIO, notes: Sequence[str] = ()) -> None:
    """A tabular of the booktabs package, the notes below it."""
    out.write("% needs \\usepackage{booktabs}\n")
    out.write("\\begin{tabular}{" + "".join("r" if column.right else "l" for column in columns) + "}\n\\toprule\n")
    out.write(" & ".join(latex_text(column.head) for column in columns) + " \\\\\n\\midrule\n")
    for row in rows:
        out.write(" & ".join(latex_text(column.show(row[column.key])) for column in columns) + " \\\\\n")
    out.write("\\bottomrule\n\\end{tabular}\n")
    out.writelines(f"\n\\noindent {latex_text(note)}\\par\n" for note in notes)


HTML_STYLE = (
    "body{font:15px/1.4 system-ui,sans-serif;margin:2rem;color-scheme:light dark}table{border-collapse:collapse}"
    "main{overflow-x:auto}th,td{padding:.35rem .8rem;text-align:left;vertical-align:top;border-bottom:1px solid #8884}"
    ".right{text-align:right}"
)


def write_html(
    columns: Sequence[Column], rows: Iterable[dict[str, Any]], out: TextIO, title: str, notes: Sequence[str] = ()
) -> None:
    """One page that needs no network."""
    from html import escape

    side = [' class="right"' if column.right else "" for column in columns]
    out.write('<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">')
    out.write(f"<title>{escape(title)}</title><style>{HTML_STYLE}</style></head><body><main><table>\n<thead><tr>")
    out.write("".join(f'<th scope="col"{cls}>{escape(column.head)}</th>' for column, cls in zip(columns, side, strict=True)))
    out.write("</tr></thead><tbody>\n")
    for row in rows:
        cells = [escape(column.show(row[column.key])) for column in columns]
        first, rest = cells[0], zip(cells[1:], side[1:], strict=True)
        out.write(f'<tr><th scope="row">{first}</th>' + "".join(f"<td{cls}>{cell}</td>" for cell, cls in rest) + "</tr>\n")
    out.write("</tbody></table>" + "".join(f"<p>{escape(note)}</p>" for note in notes) + "</main></body></html>\n")


def write_markdown(columns: Sequence[Column], rows: Iterable[dict[str, Any]], out: TextIO) -> None:
    """A GitHub table."""
    out.write("| " + " | ".join(markdown_cell(column.head) for column in columns) + " |\n")
    out.write("| " + " | ".join("---:" if column.right else "---" for column in columns) + " |\n")
    for row in rows:
        cells = (markdown_cell(column.show(row[column.key])) for column in columns)
        out.write("| " + " | ".join(cells) + " |\n")


def markdown_cell(text: str) -> str:
    """Text within a cell of a table: it ends no cell, and opens no tag."""
    return markdown_text(text).replace("|", "\\|")


def markdown_text(text: str) -> str:
    """Text within a heading, a paragraph or an item of a list: one line, without tags, links or pictures of its own.

    >>> markdown_text("a <img src=x>\\n# [b](http://c)")
    'a &lt;img src=x> # [b]\\\\(http://c)'
    """
    return re.sub(r"<(?=[A-Za-z/!?])", "&lt;", text).replace("](", "]\\(").replace("\n", " ").replace("\r", " ")


def write_csv(columns: Sequence[Column], rows: Iterable[dict[str, Any]], out: TextIO) -> None:
    """RFC 4180, with the JSON keys as head and plain numbers."""
    import csv

    writer = csv.writer(out, lineterminator="\n")
    writer.writerow([column.key for column in columns])
    for row in rows:
        writer.writerow([csv_cell(row[column.key]) for column in columns])


def csv_cell(value: Any) -> Any:
    r"""A value as a cell that no spreadsheet takes for a formula: text that begins like one gets a quote before it.

    Source: OWASP, CSV Injection. A number, signed or not, stays one.

    >>> csv_cell('=HYPERLINK("http://x")'), csv_cell(-3), csv_cell("-0.5"), csv_cell("@a")
    ('\'=HYPERLINK("http://x")', -3, '-0.5', "'@a")
    """
    if value is None:
        return ""
    if not isinstance(value, str) or not value.startswith(("=", "+", "-", "@", "\t", "\r")):
        return value
    try:
        float(value)
    except ValueError:
        return f"'{value}"
    return value
