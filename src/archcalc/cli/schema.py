"""`archcalc schema`."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated

import typer

from archcalc.errors import UsageError

if TYPE_CHECKING:
    from archcalc.report import Record


def _begin(incomplete: str) -> list[str]:
    """The schemas whose names begin so, for shell completion."""
    return [name for name in reports() if name.startswith(incomplete.lower())]


def command(
    name: Annotated[
        str,
        typer.Argument(metavar="[COMMAND]", help="The command whose JSON to describe.", autocompletion=_begin),
    ] = "inspect",
) -> None:
    """Print the JSON schema of what a command prints with --format json.

    For tensors, sweep, models, gpus and plot it describes one line. `error` is what stands in place of a SOURCE that failed.
    """
    from archcalc import report
    from archcalc.api import schema_model

    known = reports()
    if name not in known:
        raise UsageError(f"no schema for {name!r}", f"one of {', '.join(known)}")
    schema = schema_model(known[name]).model_json_schema()
    schema["$schema"] = "https://json-schema.org/draft/2020-12/schema"
    schema["version"] = report.SCHEMA_VERSION
    print(json.dumps(schema, indent=2))


def reports() -> dict[str, type[Record]]:
    """What each command prints as JSON, or one line of it."""
    from archcalc import report

    return {
        "inspect": report.Inspection,
        "kv": report.KvReport,
        "tensors": report.TensorLine,
        "fit": report.FitReport,
        "diagnose": report.Diagnosis,
        "calibrate": report.CalibrationReport,
        "train": report.TrainReport,
        "sweep": report.SweepRow,
        "pick": report.Pick,
        "compare": report.Comparison,
        "check": report.CheckReport,
        "plot": report.PlotPoint,
        "models": report.BundledModel,
        "gpus": report.CatalogDevice,
        "verify": report.Verification,
        "error": report.Failure,
    }
