"""Arguments and options that several commands share."""

from __future__ import annotations

from typing import Annotated

import typer

from archcalc.cli._run import Format
from archcalc.engines.engine import names, servers


def bundled(incomplete: str) -> list[str]:
    """The bundled names that begin so, for shell completion."""
    from archcalc import zoo

    return [name for name in zoo.names() if name.startswith(incomplete.lower())]


def gpus(incomplete: str) -> list[str]:
    """The devices and instances that begin so, behind a number of them or a list, for shell completion."""
    import re

    from archcalc import hardware

    head = re.match(r"(?:.*,)?(?:[0-9]+x)?", incomplete, re.ASCII)
    before = head[0] if head else ""
    begun = incomplete[len(before) :].lower()
    known = {alias for d in hardware.devices() for alias in (d.id, *d.aliases)} | {i.id for i in hardware.instances()} | {"here"}
    return [before + name for name in sorted(known) if name.lower().startswith(begun) and " " not in name]


def engines(incomplete: str) -> list[str]:
    """The engines that serve and begin so, for shell completion."""
    before, _, begun = incomplete.rpartition(",")
    return [f"{before}{',' if before else ''}{name}" for name in servers() if name.startswith(begun.lower())]


def all_engines(incomplete: str) -> list[str]:
    """Every engine that begins so, for shell completion."""
    return [name for name in names() if name.startswith(incomplete.lower())]


def formats(incomplete: str) -> list[str]:
    """The storages of weights that begin so, for shell completion."""
    from archcalc.quant import quantizations

    before, _, begun = incomplete.rpartition(",")
    return [f"{before}{',' if before else ''}{name}" for name in quantizations() if name.startswith(begun.lower())]


def dtypes(incomplete: str) -> list[str]:
    """The dtypes of a cache that begin so, for shell completion."""
    from archcalc.units import cache_dtypes

    before, _, begun = incomplete.rpartition(",")
    return [f"{before}{',' if before else ''}{name}" for name in cache_dtypes() if name.startswith(begun.lower())]


def kinds(incomplete: str) -> list[str]:
    """The files that `--emit` writes and that begin so, for shell completion."""
    from archcalc.emit import KINDS

    return [name for name in KINDS if name.startswith(incomplete.lower())]


ENGINES, SERVERS = f"<{'|'.join(names())}>", f"<{'|'.join(servers())}>"
"""The engines, as help names choices."""

Sources = Annotated[
    list[str],
    typer.Argument(
        metavar="SOURCE...",
        help="A bundled name, Hub repo (org/name or org/name@revision), a config.json, params.json, .gguf or .safetensors, a folder, -.",
        autocompletion=bundled,
    ),
]
MaybeSources = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="[SOURCE...]",
        help="A bundled name, Hub repo (org/name or org/name@revision), a config.json, params.json, .gguf or .safetensors, a folder, -.",
        autocompletion=bundled,
    ),
]
FormatOption = Annotated[Format, typer.Option("--format", "-f", help="How to print.")]
Offline = Annotated[bool, typer.Option("--offline", help="Never touch the network.")]
Refresh = Annotated[bool, typer.Option("--refresh", help="Ask the Hub even where a bundled snapshot or the cache would do.")]
Reference = Annotated[
    bool,
    typer.Option("--reference", help="Have transformers build, without weights, a model that no adapter reads (extra: reference)."),
]
Set = Annotated[list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Override a key of the config; dots go deeper.")]
Context = Annotated[str | None, typer.Option("--ctx", metavar="TOKENS", help="Context, such as 128k; the model's own by default.")]
Batch = Annotated[int, typer.Option("--batch", min=1, max=1_000_000, help="Sequences.")]
KvDtype = Annotated[
    str | None,
    typer.Option("--kv-dtype", metavar="DTYPE", help="What the cache is kept in, such as bf16 or fp8.", autocompletion=dtypes),
]
Dtype = Annotated[str | None, typer.Option("--dtype", metavar="DTYPE", help="What the weights would take if stored so.")]
Vram = Annotated[str | None, typer.Option("--vram", metavar="BYTES", help="A card that is not listed, by its memory: 24GiB.")]
ServerEngine = Annotated[
    str | None, typer.Option("--engine", metavar=SERVERS, help="vllm; llama.cpp on a Mac or a small card.", autocompletion=engines)
]
EngineVersion = Annotated[str | None, typer.Option("--engine-version", metavar="V", help="Rules of that version of vLLM.")]
Calibration = Annotated[
    str | None, typer.Option("--calibration", metavar="FILE", help="What calibrate or diagnose kept of this host.")
]
Ram = Annotated[str | None, typer.Option("--ram", metavar="BYTES", help="The CPU's memory, a budget of its own: 64GiB.")]
RamBandwidth = Annotated[
    str | None,
    typer.Option("--ram-bandwidth", metavar="BYTES", help="What it reads a second, for weights that lie there: 80GB."),
]
SPLIT = "Parallelism"
Tp = Annotated[int | None, typer.Option("--tp", min=1, max=4096, help="Tensor parallelism.", rich_help_panel=SPLIT)]
Pp = Annotated[int | None, typer.Option("--pp", min=1, max=4096, help="Pipeline stages.", rich_help_panel=SPLIT)]
Ep = Annotated[int | None, typer.Option("--ep", min=1, max=4096, help="Ranks that experts are spread over.", rich_help_panel=SPLIT)]
Osl = Annotated[
    str | None, typer.Option("--osl", metavar="TOKENS", help="Output of a request; 1k by default, less in a shorter --ctx.")
]
