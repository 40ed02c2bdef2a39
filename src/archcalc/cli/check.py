"""`archcalc check`."""

from __future__ import annotations

import gc
import json
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from enum import Enum
from typing import TYPE_CHECKING, Annotated

import typer

from archcalc import files
from archcalc.cli._options import Offline
from archcalc.cli._run import complain, leave
from archcalc.errors import ArchcalcError, UsageError

if TYPE_CHECKING:
    from archcalc.cards.check import Checked
    from archcalc.report import CheckError, CheckReport


class CheckFormat(str, Enum):
    """How to print."""

    table = "table"
    json = "json"
    jsonl = "jsonl"
    markdown = "markdown"
    csv = "csv"
    github = "github"
    sarif = "sarif"
    junit = "junit"


_MANY = 200_000
"""Records after which garbage is looked for: what parsing leaves behind."""
_BAR_FROM = 20
"""Files from which a bar on a terminal is worth its room."""


def command(
    file: Annotated[
        list[str] | None, typer.Argument(metavar="[FILE...]", help="Markdown, JSON or YAML files, folders, glob patterns, or -.")
    ] = None,
    fix: Annotated[bool, typer.Option("--fix", help="Rewrite wrong cells in place.")] = False,
    diff: Annotated[bool, typer.Option("--diff", help="Show what --fix would write, and write nothing.")] = False,
    explain: Annotated[bool, typer.Option("--explain", help="Every claim, and how its verdict is known.")] = False,
    model: Annotated[
        str | None, typer.Option("--model", metavar="SOURCE", help="What tables without a model's name are about.")
    ] = None,
    config: Annotated[
        str | None, typer.Option("--config", metavar="PATH", help="Settings; archcalc.toml or pyproject.toml here by default.")
    ] = None,
    tolerance: Annotated[
        str | None, typer.Option("--tolerance", metavar="SHARE", help="Let numbers pass that are off by no more: 1%.")
    ] = None,
    require_claims: Annotated[bool, typer.Option("--require-claims", help="A file without claims fails.")] = False,
    strict: Annotated[bool, typer.Option("--strict", help="Doubtful claims and those of unknown models fail too.")] = False,
    baseline: Annotated[
        str | None, typer.Option("--baseline", metavar="FILE", help="Mismatches that stand: only others are told.")
    ] = None,
    write_baseline: Annotated[
        str | None, typer.Option("--write-baseline", metavar="FILE", help="Write what is wrong or doubtful now, and end well.")
    ] = None,
    form: Annotated[CheckFormat, typer.Option("--format", "-f", help="How to print.")] = CheckFormat.table,
    offline: Offline = False,
) -> None:
    """Hold the claims of model cards against configs: tables, lists, sentences and front matter.

    A claim is right if the true value reads so in some convention that can be named; --explain names it. A mismatch that nothing
    nearby confirms is doubtful: shown, and mended only where a neighbour that --fix mends confirms it. Exit status 0 if no claim is
    wrong, 1 if some are, or a file or a pinned source cannot be had, 2 if the call itself is wrong.
    """
    from archcalc.cards import check, pages, settings
    from archcalc.cards import fix as mending

    found = settings.find(config)
    if model is not None:
        from archcalc.cards.models import load

        load(model, offline)
    share = settings.tolerance(tolerance) if tolerance is not None else None
    if not (file or found.files):
        raise UsageError("no file is given", "as in archcalc check README.md")
    paths = list(pages.expand(file or found.files, found.exclude))
    if (fix or diff) and "-" in paths:
        raise UsageError("standard input cannot be rewritten", "give a file")

    if diff and form is not CheckFormat.table:
        raise UsageError("--diff prints a diff and no results", "leave --format out, or ask for --fix")
    if explain and form in (CheckFormat.github, CheckFormat.sarif):
        raise UsageError(f"--explain: --format {form.value} holds what is wrong alone", "the others hold every claim")
    if write_baseline and (fix or diff):
        raise UsageError("--write-baseline goes with neither --fix nor --diff", "mend first, then write what still stands")
    from archcalc.cards import baseline as standing

    if write_baseline:
        files.check_output(write_baseline, paths, "--write-baseline")
    place = baseline or (None if write_baseline else found.baseline)
    known = standing.Baseline(place) if place else None
    errors: list[CheckError] = []
    done: list[Checked] = []
    changed, confirmed = 0, 0
    with _uncollected():
        for path in _bar(paths, form is CheckFormat.table):
            if gc.get_count()[0] > _MANY:
                gc.collect(0)
            try:
                one = check.check_file(path, found, offline=offline, tolerance=share, model=model)
            except ArchcalcError as error:
                errors.append(_error(path, error))
                continue
            new = one if known is None else known.spared(one)
            if (fix or diff) and new.edits:

                def again(text: str, path: str = path) -> Checked:
                    return check.check_text(text, path, found, offline=offline, tolerance=share, model=model)

                def as_new(text: str, again: Callable[[str], Checked] = again) -> Checked:
                    return again(text) if known is None else known.spared(again(text))

                mended = mending.mend(new, as_new)
                if diff:
                    changed, confirmed = changed + mended.made, confirmed + mended.confirmed
                    sys.stdout.write(mending.diff(path, one.text, mended.text))
                elif mended.made:
                    try:
                        mending.write(path, mended.text, one.encoding, one.text)
                    except ArchcalcError as error:
                        errors.append(_error(path, error))
                    else:
                        changed, confirmed = changed + mended.made, confirmed + mended.confirmed
                        one = again(mended.text)._replace(encoding=one.encoding)
            if known is not None:
                one = known.without(one)
            done.append(one)
    if write_baseline:
        if errors:
            _tell(errors)
            complain(f"{write_baseline} was not written: it would leave out what stands in {errors[0].file}", "correct that first")
            leave(1 if done else 2)
        count = standing.save(write_baseline, (r for one in done for r in one.results), strict)
        print(f"archcalc: {count} mismatch{'es' * (count != 1)} written to {write_baseline}", file=sys.stderr)
        return
    if require_claims or found.require_claims:
        errors += [_claimless(one.file) for one in done if not one.results]
    result = check.summarize(done, errors)
    if not diff:
        _print(result, form, explain, strict)
    if fix or diff:
        beside = f", {confirmed} of them doubtful until their neighbours were mended" if confirmed else ""
        print(f"archcalc: {changed} cell{'s' * (changed != 1)} {'to rewrite' if diff else 'rewritten'}{beside}", file=sys.stderr)
    if known is not None and known.left_out:
        print(f"archcalc: {known.left_out} mismatch{'es' * (known.left_out != 1)} of {place} left out", file=sys.stderr)
    if known is not None and known.gone and not diff:
        print(f"archcalc: {known.gone} of {place} no longer stand: write it anew with --write-baseline", file=sys.stderr)
    if form is not CheckFormat.json:
        sys.stdout.flush()
        _tell(result.errors)
    if len(paths) == 1 and not done:
        leave(2)
    if result.wrong or result.errors or (strict and (result.doubtful or result.unknown_model)):
        leave(1)


