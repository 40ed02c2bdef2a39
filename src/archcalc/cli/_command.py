"""`-- COMMAND` and `--command-file FILE`: an engine's own command in place of a SOURCE and archcalc's options."""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from archcalc.errors import SourceError, SourceNotFoundError, UsageError

if TYPE_CHECKING:
    import typer

    from archcalc.analysis.ask import Understood
    from archcalc.analysis.speed.plan import Wanted
    from archcalc.commands.words import Command
    from archcalc.engines.plan import Ask
    from archcalc.hardware import GpuSpec


def given(call: typer.Context, file: str | None) -> Command | None:
    """The command of this call, None where there is none. `file` is a path, or `-` for standard input."""
    from archcalc.cli._light import COMMAND_WORDS

    words: tuple[str, ...] | None = call.meta.get(COMMAND_WORDS)
    if words == ("-",) and file is None:
        words, file = None, "-"
    if words is None and file is None:
        return None
    if words is not None and file is not None:
        raise UsageError("a command stands behind -- and another in --command-file", "give one of them")
    from archcalc.commands.config_file import merged
    from archcalc.commands.words import MODELFILE, filled, of_arguments, of_text

    if words is not None:
        made = of_arguments(words)
        if made.program == MODELFILE and "-f" in made.words[:-1]:
            return of_text(_text(made.words[made.words.index("-f") + 1]), "Modelfile")
        return merged(filled(made, lambda name: _here(name, "")), lambda name: _here(name, ""))
    assert file is not None
    folder = "" if file == "-" else str(Path(file).expanduser().parent)
    made = filled(of_text(_text(file), "" if file == "-" else file), lambda name: _here(str(Path(folder, name)), folder))
    return merged(made, lambda name: _here(name, folder))


def _here(name: str, folder: str) -> str | None:
    """A file that a command names, where it stands here or beside the script; None where it does not."""
    from archcalc.commands.shell import MOST_BYTES
    from archcalc.files import open_regular

    for place in (Path(name).expanduser(), Path(folder, name)):
        try:
            with open_regular(place) as opened:
                return opened.read(MOST_BYTES).decode("utf-8-sig", "replace")
        except (OSError, ValueError):
            continue
    return None


def _text(file: str) -> str:
    from archcalc.commands.shell import MOST_BYTES

    if file == "-":
        data = sys.stdin.buffer.read(MOST_BYTES + 1)
    else:
        path = Path(file).expanduser()
        try:
            with path.open("rb") as opened:
                data = opened.read(MOST_BYTES + 1)
        except FileNotFoundError as error:
            raise SourceNotFoundError(f"{file}: no such file", "give a shell script, a compose file or a manifest") from error
        except OSError as error:
            raise SourceError(f"{file} cannot be read: {error.strerror or error}", "give a file that you may read") from error
    return data.decode("utf-8-sig", "replace")


# What a command's own flag for it is called in the table of changes.
_SAME = {"--ctx": "context_tokens", "--kv-dtype": "kv_dtype", "--tp": "tp", "--utilization": "utilization"}


def _agree(engine: str, named: str, quant: str, version: str | None) -> None:
    """Raises `UsageError` where the command has its engine quantize the weights, and what is named beside it is another such."""
    from archcalc.engines.engine import server
    from archcalc.quant import canonical, is_plain

    made = named[1:] if named[0] == "?" else ""
    if not made or is_plain(made) or canonical(made) == canonical(quant):
        return
    if is_plain(quant) or server(engine).loading(version, canonical(quant)) is not None:
        raise UsageError(f"the command quantizes the weights to {made}, and --quant is {quant}", "leave one of them out")


def refuse(command: Command, options: dict[str, Any]) -> None:
    """Raises `UsageError` for an option of what a command says in its own words."""
    from archcalc.commands.change import FLAGS, VARIABLES

    for option, value in options.items():
        if value:
            name = _SAME.get(option, "")
            flags, variable = FLAGS.get(command.engine, {}).get(name, ()), VARIABLES.get(command.engine, {}).get(name)
            own = f"write {' and '.join(flags)} into the command" if flags else "change the command"
            if variable is not None:
                own = f"write {variable}=… in front of the command"
            raise UsageError(
                f"{option} is not taken beside a command, which has its own words for it", f"leave {option} out, or {own}"
            )


