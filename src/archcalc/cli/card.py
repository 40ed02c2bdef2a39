"""`archcalc card`."""

from __future__ import annotations

import os
import sys
from typing import Annotated

import typer

from archcalc.cli._options import Offline, Refresh, Set, bundled
from archcalc.errors import FormatError, SourceError, UsageError


def command(
    source: Annotated[
        str | None,
        typer.Argument(
            metavar="[SOURCE]", help="A model, as for inspect; with --update, what the file's markers name.", autocompletion=bundled
        ),
    ] = None,
    update: Annotated[
        str | None, typer.Option("--update", metavar="FILE", help="Write the section between the markers of a file anew.")
    ] = None,
    set_: Set = None,
    offline: Offline = False,
    refresh: Refresh = False,
) -> None:
    """Write the section of a model card that `archcalc check` accepts: architecture, parameters, memory, fit.

    The section stands between <!-- archcalc:begin SOURCE --> and <!-- archcalc:end -->; with --update everything else in the file stays
    as it is. In such a section check takes exact numbers only.
    """
    from archcalc import files
    from archcalc.cards import write
    from archcalc.cards.models import Model, resolved
    from archcalc.loader import load

    folder = os.path.dirname(update) if update else ""

    def section(marker: str) -> str:
        if not marker or marker == "-":
            raise UsageError("a marker names no source", "as in <!-- archcalc:begin org/name -->")
        loaded = load(resolved(marker, folder) if update else marker, offline=offline, refresh=refresh, overrides=set_ or ())
        return write.section(Model(loaded.source.name, loaded.source, loaded.architecture), marker)

    if update is None:
        if source is None:
            raise UsageError("no model is given", "as in archcalc card llama-3.1-8b")
        sys.stdout.write(section(source))
        return
    files.check_output(update, [source] if source else (), "--update")
    text, encoding = _read(update, source)
    if text.lstrip().startswith("{"):
        raise UsageError(f"--update {update} holds JSON, not Markdown", "name the page that the section belongs in")
    try:
        after = write.update(text, section, source)
    except FormatError as error:
        raise FormatError(f"{update}: {error.message}", error.hint) from None
    if after == text:
        print(f"archcalc: {update} is up to date", file=sys.stderr)
        return
    from archcalc.cards.fix import write as replace

    replace(update, after, encoding, text if os.path.lexists(update) else None)
    print(f"archcalc: {update} written", file=sys.stderr)


def _read(path: str, source: str | None) -> tuple[str, str]:
    """The file's text, or what a new one begins with, and its encoding."""
    from archcalc.cards.pages import read

    if not os.path.lexists(path):
        if source is None:
            raise SourceError(f"{path}: no such file", "name the model to write a new one: archcalc card SOURCE --update FILE")
        return f"# {source}\n", "utf-8"
    return read(path)
