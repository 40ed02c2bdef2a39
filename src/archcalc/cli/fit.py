"""`archcalc fit`."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable, Sequence
from enum import Enum
from typing import TYPE_CHECKING, Annotated, Any

import typer

from archcalc.cli._command import calibrated, question, refuse
from archcalc.cli._command import given as command_given
from archcalc.cli._options import (
    SPLIT,
    Ep,
    KvDtype,
    Offline,
    Osl,
    Pp,
    Refresh,
    ServerEngine,
    Set,
    Tp,
    Vram,
    bundled,
    formats,
    gpus,
    kinds,
)
from archcalc.cli._run import Format, complain, each, failure, leave, print_each
from archcalc.errors import ArchcalcError, ContextError, NoRoomError, UsageError
from archcalc.loader import Kept
from archcalc.report import FitReport, to_plain

if TYPE_CHECKING:
    from archcalc.analysis.speed.plan import Wanted
    from archcalc.engines.plan import Ask
    from archcalc.hardware import GpuSpec


class Order(str, Enum):
    """How a list is sorted, those that fit first."""

    best = "best"
    size = "size"
    context = "context"
    speed = "speed"
    cost = "cost"


class Forms(str, Enum):
    """How fits print."""

    table = "table"
    json = "json"
    jsonl = "jsonl"
    markdown = "markdown"
    csv = "csv"
    latex = "latex"
    html = "html"


MODELS = "With no SOURCE"
SHOWN = 20
"""Lines of a list that are printed without --all."""


Emitted = tuple[str, "str | None", "str | None"]
"""What `--emit` writes, the engine's release and the image."""


class _Pair(str):
    """A SOURCE, as it was given, and the machine that it is judged on."""

    source: str
    machine: GpuSpec


