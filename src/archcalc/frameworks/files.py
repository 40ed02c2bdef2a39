"""Reading the configuration files of frameworks: YAML, TOML, JSON and shell scripts, never executed, of bounded size."""

from __future__ import annotations

import json
import os
import re
import shlex
from collections.abc import Mapping
from typing import Any

from archcalc.errors import FormatError, UsageError
from archcalc.files import open_regular
from archcalc.frameworks.branches import followed
from archcalc.frameworks.others import refuse_others
from archcalc.jsonfile import DuplicateKeyError, checked
from archcalc.records import NamedTuple

MAX_BYTES = 1 << 20
"""No framework's configuration is near this."""
_DEPTH = 64
_MOST = 20_000
_WORDS = 1 << 18
_VARIABLE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)(?::-([^}]*))?\}|\$([A-Za-z_][A-Za-z0-9_]*)")
_ASSIGNED = re.compile(r"^\s*(?:export\s+)?([A-Za-z_][A-Za-z0-9_]*)=(.*)$", re.DOTALL)


class File(NamedTuple):
    """A configuration as it was read: `kind` is yaml, toml, json or shell; a shell script's words stand in `words`, its variables in
    `env`."""

    path: str
    kind: str
    data: Mapping[str, Any]
    words: tuple[str, ...] = ()
    env: Mapping[str, str] = {}
    notes: tuple[str, ...] = ()


def read(path: str) -> File:
    """A framework's configuration file. Raises `FormatError` or `UsageError` with the file's name."""
    try:
        with open_regular(path) as file:
            raw = file.read(MAX_BYTES + 1)
    except IsADirectoryError:
        raise UsageError(f"{path} is a folder", "--recipe takes the framework's own configuration file") from None
    except OSError as error:
        raise UsageError(
            f"{path} cannot be read: {error.strerror or error}", "--recipe takes the framework's own configuration file"
        ) from None
    if len(raw) > MAX_BYTES:
        raise FormatError(f"{path} is larger than {MAX_BYTES >> 20} MiB", "configuration files of frameworks are text of a few kB")
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise FormatError(f"{path} is not UTF-8 text", "--recipe takes the framework's own configuration file") from None
    extension = os.path.splitext(path)[1].lower()
    if extension == ".toml":
        return File(path, "toml", _toml(path, text))
    if extension == ".json":
        return File(path, "json", _json(path, text))
    if extension in (".sh", ".bash") or text.startswith("#!"):
        return _shell(path, text)
    if extension in (".yaml", ".yml", ""):
        return File(path, "yaml", _yaml(path, text))
    if extension == ".py":
        refuse_others(path, {}, text)
        raise UsageError(f"{path}: a Python script is not run", "the configuration that it reads, or SOURCE and options")
    raise UsageError(f"{path}: no kind of configuration ends in {extension!r}", ".yaml, .toml, .json and .sh are read")


def _json(path: str, text: str) -> Mapping[str, Any]:
    try:
        data = json.loads(text, object_pairs_hook=checked)
    except DuplicateKeyError as error:
        raise FormatError(f"{path} has the key {error.args[0]!r} twice in one object", "keep the one that is meant") from None
    except (ValueError, RecursionError) as error:
        raise FormatError(f"{path} is not JSON: {error}") from None
    return _table(path, data)


def _toml(path: str, text: str) -> Mapping[str, Any]:
    try:
        import tomllib  # type: ignore[import-not-found, unused-ignore]
    except ModuleNotFoundError:
        import tomli as tomllib  # type: ignore[import-not-found, no-redef, unused-ignore]
    try:
        return _table(path, tomllib.loads(text))
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise FormatError(f"{path} is not TOML: {error}") from None


def _yaml(path: str, text: str) -> Mapping[str, Any]:
    import yaml

    try:
        return _table(path, yaml.safe_load(text))
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        said = " ".join(str(error).split())
        raise FormatError(f"{path} is not YAML: {said}") from None


def _table(path: str, data: object) -> Mapping[str, Any]:
    if not isinstance(data, dict) or not all(isinstance(key, str) for key in data):
        raise FormatError(f"{path} does not hold a table of settings", "--recipe takes the framework's own configuration file")
    todo: list[tuple[object, int]] = [(data, 0)]
    seen = 0
    while todo:
        value, depth = todo.pop()
        # Aliases can make a small file large without end.
        seen += 1
        if seen > _MOST:
            raise FormatError(f"{path} holds more than {_MOST:,} values")
        if depth > _DEPTH:
            raise FormatError(f"{path} is nested deeper than {_DEPTH} levels")
        inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
        todo += [(v, depth + 1) for v in inner]
    return data


