"""`archcalc schema`."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from archcalc.errors import UsageError


def command(
    name: Annotated[str, typer.Argument(metavar="[COMMAND]", help="The command whose JSON to describe.")] = "inspect",
) -> None:
    """Print the JSON schema of what a command prints with --format json."""
    from pydantic import TypeAdapter

    from archcalc import report

    reports = {"inspect": report.Inspection, "kv": report.KvReport, "tensors": report.TensorLine, "error": report.Failure}
    if name not in reports:
        raise UsageError(f"no schema for {name!r}", f"one of {', '.join(reports)}")
    schema = TypeAdapter(reports[name]).json_schema(mode="serialization")
    schema["$schema"] = "https://json-schema.org/draft/2020-12/schema"
    schema["version"] = report.SCHEMA_VERSION
    print(json.dumps(schema, indent=2))
