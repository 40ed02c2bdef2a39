"""What archcalc says of a log's own command on the log's own machine."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

from archcalc.analysis.ask import Understood, resolved, understand, with_draft
from archcalc.analysis.fit import Ask, Fit, Plans, plans
from archcalc.commands.effects import effect
from archcalc.commands.flags import Row, table
from archcalc.commands.logs import Logged
from archcalc.commands.words import Command, of_text
from archcalc.errors import ArchcalcError, UnsupportedError, UsageError
from archcalc.hardware import Device, GpuSpec, custom, devices, parse_spec
from archcalc.loader import Loaded
from archcalc.records import NamedTuple


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
            # As a shell reads it: what is redirected is no argument.
            return of_text(log.command)._replace(version=log.version)
        except ArchcalcError:
            pass
    of = program(log)
    flags, known = table(of.engine), _known(log)
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
            several = row.kind == "list" and not isinstance(value, dict)
            made = [v if isinstance(v, str) else json.dumps(v) for v in value] if several else [json.dumps(value)]
            words += [flag, *made] if made else []
        else:
            words += [flag, f"{value:g}" if isinstance(value, float) else str(value)]
    words += of.flags(log)
    return Command(of.engine, of.executable, tuple(words), (), log.version if of.releases else None)


def _understood(command: Command, version: str | None, notes: list[str]) -> Understood:
    """The command, read; where an argument that memory does not depend on cannot be, the command without those.

    Raises `UsageError` as `understand` does where that is no help."""
    try:
        return understand(command, version)
    except ArchcalcError as error:
        words, kept = list(command.words), list[str]()
        rows, at = table(command.engine).rows, 0
        while at < len(words):
            word = words[at]
            found = next(iter(rows.get(word.partition("=")[0], ())), None) if word.startswith("-") else None
            end = at + 1
            while found is not None and end < len(words) and not words[end].startswith("-"):
                end += 1
            if found is None or effect(command.engine, found.name) == "used":
                kept += words[at:end]
            at = end
        if kept == words:
            raise
        try:
            made = understand(command._replace(words=tuple(kept), unknown=()), version)
        except ArchcalcError:
            raise error from None
        notes.append(f"{error.message}: what is predicted is of the command without the flags that memory does not depend on")
        return made


_MANY = 8


def _known(log: Logged) -> dict[str, tuple[Row, bool]]:
    """The flags of the release that wrote the log; of the newest where it is a build of llama.cpp, or of a checkout."""
    from archcalc.analysis.diagnose.program import program

    of = program(log)
    try:
        return table(of.engine).at(log.version if of.releases else None)
    except UsageError:
        return table(of.engine).at(None)


def left_out(log: Logged) -> Iterator[str]:
    """What the log lists of its command and the commands made of it lack."""
    from archcalc.analysis.diagnose.program import program

    if log.command:
        return
    of = program(log)
    flags, known = table(of.engine), _known(log)

    def row(flag: str) -> Row | None:
        return known[flag][0] if flag in known else next(iter(flags.rows.get(flag, ())), None)

    lost = [*log.unread, *(flag for flag, value in log.asked if row(flag) is None and value is not False)]
    if lost:
        yield f"{_listed(lost)}: the log lists it in a form, or by a name, that is not read here; no command above has it"
    own = []
    for flag, value in log.other_flags:
        found = row(flag)
        if found is None or value in (None, False, "auto", "", -1, [], {}) or str(value) in (found.default, str(log.model)):
            continue
        if found.default or found.kind not in ("switch", "none") or value is not True:
            own.append(f"{flag} {_shown(value)}".strip())
        else:
            own.append(flag)
    if own:
        more = f" and {len(own) - _MANY} more" if len(own) > _MANY else ""
        yield (
            f"no command above has {', '.join(own[:_MANY])}{more}, which the log lists too: of a list of all arguments it does not say"
            " which were given"
        )


def _listed(names: list[str]) -> str:
    return ", ".join(names[:_MANY]) + (f" and {len(names) - _MANY} more" if len(names) > _MANY else "")


def _shown(value: Any) -> str:
    text = "" if value is True else json.dumps(value) if isinstance(value, (dict, list)) else str(value)
    return text if len(text) <= 40 else text[:40] + "…"


class Judged(NamedTuple):
    """What became of a command: predicted, or refused as `fit` refuses it; neither where its model or GPU is not known. `unmodelled` says
    that it was refused for what is not served or not modelled."""

    predicted: Predicted | None = None
    refused: bool = False
    unmodelled: bool = False


_UNKNOWN = 1 << 50
"""The memory of a GPU that nobody named: what is refused on it is refused on all."""


def predict(
    log: Logged, command: Command | None, source: str | None, gpus: GpuSpec | None, quant: str | None, offline: bool,
    refresh: bool, overrides: tuple[str, ...], notes: list[str], *, strict: bool = False, taken: int = 0,
) -> Judged:  # fmt: skip
    """The prediction of a command on the log's machine; what it needs and is not known is named in the notes.

    `source` is the model where the command's own name is not that of its config. `strict` takes no flag that the engine would refuse, and
    `taken` is what others hold of each GPU, in bytes.
    """
    from archcalc.analysis.diagnose.program import program
    from archcalc.engines.engine import server

    if command is None:
        notes.append("the log names no model: give --model with its repository or config.json for a prediction")
        return Judged()
    of = program(log)
    version = log.version if of.releases else None
    try:
        understood = understand(command, version) if strict else _understood(command, version, notes)
        understood = with_draft(understood, offline=offline)
    except ArchcalcError as error:
        notes.append(f"its arguments cannot be read: {error.message}")
        return Judged(refused=True)
    asked = understood.asked
    if understood.visible is not None and asked.gpus is not None and asked.gpus > understood.visible[0] and strict:
        return Judged(refused=True)
    spec = gpus or machine_of(log, understood)
    known = spec is not None
    if spec is None:
        if dict(log.figures).get("kinds", 0) > 1:
            notes.append(
                "the log names GPUs of several kinds, of which a log is not predicted: fit --gpu 1xA,1xB -- COMMAND plans them"
            )
        else:
            notes.append("the log names no GPU that is known: give --gpu for a prediction")
        if not strict:
            return Judged()
        spec = GpuSpec(custom(_UNKNOWN), asked.gpus or 1)
    elif taken:
        device = spec.device
        spec = spec._replace(device=device._replace(visible_bytes=max(1, device.visible_bytes - taken)))
    if asked.gpus is not None and asked.gpus != spec.count:
        spec = spec._replace(count=asked.gpus)
    name = source or asked.model
    try:
        own = asked.own
        ask = Ask(gpus=spec, engine=asked.engine, version=asked.version, own=own, **{"concurrency": 1, **asked.values})
        ask = of.settled(log, ask)
        if quant is not None:
            ask = ask._replace(quant=quant)
        loaded, ask, _ = resolved(name, ask, offline=offline, refresh=refresh, overrides=(*asked.overrides, *overrides))
        ask, stored = of.stored(log, loaded, ask)
        notes += [stored] if stored else []
    except UnsupportedError as error:
        notes.append(f"{error.message}: {error.hint}")
        return Judged()
    except ArchcalcError as error:
        notes.append(f"no prediction without the config.json of {name}: give it with --model ({error.message})")
        return Judged()
    try:
        notes += server(asked.engine).released(asked.version)
        found = plans(loaded.architecture, ask, alternatives=0)
    except ArchcalcError as error:
        notes.append(f"predicted: {error.message}")
        return Judged(refused=True, unmodelled=isinstance(error, UnsupportedError))
    return Judged(Predicted(loaded, found.asked(ask), found, understood) if known else None)


def machine_of(log: Logged, understood: Understood) -> GpuSpec | None:
    """The GPUs of the log: by their name and memory, else by the memory that it states."""
    from archcalc.hardware.here import with_memory

    count = understood.asked.gpus or log.gpus or 1
    spec: GpuSpec | None = None
    if log.gpu:
        try:
            spec = parse_spec(log.gpu)._replace(count=count)
        except UsageError:
            spec = None
    if spec is None:
        return GpuSpec(custom(log.memory_bytes), count) if log.memory_bytes else None
    size, free = log.memory_bytes, log.term("free")
    if not size and free and spec.device.vendor == "apple":
        # All that a Mac gives to its GPU is free before anything is loaded (ggml/src/ggml-metal, `ggml_metal_device_get_memory`).
        size = free
    if size:
        if abs(size - spec.device.visible_bytes) > spec.device.visible_bytes // 50:
            device = spec.device
            if device.vendor == "apple":
                # How much memory the Mac has in all the log does not say.
                device = device._replace(
                    id=re.sub(r"-\d+gb$", "", device.id), name=re.sub(r" \d+ GB$", "", device.name), ram_bytes=None, ram_options=()
                )
            spec = spec._replace(device=_sized(spec, size) or with_memory(device, size))
    elif free and free > spec.device.visible_bytes:
        # More was free than the listed one has: the smallest that has as much, or what was free.
        larger = [d for d in _of_one_name(spec) if d.visible_bytes >= free]
        spec = spec._replace(device=min(larger, key=lambda d: d.visible_bytes) if larger else with_memory(spec.device, free))
    return spec


def _of_one_name(spec: GpuSpec) -> list[Device]:
    """Cards that drivers call alike and that were sold in several sizes: their names differ in the size alone."""

    def bare(name: str) -> str:
        return re.sub(r"[-_ ]?\d+ ?gb\b", "", name.lower()).strip()

    return [d for d in devices() if bare(d.id) == bare(spec.device.id)]


def _sized(spec: GpuSpec, size: int) -> Device | None:
    """The one of a name that has as much memory, within what drivers and ECC keep of it; None where none has."""

    def away(device: Device) -> int:
        return min(abs(size - device.visible_bytes), abs(size - device.driver_bytes))

    near = [d for d in _of_one_name(spec) if away(d) <= d.visible_bytes // 50]
    return min(near, key=away) if near else None
