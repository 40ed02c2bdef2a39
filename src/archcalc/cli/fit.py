"""`archcalc fit`."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from archcalc.cli import _fits, _listed
from archcalc.cli._command import calibrated, question, refuse, same_host
from archcalc.cli._command import given as command_given
from archcalc.cli._fits import Forms, Pair
from archcalc.cli._machines import counts, every, machines_of
from archcalc.cli._options import (
    SPLIT,
    Calibration,
    EngineVersion,
    Ep,
    KvDtype,
    Offline,
    Osl,
    Pp,
    Ram,
    RamBandwidth,
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
from archcalc.cli._records import options, said
from archcalc.errors import ArchcalcError, ContextError, UsageError
from archcalc.records import NamedTuple
from archcalc.report import FitReport

if TYPE_CHECKING:
    from archcalc.analysis.speed.plan import Wanted
    from archcalc.commands.words import Command
    from archcalc.engines.plan import Ask
    from archcalc.hardware import GpuSpec
    from archcalc.loader import Loaded

MODELS = "With no SOURCE"
LISTS = "In lists"


class Machine(NamedTuple):
    """What it runs on."""

    gpu: Annotated[
        list[str] | None,
        typer.Option(
            "--gpu",
            metavar="SPEC",
            autocompletion=gpus,
            help="8xH100, 2x4090, m4-max-128gb, p5.48xlarge, or several: 8xH100,8xH200; all that are rented: all; this machine by default.",
        ),
    ] = None
    vram: Vram = None
    nodes: Annotated[
        int | None, typer.Option("--nodes", min=1, max=1000, help="So many of the machines: --gpu 8xH100 --nodes 2 is 2x8xH100.")
    ] = None


class Load(NamedTuple):
    """The requests that are served."""

    ctx: Annotated[
        str | None, typer.Option("--ctx", metavar="TOKENS", help="Context, such as 128k; by default the longest that fits.")
    ] = None
    concurrency: Annotated[
        int | None, typer.Option("--concurrency", min=1, max=1_000_000, help="Sequences of that context at once; 1 by default.")
    ] = None
    isl: Annotated[
        str | None,
        typer.Option("--isl", metavar="TOKENS", help="Prompt of a request, for its speed; 1k by default, less in a shorter --ctx."),
    ] = None
    osl: Osl = None
    tpot: Annotated[
        str | None, typer.Option("--tpot", metavar="TIME", help="Most requests at once that keep this time per token: 30ms.")
    ] = None
    ttft: Annotated[str | None, typer.Option("--ttft", metavar="TIME", help="The same for the time to the first token: 2s.")] = None


class Split(NamedTuple):
    """How the model is spread over GPUs."""

    tp: Tp = None
    pp: Pp = None
    ep: Ep = None
    dp: Annotated[
        int | None,
        typer.Option("--dp", min=1, max=4096, help="Replicas (of attention, where experts are shared).", rich_help_panel=SPLIT),
    ] = None
    dcp: Annotated[int, typer.Option("--dcp", min=1, max=4096, help="Context parallelism in decoding.", rich_help_panel=SPLIT)] = 1


class Stored(NamedTuple):
    """What weights are stored in."""

    quant: Annotated[
        str | None,
        typer.Option(
            "--quant",
            metavar="NAME",
            help="Weights stored so: fp8, awq, q4_k_m; by default as is, on a card of one's own whatever fits.",
            autocompletion=formats,
        ),
    ] = None
    max_quant: Annotated[
        str | None,
        typer.Option(
            "--max-quant", metavar="NAME", help="Quantize if needed, down to this; none: as published.", autocompletion=formats
        ),
    ] = None


class Settings(NamedTuple):
    """The engine, and its own settings."""

    engine: ServerEngine = None
    kv_dtype: KvDtype = None
    utilization: Annotated[
        str | None, typer.Option("--utilization", metavar="SHARE", help="The engine's share of the memory: 0.9.")
    ] = None
    batched_tokens: Annotated[
        int | None, typer.Option("--max-num-batched-tokens", min=1, max=1 << 24, help="Tokens of one step.")
    ] = None
    engine_version: EngineVersion = None


class Host(NamedTuple):
    """What is known of the host beside its GPUs."""

    calibration: Calibration = None
    ram: Ram = None
    ram_bandwidth: RamBandwidth = None


class Written(NamedTuple):
    """What is written, and how."""

    emit: Annotated[
        str | None,
        typer.Option(
            "--emit",
            metavar="KIND",
            autocompletion=kinds,
            help="Write the file that starts the plan: compose, k8s, helm, slurm, llm-d, modelfile, lmstudio or mlx.",
        ),
    ] = None
    image: Annotated[
        str | None, typer.Option("--image", metavar="NAME", help="The container's image, in place of the engine's own.")
    ] = None
    explain: Annotated[
        bool, typer.Option("--explain", help="Every figure as its formula with the numbers in it, and its source.")
    ] = False


class Listing(NamedTuple):
    """What a list holds, and in what order."""

    min_params: Annotated[
        str | None, typer.Option("--min-params", metavar="N", help="Only models of that size: 7B.", rich_help_panel=MODELS)
    ] = None
    family: Annotated[str | None, typer.Option("--family", metavar="WORD", help="Only that family.", rich_help_panel=MODELS)] = None
    license_: Annotated[
        str | None, typer.Option("--license", metavar="WORD", help="Only that license.", rich_help_panel=MODELS)
    ] = None
    sort: Annotated[
        _fits.Order | None,
        typer.Option(
            "--sort",
            help="cost, speed or context, and with no SOURCE size or best (newest and largest, by default).",
            rich_help_panel=LISTS,
        ),
    ] = None
    all_: Annotated[
        bool, typer.Option("--all", help="All of the list: more than fit a page, and what does not fit.", rich_help_panel=LISTS)
    ] = False


class Reading(NamedTuple):
    """How configs are read."""

    set_: Set = None
    offline: Offline = False
    refresh: Refresh = False


@options
def command(
    *,
    call: typer.Context,
    source: Annotated[
        list[str] | None,
        typer.Argument(metavar="[SOURCE...]", help="Models, as for inspect; none: every bundled model.", autocompletion=bundled),
    ] = None,
    machine: Machine,
    load: Load,
    split: Split,
    stored: Stored,
    settings: Settings,
    command_file: Annotated[
        str | None,
        typer.Option("--command-file", metavar="FILE", help="An engine's command from a script or manifest, - for standard input."),
    ] = None,
    host: Host,
    written: Written,
    listing: Listing,
    reading: Reading,
    form: Annotated[Forms, typer.Option("--format", "-f", help="How to print.")] = Forms.table,
) -> None:
    """Say whether models fit machines under an engine, with what to spare, and how to start them.

    An engine's own command stands in place of SOURCE and most options: archcalc fit --gpu 2xH100 -- vllm serve MODEL --its-flags

    Options given are constraints; those left out are chosen, and the plan says what was: without --ctx the longest context that fits.
    Several models or machines are one table. Exit status 0 if all fit, 1 if some do not.
    """
    from archcalc import units
    from archcalc.engines.engine import DEFAULT

    emitted, ranking = _emitted(written, settings, form), _fits.AS_GIVEN
    if emitted is not None:
        from archcalc.emit import engine_of

        named = engine_of(emitted[0], settings.engine)
    own = command_given(call, command_file)
    if own is not None:
        # What is judged is what an image of the engine's own starts.
        own = own._replace(imaged=own.imaged or _in_image(emitted, own.engine))
        for option, value in (("--tpot", load.tpot), ("--ttft", load.ttft)):
            if value is not None:
                raise UsageError(
                    f"{option} has a plan chosen, and a command is one",
                    f"leave {option} out and read the forecast of the command, or name the model in place of the command",
                )
        refuse(own, {"SOURCE": source, **said(load, but="concurrency isl osl"), **said(split), **said(stored, but="quant")})
        refuse(own, {**said(settings, but="engine_version"), **said(listing)})
        reports = _of_command(own, machine, load, stored.quant, settings.engine_version, host, reading)
    else:
        rented = every(machine.gpu)
        _check(source, stored, written, listing, reading, rented)
        settings = settings._replace(engine=settings.engine if emitted is None else named)
        unsaid = _unsaid(machine, load, stored, settings)
        if rented:
            # One engine and the weights as published, so that machines are compared and nothing else.
            settings = settings._replace(engine=settings.engine or DEFAULT)
            stored = stored._replace(max_quant=stored.max_quant or "none")
        try:
            asks = _questions(machine, load, split, stored.quant, settings, host)
        except UsageError as error:
            if source and "no GPU is found" in error.message:
                error.hint += ", or --gpu all for what can be rented"
            raise
        if emitted is not None and named is not None:
            _runs_there(emitted[0], named, asks)
        alone = bool(settings.engine or said(split, but="dcp") or said(settings, but="engine"))
        if not source:
            least = units.parse_count(listing.min_params) if listing.min_params else 0
            order, family, license_ = listing.sort or _fits.Order.best, listing.family, listing.license_
            _listed.write(asks, form, order, least, family, license_, stored.max_quant, listing.all_, unsaid, alone)
            return
        reports = _fits.pairs_of(source, asks), _of_sources(asks, stored.max_quant, alone, unsaid, reading, brief=rented)
        if listing.sort and len(asks) == 1 and not rented:
            raise UsageError(
                f"--sort {listing.sort.value} is an order of machines, and one is asked about",
                "name several in --gpu, or --gpu all for what can be rented",
            )
        usual = _fits.Order.cost if rented else _fits.Order.best
        sized = load.isl is not None or load.osl is not None
        ranking = _fits.Ranking(listing.sort or usual, rented, listing.all_, sized)
    _fits.write(*reports, form, written.explain, emitted, ranking)


def _in_image(emitted: _fits.Emitted | None, engine: str) -> bool:
    """Whether the file that is written starts the image of an engine's publisher."""
    if emitted is None or emitted[2] is not None:
        return False
    from archcalc.emit import KINDS

    return KINDS[emitted[0]].contained and engine in KINDS[emitted[0]].engines


