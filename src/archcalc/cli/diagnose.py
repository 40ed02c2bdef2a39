"""`archcalc diagnose`."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated

import typer

from archcalc.cli._options import FormatOption, Offline, Refresh, Set, Vram, bundled, formats, gpus
from archcalc.cli._run import Format, leave
from archcalc.errors import SourceError, SourceNotFoundError, UsageError


def command(
    log: Annotated[str, typer.Argument(metavar="LOG", help="What the engine printed: a file, or - for standard input.")],
    gpu: Annotated[
        str | None, typer.Option("--gpu", metavar="SPEC", help="The machine, where the log does not name it.", autocompletion=gpus)
    ] = None,
    vram: Vram = None,
    model: Annotated[
        str | None,
        typer.Option("--model", metavar="SOURCE", help="The model, where the log does not name it.", autocompletion=bundled),
    ] = None,
    quant: Annotated[
        str | None, typer.Option("--quant", metavar="NAME", help="How its weights are stored.", autocompletion=formats)
    ] = None,
    save_calibration: Annotated[
        str | None, typer.Option("--save-calibration", metavar="FILE", help="Keep what this host's overheads were, for fit.")
    ] = None,
    set_: Set = None,
    form: FormatOption = Format.table,
    offline: Offline = False,
    refresh: Refresh = False,
) -> None:
    """Say what an engine's log shows: what was predicted and what it says, why it stopped, and the smallest change that starts.

    Reads vLLM, SGLang, llama.cpp and Ollama. Exit status 0 if it started, 1 if not.
    """
    from archcalc.analysis.diagnose import calibration, diagnose
    from archcalc.cli._machines import machine
    from archcalc.commands.logs import decoded, read
    from archcalc.report import to_plain

    if form not in (Format.table, Format.json, Format.jsonl, Format.markdown):
        raise UsageError(f"diagnose prints no {form.value}", "--format table, json, jsonl or markdown")
    spec = machine(gpu, vram) if gpu or vram else None
    logged = read(decoded(_data(log)))
    found, predicted = diagnose(
        logged, model=model, gpus=spec, quant=quant, offline=offline, refresh=refresh, overrides=tuple(set_ or ())
    )
    if save_calibration is not None:
        if predicted is None:
            raise UsageError(
                "nothing was predicted, so there is nothing to calibrate", "; ".join(found.notes) or "give --model and --gpu"
            )
        Path(save_calibration).write_text(json.dumps(calibration(logged, predicted), indent=2) + "\n", encoding="utf-8")
    if form in (Format.json, Format.jsonl):
        print(json.dumps(to_plain(found), indent=2 if form is Format.json else None))
    else:
        from archcalc.render.diagnose import write_page

        write_page(found, sys.stdout)
    if found.outcome != "started":
        leave(1)


def _data(path: str) -> bytes:
    from archcalc.commands.logs import MOST_BYTES

    if path == "-":
        return sys.stdin.buffer.read(2 * MOST_BYTES)
    file = Path(path).expanduser()
    try:
        with file.open("rb") as opened:
            size = file.stat().st_size
            if size <= MOST_BYTES:
                return opened.read()
            head = opened.read(MOST_BYTES // 2)
            opened.seek(-(MOST_BYTES // 2), 2)
            return head + b"\n" + opened.read()
    except FileNotFoundError as error:
        raise SourceNotFoundError(f"{path}: no such file", "give the engine's log, or - for standard input") from error
    except OSError as error:
        raise SourceError(f"{path} cannot be read: {error.strerror or error}", "give a file that you may read") from error
