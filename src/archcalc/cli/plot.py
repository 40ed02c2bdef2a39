"""`archcalc plot`."""

from __future__ import annotations

import sys
from enum import Enum
from typing import TYPE_CHECKING, Annotated

import typer

from archcalc.cli._options import SERVERS, Context, KvDtype, Offline, Refresh, Set, Sources, engines, formats, gpus
from archcalc.cli._run import complain, each, leave
from archcalc.errors import ArchcalcError, UsageError

if TYPE_CHECKING:
    from archcalc.analysis.charts import Chart


class Kind(str, Enum):
    """What to draw."""

    kv = "kv"
    memory = "memory"
    params = "params"
    roofline = "roofline"
    pareto = "pareto"


_IDLE = {Kind.kv: ("--gpu", "--vram", "--engine"), Kind.params: ("--ctx", "--gpu", "--vram", "--engine", "--kv-dtype")}
"""The options that a chart does not use."""


def command(
    kind: Annotated[Kind, typer.Argument(help="kv, memory, params, roofline or pareto.")],
    source: Sources,
    ctx: Context = None,
    gpu: Annotated[
        str | None, typer.Option("--gpu", metavar="SPEC", help="The machine, for memory and roofline.", autocompletion=gpus)
    ] = None,
    vram: Annotated[
        str | None, typer.Option("--vram", metavar="BYTES", help="A card that is not listed, by its memory: 24GiB.")
    ] = None,
    engine: Annotated[
        str | None,
        typer.Option(
            "--engine", metavar=SERVERS, help="The engine, for memory and roofline; vllm by default.", autocompletion=engines
        ),
    ] = None,
    isl: Annotated[str | None, typer.Option("--isl", metavar="TOKENS", help="Prompt of a request, for pareto.")] = None,
    osl: Annotated[str | None, typer.Option("--osl", metavar="TOKENS", help="Output of a request, for pareto.")] = None,
    quant: Annotated[
        str | None, typer.Option("--quant", metavar="NAME", help="Weights stored so, for pareto.", autocompletion=formats)
    ] = None,
    kv_dtype: KvDtype = None,
    set_: Set = None,
    out: Annotated[
        str | None, typer.Option("--out", "-o", metavar="FILE", help="FILE.svg or FILE.png; text on the terminal without.")
    ] = None,
    offline: Offline = False,
    refresh: Refresh = False,
) -> None:
    """Draw models: cache against context, memory of a GPU, parameters by component, the ceiling of decoding against sequences, and

    tokens of a GPU against those of a user over concurrencies and plans (pareto; --gpu takes several, with commas).

    Without --out a chart of text; with it SVG or PNG, which matplotlib draws (the extra `plot`).
    """
    from archcalc import files, units
    from archcalc.analysis import charts
    from archcalc.analysis.fit import Ask
    from archcalc.engines.engine import DEFAULT, check_engine, servers
    from archcalc.loader import Loaded, load

    given = {
        "--ctx": ctx, "--gpu": gpu, "--vram": vram,
        "--engine": engine, "--kv-dtype": kv_dtype, "--isl": isl, "--osl": osl, "--quant": quant,
    }  # fmt: skip
    for option in (*_IDLE.get(kind, ()), *(() if kind is Kind.pareto else ("--isl", "--osl", "--quant"))):
        if given[option] is not None:
            raise UsageError(f"{option} changes nothing in a chart of {kind.value}", "leave it out")
    if out is not None:
        files.check_output(out, source)
    tokens = units.parse_tokens(ctx) if ctx is not None else None
    found = [r for _, r in each(source, lambda text: load(text, offline=offline, refresh=refresh, overrides=set_ or ()))]
    models = [r for r in found if isinstance(r, Loaded)]
    for error in found:
        if isinstance(error, ArchcalcError):
            complain(error.message, error.hint)
    if not models:
        leave(2 if len(source) == 1 else 1)
    if kind is Kind.kv:
        chart = charts.kv(models, tokens, units.parse_dtype(kv_dtype) if kv_dtype else "bf16")
    elif kind is Kind.params:
        chart = charts.params(models)
    else:
        from archcalc.cli.fit import machine, machines_of

        if gpu is None and vram is None:
            raise UsageError("--gpu is missing: this chart is about a machine", "such as --gpu 8xH100, or --gpu here")
        known = check_engine(engine or DEFAULT, servers())
        if kind is Kind.pareto:
            from archcalc.analysis.speed.plan import Wanted

            wanted = Wanted(None if isl is None else units.parse_tokens(isl), None if osl is None else units.parse_tokens(osl))
            context = tokens or (wanted.isl or 1024) + (wanted.osl or 1024)
            dtype = units.parse_cache_dtype(kv_dtype) if kv_dtype else None
            asks = [Ask(one, known, context, kv_dtype=dtype, quant=quant) for one in machines_of([gpu] if gpu else None, vram)]
            chart = charts.pareto(models, asks, wanted)
            _write(chart, out)
            if len(models) < len(found):
                leave(1)
            return
        ask = Ask(machine(gpu, vram), known, tokens, kv_dtype=units.parse_cache_dtype(kv_dtype) if kv_dtype else None)
        chart = charts.fit_memory(models, ask) if kind is Kind.memory else charts.decode(models, ask)
    _write(chart, out)
    if len(models) < len(found):
        leave(1)


def _write(chart: Chart, out: str | None) -> None:
    from archcalc.render import plot

    if out is None:
        plot.write_text(chart, sys.stdout)
    else:
        plot.write_file(chart, out)
        print(f"archcalc: {out} written", file=sys.stderr)
