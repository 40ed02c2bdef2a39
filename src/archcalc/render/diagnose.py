"""A log explained, as text: the cause first, then term by term what it says and what was predicted, then what starts."""

from __future__ import annotations

from typing import TYPE_CHECKING, TextIO

from archcalc import units
from archcalc.render.terminal import console, plain_table, write_notes

if TYPE_CHECKING:
    from rich.console import Console

    from archcalc.report import Diagnosis

_OUTCOMES = {
    "started": "started",
    "oom": "ran out of memory",
    "refused": "refused to start",
    "stopped": "stopped",
    "unknown": "the log does not say how it ended",
}


def write_page(d: Diagnosis, out: TextIO) -> None:
    from rich.text import Text

    from archcalc.render.fit import write_command

    page = console(out)
    machine = f", {d.gpus or 1} x {d.gpu}" if d.gpu else ""
    page.print(
        Text.assemble(
            (d.model or "a model that the log does not name", "bold"),
            f"  ({d.engine}{f' {d.engine_version}' if d.engine_version else ''}{machine})",
        )
    )
    page.print(
        Text(
            ("started, and stopped later" if d.outcome == "started" and d.kind else _OUTCOMES[d.outcome])
            + (f": {d.cause}" if d.cause else ""),
            style="bold green" if d.outcome == "started" and not d.kind else "bold red",
        )
    )
    if d.said:
        page.print(Text(d.said, style="dim"))
    if d.terms or d.tokens.logged is not None or d.tokens.predicted is not None:
        page.print()
        _terms(d, page)
    for remedy in d.remedies:
        spare = f", {_size(remedy.headroom_bytes)} to spare" if remedy.headroom_bytes is not None else ""
        known = ("one-request", "states")
        # Where nothing could be predicted, it is not known whether it then starts.
        does = "Starts" if remedy.headroom_bytes is not None or d.outcome != "refused" or d.kind in known else "Lifts this"
        page.print(
            Text(
                f"\n{does}{spare}; {remedy.gives_up if remedy.gives_up.startswith('takes ') else f'gives up {remedy.gives_up}'}",
                style="bold",
            )
        )
        write_command(remedy.command, page)
    write_notes(page, d.notes)


def _terms(d: Diagnosis, page: Console) -> None:
    table = plain_table()
    for head in ("", "log", "predicted", "difference"):
        table.add_column(head, justify="left" if not head else "right", no_wrap=True)
    for t in d.terms:
        apart = t.logged_bytes - t.predicted_bytes if t.logged_bytes is not None and t.predicted_bytes is not None else None
        table.add_row(
            t.name,
            _size(t.logged_bytes),
            _size(t.predicted_bytes),
            "" if apart is None else f"{'+' if apart >= 0 else '-'}{_size(abs(apart))}",
        )
    if d.tokens.logged is not None or d.tokens.predicted is not None:
        logged, predicted = d.tokens.logged, d.tokens.predicted
        table.add_row("tokens", "" if logged is None else f"{logged:,}", "" if predicted is None else f"{predicted:,}", "")
    page.print(table)


def _size(size: int | None) -> str:
    if size is None:
        return ""
    return f"-{units.format_bytes(-size)}" if size < 0 else units.format_bytes(size)
