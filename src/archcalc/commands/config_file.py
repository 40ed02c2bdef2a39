"""`--config FILE` of vLLM and SGLang: the flags that a YAML file gives, in front of those of the command, which hold against them.

Sources: vLLM 0.33, utils/argparse_utils.py `_pull_args_from_config`, `load_config_file` (as in 0.8.5 for what is flat); SGLang 0.5.23,
srt/utils/server_args_config_parser.py `merge_config_with_args`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from archcalc.commands.flags import table
from archcalc.commands.words import Command
from archcalc.errors import FormatError, UsageError

_FLAG = "--config"


def merged(command: Command, read: Callable[[str], str | None]) -> Command:
    """The command with the flags of its `--config` in place of it. `read` is a file's text, None of one that is not here: the flag
    stays then. Raises `FormatError` for a file that is no mapping of flags."""
    if command.engine not in ("vllm", "sglang"):
        return command
    found = _named(command)
    if found is None:
        return command
    at, taken, name = found
    text = dict(command.written).get(name.rpartition("/")[2]) or read(name)
    words, unknown = list(command.words), list(command.unknown) + [""] * (len(command.words) - len(command.unknown))
    if text is None:
        return command
    del words[at : at + taken], unknown[at : at + taken]
    flags = table(command.engine).at(None if command.version is None else command.version)
    said = {row.name for word in words if (row := _row(flags, word)) is not None}
    positional = bool(words) and not words[0].startswith("-")
    made = list(_flags(_mapping(text, name), flags, said, positional))
    front = 1 if positional else 0
    words[front:front] = made
    unknown[front:front] = [""] * len(made)
    return command._replace(words=tuple(words), unknown=tuple(unknown) if any(unknown) else ())


def _named(command: Command) -> tuple[int, int, str] | None:
    """Where the flag stands, how many words it takes, and the file."""
    for at, word in enumerate(command.words):
        if word == _FLAG and at + 1 < len(command.words):
            return at, 2, command.words[at + 1]
        if word.startswith(f"{_FLAG}="):
            return at, 1, word.partition("=")[2]
    return None


def _row(flags: Mapping[str, Any], word: str) -> Any:
    name = word.partition("=")[0]
    found = flags.get(name) or flags.get(name.replace("_", "-"))
    return found[0] if found else None


def _mapping(text: str, name: str) -> Mapping[str, Any]:
    import yaml

    try:
        held = yaml.safe_load(text)
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        raise FormatError(f"{name} is not YAML", "the engine would not read it either") from error
    if not isinstance(held, dict):
        raise FormatError(f"{name} holds no flags", "a line for each was expected, such as max-model-len: 8192")
    return {str(key): value for key, value in held.items()}


def _flags(held: Mapping[str, Any], flags: Mapping[str, Any], said: set[str], positional: bool) -> Iterator[str]:
    model = held.get("model")
    if isinstance(model, str) and not positional and "--model" not in said and "--model-path" not in said:
        yield from [model] if "--model-path" not in flags else ["--model-path", model]
    for key, value in held.items():
        if key == "model" and isinstance(value, str):
            continue
        name = "--" + key.replace("_", "-")
        row = _row(flags, name)
        if (row is not None and row.name in said) or value is None:
            continue
        if isinstance(value, bool):
            if value:
                yield name
            elif f"--no-{name[2:]}" in flags:
                yield f"--no-{name[2:]}"
        elif isinstance(value, list):
            if value:
                yield from (name, *map(str, value))
        elif isinstance(value, dict):
            yield from (name, json.dumps(value))
        elif isinstance(value, (str, int, float)):
            yield from (name, str(value))
        else:
            raise UsageError(f"{key}: {str(value)[:40]!r} is no value of a flag", "a number, a word or a list was expected")