@contextmanager
def _uncollected() -> Iterator[None]:
    """Look for no garbage among hundreds of thousands of small records, of which none is any: it takes a tenth of the time and more."""
    collects = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if gc.get_count()[0] > _MANY:
            gc.freeze()  # they are there until the end, where they need no look either
        if collects:
            gc.enable()


def _tell(errors: Iterable[CheckError]) -> None:
    for failed in errors:
        complain(failed.message if failed.file in failed.message else f"{failed.file}: {failed.message}", failed.hint)


def _error(path: str, error: ArchcalcError) -> CheckError:
    from archcalc.report import CheckError

    return CheckError(path, 0, error.code, error.message, error.hint)


def _claimless(path: str) -> CheckError:
    """What `--require-claims` says of a file without any."""
    from archcalc.report import CheckError

    return CheckError(path, 0, "no-claims", f"{path} holds no claims", "leave --require-claims out if that is as it should be")


def _bar(paths: list[str], wanted: bool) -> Iterator[str]:
    """The paths, with a bar on a terminal where there are many."""
    if not wanted or len(paths) < _BAR_FROM or not sys.stderr.isatty():
        yield from paths
        return
    from rich.console import Console
    from rich.progress import track

    yield from track(paths, "checking", console=Console(stderr=True), transient=True)


def _print(r: CheckReport, form: CheckFormat, explain: bool, strict: bool) -> None:
    from archcalc.render import check as render

    if form is CheckFormat.json:
        render.write_json(r, sys.stdout)
    elif form is CheckFormat.jsonl:
        _lines(vars(x) for x in r.results)
    elif form is CheckFormat.table:
        render.write_page(r, sys.stdout, explain)
    elif form in (CheckFormat.markdown, CheckFormat.csv):
        from archcalc.render import rows

        rows.write(form.value, render.COLUMNS, list(render.rows(r)), sys.stdout)
    else:
        {"github": render.write_github, "sarif": render.write_sarif, "junit": render.write_junit}[form.value](r, sys.stdout, strict)


def _lines(rows: Iterable[object]) -> None:
    for row in rows:
        sys.stdout.write(json.dumps(row, ensure_ascii=False) + "\n")
