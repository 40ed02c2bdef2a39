"""What archcalc says of a log's own command on the log's own machine."""

from __future__ import annotations

import re
import shlex
from typing import NamedTuple

from archcalc.analysis.ask import Understood, understand, with_draft
from archcalc.analysis.fit import Ask, Fit, Plans, plans
from archcalc.commands.flags import table
from archcalc.commands.logs import Logged
from archcalc.commands.words import Command, of_arguments
from archcalc.errors import ArchcalcError, UsageError
from archcalc.hardware import GpuSpec, custom, devices, parse_spec
from archcalc.loader import Loaded, load


class Predicted(NamedTuple):
    """What archcalc says of the log's own command on the log's own machine."""

    loaded: Loaded
    ask: Ask
    found: Plans
    understood: Understood

    @property
    def best(self) -> Fit:
        return self.found.best


def command_of(log: Logged, model: str | None, notes: list[str]) -> Command | None:
    """The command of the log: as it stands there, or made of the arguments that it lists."""
    from archcalc.analysis.diagnose.program import program

    if log.command:
        try:
            return of_arguments(shlex.split(log.command))._replace(version=log.version)
        except (ArchcalcError, ValueError):
            pass
    of = program(log)
    flags = table(of.engine)
    try:
        known = flags.at(log.version if of.releases else None)
    except UsageError:
        # A build of llama.cpp, or of a checkout.
        known = flags.at(None)
    name = of.name(log, model)
    if not name:
        return None
    words = [of.model_flag, name] if of.model_flag else [name]
    for flag, value in log.asked:
        # Without a release a flag of an older one counts too, as in a command.
        row = known[flag][0] if flag in known else next(iter(flags.rows.get(flag, ())), None)
        if row is None or row.name in ("--model", "--model-path", "--hf-repo"):
            continue
        if value is False:
            # What a log lists as off, and is on where nothing is said, was turned off.
            if row.kind == "switch" and row.default != "False":
                words.append(row.off[0] if row.off else f"--no-{row.name[2:]}")
        elif value is True:
            words.append(flag)
        elif isinstance(value, (dict, list, tuple)):
            import json

            several = row.kind == "list" and not isinstance(value, dict)
            made = [v if isinstance(v, str) else json.dumps(v) for v in value] if several else [json.dumps(value)]
            words += [flag, *made] if made else []
        else:
            words += [flag, f"{value:g}" if isinstance(value, float) else str(value)]
    words += of.flags(log)
    return Command(of.engine, of.executable, tuple(words), (), log.version if of.releases else None)


def predict(
    log: Logged, command: Command | None, source: str | None, gpus: GpuSpec | None, quant: str | None, offline: bool,
    refresh: bool, overrides: tuple[str, ...], notes: list[str],
) -> Predicted | None:  # fmt: skip
    """The prediction of the same command on the same machine; None, and a note, where something that it needs is not known."""
    from archcalc.analysis.diagnose.program import program
    from archcalc.engines.engine import server

    if command is None:
        notes.append("the log names no model: give --model with its repository or config.json for a prediction")
        return None
    of = program(log)
    version = log.version if of.releases else None
    try:
        understood = with_draft(understand(command, version), offline=offline)
    except ArchcalcError as error:
        notes.append(f"its arguments cannot be read: {error.message}")
        return None
    spec = gpus or machine_of(log, understood)
    if spec is None:
        notes.append("the log names no GPU that is known: give --gpu for a prediction")
        return None
    try:
        loaded = load(
            source or understood.asked.model, offline=offline, refresh=refresh, overrides=(*understood.asked.overrides, *overrides)
        )
    except ArchcalcError as error:
        notes.append(
            f"no prediction without the config.json of {source or understood.asked.model}: give it with --model ({error.message})"
        )
        return None
    values, own = of.settled(log, understood, loaded.architecture)
    if quant is not None:
        values["quant"] = quant
    if str(values.get("quant", "")).startswith("?"):
        values["quant"] = values["quant"][1:] if loaded.architecture.quantization is None else None
    values.setdefault("concurrency", 1)
    wanted = understood.asked.gpus or spec.count
    if wanted != spec.count:
        spec = spec._replace(count=wanted)
    try:
        notes += server(understood.asked.engine).released(understood.asked.version)
        ask = Ask(gpus=spec, engine=understood.asked.engine, version=understood.asked.version, own=own, **values)
        found = plans(loaded.architecture, ask, alternatives=0)
        return Predicted(loaded, found.asked(ask), found, understood)
    except ArchcalcError as error:
        notes.append(f"predicted: {error.message}")
        return None


def _larger(spec: GpuSpec, free: int) -> GpuSpec:
    """A card of which more was free than the listed one has: the smallest listed size of it that has as much, or what was free."""
    from archcalc.hardware.here import with_memory

    stem = spec.device.id.rpartition("-")[0] if re.search(r"-\d+gb$", spec.device.id) else spec.device.id
    sizes = [d for d in devices() if re.fullmatch(re.escape(stem) + r"(?:-\d+gb)?", d.id) and d.visible_bytes >= free]
    device = min(sizes, key=lambda d: d.visible_bytes) if sizes else with_memory(spec.device, free)
    return spec._replace(device=device)


def machine_of(log: Logged, understood: Understood) -> GpuSpec | None:
    """The GPUs of the log: by their name, else by the memory that it states."""
    count = understood.asked.gpus or log.gpus or 1
    spec: GpuSpec | None
    if log.gpu:
        try:
            spec = parse_spec(log.gpu)._replace(count=count)
            free = log.term("free")
            if free and not log.memory_bytes and free > spec.device.visible_bytes:
                spec = _larger(spec, free)
            if log.memory_bytes and abs(log.memory_bytes - spec.device.visible_bytes) > spec.device.visible_bytes // 50:
                from archcalc.hardware.here import with_memory

                spec = spec._replace(device=with_memory(spec.device, log.memory_bytes))
        except UsageError:
            spec = None
        if spec is not None:
            return spec
    return GpuSpec(custom(log.memory_bytes), count) if log.memory_bytes else None