def command(
    call: typer.Context,
    source: Annotated[
        list[str] | None,
        typer.Argument(metavar="[SOURCE...]", help="Models, as for inspect; none: every bundled model.", autocompletion=bundled),
    ] = None,
    gpu: Annotated[
        list[str] | None,
        typer.Option(
            "--gpu",
            metavar="SPEC",
            autocompletion=gpus,
            help="8xH100, 2x4090, m4-max-128gb, p5.48xlarge, or several: 8xH100,8xH200; this machine by default.",
        ),
    ] = None,
    vram: Vram = None,
    ctx: Annotated[
        str | None, typer.Option("--ctx", metavar="TOKENS", help="Context, such as 128k; by default the longest that fits.")
    ] = None,
    concurrency: Annotated[
        int | None, typer.Option("--concurrency", min=1, max=1_000_000, help="Sequences of that context at once; 1 by default.")
    ] = None,
    isl: Annotated[
        str | None, typer.Option("--isl", metavar="TOKENS", help="Prompt of a request, for its speed; 1k by default.")
    ] = None,
    osl: Osl = None,
    tpot: Annotated[
        str | None, typer.Option("--tpot", metavar="TIME", help="Most requests at once that keep this time per token: 30ms.")
    ] = None,
    ttft: Annotated[
        str | None, typer.Option("--ttft", metavar="TIME", help="The same for the time to the first token: 2s.")
    ] = None,
    engine: ServerEngine = None,
    tp: Tp = None,
    pp: Pp = None,
    ep: Ep = None,
    dp: Annotated[
        int | None,
        typer.Option("--dp", min=1, max=4096, help="Replicas (of attention, where experts are shared).", rich_help_panel=SPLIT),
    ] = None,
    dcp: Annotated[int, typer.Option("--dcp", min=1, max=4096, help="Context parallelism in decoding.", rich_help_panel=SPLIT)] = 1,
    quant: Annotated[
        str | None,
        typer.Option(
            "--quant",
            metavar="NAME",
            help="Weights stored so: fp8, awq, q4_k_m; by default as is, on a card of one's own whatever fits.",
            autocompletion=formats,
        ),
    ] = None,
    max_quant: Annotated[
        str | None,
        typer.Option(
            "--max-quant", metavar="NAME", help="Quantize if needed, down to this; none: as published.", autocompletion=formats
        ),
    ] = None,
    kv_dtype: KvDtype = None,
    utilization: Annotated[
        str | None, typer.Option("--utilization", metavar="SHARE", help="The engine's share of the memory: 0.9.")
    ] = None,
    batched_tokens: Annotated[
        int | None, typer.Option("--max-num-batched-tokens", min=1, max=1 << 24, help="Tokens of one step.")
    ] = None,
    engine_version: Annotated[
        str | None, typer.Option("--engine-version", metavar="V", help="Rules of that version of vLLM.")
    ] = None,
    command_file: Annotated[
        str | None,
        typer.Option("--command-file", metavar="FILE", help="An engine's command from a script or manifest, - for standard input."),
    ] = None,
    calibration: Annotated[
        str | None, typer.Option("--calibration", metavar="FILE", help="What calibrate or diagnose kept of this host.")
    ] = None,
    ram: Annotated[str | None, typer.Option("--ram", metavar="BYTES", help="The CPU's memory, a budget of its own: 64GiB.")] = None,
    ram_bandwidth: Annotated[
        str | None,
        typer.Option("--ram-bandwidth", metavar="BYTES", help="What it reads a second, for weights that lie there: 80GB."),
    ] = None,
    emit: Annotated[
        str | None,
        typer.Option(
            "--emit",
            metavar="KIND",
            autocompletion=kinds,
            help="Write the file that starts the plan: compose, k8s, helm, slurm, llm-d, modelfile, lmstudio or mlx.",
        ),
    ] = None,
    image: Annotated[
        str | None, typer.Option("--image", metavar="NAME", help="The container's image, in place of the engine's own.")
    ] = None,
    explain: Annotated[
        bool, typer.Option("--explain", help="Every figure as its formula with the numbers in it, and its source.")
    ] = False,
    min_params: Annotated[
        str | None, typer.Option("--min-params", metavar="N", help="Only models of that size: 7B.", rich_help_panel=MODELS)
    ] = None,
    family: Annotated[
        str | None, typer.Option("--family", metavar="WORD", help="Only that family.", rich_help_panel=MODELS)
    ] = None,
    license_: Annotated[
        str | None, typer.Option("--license", metavar="WORD", help="Only that license.", rich_help_panel=MODELS)
    ] = None,
    sort: Annotated[
        Order | None,
        typer.Option("--sort", help="best (newest and largest, by default), size, context, speed or cost.", rich_help_panel=MODELS),
    ] = None,
    all_: Annotated[
        bool, typer.Option("--all", help="All of the list: more than fit a page, and what does not fit.", rich_help_panel=MODELS)
    ] = False,
    set_: Set = None,
    form: Annotated[Forms, typer.Option("--format", "-f", help="How to print.")] = Forms.table,
    offline: Offline = False,
    refresh: Refresh = False,
) -> None:
    """Say whether models fit machines under an engine, with what to spare, and how to start them.

    An engine's own command stands in place of SOURCE and most options: archcalc fit --gpu 2xH100 -- vllm serve MODEL --its-flags

    Options given are constraints; those left out are chosen, and the plan says what was: without --ctx the longest context that fits.
    Several models or machines are one table. Exit status 0 if all fit, 1 if some do not.
    """
    from archcalc import units
    from archcalc.engines.engine import server, servers
    from archcalc.loader import load

    if emit is not None:
        from archcalc.emit import engine_of

        if form is not Forms.table or explain:
            raise UsageError("--emit writes a file of its own, and takes no --format and no --explain", "leave one of them out")
        named = engine_of(emit, engine)
    elif image is not None:
        raise UsageError("--image is the image of a file that --emit writes", "such as --emit compose")
    emitted = None if emit is None else (emit, engine_version, image)
    own = command_given(call, command_file)
    if own is not None:
        own_options = {
            "SOURCE": source, "--ctx": ctx, "--engine": engine, "--tp": tp, "--pp": pp, "--ep": ep, "--dp": dp, "--dcp": dcp > 1,
            "--max-quant": max_quant, "--kv-dtype": kv_dtype, "--utilization": utilization, "--max-num-batched-tokens": batched_tokens,
            "--min-params": min_params, "--family": family, "--license": license_, "--sort": sort, "--all": all_, "--tpot": tpot,
            "--ttft": ttft,
        }  # fmt: skip
        refuse(own_options)
        # In front of a command a list is the cards of one machine, of several kinds where the engine takes such.
        specs = machines_of(gpu, vram, alone=True, mixed=own.engine in ("llama.cpp", "ollama"))
        wanted = _wanted(isl, osl, None, None, calibration, None)
        if ram_bandwidth is not None:
            wanted = wanted._replace(ram_bytes_per_s=units.parse_bytes(ram_bandwidth))
        _of_command(
            own, specs, engine_version, quant, concurrency or 1, ram, calibration, wanted,
            set_ or [], form, offline, refresh, explain, emitted, any(map(_counts, gpu or ["here"] if vram is None else gpu or [])),
        )  # fmt: skip
        return
    if ram_bandwidth is not None:
        raise UsageError("--ram-bandwidth is for an engine's own command that leaves weights to the CPU", "leave it out")
    if emit is not None:
        engine = named
    listing = {"--min-params": min_params, "--family": family, "--license": license_, "--sort": sort, "--all": all_}
    for option, given in (listing if source else {"--set": set_, "--explain": explain, "--emit": emit}).items():
        if given:
            raise UsageError(
                f"{option} is for a call {'without' if source else 'with'} SOURCE",
                f"leave {option} out, or {'name no SOURCE to list the bundled models' if source else 'name a model'}",
            )
    if quant and max_quant:
        raise UsageError("--quant and --max-quant exclude each other", "one asks for a storage, the other allows some")
    if max_quant and max_quant != "none":
        from archcalc.quant import check_name

        check_name(max_quant)
    specs = machines_of(gpu, vram)
    placed = {"--tp": tp, "--pp": pp, "--ep": ep, "--dp": dp}
    tuned = {"--utilization": utilization, "--max-num-batched-tokens": batched_tokens, "--engine-version": engine_version}

    def question_on(spec: GpuSpec) -> tuple[Ask, Wanted]:
        from archcalc.analysis.fit import Ask, splits
        from archcalc.analysis.speed.plan import STANDS_IN
        from archcalc.engines.engine import check_engine, chosen_for

        wanted = _wanted(isl, osl, tpot, ttft, calibration, engine if engine in STANDS_IN else None)
        held = check_engine(STANDS_IN.get(engine, engine), servers()) if engine is not None else chosen_for(spec.device)
        context = units.parse_tokens(ctx) if ctx is not None else _context(wanted, held)
        if ctx is not None and context is not None and (wanted.isl or 0) + (wanted.osl or 0) > context:
            raise UsageError(
                f"a prompt and its output of {(wanted.isl or 0) + (wanted.osl or 0):,} tokens are beyond --ctx {context:,}",
                "give a larger --ctx, or leave it out",
            )
        ask = Ask(
            gpus=spec,
            engine=held,
            context_tokens=context,
            concurrency=concurrency or 1,
            tp=tp,
            pp=pp,
            ep=ep,
            dp=dp,
            dcp=dcp,
            quant=quant,
            kv_dtype=units.parse_cache_dtype(kv_dtype) if kv_dtype is not None else None,
            utilization=None if utilization is None else units.parse_share(utilization, "--utilization"),
            batched_tokens=batched_tokens,
            version=engine_version,
            ram_bytes=units.parse_bytes(ram) if ram is not None else None,
        )
        if calibration is not None and wanted.calibration is None:
            ask = calibrated(ask, calibration)
        for option, value in (("engine_version", engine_version), ("max_num_batched_tokens", batched_tokens)):
            if value is not None and option not in server(ask.engine).takes:
                takers = " and ".join(name for name in servers() if option in server(name).takes)
                raise UsageError(f"--{option.replace('_', '-')} is an option of {takers}, not of {ask.engine}", "leave it out")
        splits(ask)
        return ask, wanted

    asks = {spec: question_on(spec) for spec in specs}
    unsaid = [
        option
        for option, value in (
            ("--gpu", gpu or vram), ("--engine", engine), ("--quant", quant), ("--ctx", ctx or isl or osl),
            ("--concurrency", concurrency or tpot or ttft),
        )
        if not value
    ]  # fmt: skip
    if not source:
        wanted_size = units.parse_count(min_params) if min_params else 0
        _list(asks, form, sort or Order.best, wanted_size, family, license_, max_quant, all_, unsaid)
        return

    from archcalc.analysis.choose import steps_of
    from archcalc.analysis.verdict import fit_report

    def report(text: str) -> FitReport:
        assert isinstance(text, _Pair)
        ask, wanted = asks[text.machine]
        loaded = load(text.source, offline=offline, refresh=refresh, overrides=set_ or ())
        alone = engine is not None or any((*placed.values(), *tuned.values(), kv_dtype))
        steps = () if max_quant or wanted.engine else steps_of(text.machine.device, ask.engine, alone=alone)
        try:
            return fit_report(
                loaded, ask, max_quant=None if max_quant == "none" else max_quant, wanted=wanted, steps=steps, unsaid=unsaid
            )
        except ArchcalcError as error:
            if isinstance(error, ContextError):
                error.hint = _longer(str(text), error, offline, set_ or ())
            if not error.message.startswith(text):
                error.message = f"{text}: {error.message}"
            raise

    _print(_pairs(source, specs), report, form, explain, emitted)