def calibrated(ask: Ask, file: str) -> Ask:
    """The question with what `diagnose --save-calibration` kept of this host. Raises `UsageError` for another engine's or GPU's."""
    import json

    hint = "make one with: archcalc diagnose LOG --save-calibration FILE"
    try:
        kept = json.loads(_text(file))
    except (ValueError, RecursionError) as error:
        raise UsageError(f"{file} is no calibration", hint) from error
    if not isinstance(kept, dict):
        raise UsageError(f"{file} is no calibration: an object was expected", hint)
    size = kept.get("overhead_bytes")
    most = max(device.visible_bytes for device in ask.gpus.each)
    if not isinstance(size, (int, float)) or isinstance(size, bool) or not abs(size) <= most or size != int(size):
        said = "missing" if size is None else str(size)[:40]
        raise UsageError(f"{file}: overhead_bytes: {said}: a whole number of bytes of one GPU was expected", hint)
    for key in ("engine", "gpu", "of", "engine_version"):
        value = kept.get(key)
        if not isinstance(value, str) and not (value is None and key in ("of", "engine_version")):
            raise UsageError(f"{file}: {key}: {'missing' if value is None else str(value)[:40]}: a name was expected", hint)
    engine, gpu, size = kept["engine"], kept["gpu"], int(size)
    here = ask.gpus.device.known_as
    if (engine, gpu) != (ask.engine, here):
        raise UsageError(f"{file} is of {engine} on {gpu}, and this is {ask.engine} on {here}", "make one from a log of this host")
    release = f"{engine} {kept['engine_version']}" if kept.get("engine_version") else engine
    of = f", of {kept['of']} under {release}" if kept.get("of") else f", of {release}"
    what = f"{size:,} B of this host's own overhead" if size >= 0 else f"{-size:,} B less overhead than is predicted"
    notes = (*ask.gpus.notes, f"with {what}, from {file}{of}")
    return ask._replace(host_bytes=size, gpus=ask.gpus._replace(notes=notes))


def same_host(ask: Ask, wanted: Wanted, file: str | None) -> None:
    """Raises `UsageError` where the factors of `calibrate` are of another GPU or engine: what they say of this one is nothing."""
    held, engine = wanted.calibration, wanted.engine or ask.engine
    if held is not None and (held.gpu, held.engine) != (ask.gpus.device.id, engine):
        raise UsageError(
            f"{file} is of {held.engine} on {held.gpu}, and this is {engine} on {ask.gpus.device.id}",
            "measure there, and make one with: archcalc calibrate BENCH MODEL --gpu … --engine … --format json",
        )


def _picked(spec: GpuSpec, numbers: Sequence[int], said: str) -> GpuSpec:
    """The GPUs that the command itself names. Raises `UsageError` for one that the machine has not ("invalid device", common/arg.cpp
    `parse_device_list`; "invalid value for main_gpu", src/llama.cpp `llama_prepare_model_devices`)."""
    last = max(numbers)
    if last >= spec.count:
        kind = re.match(r"--device ([A-Za-z]+)", said)
        name = kind[1] if kind else "GPU "
        has = f"{name}0 to {name}{spec.count - 1}" if spec.count > 1 else f"{name}0 alone"
        raise UsageError(
            f"{said}: {spec.named} has {has}, and llama.cpp starts on no other",
            f"name the machine with all of its GPUs, such as --gpu {last + 1}x{spec.device.id}, or devices that it has",
        )
    if len(numbers) == spec.count and not spec.others:
        return spec
    found = [spec.each[number] for number in numbers]
    mixed = any(device.id != found[0].id for device in found)
    which = f" ({found[0].name})" if spec.others and len(found) == 1 else ""
    note = f"{said}: the command sees {len(found):,} of the {spec.count:,} GPUs that are named{which}"
    return spec._replace(device=found[0], count=len(found), others=tuple(found[1:]) if mixed else (), notes=(*spec.notes, note))


