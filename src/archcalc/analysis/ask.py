"""From a command to a question: the model it names, the constraints it sets, and what became of each of its flags."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from archcalc.commands import environment
from archcalc.commands.change import PYTHON, VISIBLE, written
from archcalc.commands.effects import alone, effect
from archcalc.commands.flags import Read, of_bench, read
from archcalc.commands.words import NAMES, Command
from archcalc.engines.asked import Asked, FlagsRead
from archcalc.engines.engine import server
from archcalc.errors import ArchcalcError, OfflineError, UnsupportedError, UsageError
from archcalc.records import NamedTuple

if TYPE_CHECKING:
    from archcalc.engines.plan import Ask
    from archcalc.loader import Loaded

ENGINES = {"vllm": "vllm", "sglang": "sglang", "llama.cpp": "llama.cpp", "ollama": "llama.cpp", "mlx": "mlx"}
"""Whose rules hold for each kind of command."""


_DRAFTS = frozenset(
    "--speculative-config --speculative-model --spec-model --speculative-draft-model-path --model-draft --spec-draft-model"
    " --spec-draft-hf --hf-repo-draft".split()
)

# What quantizes a draft as it loads.
_QUANTIZED = frozenset(
    "--speculative-config.quantization --speculative-model-quantization --speculative-draft-model-quantization".split()
)


class Understood(NamedTuple):
    """A command with what it asks for, and what to say of its flags. `line` is the command on one line, `visible` how many GPUs its
    container or environment leaves to it, the words that say so, and whether they are the container's, where any do. `given` are all
    flags by their full names, with their values, `release` the words for one that was found by them. `picked` are the GPUs that the
    command itself names among those, by number, and the words that do."""

    asked: Asked
    options: FlagsRead
    notes: tuple[str, ...]
    line: str
    visible: tuple[int, str, bool] | None = None
    given: Mapping[str, str] = MappingProxyType({})
    release: str = ""
    picked: tuple[tuple[int, ...], str] | None = None

    def told(self, error: ArchcalcError) -> ArchcalcError:
        """What a release refuses, with how it was found."""
        if self.release and self.release not in error.message:
            error.message += f" ({self.release})"
            error.hint = "leave those flags out to ask of the newest release, or name one: --engine-version"
        return error


def _visible(environment: Sequence[tuple[str, str]]) -> tuple[int, str] | None:
    """How many GPUs the environment leaves to a command, by the last variable that says so; a value that a shell would make is none."""
    from archcalc.commands.containers import of_visible

    found = None
    for name, value in environment:
        ids = [each.strip() for each in value.strip("\"' ").split(",")]
        if name in VISIBLE and name != "NVIDIA_VISIBLE_DEVICES" and all(re.fullmatch(r"[\w-]*", each) for each in ids):
            found = sum(1 for each in ids if each not in ("", "-1")), f"{name}={value}"
        elif name == "NVIDIA_VISIBLE_DEVICES" and (count := of_visible(value)) is not None:
            found = count, f"{name}={value}"
    return found


_DEVICE = re.compile(r"(?:CUDA|ROCm|Vulkan|SYCL|HIP|MUSA)\d+")
_SEVERAL = frozenset(
    "--nnodes --node-rank --master-addr --dist-init-addr --headless --data-parallel-address --data-parallel-size-local"
    " --data-parallel-start-rank --data-parallel-rank".split()
)
"""Flags of a command that is one of several, each in a container of its own."""


def _left(found: Read) -> tuple[int, str, bool] | None:
    """How many GPUs are left to a command, the words that say so, and whether they are its container's: the fewer of what its container
    gets and its environment leaves. None where it is one of several commands."""
    ray = found.get("--distributed-executor-backend") == "ray" or found.get("--data-parallel-backend") == "ray"
    if ray or any(each.name in _SEVERAL for each in found.given):
        return None
    granted, visible = found.command.granted, _visible(found.command.environment)
    if granted is not None and (visible is None or granted[0] <= visible[0]):
        return *granted, True
    return None if visible is None else (*visible, visible[1].startswith("NVIDIA_"))


def understand(command: Command, version: str | None = None) -> Understood:
    """Read a command against its engine's release. Raises `UsageError` where it names no model, or what the engine would refuse."""
    engine = server(ENGINES[command.engine])
    engine.check_command(command.engine, version or command.version)
    found = read(command, version)
    _refuse_unknown(found)
    release = taken_as(found)
    try:
        asked = engine.asked(found)
    except ArchcalcError as error:
        error.message += f" ({release})" if release else ""
        raise
    taken: tuple[str, ...] = ()
    if asked.library:
        from archcalc.analysis.library import of_library

        name, taken = of_library(asked.model)
        asked = asked._replace(model=name)
    visible = _left(found)
    if (picked := _picked(found)) is not None:
        asked = asked._replace(unmodelled=tuple(flag for flag in asked.unmodelled if flag not in picked[1].split()))
    used, inert = dict[str, str](), list[str]()
    unmodelled = list(asked.unmodelled)
    for each in found.given:
        what = "inert" if of_bench(command.program, each.name) else effect(command.engine, each.name)
        if alone(command.engine, each.name, {other.name for other in found.given}):
            what, unmodelled = "inert", [name for name in unmodelled if name != each.name]
        elif each.name in asked.unmodelled:
            continue
        if picked is not None and each.name in picked[1].split():
            what = "used"
        if what == "used":
            used[each.name] = _shown(each.text, each.value)
        elif what == "inert":
            inert.append(each.name)
        else:
            unmodelled.append(each.name)
    stands_for = {name for name, *_ in environment.as_flags(command.environment)}
    for name, value in command.environment:
        does = None if name in stands_for else environment.effect(command.engine, name)
        if does == "used" and name not in asked.passed_over:
            used[name] = value
        elif does == "unmodelled" and value.strip():
            unmodelled.append(name)
        elif does is not None:
            inert.append(name)
    inert = list(dict.fromkeys(inert))
    notes = [*command.notes, *taken, *asked.notes]
    if release:
        notes.insert(0, f"{release}; --engine-version names another")
    elif found.gone:
        notes.append(f"{_listed(found.gone)}: builds of {NAMES[command.engine]} as new as those whose rules hold here refuse it")
    if found.plugins:
        title = NAMES[command.engine]
        notes.append(f"{_listed(found.plugins)}: {title} has no such value of its own, and stops unless a plugin of it brings one")
    if servers := environment.of_server(command.program, command.environment):
        said = (
            "are read by `ollama serve` and not by `ollama run`: they are"
            if len(servers) > 1
            else ("is read by `ollama serve` and not by `ollama run`: it is")
        )
        notes.append(f"{_listed(servers)} {said} taken to stand in the server's environment, and inert before the client alone")
    if command.unread:
        notes.append(f"{_listed(command.unread)}: not here to be read, so what is set there is not known")
    line = written(command, asked.environment)
    if command.version and not version:
        by = "what installs it" if command.pinned else "the image's tag"
        notes.append(f"{NAMES[command.engine]} {command.version} by {by}: elsewhere --engine-version {command.version}")
    if command.tag and not version:
        notes.append(
            f"the image's tag {command.tag[:60]} names no release of {NAMES[command.engine]}: the newest rules hold, and --engine-version"
            " names the one that is in it"
        )
    if command.called and command.program != PYTHON:
        notes.append(f"the program's {command.called}(...) is told as the command with the same arguments")
    values = {each.name: _shown(each.text, each.value) for each in found.given}
    return Understood(
        asked, FlagsRead(used, inert, sorted(dict.fromkeys(unmodelled))), tuple(notes), line, visible, values, release, picked
    )


