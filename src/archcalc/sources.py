"""Where configs come from: bundled names, files, folders, standard input and the Hub, each told apart and read strictly.

Nothing here imports pydantic, and whatever a run does not need is imported where it is needed: start-up counts.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, BinaryIO, Literal

from archcalc.errors import FormatError, OfflineError, SourceError, SourceNotFoundError, UnsupportedError, UsageError
from archcalc.jsonfile import MAX_BYTES, DuplicateKeyError, checked, read_json, too_large
from archcalc.records import NamedTuple

if TYPE_CHECKING:
    from archcalc.formats.headers import Header

Kind = Literal["bundled", "file", "hub", "cache", "stdin"]

# Not compiled before they are needed: a bundled name needs neither.
_REPO = r"(?a:[A-Za-z0-9_][\w.-]*/[A-Za-z0-9_][\w.-]*)"
_HUB_URL = r"(?i:(?:https?://)?(?:www\.)?(?:huggingface\.co|hf\.co)/|hf://)(.+)"


class Source(NamedTuple):
    """A config that has been read, and where it came from.

    `format` is the one that the config is written in; `config` holds its keys as they stand there. Of a checkpoint without a config,
    `header` is what its files' headers say, and `config` what that amounts to, if anything.

    `revision` is the commit of a config from the Hub or its cache. `path` is the file that was read, `repo` the repository the
    config belongs to, each where there is one. `note` says what is worth telling about the choice, or is empty; `taken` is whether the
    name could mean other models too.
    """

    name: str
    kind: Kind
    format: str
    revision: str | None
    config: dict[str, Any]
    path: str | None = None
    repo: str | None = None
    note: str = ""
    header: Header | None = None
    taken: bool = False


def resolve(text: str, *, offline: bool = False, refresh: bool = False, stdin: BinaryIO | None = None) -> Source:
    """Find and read the config that `text` names. The first of these that applies decides:

    1. `-` is standard input.
    2. `hf://org/name` and `https://huggingface.co/org/name` are Hub repositories.
    3. What is written as a path (it begins with `.`, `/` or `~`, ends in `.json`, or holds a backslash) is one.
    4. A name without a slash that is bundled is that model, whatever the working directory holds: `./name` is the folder.
    5. What exists on disk is that file, or of that folder config.json, params.json, or what lists its tensors.
    6. `org/name` is a Hub repository; a bundled snapshot of it serves.

    Names and repository ids may carry `@revision`. A revision, or `refresh`, asks the Hub in place of a bundled snapshot.
    `offline` never touches the network: the Hub's cache on disk still serves.
    """
    if text == "-":
        return _from_bytes(_read_stdin(stdin), "-", "stdin", "standard input")
    if not text.strip() or "\0" in text:
        raise UsageError(f"{text!r} is not a SOURCE", "give a bundled name, a path, a Hub repository or -")
    if offline and refresh:
        raise UsageError("--offline and --refresh exclude each other", "leave one of them out")
    url = re.fullmatch(_HUB_URL, text) if "://" in text or "hf.co/" in text or "huggingface.co/" in text else None
    if url:
        repo, revision = _repo_of_url(text, url[1])
        return _from_repo(repo, revision, offline, refresh)
    if _is_written_as_path(text):
        return _from_path(text)

    from archcalc import zoo

    base, _, revision = text.partition("@")
    if "/" not in text or not os.path.exists(text):
        entry = zoo.find(base)
        if entry is not None:
            if revision or refresh:
                return _from_repo(entry.repo, revision or None, offline, refresh)
            return _from_zoo(entry, here="/" not in text and os.path.exists(text), others=zoo.meant_as_well(base, entry))
    if os.path.lexists(text):
        return _from_path(text)
    if re.fullmatch(_REPO, base):
        return _from_repo(base, revision or None, offline, refresh)
    raise _not_found(text)


def apply_overrides(config: Mapping[str, Any], overrides: Iterable[str]) -> dict[str, Any]:
    """A copy of `config` with each `KEY=VALUE` set.

    KEY may be dotted, with numbers for places in a list; VALUE is JSON or a bare string.

    >>> apply_overrides({"rope": {"factor": 8.0}, "kinds": ["a", "b"]}, ["rope.factor=4", "kinds.1=c", "act=silu"])
    {'rope': {'factor': 4}, 'kinds': ['a', 'c'], 'act': 'silu'}
    """
    result: dict[str, Any] = dict(config)
    for override in overrides:
        key, equals, raw = override.partition("=")
        steps = [step.strip() for step in key.split(".")]
        if not equals or not all(steps):
            raise UsageError(f"--set {override}: KEY=VALUE was expected", "as in --set num_hidden_layers=16")
        result = _with(result, steps, _override_value(raw.strip(), override), override)
    return result


def _override_value(raw: str, override: str) -> Any:
    try:
        return json.loads(raw, object_pairs_hook=checked)
    except DuplicateKeyError as error:
        raise UsageError(f"--set {override}: the key {error.args[0]!r} stands twice", "keep the one that is meant") from None
    except RecursionError:
        raise UsageError("--set: the value is nested too deeply", "give a shorter value") from None
    except ValueError:
        return _PYTHON.get(raw, raw)


_PYTHON = {"True": True, "False": False, "None": None}
"""What people write for JSON's true, false and null."""