def _longer(source: str, error: ContextError, offline: bool, set_: Sequence[str]) -> str:
    """What to set for a context beyond the model's own, as far as it was seen to work: the key that states that, and for rotated positions
    how they are stretched.

    YaRN's key is that of transformers' `rope_scaling` (Peng et al. 2023, arXiv:2309.00071), whose factor is the context over the original.
    """
    from archcalc import sources
    from archcalc.loader import load

    try:
        config = sources.resolve(source, offline=offline).config
    except ArchcalcError:
        return error.hint
    for prefix, inner in (("", config), *((f"{key}.", value) for key, value in config.items() if isinstance(value, dict))):
        known = ("max_position_embeddings", "n_positions", "max_seq_len", "seq_length", "max_sequence_length")
        for key in sorted(known, key=lambda key: key not in inner):
            asked = [f"{prefix}{key}={error.tokens}"]
            scaled = inner.get("rope_scaling") or inner.get("rope_parameters")
            if ("rope_theta" in inner or scaled) and not (isinstance(scaled, dict) and "factor" in scaled):
                of = {"rope_type": "yarn", "factor": round(error.tokens / error.longest, 4)}
                made: dict[str, Any] = {**of, "original_max_position_embeddings": error.longest}
                name = "rope_parameters" if isinstance(inner.get("rope_parameters"), dict) else "rope_scaling"
                made = {**(inner.get(name) or {}), **made}
                asked.append(f"{prefix}{name}={json.dumps(made, separators=(',', ':'))}")
            try:
                longest = load(source, offline=offline, overrides=[*set_, *asked]).architecture.longest
            except ArchcalcError:
                continue
            if longest == error.tokens:
                words = " ".join(f"--set '{each}'" if '"' in each else f"--set {each}" for each in asked)
                how = "stretch its positions by YaRN, where its publisher allows that" if len(asked) > 1 else "set what states it"
                return f"ask for --ctx {error.longest} or less, or {how}: {words}"
    return error.hint


