"""The console: colour only on a terminal and only without NO_COLOR, the terminal's width, plain text in a pipe."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, TextIO, cast

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

PIPE_WIDTH = 120


def known_width(out: TextIO) -> int | None:
    """How wide lines may be: the terminal's width, or what COLUMNS says; None in a pipe that says nothing."""
    columns = os.environ.get("COLUMNS", "")
    if columns.isdecimal() and int(columns):
        return int(columns)
    return os.get_terminal_size(out.fileno()).columns if out.isatty() else None


def console(out: TextIO, pipe_width: int = PIPE_WIDTH) -> Console:
    """A console over `out`. In a pipe it is as wide as COLUMNS says, else `pipe_width`, and writes no escape codes."""
    from rich.console import Console
    from rich.segment import Segment

    from archcalc.render.plain import PlainText, Raw, plain

    class Page(Console):
        def render(self, renderable: Any, options: Any = None) -> Iterator[Segment]:
            # Codes within texts are written out; those of styles come after this.
            for segment in super().render(renderable, options):
                yield segment if segment.control else Segment(plain(segment.text), segment.style)

        def on_broken_pipe(self) -> None:
            # rich ends with status 1; a reader that has seen enough is no failure.
            raise BrokenPipeError

    terminal = out.isatty()
    raw = cast("TextIO", Raw(out)) if isinstance(out, PlainText) else out
    width = (
        None
        if terminal
        else int(columns)
        if (columns := os.environ.get("COLUMNS", "")).isdecimal() and int(columns)
        else pipe_width
    )
    return Page(
        file=raw if terminal else cast("TextIO", Trimmed(out)),
        width=width,
        no_color=bool(os.environ.get("NO_COLOR")) or not terminal,
        force_terminal=None if terminal else False,
        highlight=False,
        emoji=False,
        markup=False,
        soft_wrap=False,
    )


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
