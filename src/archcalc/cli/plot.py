"""`archcalc plot`."""

from __future__ import annotations

import sys
from enum import Enum
from typing import Annotated

import typer

from archcalc.cli._options import Context, KvDtype, Offline, Refresh, Set, Sources
from archcalc.cli._run import complain, each, leave
from archcalc.errors import ArchcalcError, UsageError


class Kind(str, Enum):
    """What to draw."""

    kv = "kv"
    memory = "memory"
    params = "params"
    roofline = "roofline"


_IDLE = {Kind.kv: ("--gpu", "--engine"), Kind.params: ("--ctx", "--gpu", "--engine", "--kv-dtype")}
"""The options that a chart does not use."""


def command(
    kind: Annotated[Kind, typer.Argument(help="kv, memory, params or roofline.")],
    source: Sources,
    ctx: Context = None,
    gpu: Annotated[str | None, typer.Option("--gpu", metavar="SPEC", help="The machine, for memory and roofline.")] = None,
    engine: Annotated[
        str | None, typer.Option("--engine", metavar="NAME", help="The engine, for memory and roofline; vllm by default.")
    ] = None,
    kv_dtype: KvDtype = None,
    set_: Set = None,
    out: Annotated[
        str | None, typer.Option("--out", "-o", metavar="FILE", help="FILE.svg or FILE.png; text on the terminal without.")
    ] = None,
    offline: Offline = False,
    refresh: Refresh = False,
) -> None:
    """Draw models: cache against context, memory of a GPU, parameters by component, the ceiling of decoding against sequences.

    Without --out a chart of text; with it SVG or PNG, which matplotlib draws (the extra `plot`).
    """
    from archcalc import files, units
    from archcalc.analysis import charts
    from archcalc.analysis.fit import Ask
    from archcalc.engines.engine import DEFAULT, check_engine, servers
    from archcalc.loader import Loaded, load
    from archcalc.render import plot

    given = {"--ctx": ctx, "--gpu": gpu, "--engine": engine, "--kv-dtype": kv_dtype}
    for option in _IDLE.get(kind, ()):
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
        known = check_engine(engine or DEFAULT, servers())
        ask = Ask(charts.machine(gpu), known, tokens, kv_dtype=units.parse_cache_dtype(kv_dtype) if kv_dtype else None)
        chart = charts.fit_memory(models, ask) if kind is Kind.memory else charts.decode(models, ask)
    if out is None:
        plot.write_text(chart, sys.stdout)
    else:
        plot.write_file(chart, out)
        print(f"archcalc: {out} written", file=sys.stderr)
    if len(models) < len(found):
        leave(1)
