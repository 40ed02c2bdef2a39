"""`archcalc compare`."""

from __future__ import annotations

import json
import sys
from enum import Enum
from types import ModuleType
from typing import TYPE_CHECKING, Annotated

import typer

from archcalc.cli._options import (
    Calibration,
    Context,
    EngineVersion,
    KvDtype,
    Offline,
    Ram,
    RamBandwidth,
    Refresh,
    ServerEngine,
    Set,
    Sources,
    Vram,
    bundled,
    formats,
    gpus,
)
from archcalc.cli._run import complain, each, leave
from archcalc.errors import ArchcalcError, UsageError
from archcalc.report import Comparison, ErrorInfo, Failure, to_plain

if TYPE_CHECKING:
    from archcalc.analysis.speed.plan import Wanted
    from archcalc.engines.plan import Ask


class Forms(str, Enum):
    """How a comparison prints."""

    table = "table"
    json = "json"
    jsonl = "jsonl"
    markdown = "markdown"
    csv = "csv"
    latex = "latex"
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
    rows: Annotated[
        str | None, typer.Option("--rows", metavar="KEYS", help="Only these, by their JSON keys: total,active,norm.")
    ] = None,
    by_model: Annotated[bool, typer.Option("--by-model", help="One row a model, one column a fact.")] = False,
    gpu: Annotated[
        str | None,
        typer.Option("--gpu", metavar="SPEC", help="Also on this machine: plan, speed and price.", autocompletion=gpus),
    ] = None,
    vram: Vram = None,
    engine: ServerEngine = None,
    quant: Annotated[
        str | None, typer.Option("--quant", metavar="NAME", help="Weights stored so, on the machine.", autocompletion=formats)
    ] = None,
    concurrency: Annotated[int | None, typer.Option("--concurrency", min=1, max=1_000_000, help="Requests at once.")] = None,
    isl: Annotated[
        str | None, typer.Option("--isl", metavar="TOKENS", help="Prompt of a request; 1k by default, less in a shorter --ctx.")
    ] = None,
    osl: Annotated[
        str | None, typer.Option("--osl", metavar="TOKENS", help="Output of a request; 1k by default, less in a shorter --ctx.")
    ] = None,
    tpot: Annotated[
        str | None, typer.Option("--tpot", metavar="TIME", help="Most requests at once that keep this time per token: 30ms.")
    ] = None,
    ttft: Annotated[str | None, typer.Option("--ttft", metavar="TIME", help="And this time to the first token: 2s.")] = None,
    ram: Ram = None,
    ram_bandwidth: RamBandwidth = None,
    engine_version: EngineVersion = None,
    calibration: Calibration = None,
    set_: Set = None,
    form: Annotated[Forms, typer.Option("--format", "-f", help="How to print.")] = Forms.table,
    offline: Offline = False,
    refresh: Refresh = False,
) -> None:
    """Set models side by side: knobs, parameters, cache and weights.

    The cache is that of one sequence at --ctx, by default at the longest context that all of them have. CSV and JSON hold exact
    numbers. With --gpu the plan of each on that machine, its forecast and the price stand below. Exit status 1 if some SOURCE failed.
    """
    from archcalc import units
    from archcalc.analysis.compare import compare
    from archcalc.loader import Loaded, load_or_repacked
    from archcalc.render import compare as render

    context = units.parse_tokens(ctx) if ctx is not None else None
    dtype = units.parse_cache_dtype(kv_dtype) if kv_dtype is not None else "bf16"
    on = asked(
        gpu,
        vram=vram,
        engine=engine,
        quant=quant,
        ctx=ctx,
        kv_dtype=kv_dtype,
        concurrency=concurrency,
        isl=isl,
        osl=osl,
        tpot=tpot,
        ttft=ttft,
        ram=ram,
        ram_bandwidth=ram_bandwidth,
        engine_version=engine_version,
        calibration=calibration,
    )
    base = load_or_repacked(baseline, offline=offline, refresh=refresh) if baseline else None
    found = list(each(source, lambda text: load_or_repacked(text, offline=offline, refresh=refresh, overrides=set_ or ())))
    models = [result for _, result in found if isinstance(result, Loaded)]
    errors = [(text, result) for text, result in found if isinstance(result, ArchcalcError)]
    if models:
        made = compare(
            models,
            context_tokens=context,
            kv_dtype=dtype,
            baseline=base,
            rows=[key.strip() for key in rows.split(",")] if rows is not None else None,
            on=on,
            alone=engine is not None or engine_version is not None,
            failed=[Failure(text, ErrorInfo(error.code, error.message, error.hint)) for text, error in errors],
        )
        if form in (Forms.json, Forms.jsonl):
            print(json.dumps(to_plain(made), indent=2 if form is Forms.json else None, ensure_ascii=False))
        else:
            _write(render, form, made, fold, by_model)
        sys.stdout.flush()
    for model in models:
        if model.stands_in:
            complain(model.note)
    for _, error in errors:
        complain(error.message, error.hint)
    if errors:
        leave(2 if len(source) == 1 else 1)


def asked(
    gpu: str | None, *, vram: str | None = None, engine: str | None = None, quant: str | None = None, ctx: str | None = None,
    kv_dtype: str | None = None, concurrency: int | None = None, isl: str | None = None, osl: str | None = None,
    tpot: str | None = None, ttft: str | None = None, ram: str | None = None, ram_bandwidth: str | None = None,
    engine_version: str | None = None, calibration: str | None = None,
) -> tuple[Ask, Wanted] | None:  # fmt: skip
    """What is asked of a machine, each as it is written on a command line; None without one. Raises `UsageError` for what needs one.

    `vram` alone is a card of that memory, and beside `gpu` what an engine sees of it.
    """
    gpu, vram = (vram, None) if gpu is None else (gpu, vram)
    if gpu is None:
        options = {
            "engine": engine, "quant": quant, "concurrency": concurrency, "isl": isl, "osl": osl, "tpot": tpot, "ttft": ttft, "ram": ram,
            "ram_bandwidth": ram_bandwidth, "engine_version": engine_version, "calibration": calibration,
        }  # fmt: skip
        for name, value in options.items():
            if value is not None:
                raise UsageError(f"--{name.replace('_', '-')} is of a machine", "name one with --gpu")
        return None
    from archcalc import hardware, units
    from archcalc.quant import check_name

    if quant is not None:
        check_name(quant)
    spec = hardware.parse_spec(gpu)
    if vram is not None:
        from archcalc.hardware.here import resized

        spec = resized(spec, units.parse_bytes(vram), vram)
    from archcalc.cli.fit import Host, Load, Settings, Split
    from archcalc.cli.fit import asked as asked_of_fit

    load = Load(ctx, concurrency, isl, osl, tpot, ttft)
    settings = Settings(engine, kv_dtype, engine_version=engine_version)
    return asked_of_fit(spec, load, Split(), quant, settings, Host(calibration, ram, ram_bandwidth))


def _write(render: ModuleType, form: Forms, made: Comparison, fold: bool, by_model: bool) -> None:
    if form is Forms.csv:
        render.write_comparison_csv(made, sys.stdout, fold)
        return
    writers = {
        Forms.table: render.write_page,
        Forms.markdown: render.write_comparison_markdown,
        Forms.latex: render.write_comparison_latex,
        Forms.html: render.write_html,
    }
    writers[form](made, sys.stdout, fold, by_model)