def _left(spec: GpuSpec, runs_on: int | None, visible: int, said: str, contained: bool, counted: bool) -> GpuSpec:
    """The GPUs that the command's container or environment leaves to it; a name that came without a count takes its container's.

    Raises `UsageError` where it runs on more, or so many are not named.
    """
    left = f"{visible:,} GPUs" if visible != 1 else "1 GPU"
    if runs_on is not None and runs_on > visible:
        raise UsageError(f"the command runs on {runs_on:,} GPUs, and {said} leaves it {left}", "change one of them")
    if contained and not counted and visible > spec.count == 1 and not spec.others:
        return spec._replace(count=visible, notes=(*spec.notes, f"{said}: {visible:,} such GPUs"))
    if runs_on is not None:
        return spec
    if visible == spec.count:
        return spec
    if not 0 < visible < spec.count or spec.others:
        named = f"{spec.count:,} are named" if spec.count > 1 else "1 is named"
        hint = f"name those that it sees: --gpu {visible}x{spec.device.id}" if visible else "let it see those that it runs on"
        raise UsageError(f"{said} leaves the command {left}, and {named}", hint)
    note = f"{said}: the command sees {visible:,} of the {spec.count:,} GPUs that are named"
    return spec._replace(count=visible, notes=(*spec.notes, note))


def _fewer(spec: GpuSpec, count: int, note: str) -> GpuSpec:
    """So many of the GPUs, on as few of the hosts as hold them."""
    left = spec._replace(count=count, instances=-(-spec.instances * count // spec.count))
    notes = tuple(said for said in spec.notes if left.nodes == spec.nodes or not re.match(rf"{spec.count} GPUs are \d+ ", said))
    return left._replace(notes=(*notes, note))


def question(found: Understood, spec: GpuSpec, quant: str | None, concurrency: int, ram: int | None, counted: bool = True) -> Ask:
    """The command as a question about a machine; `counted` says whether a number of its GPUs was named.

    Raises `UsageError` where it runs on more GPUs than are named.
    """
    from archcalc.engines.engine import LOCAL, server
    from archcalc.engines.hosts import most
    from archcalc.engines.plan import Ask
    from archcalc.quant import canonical

    asked = found.asked
    values = dict(asked.values)
    if quant is not None:
        named = str(values.get("quant") or "~")
        if asked.engine == LOCAL and named[0] not in "~?" and canonical(named) != canonical(quant):
            raise UsageError(f"the command names weights in {named}, and --quant is {quant}", "leave one of them out")
        _agree(asked.engine, named, quant, asked.version)
        values["quant"] = quant
    if found.visible is not None:
        spec = _left(spec, asked.gpus, *found.visible, counted)
    if found.picked is not None:
        spec = _picked(spec, *found.picked)
    if asked.gpus is not None and asked.gpus != spec.count:
        if asked.gpus > spec.count:
            named = f"{spec.count:,} are named" if spec.count > 1 else "1 is named"
            raise UsageError(
                f"the command runs on {asked.gpus:,} GPUs, and {named}", f"name them all: --gpu {asked.gpus}x{spec.device.id}"
            )
        spec = _fewer(spec, asked.gpus, f"the command runs on {asked.gpus:,} of the {spec.count:,} GPUs that are named")
    if asked.gpus is None and spec.nodes > 1 and not set(found.given) & server(asked.engine).spreads and not spec.others:
        # One process, which sees the GPUs of its own host.
        here = min(spec.count, most(spec.device))
        spec = _fewer(spec, here, f"the command sees the {here:,} GPUs of one host, of {spec.count:,} that are named")
    values.setdefault("concurrency", concurrency)
    return Ask(gpus=spec, engine=asked.engine, version=asked.version, own=asked.own, ram_bytes=ram, **values)
