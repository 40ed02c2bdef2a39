"""`archcalc plot`."""

from __future__ import annotations

import sys
from enum import Enum
from typing import TYPE_CHECKING, Annotated

import typer

from archcalc.cli._options import (
    SERVERS,
    Context,
    FormatOption,
    KvDtype,
    Offline,
    Refresh,
    Set,
    Sources,
    Vram,
    engines,
    formats,
    gpus,
)
from archcalc.cli._run import Format, complain, each, leave
from archcalc.errors import ArchcalcError, UsageError

if TYPE_CHECKING:
    from archcalc.analysis.charts import Chart


class Kind(str, Enum):
    """What to draw."""

    kv = "kv"
    memory = "memory"
    params = "params"
    roofline = "roofline"
    sequences = "sequences"
    pareto = "pareto"
    cost = "cost"


def command(
    kind: Annotated[Kind, typer.Argument(help="kv, memory, params, roofline, sequences, pareto or cost.")],
    source: Sources,
    ctx: Context = None,
    gpu: Annotated[
        str | None,
        typer.Option("--gpu", metavar="SPEC", help="The machine; several, with commas, for pareto and cost.", autocompletion=gpus),
    ] = None,
    vram: Vram = None,
    engine: Annotated[
        str | None,
        typer.Option(
            "--engine",
            metavar=SERVERS,
            help="The engine; the machine's usual one by default, as in fit. Several, with commas, for pareto and cost.",
            autocompletion=engines,
        ),
    ] = None,
    isl: Annotated[str | None, typer.Option("--isl", metavar="TOKENS", help="Prompt of a request, for pareto and cost.")] = None,
    osl: Annotated[str | None, typer.Option("--osl", metavar="TOKENS", help="Output of a request, for pareto and cost.")] = None,
    quant: Annotated[
        str | None,
        typer.Option(
            "--quant", metavar="NAME", help="Weights stored so, for pareto and cost; several with commas.", autocompletion=formats
        ),
    ] = None,
    kv_dtype: KvDtype = None,
    set_: Set = None,
    out: Annotated[
        str | None, typer.Option("--out", "-o", metavar="FILE", help="FILE.svg or FILE.png; text on the terminal without.")
    ] = None,
    form: FormatOption = Format.table,
    offline: Offline = False,
    refresh: Refresh = False,
) -> None:
    """Draw models: cache against context (kv), memory of a GPU (memory), parameters by component (params), the ceiling of decoding
    against sequences (roofline), sequences that a GPU holds against their context (sequences), tokens of a GPU against those of a user
    (pareto), and the cost of output against latency (cost).

    Without --out a chart of text, or its numbers with --format; with it SVG or PNG, which matplotlib draws (the extra `plot`).
    """
    from archcalc import files
    from archcalc.analysis import charts
    from archcalc.loader import Loaded, load

    given = {
        "ctx": ctx, "gpu": gpu, "vram": vram, "engine": engine, "kv_dtype": kv_dtype, "isl": isl, "osl": osl, "quant": quant,
    }  # fmt: skip
    charts.check(kind.value, given)
    if out is not None and form is not Format.table:
        raise UsageError(f"--out draws a picture, and --format {form.value} prints numbers", "give one of the two")
    if out is not None:
        files.check_output(out, source)
    found = [r for _, r in each(source, lambda text: load(text, offline=offline, refresh=refresh, overrides=set_ or ()))]
    models = [r for r in found if isinstance(r, Loaded)]
    for error in found:
        if isinstance(error, ArchcalcError):
            complain(error.message, error.hint)
    if not models:
        leave(2 if len(source) == 1 else 1)
    machines = []
    if gpu is not None or vram is not None:
        from archcalc.cli._machines import machines_of

        machines = machines_of([gpu] if gpu else None, vram)
    options = {name: value for name, value in given.items() if name not in ("gpu", "vram")}
    chart = charts.drawn(kind.value, models, machines, **options)
    if form is Format.table:
        _write(chart, out)
    else:
        from archcalc.render import rows

        points = [vars(point) for point in charts.values(kind.value, chart)]
        rows.write(form.value, [rows.Column(key, key) for key in points[0]] if points else (), points, sys.stdout)
    if len(models) < len(found):
        leave(1)


def _write(chart: Chart, out: str | None) -> None:
    from archcalc.render import plot

    if out is None:
        plot.write_text(chart, sys.stdout)
    else:
        plot.write_file(chart, out)
        print(f"archcalc: {out} written", file=sys.stderr)