def _with(node: Any, steps: list[str], value: Any, override: str) -> Any:
    """`node` with the place that `steps` lead to set to `value`; what is on the way is copied."""
    if not steps:
        return value
    step = steps[0]
    if node is None:
        node = {}
    if isinstance(node, Mapping):
        held = node.get(step)
        if len(steps) == 1 and isinstance(value, Mapping) and isinstance(held, Mapping) and _is_nested(step):
            # transformers 5.24, configuration_utils.py `PreTrainedConfig.from_dict`: a nested config is updated, not replaced.
            return {**node, step: {**held, **value}}
        return {**node, step: _with(node.get(step), steps[1:], value, override)}
    if isinstance(node, list):
        if not step.isdecimal() or int(step) >= len(node):
            raise UsageError(
                f"--set {override}: {step} is no place in a list of {len(node)}", f"places go from 0 to {len(node) - 1}"
            )
        return [_with(item, steps[1:], value, override) if i == int(step) else item for i, item in enumerate(node)]
    raise UsageError(f"--set {override}: there is nothing below {node!r} to set {step!r} in", "set the key itself, to an object")


def _is_nested(key: str) -> bool:
    """Whether a key holds the config of a part of the model; that of the quantization says how all is stored, and is replaced whole."""
    return key.endswith("_config") and key not in ("quantization_config", "compression_config")


def _from_zoo(entry: Any, here: bool, others: Sequence[str] = ()) -> Source:
    from archcalc import zoo

    note = f"bundled snapshot of {entry.repo}; --refresh asks the Hub"
    if entry.origin != "published":
        note += f"; {entry.origin}" + (f": {entry.origin_note}" if entry.origin_note else "")
    if here:
        note += f"; ./{entry.name} would be what is in this folder"
    if others:
        note = f"the name is taken for {entry.name}; there is also {', '.join(others)}; {note}"
    return Source(entry.name, "bundled", "hf-config", None, zoo.config(entry.name), None, entry.repo, note, taken=bool(others))


def _from_repo(repo: str, revision: str | None, offline: bool, refresh: bool) -> Source:
    from archcalc import zoo

    entry = zoo.find(repo)
    if entry is not None and revision in (None, "main") and not refresh:
        return _from_zoo(entry, here=False)

    from archcalc import hub

    try:
        got = hub.fetch(repo, revision, offline=offline, refresh=refresh)
    except (OfflineError, SourceNotFoundError) as error:
        if bundled := _repacked(repo):
            error.hint = f"{error.hint}; {bundled}"
        elif isinstance(error, hub.RepositoryNotFoundError):
            error.hint = _did_you_mean(repo.partition("/")[2]) or error.hint
        raise
    label = f"config.json of {repo}" + (f" at {revision}" if revision else "")
    if got.name != "config.json":
        label = label.replace("config.json", got.name, 1)
    config = read_json(got.path, label)
    if got.name == "model_index.json":
        config = _pipeline(os.path.dirname(got.path), repo)
    form = _format_of(config, label)
    if got.quantization is not None and not _states_quantization(config):
        config["quantization_config"] = read_json(got.quantization, f"{_QUANT} of {repo}")
    return Source(repo, "cache" if got.cached else "hub", form, got.revision, config, got.path, repo, got.note)