def _shell(path: str, text: str) -> File:
    """The words of a script's longest command, its own variables put in; nothing is run."""
    from archcalc.frameworks.launch import arguments, elsewhere

    lines = (line for line in re.sub(r"\\\n", " ", text).splitlines() if not line.lstrip().startswith("#"))
    branches = followed([_uncommented(line) for line in lines])
    env: dict[str, str] = {}
    words: list[str] = []
    text = "\n".join(branches.lines)
    # Arrays and quoted lists of options: NAME=( … ) and NAME=" … ".
    for name, more, value in re.findall(r"^\s*([A-Za-z_][A-Za-z0-9_]*)(\+?)=\(([^()]*)\)", text, re.MULTILINE):
        before = env.get(name, "") if more else ""
        env[name] = _put_in(f"{before} {_split(path, value)}".strip(), env) if more else _split(path, value)
    text = re.sub(r"^\s*[A-Za-z_][A-Za-z0-9_]*\+?=\([^()]*\)", "", text, flags=re.MULTILINE)
    for quoted in re.finditer(r"^\s*(?:export\s+)?([A-Za-z_][A-Za-z0-9_]*)(\+?)=\"([^\"]*)\"", text, re.MULTILINE):
        before = env.get(quoted[1], "") if quoted[2] else ""
        env[quoted[1]] = _put_in(" ".join(f"{before}{quoted[3]}".split()), env)
    text = re.sub(r"^\s*(?:export\s+)?[A-Za-z_][A-Za-z0-9_]*\+?=\"[^\"]*\"", "", text, flags=re.MULTILINE)
    for line in text.splitlines():
        assigned = _ASSIGNED.match(line)
        if assigned and " " not in assigned[2].strip():
            env[assigned[1]] = _put_in(assigned[2].strip().strip("'\""), env)
            continue
        if "--" not in line and "$" not in line:
            continue
        found = _words(path, _put_in(line, env))
        if sum(w.startswith("--") for w in found) > sum(w.startswith("--") for w in words):
            words = found
    refuse_others(path, {}, text)
    if not any("--per_device" in word or "--model_name" in word for word in words):
        elsewhere(path, text)
    if not words:
        raise FormatError(f"{path} holds no command with options", "--recipe takes the script that starts the run")
    told = [name for name in branches.unsettled if re.search(rf"\$\{{?{name}\b", text) or "--" in env.get(name, "")]
    notes = [f"the script sets {', '.join(told)} in an `if` that it does not decide itself: counted as if it ran"] if told else []
    return File(path, "shell", arguments(words), tuple(words), env, tuple(notes))


def _split(path: str, text: str) -> str:
    return " ".join(_words(path, " ".join(text.split())))


def _words(path: str, text: str) -> list[str]:
    try:
        return shlex.split(text)
    except ValueError as error:
        raise FormatError(f"{path} is no shell script that can be read: {error}") from None


def _uncommented(line: str) -> str:
    """A line of a script without the comment behind it: one that begins a word, outside of quotes."""
    return re.sub(r"""^((?:[^"'#]|"[^"]*"|'[^']*'|(?<=[^\s;])#)*?)(?<![^\s;])#.*$""", r"\1", line)


def _put_in(text: str, env: Mapping[str, str]) -> str:
    """The script's own variables, and defaults of others; arrays as `${NAME[@]}`."""
    text = _bounded(re.sub(r"\"?\$\{([A-Za-z_][A-Za-z0-9_]*)\[@\]\}\"?", lambda m: env.get(m[1], m[0]), text))
    return _bounded(_VARIABLE.sub(lambda m: env.get(m[1] or m[3], m[2] if m[2] is not None else m[0]), text))


def _bounded(text: str) -> str:
    # Variables of variables can make a small file large without end.
    if len(text) > _WORDS:
        raise FormatError(f"a line of the script is longer than {_WORDS >> 10} kB with its variables put in")
    return text


def unresolved(text: str) -> str | None:
    """The first variable of the environment that a value still names."""
    found = _VARIABLE.search(text)
    return (found[1] or found[3]) if found else None
