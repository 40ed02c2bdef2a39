"""A command with some of its flags changed, in the engine's own words."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Mapping, Sequence
from typing import Any

from archcalc.commands.effects import effect as effect_of_flag
from archcalc.commands.environment import as_flags, effect
from archcalc.commands.flags import table
from archcalc.commands.words import MODELFILE, Command, Engine
from archcalc.errors import UsageError

# What a change is called in each engine's command line: the flag to write, and its full name in the table of flags.
FLAGS: Mapping[Engine, Mapping[str, tuple[str, ...]]] = {
    "vllm": {
        "utilization": ("--gpu-memory-utilization",),
        "batched_tokens": ("--max-num-batched-tokens",),
        "kv_dtype": ("--kv-cache-dtype",),
        "context_tokens": ("--max-model-len",),
        "sequences": ("--max-num-seqs",),
        "tp": ("--tensor-parallel-size",),
        "eager": ("--enforce-eager",),
        "text_alone": ("--language-model-only",),
        "limits": ("--limit-mm-per-prompt",),
        "lora_rank": ("--max-lora-rank",),
        "ep": ("--enable-expert-parallel",),
        "quant": ("--quantization",),
        "offload_bytes": ("--cpu-offload-gb",),
        "offloaded_cache_bytes": ("--kv-offloading-size",),
        "cache_bytes": ("--kv-cache-memory-bytes",),
        "trusts": ("--trust-remote-code",),
        "dtype": ("--dtype",),
    },
    "sglang": {
        "utilization": ("--mem-fraction-static",),
        "kv_dtype": ("--kv-cache-dtype",),
        "context_tokens": ("--context-length",),
        "tp": ("--tp-size",),
        "ep": ("--ep-size",),
        "chunk": ("--chunked-prefill-size",),
        "eager": ("--disable-cuda-graph",),
        "graph_batch": ("--cuda-graph-max-bs",),
        "quant": ("--quantization",),
        "running": ("--max-running-requests",),
        "offload_bytes": ("--cpu-offload-gb",),
        "host_cache_bytes": ("--enable-hierarchical-cache",),
        "host_ratio": ("--enable-hierarchical-cache",),
        "trusts": ("--trust-remote-code",),
        "dtype": ("--dtype",),
    },
    "llama.cpp": {
        "context_tokens": ("--ctx-size",),
        "kv_dtype": ("--cache-type-k", "--cache-type-v"),
        "gpu_layers": ("--gpu-layers",),
        "cpu_experts": ("--n-cpu-moe",),
        "slots": ("--parallel",),
        "ubatch": ("--ubatch-size",),
        "flash": ("--flash-attn",),
        "shares": ("--tensor-split",),
    },
}
VARIABLES: Mapping[Engine, Mapping[str, str]] = {"ollama": {"context_tokens": "OLLAMA_CONTEXT_LENGTH"}}
"""The variables of the environment by which programs are told what others take as flags."""

_SHORT = {
    "--ctx-size": "-c",
    "--cache-type-k": "-ctk",
    "--cache-type-v": "-ctv",
    "--gpu-layers": "-ngl",
    "--parallel": "-np",
    "--ubatch-size": "-ub",
    "--flash-attn": "-fa",
    "--tensor-split": "-ts",
}


def _as_flags_say(changes: Mapping[str, object]) -> dict[str, object]:
    """The changes in the flags' own units: what is left in the CPU's memory in whole GiB, and none of it by no flag."""
    out = dict(changes)
    for name in ("offload_bytes", "offloaded_cache_bytes", "host_cache_bytes", "host_ratio"):
        if isinstance(size := out.get(name), (int, float)):
            out[name] = int(size) >> 30 or None
    return out


def altered(command: Command, changes: Mapping[str, object]) -> Command:
    """The command with each change in place of what it said: True writes a flag alone, False or None takes it out."""
    flags = FLAGS.get(command.engine, {})
    words = list(command.words)
    for name, value in _as_flags_say(changes).items():
        for flag in flags.get(name, ()):
            words = _set(command.engine, words, _of_release(command, flag), value)
    variables = {variable: str(changes[name]) for name, variable in VARIABLES.get(command.engine, {}).items() if name in changes}
    environment = tuple({**dict(command.environment), **variables}.items()) if variables else command.environment
    return command._replace(words=tuple(words), unknown=(), environment=environment)


def changed(command: Command, changes: Mapping[str, object]) -> str:
    """The same on one line."""
    return written(altered(command, changes))


def with_words(command: Command, line: str) -> tuple[Command, list[str]]:
    """The command with the flags of a line, each in place of what it said of the same, and those as its program takes them; `without
    --flag` takes one out."""
    if line.startswith("without "):
        flag = line.removeprefix("without ")
        said = [f"without {flag[2:].replace('-', '_')}" if command.program == PYTHON else line]
        return command._replace(words=tuple(_set(command.engine, list(command.words), flag, None)), unknown=()), said
    words, said, added = list(command.words), [], shlex.split(line)
    starts = [at for at, word in enumerate(added) if word.startswith("-")]
    for at, end in zip(starts, [*starts[1:], len(added)], strict=True):
        flag, values = added[at], added[at + 1 : end]
        words = _set(command.engine, words, flag, " ".join(values) or True)
        if command.program == PYTHON:
            said.append(f"{flag[2:].replace('-', '_')}={_held(' '.join(values)) if values else True!r}")
        else:
            # A placeholder stays one, which no shell would run.
            said.append(" ".join(word if word.startswith("<") else shlex.quote(word) for word in (flag, *values)))
    return command._replace(words=tuple(words), unknown=()), said


def told(command: Command, changes: Mapping[str, object]) -> list[str] | None:
    """The words that say each change, as the command's program takes them; None where it has none for one of them."""
    out: list[str] = []
    for name, value in _as_flags_say(changes).items():
        flags = FLAGS.get(command.engine, {}).get(name, ())
        if variable := VARIABLES.get(command.engine, {}).get(name):
            out.append(f"{variable}={value}")
        elif not flags:
            return None
        for flag in (_of_release(command, each) for each in flags):
            if command.program == PYTHON:
                out.append(f"{flag[2:].replace('-', '_')}={value!r}")
                continue
            shown = _SHORT.get(flag, flag) if command.engine == "llama.cpp" else flag
            if value in (None, False):
                out.append(f"without {shown}")
                continue
            out.append(shown if value is True else f"{shown} {value:g}" if isinstance(value, float) else f"{shown} {value}")
    return out


