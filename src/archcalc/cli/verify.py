"""`archcalc verify`."""

from __future__ import annotations

import json
import sys
from typing import Annotated, Any

import typer

from archcalc.cli._options import FormatOption, Offline, Refresh, Set, bundled
from archcalc.cli._run import Format, complain, failure, leave
from archcalc.errors import ArchcalcError, UsageError
from archcalc.report import Difference, Verification, to_plain

KINDS = (("missing", "missing"), ("extra", "extra"), ("wrong_shape", "wrong shape"), ("wrong_dtype", "wrong dtype"))
"""The lists of a verification, and what each is called."""


def command(
    source: Annotated[
        str,
        typer.Argument(
            metavar="SOURCE", help="The model: a bundled name, a Hub repo id, a file or a folder.", autocompletion=bundled
        ),
    ],
    path: Annotated[
        str | None,
        typer.Argument(
            metavar="[PATH]", help="The checkpoint: .safetensors, .gguf, an index, or their folder. Default: SOURCE's own."
        ),
    ] = None,
    hub: Annotated[bool, typer.Option("--hub", help="Read the headers of SOURCE's repository on the Hub.")] = False,
    set_: Set = None,
    form: FormatOption = Format.table,
    offline: Offline = False,
    refresh: Refresh = False,
) -> None:
    """Compare the tensors that a model should have with those that a checkpoint holds.

    Only headers are read, from the Hub by range request, never weights. Each tensor that is missing, extra, or of another shape or dtype is
    named; the exit status is 1 if there is any, and 0 if all agree.
    """
    if path is not None and hub:
        raise UsageError("PATH and --hub exclude each other", "leave one of them out")
    try:
        found = _verify(source, path, hub, set_ or [], offline, refresh)
    except ArchcalcError as error:
        if form in (Format.jsonl, Format.json):
            print(json.dumps(failure(source, error), ensure_ascii=False))
        complain(error.message, error.hint)
        leave(2)
    _print(found, form)
    if not found.agrees:
        leave(1)


def _verify(source: str, path: str | None, hub: bool, overrides: list[str], offline: bool, refresh: bool) -> Verification:
    from archcalc import loader, sources
    from archcalc.analysis.verify import verify
    from archcalc.errors import SourceNotFoundError
    from archcalc.formats import headers
    from archcalc.report import SourceInfo

    found = sources.resolve(source, offline=offline, refresh=refresh)
    info = SourceInfo(found.name, found.kind, found.format, found.revision)
    config = loader.overridden(found.config, overrides) if overrides else found.config
    loaded = loader.read(found, config, info, offline=offline or path is not None)
    if path is not None:
        header, label = headers.read(path), path
    elif hub:
        if found.repo is None:
            raise UsageError(f"{source} is not on the Hub", "give a Hub repo id, or the checkpoint's PATH")
        from archcalc import hub as client

        header, label = client.headers(found.repo, found.revision, offline=offline), found.repo
    else:
        own = loader.headers_of(found, offline)
        if own is None:
            raise SourceNotFoundError(f"{source} has no weights beside it", "give the checkpoint's PATH, or --hub")
        header, label = own, found.repo or source
    return verify(loaded, header, label)


def _print(found: Verification, form: Format) -> None:
    if form is Format.json:
        print(json.dumps(to_plain(found), indent=2, ensure_ascii=False))
    elif form is Format.jsonl:
        print(json.dumps(to_plain(found), ensure_ascii=False))
    else:
        from archcalc.render import rows

        lines = [_line(name, each) for key, name in KINDS for each in getattr(found, key)]
        columns = [
            rows.Column("kind", "what"), rows.Column("name", "tensor", fold=True), rows.Column("count", "count", rows.exact, right=True),
            rows.Column("expected", "expected", rows.text), rows.Column("found", "found", rows.text),
            rows.Column("why", "why", fold=True, spare=1),
        ]  # fmt: skip
        if form is Format.csv or lines:
            if not any(line["why"] for line in lines):
                columns.pop()
            rows.write(form.value, columns, lines, sys.stdout)
        if form is not Format.csv:
            _sum_up(found, bool(lines))


def _line(kind: str, each: Difference) -> dict[str, Any]:
    return {"kind": kind, **vars(each)}


def _sum_up(found: Verification, listed: bool) -> None:
    """What was compared, in a sentence, and the notes."""
    if listed:
        print()
    counts = [f"{sum(each.count for each in getattr(found, key)):,} {name}" for key, name in KINDS if getattr(found, key)]
    verdict = "agree" if found.agrees else f"differ: {', '.join(counts)}"
    print(
        f"{found.source} and {found.checkpoint} {verdict} ({found.expected_tensors:,} tensors expected, {found.found_tensors:,} found)."
    )
    for note in found.notes:
        print(f"note: {note}")