def _pairs(sources: Iterable[str], specs: Sequence[GpuSpec]) -> list[str]:
    """Every model on every machine, models outermost."""
    found: list[str] = []
    for source in sources:
        for spec in specs:
            pair = _Pair(source)
            pair.source, pair.machine = source, spec
            found.append(pair)
    return found


def _emit(pairs: list[str], report: Callable[[str], FitReport], emitted: Emitted) -> None:
    """The file that starts the one plan, and exit status 1 without one where it does not fit."""
    from archcalc.emit import emit

    if len(pairs) > 1:
        raise UsageError(f"--emit {emitted[0]} writes the file of one model on one machine", "name one of each")
    (pair,) = pairs
    assert isinstance(pair, _Pair)
    made = report(pair)
    if not made.fits:
        complain(
            f"{made.source} {made.verdict}",
            "there is no plan to write a file for; the same call without --emit says what would fit",
        )
        leave(1)
    sys.stdout.write(emit(emitted[0], made, pair.machine, emitted[1], emitted[2]))


def _print(
    pairs: list[str], report: Callable[[str], FitReport], form: Forms | Kept, explain: bool, emitted: Emitted | None = None
) -> None:
    """The reports in their format, and exit status 1 if one does not fit."""
    if emitted is not None:
        _emit(pairs, report, emitted)
        return
    missing: list[str] = []

    def noted(r: FitReport) -> FitReport:
        if not r.fits or (r.speed.target and not r.speed.target.met):
            missing.append(r.source)
        return r

    def page(r: FitReport) -> None:
        from archcalc.render.fit import write_page

        write_page(noted(r), sys.stdout, explain)

    def markdown(r: FitReport) -> None:
        from archcalc.render.fit import write_markdown_page

        write_markdown_page(noted(r), sys.stdout)

    def csv(reports: Iterable[FitReport]) -> None:
        from archcalc.render.fit import COLUMNS, row
        from archcalc.render.rows import write_csv

        write_csv(COLUMNS, [row(noted(r)) for r in reports], sys.stdout)

    several = len(pairs) > 1 and not explain
    if form in (Forms.latex, Forms.html) or (several and form in (Forms.table, Forms.markdown)):
        from archcalc.render.fit import refused_row, write_fits

        rows: list[FitReport | dict[str, Any]] = []
        errors = []
        for pair, result in each(pairs, report):
            assert isinstance(pair, _Pair)
            if isinstance(result, ArchcalcError):
                errors.append(result)
                rows.append(refused_row(pair, pair.machine.id, pair.machine.count))
            else:
                rows.append(noted(result))
        if len(errors) < len(rows):
            write_fits(rows, form.value, sys.stdout)
            sys.stdout.flush()
        for error in errors:
            complain(error.message, error.hint)
        if errors:
            leave(2 if len(pairs) == 1 and not all(isinstance(e, NoRoomError) for e in errors) else 1)
    else:
        # The library's questions give what keeps the reports in place of a format.
        chosen = form if isinstance(form, Kept) else Format(form.value)
        print_each(
            pairs, report, chosen, plain=lambda r: to_plain(noted(r)), page=page, markdown=markdown, csv=csv
        )  # fmt: skip
    if missing:
        leave(1)


