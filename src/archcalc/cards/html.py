"""HTML tables, with spans laid out and the place of every cell. `html.parser` reads what is well formed, and most of what is not."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator
from html.parser import HTMLParser

from archcalc.cards.text import EMPTY, Builder, Cell, Lines, markdown

_MAX_SPAN = 100
_MAX_CELLS = 200_000
"""Cells of one table, those that spans repeat included. A table that is larger is cut off."""
_TABLE = re.compile(r"<(/?)table\b", re.IGNORECASE)
_MARKDOWN = re.compile(r"\*\*|`|\]\(|\[\^|\$")
_BLOCKS = {"br", "p", "li", "div", "ul", "ol", "tr"}
_HIDDEN = {"sup", "del", "s", "script", "style"}


def table_end(text: str, position: int) -> tuple[int, int] | None:
    """Where the next table begins and, nested ones included, ends; an open one ends with the text."""
    depth = 0
    begin = -1
    for match in _TABLE.finditer(text, position):
        if match[1]:
            depth -= 1
            if depth == 0:
                end = text.find(">", match.end())
                return begin, end + 1 if end >= 0 else len(text)
            depth = max(depth, 0)
        else:
            if depth == 0:
                begin = match.start()
            depth += 1
    return (begin, len(text)) if begin >= 0 and depth else None


def tables(lines: Lines, start: int, end: int) -> Iterator[tuple[tuple[tuple[Cell, ...], ...], int]]:
    """The grid of each table between two offsets, with the number of its head rows."""
    parser = _Parser(lines, start)
    # Tags that nothing closes: Python's parser would look to the end of the text from each.
    closed = lines.text.rfind(">", start, end) + 1
    unclosed = lines.text.find("<", max(closed, start), end)
    parser.feed(lines.text[start : end if unclosed < 0 else unclosed])
    parser.close()
    while parser.open:
        parser.end_table()
    for rows in parser.done:
        grid = _grid(rows)
        if grid and grid[0]:
            heads = 0
            while heads < len(rows) and rows[heads] and all(head for _, _, _, head in rows[heads]):
                heads += 1
            yield grid, max(1, min(heads, len(grid) - 1)) if len(grid) > 1 else 1


Row = list[tuple[Cell, int, int, bool]]


def _grid(rows: list[Row]) -> tuple[tuple[Cell, ...], ...]:
    """Rows of equal length: a cell that spans columns or rows stands in each of them."""
    hanging: dict[int, tuple[Cell, int]] = {}
    out: list[list[Cell]] = []
    room = _MAX_CELLS
    for row in rows:
        line: list[Cell] = []
        last = max(hanging, default=-1)
        cells = iter(row)
        while True:
            column = len(line)
            if column in hanging:
                cell, left = hanging.pop(column)
                line.append(cell)
                if left > 1:
                    hanging[column] = (cell, left - 1)
                continue
            following = next(cells, None)
            if following is None:
                if column > last:
                    break
                line.append(EMPTY)
                continue
            cell, across, down, _ = following
            for k in range(across):
                line.append(cell)
                if down > 1:
                    hanging[column + k] = (cell, down - 1)
        room -= len(line)
        if room < 0:
            break
        out.append(line)
    width = max((len(line) for line in out), default=0)
    return tuple(tuple(line + [EMPTY] * (width - len(line))) for line in out)


class _Parser(HTMLParser):
    def __init__(self, lines: Lines, start: int) -> None:
        super().__init__(convert_charrefs=False)
        self.file = lines
        self.base_line, self.base_column = lines.place(start)
        self.open: list[list[Row]] = []
        self.done: list[list[Row]] = []
        self.builder: Builder | None = None
        self.cell_start = 0
        self.cell_tag = ("", 1, 1)
        self.hidden = 0

    def here(self) -> int:
        """Where in the file the parser is."""
        line, column = self.getpos()
        if line == 1:
            return self.file.starts[self.base_line - 1] + self.base_column - 1 + column
        # html.parser counts LF only; files with lone CRs have none, so their tables stand on one line.
        return self.newlines()[line - 2] + column

    def newlines(self) -> list[int]:
        """Offsets behind each LF from the start of the table."""
        if not hasattr(self, "_newlines"):
            begin = self.file.starts[self.base_line - 1]
            self._newlines = [m.end() for m in re.finditer(r"\n", self.file.text[begin:])]
            self._newlines = [begin + n for n in self._newlines]
        return self._newlines

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "table":
            self.end_cell()
            self.open.append([])
        elif not self.open:
            return
        elif tag == "tr":
            self.end_cell()
            self.open[-1].append([])
        elif tag in ("td", "th"):
            self.end_cell()
            if not self.open[-1]:
                self.open[-1].append([])
            found = dict(attrs)
            self.cell_tag = (tag, _span(found.get("colspan")), _span(found.get("rowspan")))
            self.cell_start = self.here() + len(self.get_starttag_text() or "")
            self.builder = Builder()
            self.hidden = 0
        elif self.builder is not None:
            if tag in _HIDDEN:
                self.hidden += 1
            elif tag in _BLOCKS:
                self.builder.add("\n", None)
            elif tag == "a" and (target := dict(attrs).get("href")):
                self.builder.links.append(target)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in ("td", "th"):
            self.handle_starttag(tag, attrs)
            self.end_cell()
        elif tag in _BLOCKS and self.builder is not None:
            self.builder.add("\n", None)

    def handle_endtag(self, tag: str) -> None:
        if tag == "table" and self.open:
            self.end_table()
        elif tag in ("td", "th", "tr"):
            self.end_cell()
        elif tag in _HIDDEN:
            self.hidden = max(0, self.hidden - 1)

    def handle_data(self, data: str) -> None:
        if self.builder is None or self.hidden:
            return
        start = self.here()
        if _MARKDOWN.search(data):
            markdown(self.builder, data, start)
            return
        position = 0
        # From the beginning of white space only: from each of its places it would take the square of its length.
        for match in re.finditer(r"(?<!\s)\s*[\r\n]\s*", data):
            self.builder.add(data[position : match.start()], start + position)
            self.builder.add("\n", None)
            position = match.end()
        self.builder.add(data[position:], start + position)

    def handle_entityref(self, name: str) -> None:
        if self.builder is not None and not self.hidden:
            self.builder.add(html.unescape(f"&{name};"), None)

    def handle_charref(self, name: str) -> None:
        if self.builder is not None and not self.hidden:
            self.builder.add(html.unescape(f"&#{name};"), None)

    def handle_comment(self, data: str) -> None:
        if self.builder is not None:
            self.builder.comments.append(f"<!--{data}-->")

    def end_cell(self) -> None:
        """Close the open cell, if there is one."""
        if self.builder is None:
            return
        tag, across, down = self.cell_tag
        end = self.here()
        line, column = self.file.place(self.cell_start)
        cell = self.builder.cell(line, column, self.cell_start, end)
        if cell.segments:
            line, column = self.file.place(cell.segments[0].source)
            cell = cell._replace(line=line, column=column)
        self.open[-1][-1].append((cell, across, down, tag == "th"))
        self.builder = None

    def end_table(self) -> None:
        """Close the open table."""
        self.end_cell()
        self.done.append(self.open.pop())


def _span(text: str | None) -> int:
    return min(int(text), _MAX_SPAN) if text and text.isdecimal() and int(text) else 1
