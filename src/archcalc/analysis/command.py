"""The command that starts a plan: the very checkpoint that was judged, every choice of the plan as a flag.

What a shell can not know stands in angle brackets, which it takes for a file that is not there: such a command does nothing when it is
pasted as it is, and a note says what to put in.
"""

from __future__ import annotations

import os
import re
import shlex

from archcalc import units
from archcalc.analysis.fit import Ask, Plans
from archcalc.engines._command import TORCH
from archcalc.engines.engine import LOCAL, server
from archcalc.engines.plan import Command, Named
from archcalc.loader import Loaded
from archcalc.records import NamedTuple


class _Loads(NamedTuple):
    """What is loaded, and what to know of it."""

    named: Named
    notes: tuple[str, ...] = ()


def start(loaded: Loaded, ask: Ask, found: Plans) -> Command:
    """The command of a plan."""
    loads = _loads(loaded, ask, found)
    named = loads.named._replace(stated=loaded.architecture.dtype, overrides=loaded.overrides)
    made = server(ask.engine).command(named, ask, found.model, found.best)
    return made._replace(notes=(*loads.notes, *made.notes))


def with_storage(line: str, model: str, loaded: Loaded, ask: Ask, found: Plans) -> Command:
    """An engine's own command `line` for `model`, made to load the storage that was named beside it."""
    if server(ask.engine).one_file or ask.quant is None or _same_storage(loaded, found):
        return Command(line)
    loads = _loads(loaded, ask, found)
    how = loads.named.how
    if not how and loads.named.name != model:
        # A whole word: folders and variables may hold the same name.
        line = re.sub(rf"(?<![\w/.-]){re.escape(model)}(?![\w/.-])", lambda _: loads.named.name, line, count=1)
    elif line.endswith(")") and how and f"{_argument(how[0])}=" not in line:
        line = line[:-1] + "".join(f", {_argument(flag)}={value!r}" for flag, value in zip(how[::2], how[1::2], strict=True)) + ")"
    elif not line.endswith(")") and not any(flag in line.split() for flag in how[::2]):
        line = " ".join([line, *how])
    return Command(line, loads.notes)


def _argument(flag: str) -> str:
    return flag.lstrip("-").replace("-", "_")


def wrapped(command: str, width: int = 80, indent: int = 0) -> list[str]:
    """The command in lines of at most `width`, broken before a flag or an argument, that a shell or Python takes as one."""
    room, lines = width - indent, list[str]()
    python = "from_pretrained(" in command or re.match(r"(?:os\.environ\[.*\] = .*; )?LLM\(", command) is not None
    pieces = _arguments(command) if python else _flags(command)
    end = "" if python else " \\"
    line = pieces[0]
    if python:
        lines, line = [line], f"    {pieces[1]}"
        pieces = pieces[1:]
    for piece in pieces[1:]:
        if python and len(piece) + 4 > room and "(" in piece:
            head, _, inner = piece.partition("(")
            lines += [line, f"    {head}("] if line.strip() else [f"    {head}("]
            line = f"        {inner}"
            continue
        if len(line) + 1 + len(piece) + len(end) <= room:
            line += f" {piece}"
        else:
            lines.append(line + end)
            line = f"    {piece}" if python else f"  {piece}"
    lines.append(line)
    if len(lines) == 2 and python and len(command) <= room:
        lines = [command]
    return [" " * indent + each for each in lines]


def _flags(command: str) -> list[str]:
    """The words of a command, each flag with its value."""
    pieces: list[str] = []
    for word in _words(command):
        if not pieces or word.startswith("-"):
            pieces.append(word)
        else:
            pieces[-1] += f" {word}"
    return pieces


def _words(command: str) -> list[str]:
    """The words as they are written, quotes and all."""
    words: list[str] = []
    rest = command
    while rest:
        size = 1
        # The shortest start that ends at a blank and is whole for a shell.
        while size < len(rest) and not (rest[size] == " " and _whole(rest[:size])):
            size += 1
        words.append(rest[:size])
        rest = rest[size:].lstrip(" ")
    return words


def _whole(text: str) -> bool:
    try:
        shlex.split(text)
    except ValueError:
        return False
    return True


def _arguments(command: str) -> list[str]:
    """A call in its head and its arguments, each with what follows it."""
    head, _, rest = command.partition("(")
    pieces, depth, at, quote = [f"{head}("], 0, 0, ""
    for i, c in enumerate(rest):
        if quote or c in "'\"":
            quote = "" if c == quote and rest[i - 1] != "\\" else quote or c
            continue
        depth += (c in "([{") - (c in ")]}")
        if c == "," and not depth:
            pieces.append(rest[at : i + 1])
            at = i + 2
    return [*pieces, rest[at:]]