def _of_command(
    own: Any, specs: Sequence[GpuSpec], version: str | None, quant: str | None, concurrency: int, ram: str | None,
    calibration: str | None, wanted: Wanted, set_: list[str], form: Forms,
    offline: bool, refresh: bool, explain: bool, emitted: Emitted | None, counted: bool,
) -> None:  # fmt: skip
    """The answer to an engine's own command."""
    from archcalc import units
    from archcalc.analysis.ask import stands_for, understand, with_draft
    from archcalc.analysis.verdict import Given, fit_report
    from archcalc.engines.engine import server
    from archcalc.loader import load

    found = with_draft(understand(own, version), offline=offline, refresh=refresh)
    asks = {}
    for spec in specs:
        ask = question(found, spec, quant, concurrency, units.parse_bytes(ram) if ram else None, counted)
        asks[spec] = calibrated(ask, calibration) if calibration is not None and wanted.calibration is None else ask

    def report(text: str) -> FitReport:
        assert isinstance(text, _Pair)
        asked = asks[text.machine]
        known = stands_for(text)
        loaded = load(known[0] if known else str(text), offline=offline, refresh=refresh, overrides=(*found.asked.overrides, *set_))
        notes = found.notes
        if known:
            as_it_is = server(asked.engine).load(loaded.architecture, None, text.machine.device)[1]
            # What is stored so is not quantized again as it loads.
            own_quant = None if (asked.quant or "?").startswith("?") else asked.quant
            asked = asked._replace(quant=own_quant or (None if as_it_is == known[1] else known[1]))
            notes = (*notes, f"{text} is not here, and taken for {known[0]} in {known[1]}")
        if asked.quant is not None and asked.quant.startswith("~"):
            # The usual type, where the file is made anew.
            usual = asked.quant[1:]
            asked = asked._replace(quant=usual if usual in server(asked.engine).storages(loaded.architecture) else None)
        if asked.quant is not None and asked.quant.startswith("?"):
            # Quantized as it loads, unless the checkpoint is quantized already.
            asked = asked._replace(quant=asked.quant[1:] if loaded.architecture.quantization is None else None)
        given = Given(found.line, found.options.used, found.options.inert, found.options.unmodelled, notes)
        try:
            return fit_report(loaded, asked, given=given, wanted=wanted)
        except ArchcalcError as error:
            if not error.message.startswith(text):
                error.message = f"{text}: {error.message}"
            raise

    _print(_pairs([found.asked.model], specs), report, form, explain, emitted)