def _runs_there(kind: str, engine: str, machines: Iterable[GpuSpec]) -> None:
    """Raises `UsageError` where a file is of an engine that does not run on a machine."""
    from archcalc.emit import KINDS
    from archcalc.engines.engine import server

    for spec in machines:
        if why := server(engine).runs_on(spec.device):
            others = ", ".join(name for name, of in KINDS.items() if of.engines != (engine,))
            raise UsageError(f"--emit {kind} starts {engine}, and {why}", f"name another machine, or one of --emit {others}")


def _emitted(written: Written, settings: Settings, form: Forms) -> _fits.Emitted | None:
    """What `--emit` asks for. Raises `UsageError` beside what prints otherwise."""
    if written.emit is None:
        if written.image is not None:
            raise UsageError("--image is the image of a file that --emit writes", "such as --emit compose")
        return None
    if form is not Forms.table or written.explain:
        raise UsageError("--emit writes a file of its own, and takes no --format and no --explain", "leave one of them out")
    return written.emit, settings.engine_version, written.image


def _check(
    source: list[str] | None, stored: Stored, written: Written, listing: Listing, reading: Reading, rented: bool
) -> None:  # fmt: skip
    """Raises `UsageError` for options that mean nothing beside the others."""
    alone = {**said(reading, but="offline refresh"), **said(written, but="image")}
    listed = said(listing, but="sort all_" if rented else "sort")
    if source and listing.sort in (_fits.Order.best, _fits.Order.size):
        raise UsageError(
            f"--sort {listing.sort.value} is for a call without SOURCE", "machines are sorted by cost, speed or context"
        )
    if rented and not source:
        raise UsageError("--gpu all is every machine that is rented, for a model", "name a model, or a machine to list the models")
    if rented and (written.emit or written.explain):
        raise UsageError("--gpu all is a list", "name one of its machines beside --emit or --explain")
    for option, value in (listed if source else alone).items():
        if value:
            raise UsageError(
                f"{option} is for a call {'without' if source else 'with'} SOURCE",
                f"leave {option} out, or {'name no SOURCE to list the bundled models' if source else 'name a model'}",
            )
    if stored.quant and stored.max_quant:
        raise UsageError("--quant and --max-quant exclude each other", "one asks for a storage, the other allows some")
    if stored.max_quant and stored.max_quant != "none":
        from archcalc.quant import check_name

        check_name(stored.max_quant)


