"""`archcalc calibrate`."""

from __future__ import annotations

import json
import sys
from typing import Annotated

import typer

from archcalc.cli._options import (
    Ep,
    FormatOption,
    KvDtype,
    Offline,
    Pp,
    Refresh,
    ServerEngine,
    Set,
    Tp,
    Vram,
    bundled,
    formats,
    gpus,
)
from archcalc.cli._run import Format


def command(
    bench: Annotated[str, typer.Argument(metavar="BENCH", help="The file of a benchmark: JSON, or what it printed.")],
    source: Annotated[
        str, typer.Argument(metavar="SOURCE", help="The model that was measured, as for inspect.", autocompletion=bundled)
    ],
    gpu: Annotated[
        str | None,
        typer.Option(
            "--gpu", metavar="SPEC", help="The machine: 8xH100, 2x4090, m4-max-128gb; this one by default.", autocompletion=gpus
        ),
    ] = None,
    vram: Vram = None,
    engine: ServerEngine = None,
    quant: Annotated[
        str | None, typer.Option("--quant", metavar="NAME", help="How the weights were stored.", autocompletion=formats)
    ] = None,
    tp: Tp = None,
    pp: Pp = None,
    ep: Ep = None,
    dp: Annotated[int | None, typer.Option("--dp", min=1, max=4096, help="Replicas.")] = None,
    kv_dtype: KvDtype = None,
    set_: Set = None,
    form: FormatOption = Format.table,
    offline: Offline = False,
    refresh: Refresh = False,
) -> None:
    """Compare a host's own measurements with the forecast, and write the factors that `fit --calibration FILE` takes.

    Reads llama-bench (JSON or table), `vllm bench serve` (JSON or text), sglang.bench_serving (JSON lines) and genai-perf (JSON).
    """
    from archcalc import units
    from archcalc.analysis.fit import Ask
    from archcalc.analysis.speed.calibrate import calibrate, engine_of
    from archcalc.analysis.speed.forecast import STANDS_IN
    from archcalc.analysis.speed.measured import read_bench
    from archcalc.analysis.speed.plan import Wanted
    from archcalc.cli._machines import machine
    from archcalc.engines.engine import check_engine, chosen_for, servers
    from archcalc.loader import load
    from archcalc.report import to_plain

    spec = machine(gpu if gpu or vram else "here", vram)
    notes: list[str] = []
    measured = read_bench(bench, notes)
    engine = engine_of(measured, engine and engine.lower())
    known = check_engine(STANDS_IN.get(engine, engine), servers()) if engine is not None else chosen_for(spec.device)
    ask = Ask(
        spec, known, tp=tp, pp=pp, ep=ep, dp=dp, quant=quant,
        kv_dtype=units.parse_cache_dtype(kv_dtype) if kv_dtype is not None else None,
    )  # fmt: skip
    loaded = load(source, offline=offline, refresh=refresh, overrides=set_ or ())
    made = calibrate(loaded, ask, Wanted(engine=engine if engine in STANDS_IN else None), measured, notes)
    if form in (Format.json, Format.jsonl):
        print(json.dumps(to_plain(made), indent=2 if form is Format.json else None, ensure_ascii=False))
        return
    from archcalc.render import rows
    from archcalc.render.rows import Column

    columns = tuple(Column(key, key) for key in ("phase", "isl", "osl", "concurrency", "measured_ms", "forecast_ms", "ratio"))
    rows.write(form.value, columns, [vars(m) for m in made.measurements], sys.stdout)
    if form is Format.table:
        for phase, factor in made.factors.items():
            spread = made.spreads[phase]
            print(f"{phase}: this host takes {factor:.3g} times the forecast; 80 % within x {1 / spread:.2f} to x {spread:.2f}")
        for note in made.notes:
            print(note)
