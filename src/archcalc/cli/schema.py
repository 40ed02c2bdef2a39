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
    from archcalc import report
    from archcalc.api import schema_model

    reports: dict[str, type[report.Record]] = {
        "inspect": report.Inspection,
        "kv": report.KvReport,
        "tensors": report.TensorLine,
        "fit": report.FitReport,
        "train": report.TrainReport,
        "pick": report.Pick,
        "compare": report.Comparison,
        "verify": report.Verification,
        "error": report.Failure,
    }
    if name not in reports:
        raise UsageError(f"no schema for {name!r}", f"one of {', '.join(reports)}")
    schema = schema_model(reports[name]).model_json_schema()
    schema["$schema"] = "https://json-schema.org/draft/2020-12/schema"
    schema["version"] = report.SCHEMA_VERSION
    print(json.dumps(schema, indent=2))