def _unsaid(machine: Machine, load: Load, stored: Stored, settings: Settings) -> list[str]:
    """The options of weight that were left to archcalc."""
    groups = {
        "--gpu": machine.gpu or machine.vram,
        "--engine": settings.engine,
        "--quant": stored.quant,
        "--ctx": load.ctx or load.isl or load.osl,
        "--concurrency": load.concurrency or load.tpot or load.ttft,
    }
    return [option for option, value in groups.items() if not value]


def _questions(
    machine: Machine, load: Load, split: Split, quant: str | None, settings: Settings, host: Host
) -> dict[GpuSpec, tuple[Ask, Wanted]]:
    """What is asked of each machine. Of all that are rented those are left out that cannot be split so; of one that is named it is an
    error."""
    specs = machines_of(machine.gpu, machine.vram, nodes=machine.nodes)
    asks: dict[GpuSpec, tuple[Ask, Wanted]] = {}
    for spec in specs:
        try:
            asks[spec] = asked(spec, load, split, quant, settings, host)
        except UsageError:
            if not every(machine.gpu) or (spec is specs[-1] and not asks):
                raise
    return asks


def asked(spec: GpuSpec, load: Load, split: Split, quant: str | None, settings: Settings, host: Host) -> tuple[Ask, Wanted]:
    """What is asked of one machine."""
    from archcalc import units
    from archcalc.analysis.fit import Ask, splits
    from archcalc.analysis.speed.forecast import STANDS_IN
    from archcalc.engines.engine import check_engine, chosen_for, server, servers

    if host.ram_bandwidth is not None and host.ram is None:
        raise UsageError("--ram-bandwidth is of weights in the CPU's memory, whose size is not given", "--ram 64GiB gives it")
    engine, dtype, share = settings.engine and settings.engine.lower(), settings.kv_dtype, settings.utilization
    wanted = _wanted(load, host.calibration, engine if engine in STANDS_IN else None)._replace(requests=load.concurrency)
    if host.ram_bandwidth is not None:
        wanted = wanted._replace(ram_bytes_per_s=units.parse_bytes(host.ram_bandwidth))
    held = check_engine(STANDS_IN.get(engine, engine), servers()) if engine is not None else chosen_for(spec.device)
    context = wanted.context(units.parse_tokens(load.ctx) if load.ctx is not None else None)
    ask = Ask(
        gpus=spec,
        engine=held,
        context_tokens=context,
        concurrency=load.concurrency or 1,
        **split._asdict(),
        quant=quant,
        kv_dtype=units.parse_cache_dtype(dtype) if dtype is not None else None,
        utilization=None if share is None else units.parse_share(share, "--utilization"),
        batched_tokens=settings.batched_tokens,
        version=settings.engine_version,
        ram_bytes=units.parse_bytes(host.ram) if host.ram is not None else None,
    )
    if host.calibration is not None and wanted.calibration is None:
        ask = calibrated(ask, host.calibration)
    options = {"engine_version": settings.engine_version, "max_num_batched_tokens": settings.batched_tokens, "utilization": share}
    for option, value in options.items():
        if value is not None and option not in server(ask.engine).takes:
            takers = [name for name in servers() if option in server(name).takes]
            chosen = f", which is chosen on {spec.device.name} where none is named" if engine is None else ""
            raise UsageError(
                f"--{option.replace('_', '-')} is an option of {' and '.join(takers)}, not of {ask.engine}{chosen}",
                f"name its engine: --engine {' or '.join(takers)}" if engine is None else "leave it out",
            )
    same_host(ask, wanted, host.calibration)
    splits(ask)
    return ask, wanted