def _wanted(
    isl: str | None, osl: str | None, tpot: str | None, ttft: str | None, calibration: str | None, engine: str | None
) -> Wanted:
    from archcalc import units
    from archcalc.analysis.speed.plan import Wanted

    made = Wanted(
        None if isl is None else units.parse_tokens(isl),
        None if osl is None else units.parse_tokens(osl),
        engine,
        None if tpot is None else units.parse_seconds(tpot),
        None if ttft is None else units.parse_seconds(ttft),
    )
    if calibration is not None:
        from archcalc.analysis.speed.calibrate import read_calibration

        # The other kind, which diagnose keeps, is of the memory.
        made = made._replace(calibration=read_calibration(calibration, other="overhead_bytes"))
    return made


def _context(wanted: Wanted, engine: str) -> int | None:
    """The context that requests of such lengths need, where they are given.

    The last token of the output is not read again, so llama.cpp needs no place for it; vLLM and SGLang count it all the same.
    """
    if wanted.isl is None and wanted.osl is None:
        return None
    usual = 1024
    return max(1, (wanted.isl or usual) + (wanted.osl or usual) - (engine == "llama.cpp"))


def machines_of(gpu: Sequence[str] | None, vram: str | None, *, alone: bool = False, mixed: bool = False) -> list[GpuSpec]:
    """The machines of `--gpu`, given several times or as a list. Without one it is this machine.

    Where each stands `alone` a list is no list of machines, but of the cards of one, as `mixed` allows; `+` joins such cards too.
    """
    from archcalc import hardware

    if not gpu or vram is not None:
        if gpu and len(gpu) > 1:
            raise UsageError(f"--vram {vram} is of one machine, and --gpu names {len(gpu)}", "ask about each alone")
        if gpu or vram is not None:
            return [machine(gpu[0] if gpu else None, vram, mixed)]
        try:
            return [machine("here", None, mixed)]
        except UsageError as error:
            error.message = error.message.replace("--gpu here:", "without --gpu it is this machine, and")
            raise
    found = []
    for text in gpu:
        parts = [text.replace("+", ",") if mixed else text] if alone else hardware.split_list(text)
        found += [machine(part, None, mixed) for part in parts]
    return list(dict.fromkeys(found))


def _counts(gpu: str) -> bool:
    """Whether a machine's name says how many GPUs it has: as a number, as a list, or as the name of a whole machine."""
    from archcalc import hardware
    from archcalc.units import split_count

    try:
        return split_count(gpu)[1].strip() != gpu.strip().lower() or hardware.parse_spec(gpu).instance is not None
    except UsageError:
        return True


def machine(gpu: str | None, vram: str | None, mixed: bool = False) -> Any:
    """The machine of `--gpu` and `--vram`; `mixed` takes several kinds of cards in one, as llama.cpp does."""
    from archcalc import hardware, units

    if vram is not None:
        size = units.parse_bytes(vram)
        if gpu is None or gpu.strip().isdecimal():
            count = 1 if gpu is None else int(gpu)
            if not 1 <= count <= hardware.MAX_GPUS:
                raise UsageError(
                    f"--gpu {gpu}: a number of cards was expected beside --vram", "--gpu 2 --vram 24GiB for two such cards"
                )
            return hardware.GpuSpec(hardware.custom(size), count)
        from archcalc.hardware.here import with_memory

        spec = hardware.parse_spec(gpu)
        if not spec.device.visible_bytes // 4 <= size <= spec.device.visible_bytes * 5 // 4:
            raise UsageError(
                f"--vram {vram}: {spec.device.name} has {units.format_bytes(spec.device.visible_bytes)}",
                "name another card, or leave --gpu out",
            )
        return spec._replace(device=with_memory(spec.device, size))
    if gpu is not None and gpu.strip().lower() == "here":
        from archcalc.hardware import here

        return here.spec()
    if gpu is None:
        raise UsageError(
            "--gpu is missing: what should it fit?", "such as --gpu 8xH100, --gpu 4090 or --vram 24GiB; `archcalc gpus` lists them"
        )
    return hardware.parse_mixed(gpu) if mixed else hardware.parse_spec(gpu)


