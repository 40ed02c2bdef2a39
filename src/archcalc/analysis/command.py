"""The command that starts a plan: the very checkpoint that was judged, every choice of the plan as a flag.

What a shell can not know stands in angle brackets, which it takes for a file that is not there: such a command does nothing when it is
pasted as it is, and a note says what to put in.
"""

from __future__ import annotations

import json
import os
import shlex
from collections.abc import Iterator
from typing import NamedTuple

from archcalc.analysis.fit import Ask, Plans
from archcalc.engines import starting
from archcalc.loader import Loaded

_TORCH = {"BF16": "bfloat16", "F16": "float16", "F32": "float32"}
_CACHE_NAMES = {"vllm": {"bf16": "bfloat16", "fp16": "float16", "fp32": "auto"}, "sglang": {"fp16": "auto", "fp32": "auto"}}


class Start(NamedTuple):
    """A command on one line, and what to know before it is run."""

    command: str
    notes: tuple[str, ...] = ()


class _Model(NamedTuple):
    """What an engine is told to load. `ready` is false of a placeholder."""

    name: str
    revision: str | None = None
    ready: bool = True


def start(loaded: Loaded, ask: Ask, found: Plans, extra: tuple[str, ...] = ()) -> Start:
    """The command of a plan. `extra` are further words, such as the flags that lift a limit of the start."""
    model, how, notes = _loaded(loaded, ask, found)
    overridden, note = _overridden(loaded, ask)
    notes += (note,) if note else ()
    if ask.engine == "transformers":
        made = _from_pretrained(model, how, loaded, found)
        if ask.gpus.count > ask.gpus.device.per_machine:
            notes += (f"device_map spreads a model over one machine's GPUs, and {ask.gpus.count} are in several",)
        return Start(made, notes)
    words = list({"vllm": _vllm, "sglang": _sglang, "llama.cpp": _llama_cpp}[ask.engine](model, ask, found))
    words += [*how, *overridden, *extra]
    machines = -(-ask.gpus.count // ask.gpus.device.per_machine)
    if machines > 1:
        more, note = _machines(machines, ask)
        words += more
        notes += (note,)
    return Start(" ".join(words), notes)


def wrapped(command: str, width: int = 80, indent: int = 0) -> list[str]:
    """The command in lines of at most `width`, broken before a flag or an argument, that a shell or Python takes as one."""
    room, lines = width - indent, list[str]()
    python = "from_pretrained(" in command
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
    pieces, depth, at = [f"{head}("], 0, 0
    for i, c in enumerate(rest):
        depth += (c in "([") - (c in ")]")
        if c == "," and not depth:
            pieces.append(rest[at : i + 1])
            at = i + 2
    return [*pieces, rest[at:]]


def _loaded(loaded: Loaded, ask: Ask, found: Plans) -> tuple[_Model, tuple[str, ...], tuple[str, ...]]:
    """What is loaded, the words that make of it what was judged, and notes."""
    from archcalc.quant import canonical, method_of

    model, engine = _named(loaded), ask.engine
    held, own = found.model.architecture, loaded.architecture.quantization
    if engine == "llama.cpp":
        return _gguf(loaded, found)
    if ask.quant is None or _same_storage(loaded, found):
        note = starting.plugin(engine, ask.version, method_of(own)) if own else ""
        return model, (), (*_missing(model), *([note] if note else []))
    quant = canonical(ask.quant)
    if held.quantization is None and own is None:
        # Another float is a matter of the dtype alone.
        return model, () if engine == "transformers" else ("--dtype", _TORCH[held.dtype or "BF16"]), _missing(model)
    words = starting.loading(engine, ask.version, quant) if own is None else None
    if words is not None:
        note = starting.plugin(engine, ask.version, method_of(held.quantization or {}))
        return model, words, (*_missing(model), *([note] if note else []))
    known = _published(loaded, ask, found)
    if known:
        return _Model(known), (), (f"{known} is the checkpoint in {ask.quant} that the command loads",)
    name = os.path.basename(model.name.rstrip("/").strip("<>")) or "the-model"
    needed = f"<{name}-in-{ask.quant}>"
    why = "is stored in another quantization" if own else f"is not stored so, and {engine} does not quantize so as it loads"
    note = (
        f"the command needs a checkpoint in {ask.quant}: {model.name.strip('<>')} {why}; put its repository or folder for {needed}"
    )
    return _Model(needed, None, False), (), (note,)


def _missing(model: _Model) -> tuple[str, ...]:
    return () if model.ready else (f"put the model's repository or folder for {model.name}",)


def _same_storage(loaded: Loaded, found: Plans) -> bool:
    """Whether what is asked for is how the checkpoint is stored."""
    from archcalc.analysis.checkpoint import summary

    if found.model.architecture.quantization is None:
        return loaded.architecture.quantization is None and loaded.architecture.dtype == found.model.architecture.dtype
    if loaded.architecture.quantization is None:
        return False
    return summary(loaded.architecture).stored_by_dtype == summary(found.model.architecture).stored_by_dtype


def _published(loaded: Loaded, ask: Ask, found: Plans) -> str:
    """The repository of a bundled model that is this one, stored as asked; empty where none is bundled."""
    from archcalc import zoo
    from archcalc.analysis.checkpoint import summary

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


def _named(loaded: Loaded) -> _Model:
    """What engines call the model: a repository, or the folder or file on disk."""
    source = loaded.source
    if source.kind == "bundled":
        from archcalc import zoo

        entry = zoo.find(source.name)
        return _Model(entry.repo if entry else source.name)
    if source.kind in ("hub", "cache"):
        return _Model(source.name, source.revision if loaded.pinned else None)
    if source.kind == "stdin":
        return _Model("<the-model>", None, False)
    path = os.path.expanduser(source.name)
    folder, name = os.path.split(path)
    if name in ("config.json", "params.json") or (source.format == "safetensors" and not os.path.isdir(path)):
        return _Model(folder or ".")
    if source.format == "gguf" or os.path.isdir(path):
        return _Model(path)
    # A config by any other name lies in no folder that an engine would read it from.
    return _Model(f"<the-model-of-{name}>", None, False)


def _gguf(loaded: Loaded, found: Plans) -> tuple[_Model, tuple[str, ...], tuple[str, ...]]:
    """llama.cpp loads one file: the one that was judged, or one that has to be made or found."""
    model, kind = _named(loaded), found.model.quant
    own = loaded.architecture.quantization or {}
    if loaded.source.format == "gguf" and kind == str(own.get("file_type", kind)):
        if loaded.source.kind in ("hub", "cache"):
            return model._replace(name=f"{model.name}:{kind.upper()}"), (), ()
        return model, (), ()
    stem = os.path.basename(os.path.abspath(model.name)) if model.ready else model.name.strip("<>")
    file = f"{stem.removesuffix('.gguf')}-{kind.upper().replace('-', '_')}.gguf"
    note = f"{file} is the model as GGUF, published or made with llama.cpp's convert_hf_to_gguf.py and llama-quantize"
    return _Model(file), (), (note,)


def _revision(model: _Model) -> Iterator[str]:
    if model.revision:
        yield f"--revision {shlex.quote(model.revision)}"


def _word(model: _Model) -> str:
    return shlex.quote(model.name) if model.ready else model.name


def _vllm(model: _Model, ask: Ask, found: Plans) -> Iterator[str]:
    best = found.best
    p = best.placement
    yield f"vllm serve {_word(model)}"
    yield from _revision(model)
    for flag, ways in (("tensor", p.tp), ("pipeline", p.pp), ("data", p.dp)):
        if ways > 1:
            yield f"--{flag}-parallel-size {ways}"
    if p.ep > 1:
        yield "--enable-expert-parallel"
    if p.dcp > 1:
        yield f"--decode-context-parallel-size {p.dcp}"
    yield f"--max-model-len {best.context_tokens}"
    if ask.kv_dtype is not None:
        yield f"--kv-cache-dtype {_CACHE_NAMES['vllm'].get(best.kv_dtype, best.kv_dtype)}"
    if ask.utilization is not None:
        yield f"--gpu-memory-utilization {ask.utilization:g}"
    if ask.batched_tokens is not None:
        yield f"--max-num-batched-tokens {ask.batched_tokens}"


def _sglang(model: _Model, ask: Ask, found: Plans) -> Iterator[str]:
    best = found.best
    p = best.placement
    yield f"python -m sglang.launch_server --model-path {_word(model)}"
    yield from _revision(model)
    # Attention in data parallelism divides the ranks of --tp; replicas of a dense model have ranks of their own.
    shared = p.dp > 1 and found.model.architecture.facts.moe is not None
    ranks = p.tp * p.dp if shared else p.tp
    if ranks > 1:
        yield f"--tp {ranks}"
    if p.pp > 1:
        yield f"--pp-size {p.pp}"
    if p.dp > 1:
        yield f"--dp-size {p.dp}{' --enable-dp-attention' if shared else ''}"
    if p.ep > 1:
        yield f"--ep-size {p.ep}"
    if p.dcp > 1:
        yield f"--dcp-size {p.dcp}"
    yield f"--context-length {best.context_tokens}"
    if ask.kv_dtype is not None:
        yield f"--kv-cache-dtype {_CACHE_NAMES['sglang'].get(best.kv_dtype, best.kv_dtype)}"
    if ask.utilization is not None:
        yield f"--mem-fraction-static {ask.utilization:g}"


def _llama_cpp(model: _Model, ask: Ask, found: Plans) -> Iterator[str]:
    best = found.best
    yield f"llama-server {'-hf' if ':' in model.name and not os.path.exists(model.name) else '-m'} {_word(model)}"
    yield f"-c {best.context_tokens * best.concurrency}"
    # Left out, it is four slots that share the cells.
    yield f"-np {best.concurrency}"
    yield "-ngl 999"
    if ask.kv_dtype is not None:
        yield f"-ctk {best.kv_dtype} -ctv {best.kv_dtype}"


def _from_pretrained(model: _Model, how: tuple[str, ...], loaded: Loaded, found: Plans) -> str:
    held = found.model.architecture
    name = json.dumps(model.name) if model.ready else model.name
    stated = loaded.architecture.dtype
    dtype = "auto" if held.dtype is None or held.dtype == stated else _TORCH.get(held.dtype, "auto")
    arguments = [name, *([f"revision={json.dumps(model.revision)}"] if model.revision else [])]
    arguments += [f'dtype="{dtype}"', 'device_map="auto"', *(f"quantization_config={each}" for each in how)]
    parts = {g.part for g in held.groups} | {s.part for s in held.stacks}
    if "head" not in parts:
        kind = "AutoModel"
    elif parts & {"vision", "audio"}:
        kind = "AutoModelForImageTextToText" if "vision" in parts else "AutoModelForMultimodalLM"
    else:
        kind = "AutoModelForSeq2SeqLM" if any(s.part == "other" for s in held.stacks) else "AutoModelForCausalLM"
    return f"{kind}.from_pretrained({', '.join(arguments)})"


def _overridden(loaded: Loaded, ask: Ask) -> tuple[list[str], str]:
    """The keys set in the config, as the engine takes them."""
    flag = {"vllm": "--hf-overrides", "sglang": "--json-model-override-args"}.get(ask.engine)
    if not loaded.overrides:
        return [], ""
    if flag is None:
        keys = ", ".join(key for key, _ in loaded.overrides)
        return [], f"the command loads the model as published: {ask.engine} has no flag that sets {keys}"
    return [f"{flag} {shlex.quote(json.dumps(dict(loaded.overrides)))}"], ""


def _machines(machines: int, ask: Ask) -> tuple[list[str], str]:
    """What starts one plan on several machines: the words on the first, and what differs on the others."""
    each = f"on machines 2 to {machines}" if machines > 2 else "on the second machine"
    ranks = f"1 to {machines - 1}" if machines > 2 else "1"
    if ask.engine == "llama.cpp":
        return ["--rpc <address-of-the-other-machines>"], f"run ggml-rpc-server {each}, and name each address and port after --rpc"
    if ask.engine == "sglang":
        words = [f"--nnodes {machines}", "--node-rank 0", "--dist-init-addr <address-of-the-first-machine>:20000"]
        return words, f"{each}, run the same with --node-rank {ranks}"
    if not starting.takes_nodes(ask.version):
        return [
            "--distributed-executor-backend ray"
        ], f"join the {machines} machines first: ray start --head, and {each} ray start --address"
    words = [f"--nnodes {machines}", "--node-rank 0", "--master-addr <address-of-the-first-machine>"]
    return words, f"{each}, run the same with --node-rank {ranks} --headless"