def taken_as(found: Read) -> str:
    """What a command that names no release is taken for, where the newest lacks some of its flags."""
    if not found.gone or found.version is None or server(ENGINES[found.command.engine]).one_file:
        return ""
    return f"taken as {NAMES[found.command.engine]} {found.version}, the last release with {_listed(found.gone)}"


def _listed(names: Sequence[str]) -> str:
    *most, last = names
    return f"{', '.join(most)} and {last}" if most else last


def _picked(found: Read) -> tuple[tuple[int, ...], str] | None:
    """The GPUs that `--device CUDA0,CUDA1` names, and of them the one that `--split-mode none` leaves, `--main-gpu`; None where neither
    says any (llama.cpp 0c1e57098, common/arg.cpp `parse_device_list`, src/llama.cpp `llama_prepare_model_devices`)."""
    value = found.get("--device")
    names = [each.strip() for one in (value if isinstance(value, list) else [value]) for each in str(one or "").split(",")]
    if names == ["none"]:
        raise UsageError("--device none: the command runs on the CPU alone", "leave it out to plan for GPUs")
    own = [int(re.sub(r"\D", "", name)) for name in names if _DEVICE.fullmatch(name)]
    picked = tuple(own) if own and len(own) == len(set(names)) else None
    said = f"--device {','.join(names)}" if picked else ""
    if found.get("--split-mode") != "none" or (value is not None and picked is None):
        return None if picked is None else (picked, said)
    main = found.get("--main-gpu") or 0
    said += (" " if said else "") + "--split-mode none" + (f" --main-gpu {main}" if found.get("--main-gpu") is not None else "")
    if main < 0:
        raise UsageError(f"{said}: the command runs on the CPU alone", "name a GPU by its number to plan for GPUs")
    if picked is not None and main >= len(picked):
        raise UsageError(f"{said}: of {len(picked)} devices there is no such one", f"--main-gpu 0 to {len(picked) - 1}")
    return ((picked[main] if picked else main,), said)