def _from_path(text: str) -> Source:
    path = os.path.expanduser(text)
    try:
        mode = os.stat(path).st_mode
    except PermissionError:
        raise SourceError(f"{text}: no permission to look there", "check who may read the folder") from None
    except (OSError, ValueError) as error:
        if os.path.islink(path):
            raise SourceNotFoundError(
                f"{text} is a link to a file that is not there", "mend the link, or give the file itself"
            ) from None
        reason = "" if isinstance(error, FileNotFoundError) else f" ({getattr(error, 'strerror', None) or error})"
        raise SourceNotFoundError(
            f"{text}: no such file or folder{reason}", "give a config.json, a folder that holds one, or a model"
        ) from None
    import stat

    file = _best_in(path, text) if stat.S_ISDIR(mode) else path
    # A folder's config.json may be a pipe too: it is refused when it is opened.
    if os.path.isdir(file) or _is_checkpoint(file):
        return _from_checkpoint(file, text)
    label = os.path.join(text, os.path.basename(file)) if file != path else text
    config = read_json(file, label)
    if os.path.basename(file) == "model_index.json":
        config = _pipeline(os.path.dirname(file) or ".", text)
    if config.get("weight_map") and "model_type" not in config:
        return _from_index(file, text)
    form = _format_of(config, label)
    note = ""
    if os.path.basename(file) == "config.json" and not _states_quantization(config):
        for name, method in _BESIDE.items():
            beside = os.path.join(os.path.dirname(file), name)
            if os.path.isfile(beside) and (stated := read_json(beside)).keys() & _SAYS_BITS:
                config["quantization_config"] = {"quant_method": method, **stated, "stated_in": name} if method else stated
                note = f"quantization: from {name} beside it" if method else ""
                break
    return Source(text, "file", form, None, config, file, note=note)


_QUANT = "hf_quant_config.json"
_BESIDE = {_QUANT: "", "quantize_config.json": "gptq", "quant_config.json": "awq"}
"""Where ModelOpt, AutoGPTQ and AutoAWQ state the quantization that config.json does not, and the method that goes without saying.

vLLM 0.33, model_executor/layers/quantization/auto_gptq.py and auto_awq.py `get_config_filenames`."""
_SAYS_BITS = frozenset({"quantization", "quant_algo", "quant_method", "bits", "w_bit"})


def _states_quantization(config: Mapping[str, Any]) -> bool:
    return any(config.get(key) for key in ("quantization_config", "compression_config", "quantization"))


def _is_checkpoint(file: str) -> bool:
    """Whether a file is weights, by its first bytes or, where it has none of a known format, its name."""
    if file.lower().endswith((".gguf", ".safetensors", ".bin", ".pt", ".pth")):
        return True
    try:
        if not os.path.isfile(file):  # a pipe gives its bytes once
            return False
        with open(file, "rb") as opened:
            return opened.read(4) == b"GGUF"
    except OSError:
        return False


def _from_checkpoint(file: str, text: str) -> Source:
    """What the headers of weights say of their model: GGUF's metadata are a config, safetensors hold names and shapes only."""
    from archcalc.formats import headers

    if file.endswith((".bin", ".pt", ".pth")):
        raise UnsupportedError(f"{text} is a pickle of PyTorch, which cannot be read without running it", _CONFIG_HINT)
    header = headers.read(file)
    config: dict[str, Any] = {}
    if header.format == "gguf":
        from archcalc.formats import gguf_config

        if header.metadata.get("general.type") == "adapter":
            # llama.cpp b9500, gguf-py/gguf/constants.py `GGUFType`.
            raise UnsupportedError(
                f"{text} is an adapter, not a model (general.type)", "give the GGUF of the base model that it is for"
            )

        config = gguf_config.config_of(header) or {}
    return Source(text, "file", header.format, None, config, file, header=header)


