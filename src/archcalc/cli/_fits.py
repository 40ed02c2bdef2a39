"""How fits print: a page for one, a table for several, a file that starts the plan."""

from __future__ import annotations

import sys
from collections.abc import Callable, Collection, Iterable
from enum import Enum
from typing import TYPE_CHECKING, Any, TypeAlias

from archcalc.cli._run import Format, complain, each, leave, print_each
from archcalc.errors import ArchcalcError, NoRoomError, UsageError
from archcalc.loader import Kept
from archcalc.report import FitReport, to_plain

if TYPE_CHECKING:
    from archcalc.hardware import GpuSpec


Reporter: TypeAlias = Callable[[str], FitReport]
"""What makes the report of a SOURCE, or of a `Pair`."""


class Forms(str, Enum):
    """How fits print."""

    table = "table"
    json = "json"
    jsonl = "jsonl"
    markdown = "markdown"
    csv = "csv"
    latex = "latex"
    html = "html"


Emitted = tuple[str, "str | None", "str | None"]
"""What `--emit` writes, the engine's release and the image."""


class Pair(str):
    """A SOURCE, as it was given, and the machine that it is judged on."""

    source: str
    machine: GpuSpec


def pairs_of(sources: Iterable[str], specs: Collection[GpuSpec]) -> list[str]:
    """Every model on every machine, models outermost."""
    found: list[str] = []
    for source in sources:
        for spec in specs:
            pair = Pair(source)
            pair.source, pair.machine = source, spec
            found.append(pair)
    return found


def _emit(pairs: list[str], report: Reporter, emitted: Emitted) -> None:
    """The file that starts the one plan, and exit status 1 without one where it does not fit."""
    from archcalc.emit import emit

    if len(pairs) > 1:
        raise UsageError(f"--emit {emitted[0]} writes the file of one model on one machine", "name one of each")
    (pair,) = pairs
    assert isinstance(pair, Pair)
    made = report(pair)
    if not made.fits:
        complain(
            f"{made.source} {made.verdict}",
            "there is no plan to write a file for; the same call without --emit says what would fit",
        )
        leave(1)
    sys.stdout.write(emit(emitted[0], made, pair.machine, emitted[1], emitted[2]))
    if made.speed.target is not None and not made.speed.target.met:
        sys.stdout.flush()
        complain(f"{made.source} fits, and is not shown to keep the target: {made.speed.target.why}")
        leave(1)


def write(pairs: list[str], report: Reporter, form: Forms | Kept, explain: bool, emitted: Emitted | None = None) -> None:
    """The reports in their format, and exit status 1 if one does not fit."""
    if emitted is not None:
        _emit(pairs, report, emitted)
        return
    missing: list[str] = []

    def noted(r: FitReport) -> FitReport:
        if not r.fits or (r.speed.target and not r.speed.target.met):
            missing.append(r.source)
        return r

    def page(r: FitReport) -> None:
        from archcalc.render.fit import write_page

        write_page(noted(r), sys.stdout, explain)

    def markdown(r: FitReport) -> None:
        from archcalc.render.fit import write_markdown_page

        write_markdown_page(noted(r), sys.stdout)

    def csv(reports: Iterable[FitReport]) -> None:
        from archcalc.render.fit import COLUMNS, row
        from archcalc.render.rows import write_csv

        write_csv(COLUMNS, [row(noted(r)) for r in reports], sys.stdout)

    several = len(pairs) > 1 and not explain
    if form in (Forms.latex, Forms.html) or (several and form in (Forms.table, Forms.markdown)):
        from archcalc.render.fit import refused_row, write_fits

        rows: list[FitReport | dict[str, Any]] = []
        errors = []
        for pair, result in each(pairs, report):
            assert isinstance(pair, Pair)
            if isinstance(result, ArchcalcError):
                errors.append(result)
                rows.append(refused_row(pair, pair.machine.id, pair.machine.count))
            else:
                rows.append(noted(result))
        if len(errors) < len(rows):
            write_fits(rows, form.value, sys.stdout)
            sys.stdout.flush()
        for error in errors:
            complain(error.message, error.hint)
        if errors:
            leave(2 if len(pairs) == 1 and not all(isinstance(e, NoRoomError) for e in errors) else 1)
    else:
        # The library's questions give what keeps the reports in place of a format.
        chosen = form if isinstance(form, Kept) else Format(form.value)
        print_each(
            pairs, report, chosen, plain=lambda r: to_plain(noted(r)), page=page, markdown=markdown, csv=csv
        )  # fmt: skip
    if missing:
        leave(1)
