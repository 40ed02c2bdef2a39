"""How fits print: a page for one, a table for several, a file that starts the plan."""

from __future__ import annotations

import sys
from collections.abc import Callable, Collection, Iterable
from enum import Enum
from typing import TYPE_CHECKING, Any, TypeAlias

from archcalc.cli._run import Format, complain, each, explains, leave, print_each
from archcalc.errors import ArchcalcError, NoRoomError, UsageError
from archcalc.loader import Kept, Loaded
from archcalc.records import NamedTuple
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


class Order(str, Enum):
    """How a list is sorted, those that fit first."""

    best = "best"
    size = "size"
    context = "context"
    speed = "speed"
    cost = "cost"


SHOWN = 20
"""Lines of a list that are printed without --all."""
CLOSEST = 5
"""Machines that are shown where none holds a model."""


Emitted = tuple[str, "str | None", "str | None"]
"""What `--emit` writes, the engine's release and the image."""


class Pair(str):
    """A SOURCE, as it was given, and the machine that it is judged on."""

    source: str
    machine: GpuSpec
    loaded: Loaded
    """What was read of it, once it was reported."""
    release: str | None = None
    """The engine's release that it is judged by, where one is said: by the call, or by the image or what installs it in a command."""


def pairs_of(sources: Iterable[str], specs: Collection[GpuSpec]) -> list[str]:
    """Every model on every machine, models outermost."""
    found: list[str] = []
    for source in sources:
        for spec in specs:
            pair = Pair(source)
            pair.source, pair.machine = source, spec
            found.append(pair)
    return found


class Ranking(NamedTuple):
    """The order of the machines of each model, and which are left out: with `every` those that do not fit, unless `all_` are asked for.
    `sized` is whether the lengths of requests were asked about."""

    order: Order = Order.best
    every: bool = False
    all_: bool = False
    sized: bool = False

    @property
    def asked(self) -> bool:
        return self.every or self.order is not Order.best


AS_GIVEN = Ranking()


class Ranked(NamedTuple):
    """Pairs in their order with what reports them, what was left out, and whether there is a model that nothing holds."""

    pairs: list[str]
    report: Reporter
    notes: tuple[str, ...]
    missing: bool


def holds(r: FitReport) -> bool:
    """Whether a plan does all that was asked for."""
    return r.fits and (r.speed.target is None or r.speed.target.met)


def ranked(pairs: list[str], report: Reporter, ranking: Ranking) -> Ranked:
    """Every pair judged, those of a model that hold it first, in the order that was asked for; what could not be judged comes last."""
    made: dict[str, list[tuple[str, FitReport | ArchcalcError]]] = {}
    for pair, result in each(pairs, report):
        made.setdefault(str(pair), []).append((pair, result))
    kept: list[tuple[str, FitReport | ArchcalcError]] = []
    notes, missing = [], False
    for source, results in made.items():
        judged = [(p, r) for p, r in results if not isinstance(r, ArchcalcError)]
        failed = [(p, r) for p, r in results if isinstance(r, ArchcalcError)]
        judged.sort(key=lambda each: (not holds(each[1]), *_rank(each[1], ranking)))
        good = [each for each in judged if holds(each[1])]
        missing |= not good
        if not ranking.every or ranking.all_ or not judged:
            # Where no machine can be judged, one refusal says why for all.
            kept += judged
            kept += failed if judged or not ranking.every else failed[:1]
            continue
        if good:
            kept += good[:SHOWN]
            more = f", the first {SHOWN} of them here" if len(good) > SHOWN else ""
            notes.append(f"{source}: held by {len(good)} of {len(results)} machines that are rented{more}: --all lists every one")
        else:
            kept += sorted(judged, key=lambda each: -each[1].per_gpu.headroom_bytes)[:CLOSEST]
            notes.append(f"{source}: held by no machine that is rented; these come closest, and --all lists every one")
    results_of = {id(pair): result for pair, result in kept}

    def again(pair: str) -> FitReport:
        result = results_of[id(pair)]
        if isinstance(result, ArchcalcError):
            raise result
        return result

    return Ranked([pair for pair, _ in kept], again, tuple(notes), missing)


def _rank(r: FitReport, ranking: Ranking) -> tuple[float, ...]:
    """Smaller is better: what an hour costs and then what a token costs, the speed, or the longest context."""
    from archcalc.analysis.speed.plan import quickest

    most, speed = float("inf"), quickest(r.speed, ranking.sized)
    if ranking.order is Order.cost:
        token = r.cost.usd_per_million_output_tokens if r.cost else None
        return (most if r.usd_per_hour is None else r.usd_per_hour), (most if token is None else token), *speed
    if ranking.order is Order.speed:
        return speed
    return (-r.max_context_tokens,) if ranking.order is Order.context else ()


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
    sys.stdout.write(emit(emitted[0], made, pair.loaded.architecture, pair.machine, emitted[1] or pair.release, emitted[2]))
    if made.speed.target is not None and not made.speed.target.met:
        sys.stdout.flush()
        complain(f"{made.source} fits, and is not shown to keep the target: {made.speed.target.why}")
        leave(1)


def write(
    pairs: list[str], report: Reporter, form: Forms | Kept, explain: bool, emitted: Emitted | None = None, ranking: Ranking = AS_GIVEN
) -> None:  # fmt: skip
    """The reports in their format, and exit status 1 if one does not fit; of every machine, if there is a model that none holds."""
    if emitted is not None:
        _emit(pairs, report, emitted)
        return
    explains(explain, form, ("csv", "latex", "html", "markdown"))
    several = len(pairs) > 1 and not explain
    notes: tuple[str, ...] = ()
    none = False
    if ranking.asked:
        pairs, report, notes, none = ranked(pairs, report, ranking)
    missing: list[str] = []

    def noted(r: FitReport) -> FitReport:
        if not holds(r):
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
            write_fits(rows, form.value, sys.stdout, notes)
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
    if none if ranking.every else missing:
        leave(1)