def _from_index(file: str, text: str) -> Source:
    from archcalc.formats import headers

    header = headers.read(file)
    if any(held.shape is None for held in header.tensors.values()):
        folder = os.path.dirname(file)
        names = sorted(set(headers.weight_map(read_json(file, limit=headers.MAX_HEADER), text).values()))
        absent = next((name for name in names if not os.path.isfile(os.path.join(folder, name))), None)
        if absent is None or os.path.isfile(os.path.join(folder, "config.json")):
            raise FormatError(f"{text} is a checkpoint's index, not a config", "give the model's config.json")
        raise FormatError(
            f"{text}: {absent}, which the checkpoint's index names, is not there, and no config.json tells the model",
            "fetch that file, or the model's config.json, into the folder",
        )
    return Source(text, "file", header.format, None, {}, file, header=header)


def _best_in(folder: str, text: str) -> str:
    """The file of a folder that says most of its model: config.json, params.json, else its weights' headers."""
    path = os.path.join(folder, "config.json")
    if os.path.lexists(path):
        return path
    try:
        held = sorted(os.listdir(folder))
    except OSError as error:
        raise SourceError(f"{text}: the folder cannot be read ({error.strerror})", "check who may read it") from None
    if "params.json" in held:
        return os.path.join(folder, "params.json")
    if "model_index.json" in held:
        _pipeline(folder, text)
        return os.path.join(folder, "model_index.json")
    if "adapter_config.json" in held:
        raise UnsupportedError(
            f"{text} holds an adapter, not a model: it has adapter_config.json and no config.json",
            _base_of(read_json(os.path.join(folder, "adapter_config.json"))),
        )
    from archcalc.formats import headers

    weights = headers.best_in(folder, held)
    if weights is not None:
        return weights
    hint = "give a folder that holds the model's config.json"
    if os.path.isdir(os.path.join(folder, "snapshots")):
        # A repository in the Hub's cache.
        kept = os.path.join(folder, "snapshots")
        found = sorted(name for name in os.listdir(kept) if os.path.isfile(os.path.join(kept, name, "config.json")))
        hint += f", such as {os.path.join(text, 'snapshots', found[-1])}" if found else ""
    elif re.fullmatch(_REPO, text):
        hint += f", or hf://{text} for the Hub repository"
    raise SourceNotFoundError(f"{text} is a folder without a config.json", hint)


def _pipeline(folder: str, text: str) -> dict[str, Any]:
    """The parts of a pipeline of diffusers as one config."""
    from archcalc.formats import diffusers

    parts = diffusers.parts_of(folder)
    if not parts:
        raise UnsupportedError(f"{text} is a diffusers pipeline: model_index.json names its parts, each a model", _DIFFUSERS_HINT)
    return diffusers.whole(parts)


def given(data: bytes, name: str) -> Source:
    """A config that is in memory. Raises `FormatError` and `UnsupportedError` for what is none."""
    return _from_bytes(data, name, "stdin", name)


def _from_bytes(data: bytes, name: str, kind: Kind, label: str) -> Source:
    config = read_json(data, label)
    return Source(name, kind, _format_of(config, label), None, config)


_CONFIG_HINT = "give the model's config.json"
_DIFFUSERS_HINT = "give a folder of one of its parts, such as text_encoder"
_ADAPTER_HINT = "give the base model that adapter_config.json names"


def _base_of(adapter: Mapping[str, Any]) -> str:
    """What to do about an adapter: the base model by its name, where that is one that can be typed."""
    base = adapter.get("base_model_name_or_path")
    return (
        f"give the base model that it is for: {base}"
        if isinstance(base, str) and re.fullmatch(r"[\w./-]{1,200}", base)
        else _ADAPTER_HINT
    )


def _format_of(config: Mapping[str, Any], label: str) -> str:
    """The format of a JSON object. Those known to be something else are refused before a schema complains of keys that are not there."""
    from archcalc.formats import format_of

    if "model_type" in config or "hidden_size" in config:
        return format_of(config)
    if "weight_map" in config:
        raise FormatError(f"{label} is a checkpoint's index, not a config", "give the config.json beside it")
    if "peft_type" in config:
        raise UnsupportedError(f"{label} describes an adapter, not a model", _base_of(config))
    if "_diffusers_version" in config or "_class_name" in config:
        from archcalc.arch import adapter_name

        if adapter_name(config):
            return format_of(config)
        raise UnsupportedError(f"{label} describes a part of a diffusers pipeline, which archcalc does not model", _DIFFUSERS_HINT)
    return format_of(config)