def _of_sources(
    asks: dict[GpuSpec, tuple[Ask, Wanted]],
    max_quant: str | None,
    alone: bool,
    unsaid: Sequence[str],
    reading: Reading,
    *,
    brief: bool,
) -> _fits.Reporter:
    """How a model on a machine is reported; `alone` where what was given leaves no format to choose, `brief` without other plans."""
    from archcalc.analysis.choose import steps_of
    from archcalc.analysis.verdict import fit_report
    from archcalc.loader import load_or_repacked

    set_, offline = reading.set_ or (), reading.offline

    def report(text: str) -> FitReport:
        assert isinstance(text, Pair)
        ask, wanted = asks[text.machine]
        loaded = text.loaded = load_or_repacked(text.source, offline=offline, refresh=reading.refresh, overrides=set_)
        steps = () if max_quant or wanted.engine else steps_of(text.machine.device, ask.engine, alone=alone)

        def made(ask: Ask) -> FitReport:
            limit = None if max_quant == "none" else max_quant
            return fit_report(loaded, ask, brief=brief, max_quant=limit, wanted=wanted, steps=steps, unsaid=unsaid)

        try:
            first = made(ask)
            return _keeping(loaded, ask, first, max_quant, made) if wanted.aims and wanted.engine is None else first
        except ArchcalcError as error:
            if isinstance(error, ContextError):
                error.hint = _longer(str(text), error, offline, set_, wanted.lengths_said(ask.context_tokens))
            if not error.message.startswith(text):
                error.message = f"{text}: {error.message}"
            raise

    return report