def _loads(loaded: Loaded, ask: Ask, found: Plans) -> _Loads:
    """What is loaded, with the words that make of it what was judged."""
    from archcalc.quant import canonical, method_of

    named, engine = _named(loaded), server(ask.engine)
    held, own = found.model.architecture, loaded.architecture.quantization
    if engine.one_file:
        return _gguf(loaded, found)
    if ask.quant is None or _same_storage(loaded, found):
        note = engine.plugin(ask.version, method_of(own)) if own else ""
        return _Loads(named, (*_missing(named), *([note] if note else [])))
    quant = canonical(ask.quant)
    if held.quantization is None and own is None:
        # Another float is a matter of the dtype alone.
        return _Loads(named._replace(how=engine.dtype_words(TORCH[held.dtype or "BF16"])), _missing(named))
    words = engine.loading(ask.version, quant) if own is None and found.best.loads else None
    if words is not None:
        note = engine.plugin(ask.version, method_of(held.quantization or {}))
        return _Loads(named._replace(how=words), (*_missing(named), *([note] if note else [])))
    plugin = engine.plugin(ask.version, method_of(held.quantization or {}))
    plugins = (plugin,) if plugin else ()
    known = _published(loaded, ask, found)
    if known:
        return _Loads(Named(known), (f"{known} is the checkpoint in {ask.quant} that the command loads", *plugins))
    name = os.path.basename(named.name.rstrip("/").strip("<>")) or "the-model"
    # By the name that the engine has for it.
    stored = found.model.quant
    needed = f"<{_one_word(name)}-in-{stored}>"
    why = "is stored in another quantization" if own else f"is not stored so, and {engine.name} does not quantize so as it loads"
    if not found.best.loads:
        size, there = units.format_bytes(found.best.weights.loading_bytes), units.format_bytes(found.best.loadable_bytes)
        why = f"is not stored so, and {engine.name} would have {size} of it on the GPU before it quantizes, where {there} are"
    note = f"the command needs a checkpoint in {stored}: {named.name.strip('<>')} {why}; put its repository or folder for {needed}"
    return _Loads(Named(needed, None, False), (note, *plugins))


def _missing(named: Named) -> tuple[str, ...]:
    return () if named.ready else (f"put the model's repository or folder for {named.name}",)


def _same_storage(loaded: Loaded, found: Plans) -> bool:
    """Whether what is asked for is how the checkpoint is stored."""
    from archcalc.figures.checkpoint import summary

    if found.model.architecture.quantization is None:
        return loaded.architecture.quantization is None and loaded.architecture.dtype == found.model.architecture.dtype
    if loaded.architecture.quantization is None:
        return False
    return summary(loaded.architecture).stored_by_dtype == summary(found.model.architecture).stored_by_dtype


def _published(loaded: Loaded, ask: Ask, found: Plans) -> str:
    """The repository of a bundled model that is this one, stored as asked; empty where none is bundled."""
    from archcalc import zoo
    from archcalc.figures.checkpoint import summary

    wanted = summary(found.model.architecture)
    for entry in zoo.entries():
        if not ask.quant or entry.name == loaded.source.name:
            continue
        # Other models of the same shape carry other names: only the same name with a suffix is the same model.
        if not entry.repo.lower().startswith(_named(loaded).name.lower()):
            continue
        spec = zoo.spec(entry.name)
        if spec is not None and spec.quantization is not None and summary(spec).stored_by_dtype == wanted.stored_by_dtype:
            return entry.repo
    return ""


def _named(loaded: Loaded) -> Named:
    """What engines call the model: a repository, or the folder or file on disk."""
    source = loaded.source
    if source.kind == "bundled":
        from archcalc import zoo

        entry = zoo.find(source.name)
        return Named(entry.repo if entry else source.name)
    if source.kind in ("hub", "cache"):
        return Named(source.name, source.revision if loaded.pinned else None)
    if source.kind == "stdin":
        return Named("<the-model>", None, False)
    path = os.path.expanduser(source.name)
    folder, name = os.path.split(path)
    if name in ("config.json", "params.json") or (source.format == "safetensors" and not os.path.isdir(path)):
        return Named(folder or ".")
    if source.format == "gguf" or os.path.isdir(path):
        return Named(path)
    # A config by any other name lies in no folder that an engine would read it from.
    return Named(f"<the-model-of-{_one_word(name)}>", None, False)


def _one_word(name: str) -> str:
    """A file's name as a part of a placeholder, which is one word of a command."""
    return re.sub(r"[^\w.+-]+", "-", name).strip("-") or "file"


def _gguf(loaded: Loaded, found: Plans) -> _Loads:
    """One file is loaded: the one that was judged, or one that has to be made or found."""
    model, kind = _named(loaded), found.model.quant
    own = loaded.architecture.quantization or {}
    if loaded.source.format == "gguf" and kind == str(own.get("file_type", kind)):
        if loaded.source.kind in ("hub", "cache"):
            return _Loads(model._replace(name=f"{model.name}:{kind.upper()}"))
        return _Loads(model)
    from archcalc.quant import method_of
    from archcalc.zoo.repacked import repacked

    stem = os.path.basename(os.path.abspath(model.name)) if model.ready else model.name.strip("<>")
    if loaded.source.kind in ("hub", "cache") and (made_of := repacked(model.name)) is not None:
        # GGUF files are made of the weights that were quantized, not of the quantized ones.
        stem = made_of.entry.repo.rpartition("/")[2]
    file = f"{stem.removesuffix('.gguf')}-{kind.upper().replace('-', '_')}.gguf"
    note = f"{file} is the model as GGUF, published or made with llama.cpp's convert_hf_to_gguf.py and llama-quantize"
    method = method_of(own) if own else ""
    if method and not server(LOCAL).converts(method):
        note += f", of the weights that were quantized: it reads no {method}, and this checkpoint is not what runs"
    return _Loads(Named(file), (note,))