def _repo_of_url(text: str, rest: str) -> tuple[str, str | None]:
    """Repository and revision of a Hub address, as copied from a browser."""
    parts = re.split(r"[?#]", rest)[0].strip("/").split("/")
    if parts[0] in ("datasets", "spaces"):
        raise UsageError(f"{text}: {parts[0]} hold no model", "give a model's repository")
    repo, at, revision = "/".join(parts[:2]).partition("@")
    if not re.fullmatch(_REPO, repo):
        raise UsageError(f"{text} is not the address of a model's repository", "as in https://huggingface.co/org/name")
    if not at and len(parts) > 3 and parts[2] in ("tree", "blob", "resolve", "raw"):
        revision = parts[3]
    return repo, revision or None


def _is_written_as_path(text: str) -> bool:
    return text.startswith((".", "/", "~")) or text.lower().endswith(".json") or "\\" in text


def _not_found(text: str) -> SourceNotFoundError:
    from archcalc.commands.words import KNOWN

    bare = text.partition("@")[0]
    if text.split()[:1] and text.split(maxsplit=1)[0] in {each.split()[0] for each in KNOWN.split(", ")}:
        return SourceNotFoundError(
            f"{text[:60]!r} is no model: an engine's command stands behind --",
            "such as: archcalc fit --gpu GPU -- vllm serve MODEL",
        )
    hint = _repacked(bare) or _did_you_mean(bare)
    if "/" in text:
        message = f"{text}: no such file, and not a Hub repository id (org/name)"
    else:
        message = f"{text!r} is neither a bundled model nor a file"
    return SourceNotFoundError(message, hint or "`archcalc models` lists the bundled ones; a Hub repository is org/name")


def _repacked(text: str) -> str:
    """What to ask of the bundled model that a repacked checkpoint was made of, or nothing."""
    from archcalc.quant.gguf import nearest_file_type
    from archcalc.zoo.repacked import repacked

    # A quantization behind a colon is how llama.cpp names a file of a repository.
    name, _, file_type = text.partition(":")
    found = repacked(name)
    if found is None:
        return ""
    engine = "llama.cpp" if found.gguf else "mlx" if found.quant.startswith("mlx") else ""
    engine = "transformers" if found.quant in ("nf4", "bnb-8bit") else engine
    named = found.quant or file_type.lower() or "q4_k_m"
    quant = nearest_file_type(named) or named
    asked = f"archcalc fit {found.entry.name}{f' --engine {engine}' if engine else ''} --quant {quant}"
    storage = "this storage" if quant == named else f"the type nearest to {named}"
    return f"{found.entry.name} is bundled: `{asked}` takes it in {storage}; inspect, kv and compare take it by that name, as published"


def near_names(text: str) -> list[str]:
    """The bundled names that a text could mean: those that it begins, those that have all of its words, or else those that look like it."""
    import difflib

    from archcalc import zoo

    words = [word for word in re.split(r"[-_:\s]+", text.lower()) if word]
    if starts := zoo.starting_with(text):
        return starts
    if len(words) > 1 and (found := [name for name in zoo.names() if all(word in name.split("-") for word in words)]):
        return found
    names = {zoo.key(alias): entry.name for entry in zoo.entries() for alias in (*entry.aliases, entry.name) if "/" not in alias}
    close = difflib.get_close_matches(zoo.key(text), names, n=8, cutoff=0.7)
    return list(dict.fromkeys(names[match] for match in close))[:_NEAR]


def _did_you_mean(text: str) -> str:
    """The bundled names nearest to `text`, as a question, or nothing."""
    near = near_names(text)
    more = f"`archcalc models {shlex.quote(text)}` lists those" if len(near) > _NEAR else "`archcalc models` lists all"
    return f"did you mean {', '.join(near[:_NEAR])}? {more}" if near else ""


_NEAR = 4
"""Names that a question has."""


def _read_stdin(stdin: BinaryIO | None) -> bytes:
    try:
        data = (stdin or sys.stdin.buffer).read(MAX_BYTES + 1)
    except (OSError, AttributeError) as error:
        raise SourceError(f"standard input cannot be read: {error}", "pipe a config.json into archcalc") from None
    if len(data) > MAX_BYTES:
        too_large("standard input", None)
    return data