def _keeping(loaded: Loaded, ask: Ask, first: FitReport, max_quant: str | None, made: Callable[[Ask], FitReport]) -> FitReport:
    """`pick.keeping`, which is only loaded for a target."""
    from archcalc.analysis.pick import keeping

    return keeping(loaded, ask, first, max_quant, made)


def _longer(source: str, error: ContextError, offline: bool, set_: Sequence[str], lengths: bool) -> str:
    """What to set for a context beyond the model's own, as far as it was seen to work: the key that states that, and for rotated positions
    how they are stretched.

    YaRN's key is that of transformers' `rope_scaling` (Peng et al. 2023, arXiv:2309.00071), whose factor is the context over the original,
    which is what the publisher states of its training where that is less than the config's. `lengths` is whether the context is that of
    requests.
    """
    from math import ceil

    from archcalc import sources
    from archcalc.cards.models import trained
    from archcalc.loader import load

    shorter = f"ask for --ctx {error.longest} or less"
    if lengths:
        shorter = f"ask for shorter requests: --isl and --osl of {error.longest:,} tokens together or less"
    try:
        config = sources.resolve(source, offline=offline).config
    except ArchcalcError:
        return shorter if lengths else error.hint
    for prefix, inner in (("", config), *((f"{key}.", value) for key, value in config.items() if isinstance(value, dict))):
        known = ("max_position_embeddings", "n_positions", "max_seq_len", "seq_length", "max_sequence_length")
        for key in sorted(known, key=lambda key: key not in inner):
            asked = [f"{prefix}{key}={error.tokens}"]
            scaled = inner.get("rope_scaling") or inner.get("rope_parameters")
            if ("rope_theta" in inner or scaled) and not (isinstance(scaled, dict) and "factor" in scaled):
                original = trained(source, inner) or error.longest
                of = {"rope_type": "yarn", "factor": ceil(1e4 * error.tokens / original) / 1e4}
                made: dict[str, Any] = {**of, "original_max_position_embeddings": original}
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
                return f"{shorter}, or {how}: {words}"
    return shorter if lengths else error.hint


