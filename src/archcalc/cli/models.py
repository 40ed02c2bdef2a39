"""`archcalc models`."""

from __future__ import annotations

import sys
from typing import Annotated, Any

import typer

from archcalc.cli._options import FormatOption, Offline, bundled
from archcalc.cli._run import Format, complain, leave


def command(
    query: Annotated[
        str | None,
        typer.Argument(
            metavar="[WORD]",
            help="Only models whose line holds these words: a name, a family, a repo, a license.",
            autocompletion=bundled,
        ),
    ] = None,
    types: Annotated[bool, typer.Option("--types", help="List the model types that are read exactly instead.")] = False,
    form: FormatOption = Format.table,
    offline: Offline = False,
) -> None:
    """List the bundled models, or with --types the model types that are read exactly."""
    from archcalc.render import rows

    if types:
        from archcalc.arch import model_types, schema_of
        from archcalc.arch._schema import ConfigSchema

        # Towers and other parts are read inside the config of a whole model, and are none themselves.
        whole = (name for name in sorted(model_types()) if schema_of(name).architecture is not ConfigSchema.architecture)
        columns: tuple[rows.Column, ...] = (rows.Column("model_type", "model type"),)
        found: list[dict[str, Any]] = [{"model_type": name} for name in whole]
    else:
        from archcalc.render.models import COLUMNS

        columns, found = COLUMNS, _rows()
    if query:
        from archcalc import zoo

        # A name with its separators as one likes, or every word of it somewhere in the line.
        name, wanted = zoo.key(query), query.lower().split()
        lines = [" ".join(str(value).lower() for value in row.values()) for row in found]
        found = [
            row
            for row, line in zip(found, lines, strict=True)
            if all(word in line for word in wanted) or (len(name) > 2 and name in zoo.key(str(row.get("name", ""))))
        ]
    rows.write(form.value, columns, found, sys.stdout)
    if query and not found:
        sys.stdout.flush()
        complain(f"nothing bundled matches {query!r}", "" if types else "`archcalc models` lists all of them")
        leave(1)


def _rows() -> list[dict[str, Any]]:
    from archcalc import zoo
    from archcalc.analysis.params import components
    from archcalc.arch import parse

    out = []
    for entry in zoo.entries():
        a = zoo.spec(entry.name) or parse(zoo.config(entry.name))
        parts = [c for c in components(a) if c.part != "mtp"]
        out.append(
            {
                "name": entry.name,
                "repo": entry.repo,
                "family": entry.family,
                "model_type": a.model_type,
                "params_total": sum(c.total for c in parts),
                "params_active": sum(c.active for c in parts),
                "attention": a.facts.attention,
                "context_tokens": a.facts.context_tokens,
                "release": entry.release,
                "release_note": entry.release_note,
                "license": entry.license,
                "origin": entry.origin,
                "aliases": list(entry.aliases),
            }
        )
    return out