# What flags are called since they went.
_SINCE = {"--cuda-graph-max-bs": "--cuda-graph-max-bs-decode"}


def _of_release(command: Command, flag: str) -> str:
    """A flag by the name that the command's release has for it; of no known release by that which the command uses, or the newest's."""
    later = _SINCE.get(flag)
    if later is None or (command.version is None and any(word.partition("=")[0] == flag for word in command.words)):
        return flag
    try:
        known = table(command.engine).at(command.version)
    except UsageError:
        known = table(command.engine).at(None)
    return flag if flag in known else later


VISIBLE = (
    "CUDA_VISIBLE_DEVICES",
    "HIP_VISIBLE_DEVICES",
    "ROCR_VISIBLE_DEVICES",
    "ASCEND_RT_VISIBLE_DEVICES",
    "GPU_DEVICE_ORDINAL",
    "NVIDIA_VISIBLE_DEVICES",
)
"""Variables that say which GPUs a program sees, whatever the engine."""


_SECRET = re.compile(r"KEY|TOKEN|SECRET|PASSWORD|CREDENTIAL")


def environment_of(command: Command) -> dict[str, str]:
    """The variables that figures follow, or that are named among what they do not: those that the command is written with."""
    known = {name: flag for name, flag, _, _ in as_flags(command.environment)} if command.engine == "llama.cpp" else {}
    found = {}
    for name, value in dict(command.environment).items():
        if name in known:
            told = effect_of_flag(command.engine, known[name]) != "inert"
        else:
            does = effect(command.engine, name) if value.strip() else None
            told = name in VISIBLE or does == "used" or (does == "unmodelled" and not _SECRET.search(name))
        if told:
            found[name] = value
    return found


def written(command: Command, also: Sequence[tuple[str, str]] = ()) -> str:
    """The command on one line, as a shell takes it or, of a program's `LLM(...)`, as Python does, behind its variables and `also`."""
    variables = environment_of(command) | dict(also)
    if command.program == PYTHON:
        settings = "".join(f"os.environ[{json.dumps(name)}] = {json.dumps(value)}; " for name, value in variables.items())
        return f"{settings}{PYTHON}({', '.join(_arguments(command))})"
    unknown = (*command.unknown, *[""] * (len(command.words) - len(command.unknown)))
    words = [f'"{w}"' if what and "$" in w else shlex.quote(w) for w, what in zip(command.words, unknown, strict=True)]
    before = [f'{name}="{value}"' if "$" in value else f"{name}={shlex.quote(value)}" for name, value in variables.items()]
    line = " ".join((*before, *command.program.split(), *words))
    if command.program == MODELFILE:
        name = shlex.quote(re.sub(r"[^a-z0-9.-]+", "-", command.words[0].rpartition("/")[2].lower().removesuffix(".gguf")))
        line = f"ollama create {name} -f Modelfile && ollama run {name}"
    return line


PYTHON = "LLM"
"""The program that vLLM's class in a file of Python is read as (commands/words.py)."""


def _arguments(command: Command) -> list[str]:
    """Each flag as the argument that it was read from."""
    unknown = (*command.unknown, *[""] * (len(command.words) - len(command.unknown)))
    made: list[str] = []
    at = 0
    while at < len(command.words):
        flag, equals, value = command.words[at].partition("=")
        at += 1
        taken: list[str] = [repr(_held(value))] if equals else []
        while not equals and at < len(command.words) and not command.words[at].startswith("--"):
            taken.append(unknown[at] or repr(_held(command.words[at])))
            at += 1
        if not flag.startswith("--"):
            made += [f"model={flag!r}", *taken]
        elif not taken:
            off = flag.startswith("--no-")
            made.append(f"{flag[5 if off else 2 :].replace('-', '_')}={not off}")
        else:
            made.append(f"{flag[2:].replace('-', '_')}={taken[0] if len(taken) == 1 else '[' + ', '.join(taken) + ']'}")
    return made


def _held(text: str) -> Any:
    """A word as the value that it was made of: a number, a list, a dictionary, or itself."""
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return text
    return found if type(found) in (int, float, list, dict) else text


def _set(engine: Engine, words: list[str], flag: str, value: object) -> list[str]:
    spelled = {flag}
    for row in table(engine).rows.get(flag, ()):
        spelled |= {row.name, *row.others, *row.off}
    out: list[str] = []
    at = place = 0
    found = False
    while at < len(words):
        name, equals, _ = words[at].partition("=")
        plain = name.replace("_", "-") if name.startswith("--") else name
        if plain in spelled:
            place, found = len(out), True
            at += 1
            if not equals and at < len(words) and not words[at].startswith("-"):
                at += 1
            continue
        out.append(words[at])
        at += 1
    if value is False or value is None:
        return out
    made = [_SHORT.get(flag, flag) if engine == "llama.cpp" else flag]
    if value is not True:
        made.append(f"{value:g}" if isinstance(value, float) else str(value))
    at = place if found else len(out)
    return [*out[:at], *made, *out[at:]]