def _of_command(
    own: Command, machine: Machine, load: Load, quant: str | None, version: str | None, host: Host, reading: Reading
) -> tuple[list[str], _fits.Reporter]:
    """The model of an engine's own command on each machine, and how it is reported."""
    from archcalc import units
    from archcalc.analysis.ask import ENGINES, resolved, understand, with_draft
    from archcalc.analysis.speed.departures import Flags
    from archcalc.analysis.verdict import Given, fit_report
    from archcalc.cli._remedies import Remedies
    from archcalc.engines.engine import server

    offline, refresh = reading.offline, reading.refresh
    # In front of a command of an engine that takes several kinds of cards, a list is the cards of one machine.
    mixed = server(ENGINES[own.engine]).by_layers
    if every(machine.gpu):
        raise UsageError("--gpu all is every machine that is rented, for a model by its name", "name the machine of a command")
    specs = machines_of(machine.gpu, machine.vram, alone=mixed, mixed=mixed, nodes=machine.nodes)
    counted = any(map(counts, machine.gpu or ["here"] if machine.vram is None else machine.gpu or []))
    wanted = _wanted(load, host.calibration, None)
    if host.ram_bandwidth is not None:
        wanted = wanted._replace(ram_bytes_per_s=units.parse_bytes(host.ram_bandwidth))
    found = with_draft(understand(own, version), offline=offline, refresh=refresh)
    flags = Flags(own.engine, found.given, dict(own.environment), 1)
    wanted = wanted._replace(offered=load.concurrency)
    asks = {}
    for spec in specs:
        ask = question(found, spec, quant, load.concurrency or 1, units.parse_bytes(host.ram) if host.ram else None, counted)
        calibrates = host.calibration is not None and wanted.calibration is None
        asks[spec] = calibrated(ask, host.calibration) if calibrates and host.calibration else ask
        same_host(ask, wanted, host.calibration)

    def report(text: str) -> FitReport:
        assert isinstance(text, Pair)
        asked = asks[text.machine]
        options: dict[str, Any] = {"offline": offline, "refresh": refresh}
        options["overrides"] = (*found.asked.overrides, *(reading.set_ or ()))
        loaded, asked, told = resolved(str(text), asked, **options)
        notes = (*found.notes, *told)
        text.loaded, text.release = loaded, version or own.version
        remedies = Remedies(
            own, version, text.machine, quant, load.concurrency or 1, asked.ram_bytes, asked.host_bytes, counted, options
        )
        given = Given(
            found.line,
            found.options.used,
            found.options.inert,
            found.options.unmodelled,
            notes,
            "" if quant is None or told else str(text),
            remedies.change,
            remedies.lifted,
        )
        try:
            return fit_report(loaded, asked, given=given, wanted=wanted._replace(flags=flags._replace(gpus=text.machine.count)))
        except ArchcalcError as error:
            found.told(error)
            if not error.message.startswith(text):
                error.message = f"{text}: {error.message}"
            raise

    return _fits.pairs_of([found.asked.model], specs), report


def _wanted(load: Load, calibration: str | None, engine: str | None) -> Wanted:
    """What is asked of its speed."""
    from archcalc import units
    from archcalc.analysis.speed.plan import Wanted

    made = Wanted(
        None if load.isl is None else units.parse_tokens(load.isl),
        None if load.osl is None else units.parse_tokens(load.osl),
        engine,
        None if load.tpot is None else units.parse_seconds(load.tpot),
        None if load.ttft is None else units.parse_seconds(load.ttft),
    )
    if calibration is not None:
        from archcalc.analysis.speed.calibrate import read_calibration

        # The other kind, which diagnose keeps, is of the memory.
        made = made._replace(calibration=read_calibration(calibration, other="overhead_bytes"))
    return made