def _order(sort: Order, r: dict[str, Any]) -> tuple[float, ...]:
    """Smaller is better; the newer generation and the larger model break ties."""
    first = {
        Order.best: 0.0,
        Order.size: -float(r["params_total"]),
        Order.context: -float(r["max_context_tokens"]),
        Order.speed: -float(r["tokens_per_s"] or r["decode_tokens_per_s_ceiling"] or 0),
        Order.cost: float(r["usd_per_hour"] or 1e9),
    }
    return first[sort], float(r["years_behind"]), -float(r["params_total"])


def _list(
    asks: dict[GpuSpec, tuple[Ask, Wanted]], form: Forms, sort: Order, min_params: int, family: str | None, license_: str | None,
    max_quant: str | None, all_: bool, unsaid: Sequence[str],
) -> None:  # fmt: skip
    """Every bundled model on the machines, those that fit first."""
    from archcalc import zoo
    from archcalc.analysis.choose import listed_steps
    from archcalc.analysis.params import components
    from archcalc.analysis.verdict import fit_report
    from archcalc.engines.plan import longest_of
    from archcalc.loader import load
    from archcalc.render.fit import list_row, write_list

    entries = [
        e
        for e in zoo.entries()
        if (not family or family.lower() in e.family.lower()) and (not license_ or license_.lower() in (e.license or "").lower())
    ]
    by_name = {e.name: e for e in entries}
    if not entries:
        complain("no bundled model is of that family and license", "`archcalc models` lists them")
    found: list[dict[str, Any]] = []
    for at, (spec, (ask, wanted)) in enumerate(asks.items()):
        steps = () if max_quant or ask.quant else listed_steps(spec.device, ask.engine)

        def report(name: str) -> dict[str, Any] | None:
            loaded = load(name)
            total = sum(c.total for c in components(loaded.architecture) if c.part != "mtp")
            longest = longest_of(loaded.architecture, ask)  # noqa: B023
            if total < min_params or (ask.context_tokens and longest and ask.context_tokens > longest):  # noqa: B023
                return None
            limit = None if max_quant == "none" else max_quant
            made = fit_report(loaded, ask, brief=True, max_quant=limit, wanted=wanted, steps=steps, unsaid=unsaid)  # noqa: B023
            return list_row(made, total, by_name[name])

        errors: list[tuple[str, ArchcalcError]] = []
        rows: list[dict[str, Any]] = []
        for name, result in each([e.name for e in entries], report):
            if isinstance(result, ArchcalcError):
                errors.append((name, result))
            elif result is not None:
                rows.append(result)
        rows.sort(key=lambda r: (not r["fits"], *_order(sort, r)))
        found += rows
        if form is Forms.jsonl:
            for r in rows:
                print(json.dumps(r))
            for name, error in errors:
                print(json.dumps(failure(name, error)))
        elif form is not Forms.json:
            if at and form in (Forms.table, Forms.markdown):
                print()
            write_list(rows, form.value, sys.stdout, spec, ask, SHOWN if not all_ else None, sort.value, unsaid)
            sys.stdout.flush()
        if len(errors) == 1:
            complain(f"{errors[0][0]}: {errors[0][1].message}")
        elif errors and form is not Forms.jsonl:
            names = ", ".join(name for name, _ in errors)
            complain(
                f"{len(errors)} models are left out, which {ask.engine} does not run so: {names}", "archcalc fit NAME says why"
            )
    if form is Forms.json:
        print(json.dumps(found, indent=2, ensure_ascii=False))
    if not any(r["fits"] for r in found):
        leave(1)
