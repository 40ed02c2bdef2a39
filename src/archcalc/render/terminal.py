"""The console: colour only on a terminal and only without NO_COLOR, the terminal's width, plain text in a pipe."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Literal, TextIO, cast

from archcalc.records import NamedTuple

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

PIPE_WIDTH = 120


NARROWEST = 40
"""Pages are laid out for so many columns at least: a narrower terminal folds their lines, and nothing is cut."""


def known_width(out: TextIO) -> int | None:
    """How wide lines may be: the terminal's width, or what COLUMNS says; None in a pipe that says nothing."""
    columns = os.environ.get("COLUMNS", "")
    if columns.isdecimal() and int(columns):
        return max(NARROWEST, int(columns))
    return max(NARROWEST, os.get_terminal_size(out.fileno()).columns) if out.isatty() else None


def console(out: TextIO, pipe_width: int = PIPE_WIDTH) -> Console:
    """A console over `out`. In a pipe it is as wide as COLUMNS says, else `pipe_width`, and writes no escape codes."""
    from rich.console import Console
    from rich.segment import Segment
    from rich.table import Table

    from archcalc.render.plain import PlainText, Raw, plain

    class Page(Console):
        def render(self, renderable: Any, options: Any = None) -> Iterator[Segment]:
            # Codes within texts are written out; those of styles come after this.
            for segment in super().render(renderable, options):
                yield segment if segment.control else Segment(plain(segment.text), segment.style)

        def print(self, *objects: Any, **options: Any) -> None:
            with _room(self, [each for each in objects if isinstance(each, Table)]):
                super().print(*objects, **options)

        def on_broken_pipe(self) -> None:
            # rich ends with status 1; a reader that has seen enough is no failure.
            raise BrokenPipeError

    terminal = out.isatty()
    raw = cast("TextIO", Raw(out)) if isinstance(out, PlainText) else out
    width = None if terminal else known_width(out) or pipe_width
    page = Page(
        file=raw if terminal else cast("TextIO", Trimmed(out)),
        width=width,
        no_color=bool(os.environ.get("NO_COLOR")) or not terminal,
        force_terminal=None if terminal else False,
        highlight=False,
        emoji=False,
        markup=False,
        soft_wrap=False,
    )
    page.width = max(page.width, NARROWEST)
    return page


@contextmanager
def _room(page: Console, tables: Sequence[Table]) -> Iterator[None]:
    """As wide a page as keeps every figure of tables whole: a terminal that is narrower folds the lines, where rich would cut the cells."""
    from rich.measure import Measurement

    most = 0
    for table in tables:
        whole = page.options.update(max_width=_WIDEST)
        excess = Measurement.get(page, whole, table).maximum - page.width
        if excess <= 0:
            continue
        gap, needed = 2, -2
        labels: list[tuple[Any, int, int]] = []
        widest = 0
        for column in table.columns:
            cells = [
                Measurement.get(page, whole, cell) for cell in (*([column.header] if table.show_header else ()), *column.cells)
            ]
            natural = max((cell.maximum for cell in cells), default=0)
            word = min(_LONG_WORD, max((cell.minimum for cell in cells), default=0))
            own = column.width or max(column.min_width or 0, natural if column.no_wrap else word)
            if column.min_width and not column.no_wrap:
                labels.append((column, natural, own))
            elif not column.no_wrap:
                widest = max(widest, natural)
            needed += own + gap
        for column, natural, own in labels:
            if widest - excess < max(natural, column.min_width):
                # The widest of the others cannot give way alone: rich narrows this one and widens it again, beyond the page.
                column.width = own
        most = max(most, needed)
    if most <= page.width:
        yield
        return
    before, page.width = page.width, most
    try:
        yield
    finally:
        page.width = before


_WIDEST, _LONG_WORD = 10_000, 26
"""Columns that no cell needs, and letters of the longest word that is kept whole: the names of GPUs."""


class Trimmed:
    """A text stream that drops the blanks that padding leaves at the end of lines."""

    def __init__(self, out: TextIO) -> None:
        self._out = out

    def write(self, text: str) -> int:
        lines = text.split("\n")
        self._out.write("\n".join([*(line.rstrip() for line in lines[:-1]), lines[-1]]))
        return len(text)

    def flush(self) -> None:
        self._out.flush()

    def isatty(self) -> bool:
        return self._out.isatty()


class Column(NamedTuple):
    """One column of a `Grid`, with what `rich.table.Column` calls so."""

    header: str = ""
    justify: Literal["left", "right"] = "left"
    style: str = ""
    min_width: int = 0
    width: int | None = None
    max_width: int | None = None
    no_wrap: bool = False
    overflow: Literal["ellipsis", "fold"] = "ellipsis"