def with_draft(found: Understood, *, offline: bool = False, refresh: bool = False) -> Understood:
    """The command with its draft model counted, where that can be had; else it stays among what is not modelled, and a note says so."""
    from archcalc.loader import load, stands_for

    asked = found.asked
    if asked.draft is None:
        return found
    known = stands_for(asked.draft)
    try:
        draft = load(known[0] if known else asked.draft, offline=offline, refresh=refresh).architecture
    except ArchcalcError as error:
        return found._replace(notes=(*found.notes, f"{asked.draft}: {error.message}"))
    own = asked.own._replace(draft=draft)
    if known and getattr(own, "draft_quant", "") is None:
        own = own._replace(draft_quant=known[1] or None)
    flags = set(found.options.unmodelled) & _DRAFTS
    used = {**found.options.used, **dict.fromkeys(flags, asked.draft)}
    if made := getattr(own, "draft_method", None):
        quantized = set(found.options.unmodelled) & _QUANTIZED
        used, flags = {**used, **dict.fromkeys(quantized, made)}, flags | quantized
    options = found.options._replace(used=used, unmodelled=[flag for flag in found.options.unmodelled if flag not in flags])
    notes = tuple(note for note in found.notes if not note.startswith(f"the draft model {asked.draft} "))
    counted = f"the draft model {asked.draft} is counted: its weights, and its layers' cache"
    return found._replace(asked=asked._replace(own=own), options=options, notes=(*notes, counted))


def resolved(
    name: str, ask: Ask, *, offline: bool = False, refresh: bool = False, overrides: Sequence[str] = ()
) -> tuple[Loaded, Ask, tuple[str, ...]]:
    """The model that a command names, the question with its storage settled, and what to say of it.

    A GGUF file or a repacked checkpoint that is not here is the model that it was made of, in that storage. Raises `ArchcalcError` where
    neither is to be had.
    """
    from archcalc.engines.engine import LOCAL
    from archcalc.loader import load, stands_for
    from archcalc.quant import canonical, file_type_of, is_plain, quantize_as

    options: dict[str, Any] = {"offline": offline, "refresh": refresh, "overrides": overrides}
    known = stands_for(name)
    # Of a repository of GGUF files only llama.cpp takes one that is not named.
    unnamed = known is not None and not known[1] and ask.engine != LOCAL
    known = None if unnamed else known
    try:
        loaded = load(known[0] if known else name, **options)
    except OfflineError:
        # A repacked checkpoint whose own config is not to be had: the model it was made of, in that storage.
        known = None if unnamed else stands_for(name, config=True)
        if known is None:
            raise
        loaded = load(known[0], **options)
    notes: tuple[str, ...] = ()
    if known:
        try:
            as_it_is = server(ask.engine).load(loaded.architecture, None, ask.gpus.device)[1]
        except UnsupportedError:
            # An engine that does not read the checkpoint which another was made of may read that one.
            if not known[1]:
                raise
            as_it_is = ""
        # What is stored so is not quantized again as it loads.
        own_quant = None if (ask.quant or "?").startswith("?") else ask.quant
        if own_quant is not None and known[1] and own_quant[0] != "~" and canonical(own_quant) != canonical(known[1]):
            raise UsageError(
                f"{name} is in {known[1]} by its name, and --quant is {own_quant}", "leave --quant out, or name another file"
            )
        stored = own_quant or known[1] or (as_it_is if not is_plain(as_it_is) else "q4_k_m")
        ask = ask._replace(quant=None if stored == as_it_is else stored)
        engine = server(ask.engine)
        if ask.quant is not None and not engine.one_file and engine.loading(ask.version, canonical(stored)) is not None:
            # It is stored so, and not quantized as it loads.
            loaded = loaded._replace(architecture=quantize_as(loaded.architecture, stored))
            ask = ask._replace(quant=None)
        own_config = (
            ""
            if ".gguf" in name or file_type_of(stored) or ask.engine == LOCAL
            else "; its own config may keep more modules as they are"
        )
        notes = (f"{name} is not here, and taken for {known[0]} in {stored}{own_config}",)
    if ask.quant is not None and ask.quant.startswith("~"):
        # The usual type, where the file is made anew. What is published in FP4 Ollama's own converter keeps so, and the rest in the half
        # precision that it has there (ollama 0.33, convert/convert_gptoss.go `Tensors`, convert/reader_safetensors.go `Kind`).
        anew = any(server(ask.engine).storages(loaded.architecture))
        ask = ask._replace(quant=ask.quant[1:] if anew else "bf16")
        if not anew:
            notes = (*notes, f"Ollama's file of {name} keeps the experts in FP4 as published, and all else in bf16")
    if ask.quant is not None and ask.quant.startswith("?"):
        # Quantized as it loads, unless the checkpoint is quantized already.
        ask = ask._replace(quant=ask.quant[1:] if loaded.architecture.quantization is None else None)
    return loaded, ask, notes


def _shown(text: str, value: object) -> str:
    """The value as it was written, "true" and "false" for switches."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list):
        return " ".join(map(str, value))
    head, equals, rest = text.partition("=")
    if equals and " " not in head:
        return rest
    return text.partition(" ")[2] or str(value)


def _refuse_unknown(found: Read) -> None:
    """Raises `UsageError` where a value that matters is one that a shell would put in."""
    if not found.command.unknown:
        return
    starts = sorted(g.at for g in found.given)
    for each in found.given:
        if effect(found.command.engine, each.name) == "inert":
            continue
        after = next((s for s in starts if s > each.at), len(found.command.words))
        for at in range(each.at, after):
            found.command.refuse_unknown(at)
