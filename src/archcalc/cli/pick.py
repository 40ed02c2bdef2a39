"""`archcalc pick`."""

from __future__ import annotations

import json
import sys
from enum import Enum
from typing import Annotated

import typer

from archcalc.cli._options import (
    Calibration,
    EngineVersion,
    FormatOption,
    KvDtype,
    Offline,
    Osl,
    Ram,
    RamBandwidth,
    ServerEngine,
    Vram,
    formats,
    gpus,
)
from archcalc.cli._run import Format, leave
from archcalc.report import to_plain


class Task(str, Enum):
    """What the model is for."""

    chat = "chat"
    code = "code"
    reasoning = "reasoning"
    long_context = "long-context"


def command(
    gpu: Annotated[
        str | None,
        typer.Option(
            "--gpu", metavar="SPEC", help="The machine: 8xH100, 4090, m4-max-128gb; this one by default.", autocompletion=gpus
        ),
    ] = None,
    vram: Vram = None,
    ctx: Annotated[
        str | None, typer.Option("--ctx", metavar="TOKENS", help="Context, such as 128k; by default the longest that fits.")
    ] = None,
    concurrency: Annotated[int, typer.Option("--concurrency", min=1, max=1_000_000, help="Sequences of that context at once.")] = 1,
    task: Annotated[Task | None, typer.Option("--task", help="What it is for.")] = None,
    max_tpot: Annotated[
        str | None, typer.Option("--max-tpot", metavar="TIME", help="Time per token of each sequence: 30ms.")
    ] = None,
    isl: Annotated[
        str | None, typer.Option("--isl", metavar="TOKENS", help="Prompt of a request; 1k by default, less in a shorter --ctx.")
    ] = None,
    osl: Osl = None,
    tpot: Annotated[
        str | None, typer.Option("--tpot", metavar="TIME", help="The same, kept by the forecast with its margin: 30ms.")
    ] = None,
    ttft: Annotated[str | None, typer.Option("--ttft", metavar="TIME", help="Time to the first token: 2s.")] = None,
    license_: Annotated[str | None, typer.Option("--license", metavar="WORD", help="Only models under that license.")] = None,
    family: Annotated[str | None, typer.Option("--family", metavar="WORD", help="Only models of that family.")] = None,
    engine: ServerEngine = None,
    engine_version: EngineVersion = None,
    max_quant: Annotated[
        str | None,
        typer.Option(
            "--max-quant",
            metavar="NAME",
            autocompletion=formats,
            help="Quantize if needed, down to this: 8 bits by default, whatever fits on a card of one's own; none: as published.",
        ),
    ] = None,
    kv_dtype: KvDtype = None,
    ram: Ram = None,
    ram_bandwidth: RamBandwidth = None,
    calibration: Calibration = None,
    all_: Annotated[bool, typer.Option("--all", help="Every model that meets the requirements.")] = False,
    form: FormatOption = Format.table,
    offline: Offline = False,
) -> None:
    """Recommend a bundled model, weight format and plan for a machine, with the reasons and the runners-up: what can it run?

    Grounded in what fits and in bounds of bandwidth. Quality is not ranked: no scores are bundled.
    """
    from archcalc import units
    from archcalc.analysis.choose import steps_of
    from archcalc.analysis.pick import pick
    from archcalc.cli._machines import machine
    from archcalc.cli.fit import Host, Load, Settings, Split, asked

    spec = machine(gpu if gpu or vram else "here", vram)
    if max_quant not in (None, "none"):
        from archcalc.quant import check_name

        check_name(max_quant)
    ask, wanted = asked(
        spec, Load(ctx, concurrency, isl, osl, tpot, ttft), Split(), None,
        Settings(engine, kv_dtype, engine_version=engine_version), Host(calibration, ram, ram_bandwidth),
    )  # fmt: skip
    alone = engine is not None or engine_version is not None
    made = pick(
        ask,
        task=task.value if task else None,
        max_tpot=units.parse_seconds(max_tpot) if max_tpot is not None else None,
        license_word=license_,
        family=family,
        max_quant=None if max_quant == "none" else max_quant,
        steps=steps_of(spec.device, ask.engine, alone=alone, listed=True) if max_quant is None else (),
        unsaid=() if engine is not None else ("--engine",),
        most=None if all_ else 10,
        wanted=wanted._replace(requests=None),
    )  # fmt: skip
    if form in (Format.json, Format.jsonl):
        print(json.dumps(to_plain(made), indent=2 if form is Format.json else None, ensure_ascii=False))
    elif form is Format.table:
        from archcalc.render.pick import write_page

        write_page(made, sys.stdout)
    else:
        from archcalc.render import rows
        from archcalc.render.pick import COLUMNS, CSV, row

        named = [*([made.best] if made.best else []), *made.runners_up]
        rows.write(form.value, CSV if form is Format.csv else COLUMNS, [row(p) for p in named], sys.stdout)
    if made.best is None:
        leave(1)
