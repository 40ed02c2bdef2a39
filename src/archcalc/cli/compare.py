"""`archcalc compare`."""

from __future__ import annotations

import json
import sys
from enum import Enum
from typing import Annotated

import typer

from archcalc.cli._options import Context, KvDtype, Offline, Refresh, Sources, bundled
from archcalc.report import to_plain


class Forms(str, Enum):
    """How a comparison prints."""

    table = "table"
    json = "json"
    jsonl = "jsonl"
    markdown = "markdown"
    csv = "csv"
    html = "html"


def command(
    source: Sources,
    ctx: Context = None,
    kv_dtype: KvDtype = None,
    baseline: Annotated[
        str | None,
        typer.Option(
            "--baseline", metavar="SOURCE", help="Tell each model as what it changes against this one.", autocompletion=bundled
        ),
    ] = None,
    fold: Annotated[bool, typer.Option("--fold", help="Leave out the rows in which the models are equal.")] = False,
    form: Annotated[Forms, typer.Option("--format", "-f", help="How to print.")] = Forms.table,
    offline: Offline = False,
    refresh: Refresh = False,
) -> None:
    """Set models side by side: knobs, parameters, cache and weights.

    The cache is that of one sequence at --ctx, by default at the longest context that all of them have.
    """
    from archcalc import units
    from archcalc.analysis.compare import compare
    from archcalc.loader import load
    from archcalc.render import compare as render

    made = compare(
        [load(text, offline=offline, refresh=refresh) for text in source],
        context_tokens=units.parse_tokens(ctx) if ctx is not None else None,
        kv_dtype=units.parse_dtype(kv_dtype) if kv_dtype is not None else "bf16",
        baseline=load(baseline, offline=offline, refresh=refresh) if baseline else None,
    )
    if form in (Forms.json, Forms.jsonl):
        print(json.dumps(to_plain(made), indent=2 if form is Forms.json else None, ensure_ascii=False))
        return
    writers = {
        Forms.table: render.write_page,
        Forms.markdown: render.write_comparison_markdown,
        Forms.csv: render.write_comparison_csv,
        Forms.html: render.write_html,
    }
    writers[form](made, sys.stdout, fold)
