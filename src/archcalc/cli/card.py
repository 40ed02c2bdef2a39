"""`archcalc card`."""

from __future__ import annotations

import os
import sys
from typing import Annotated

import typer

from archcalc.cli._options import Offline, Refresh, bundled
from archcalc.errors import SourceError, UsageError


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
    offline: Offline = False,
    refresh: Refresh = False,
) -> None:
    """Write the section of a model card that `archcalc check` accepts: architecture, parameters, memory, fit.

    The section stands between <!-- archcalc:begin SOURCE --> and <!-- archcalc:end -->; with --update everything else in the file stays
    as it is. In such a section check takes exact numbers only.
    """
    from archcalc.cards import write
    from archcalc.cards.models import Model
    from archcalc.loader import load

    folder = os.path.dirname(update) if update else ""

    def section(marker: str) -> str:
        name = marker.split(maxsplit=1)[0] if marker else ""
        if not name:
            raise UsageError("a marker names no source", "as in <!-- archcalc:begin org/name -->")
        beside = os.path.join(folder, name)
        path = name.startswith(".") or name.endswith(".json") or os.path.exists(beside)
        loaded = load(beside if path and folder else name, offline=offline, refresh=refresh)
        return write.section(Model(loaded.source.name, loaded.source, loaded.architecture), marker)

    if update is None:
        if source is None:
            raise UsageError("no model is given", "as in archcalc card llama-3.1-8b")
        sys.stdout.write(section(source))
        return
    text = _read(update, source)
    after = write.update(text, section, source)
    if after == text:
        print(f"archcalc: {update} is up to date", file=sys.stderr)
        return
    from archcalc.cards.fix import write as replace

    replace(update, after)
    print(f"archcalc: {update} written", file=sys.stderr)


def _read(path: str, source: str | None) -> str:
    try:
        with open(path, encoding="utf-8", newline="") as file:
            return file.read()
    except FileNotFoundError:
        if source is None:
            raise SourceError(
                f"{path}: no such file", "name the model to write a new one: archcalc card SOURCE --update FILE"
            ) from None
        return f"# {source}\n"
    except UnicodeDecodeError:
        raise SourceError(f"{path} is not UTF-8", "save it as UTF-8") from None
    except OSError as error:
        raise SourceError(f"{path} cannot be read: {error.strerror or error}", "check the path") from None