class Grid:
    """Columns two spaces apart, no lines: as `plain_table`, and written without rich where that would write the same."""

    def __init__(self, *columns: Column, heads: bool = True) -> None:
        self.columns, self.heads = columns, heads
        self.rows: list[tuple[tuple[str, ...], str]] = []

    def add_row(self, *cells: str, style: str = "") -> None:
        self.rows.append((cells, style))

    def rich(self) -> Table:
        table = plain_table(heads=self.heads)
        for column in self.columns:
            table.add_column(**column._asdict())
        for cells, style in self.rows:
            table.add_row(*cells, style=style)
        return table

    def lines(self, width: int) -> list[str] | None:
        """What rich makes of it in a pipe of that width; None where it takes rich to know."""
        rows = [cells for cells, _ in self.rows]
        if self.heads:
            rows.insert(0, tuple(column.header for column in self.columns))
        if any(len(row) != len(self.columns) or not all(map(_simple, row)) for row in rows):
            return None
        widths = []
        for column, cells in zip(self.columns, zip(*rows, strict=True), strict=True):
            widest = max(map(len, cells))
            if widest > (column.width or column.max_width or widest):
                return None
            widths.append(column.width or max(widest, column.min_width))
        left = width - 2 * (len(widths) - 1) - sum(widths)
        if left < 0:
            # The one widest column gives way.
            at = widths.index(max(widths))
            widths[at] += left
            column = self.columns[at]
            others = max((own + 2 for i, own in enumerate(widths) if i != at), default=0)
            if column.no_wrap or column.justify != "left" or column.min_width or widths[at] <= others:
                return None
        found = []
        for row in rows:
            wrapped = [[cell] if len(cell) <= own else wrap(cell, own) for cell, own in zip(row, widths, strict=True)]
            for line in range(max(map(len, wrapped))):
                texts = (parts[line] if line < len(parts) else "" for parts in wrapped)
                justified = (
                    text.rjust(own) if column.justify == "right" else text.ljust(own)
                    for text, own, column in zip(texts, widths, self.columns, strict=True)
                )
                found.append("  ".join(justified).rstrip())
            if not all(wrapped):
                return None
        return found


def _simple(text: str) -> bool:
    """Whether each character takes one column, and none is left out at an end."""
    return text.isascii() and text.isprintable() and text == text.strip()


def wrap(text: str, width: int) -> list[str]:
    """Lines of as many words as fit; empty where a word does not. Spaces between words of a line stay."""
    lines, line = [], ""
    for part in text.replace(" ", " \0").split("\0"):
        if len(part.rstrip()) > width:
            return []
        if len(line) + len(part.rstrip()) > width:
            lines.append(line.rstrip())
            line = ""
        line += part
    return [*lines, line.rstrip()]


class Page:
    """A page of text and `Grid`s, through rich on a terminal, and in a pipe where it takes rich to know how lines break."""

    def __init__(self, out: TextIO) -> None:
        self._out = out
        self._made: Console | None = None
        self._piped = None if out.isatty() else known_width(out) or PIPE_WIDTH

    @property
    def console(self) -> Console:
        if self._made is None:
            self._made = console(self._out)
        return self._made

    @property
    def width(self) -> int:
        return self._piped or self.console.width

    def print(self, what: str | Grid = "", style: str = "") -> None:
        if isinstance(what, Grid):
            lines = what.lines(self._piped) if self._piped else None
            if lines is None:
                self.console.print(what.rich())
                return
            self._out.write("".join(f"{line}\n" for line in lines))
        elif style or not self._piped or not self._whole(what):
            self.spans((what, style))
        else:
            self._out.write(f"{what}\n")

    def spans(self, *parts: tuple[str, str]) -> None:
        """One text of parts with a style each."""
        text = "".join(part for part, _ in parts)
        if self._piped and self._whole(text):
            self._out.write("\n".join(line.rstrip() for line in text.split("\n")) + "\n")
            return
        from rich.text import Text

        self.console.print(Text.assemble(*parts))

    def _whole(self, text: str) -> bool:
        """Whether no line breaks in a pipe."""
        return all(line.isascii() and line.isprintable() and len(line) <= (self._piped or 0) for line in text.split("\n"))

    def notes(self, notes: Sequence[str]) -> None:
        """The notes under a page, if there are any."""
        if notes:
            self.print("\nNotes", style="bold")
            table = Grid(Column(), Column(), heads=False)
            for note in notes:
                table.add_row("-", note)
            self.print(table)


def plain_table(*, heads: bool = True) -> Table:
    """Columns two spaces apart, no lines."""
    from rich.table import Table

    return Table(box=None, show_header=heads, header_style="bold", pad_edge=False, padding=(0, 2, 0, 0))


def write_notes(page: Console, notes: Sequence[str]) -> None:
    """The notes under a page, if there are any."""
    if notes:
        page.print("\nNotes", style="bold")
        table = plain_table(heads=False)
        for note in notes:
            table.add_row("-", note)
        page.print(table)
