"""JSON objects, read strictly: one reading of them for configs, indexes and what is bundled."""

from __future__ import annotations

import json
import os
from typing import Any, NoReturn

from archcalc.errors import FormatError, SourceError, SourceNotFoundError

MAX_BYTES = 16 * 2**20
"""The largest config that is read. The largest published ones have about 100 KB; beyond this it is some other file."""

MAX_OBJECTS = 2**21
"""Lists and objects of one file: each takes a hundred bytes of memory for two of the file."""

_SPECIAL = {"Infinity": float("inf"), "-Infinity": float("-inf"), "NaN": float("nan")}


def read_json(source: bytes | str | os.PathLike[str], label: str = "", limit: int = 0) -> dict[str, Any]:
    """The JSON object that bytes or a file hold; `label` is what messages call it (by default the path), `limit` the most bytes it has.

    Strict where a mistake would change a figure (duplicate keys, truncation, another encoding), open where real configs are:
    NaN and Infinity are numbers, also where transformers 5 writes them `{"__float__": "Infinity"}`.
    """
    if isinstance(source, bytes):
        data = source
    else:
        label = label or os.fspath(source)
        data = _read(source, label, limit or MAX_BYTES)
    if len(data) > (limit or MAX_BYTES):
        too_large(label, len(data))
    if not data.strip():
        raise FormatError(f"{label} is empty", "a config.json holds one JSON object")
    if len(data) > 2**20 and data.count(b"{") + data.count(b"[") > MAX_OBJECTS:
        raise FormatError(f"{label} holds more than {MAX_OBJECTS:,} objects and lists, as nothing published does", "fetch it again")
    text = _decode(data, label)
    try:
        value = json.loads(text, object_pairs_hook=checked)
    except json.JSONDecodeError as error:
        raise _not_json(error, text, label) from None
    except DuplicateKeyError as error:
        raise FormatError(f"{label} has the key {error.args[0]!r} twice in one object", "keep the one that is meant") from None
    except RecursionError:
        raise FormatError(f"{label} is nested too deeply to be a config", "give the model's config.json") from None
    except ValueError:
        raise FormatError(f"{label} holds a number of thousands of digits, as no config does", "correct the number") from None
    if not isinstance(value, dict):
        kinds = {list: "a list", str: "a string", bool: "true or false", type(None): "null"}
        kind = kinds.get(type(value), "a number")
        raise FormatError(f"{label} holds {kind}: a config is a JSON object", "give the model's config.json")
    if "\\u" in text:
        try:
            json.dumps(value, ensure_ascii=False).encode()
        except UnicodeEncodeError:
            raise FormatError(f"{label} holds a lone surrogate (\\ud800 to \\udfff)", "write the character itself") from None
        except RecursionError:
            raise FormatError(f"{label} is nested too deeply to be a config", "give the model's config.json") from None
    return value


def _read(path: str | os.PathLike[str], label: str, limit: int) -> bytes:
    """The bytes of a file; what the shell opened, which has no size, is read up to the limit."""
    from archcalc import files

    try:
        with files.open_regular(path, label) as file:
            size = os.fstat(file.fileno()).st_size
            if size > limit:
                too_large(label, size)
            data = file.read(limit + 1)
    except IsADirectoryError:
        raise SourceNotFoundError(f"{label} is a folder, not a file", "give the config.json itself") from None
    except FileNotFoundError:
        raise SourceNotFoundError(f"{label}: no such file", "give a config.json, a folder that holds one, or a model") from None
    except PermissionError:
        raise SourceError(f"{label}: no permission to read it", "check who may read the file") from None
    except OSError as error:
        raise SourceError(f"{label} cannot be read: {error.strerror or error}", "check the file and the disk") from None
    if len(data) > limit:
        too_large(label, None)
    return data


def too_large(label: str, size: int | None) -> NoReturn:
    much = f"{size / 2**20:,.0f} MiB" if size is not None else f"more than {MAX_BYTES // 2**20} MiB"
    raise FormatError(f"{label} has {much}: no config is that large", "give the model's config.json, not its weights or tokenizer")


def _decode(data: bytes, label: str) -> str:
    """The text, in UTF-8 or, by its byte order mark, UTF-16. A reader may pass over the mark (RFC 8259, section 8.1)."""
    hint = "save it as UTF-8"
    data = data.removeprefix(b"\xef\xbb\xbf")
    if data.startswith((b"\xff\xfe", b"\xfe\xff")) and data[2:4] != b"\0\0":
        try:
            return data.decode("utf-16")
        except UnicodeDecodeError:
            raise FormatError(f"{label} begins as UTF-16 and is not", hint) from None
    if b"\0" in data[:64]:
        raise FormatError(f"{label} is not text", "give the model's config.json")
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise FormatError(f"{label} is not UTF-8: byte 0x{data[error.start]:02x} in line {line}", hint) from None


def _not_json(error: json.JSONDecodeError, text: str, label: str) -> FormatError:
    if text.startswith("version https://git-lfs"):
        return FormatError(f"{label} is a pointer of Git LFS, not the file itself", "fetch it with git lfs pull, or from the Hub")
    if text.lstrip().startswith("<"):
        return FormatError(f"{label} is a web page, not JSON", "fetch the file itself: on the Hub /resolve/ in place of /blob/")
    where = f"line {error.lineno}, column {error.colno}"
    # An unfinished string is reported where it begins, anything else unfinished where the text ends.
    cut = not text[error.pos :].strip() or (error.msg.startswith("Unterminated string") and "\n" not in text[error.pos :].strip())
    if cut:
        return FormatError(f"{label} is truncated: the JSON stops in the middle, at {where}", "fetch or copy the file again")
    return FormatError(f"{label} is not JSON: {error.msg[0].lower()}{error.msg[1:]} at {where}", "correct it there")


class DuplicateKeyError(Exception):
    """A JSON object has a key twice; its argument is the key."""


def checked(pairs: list[tuple[str, Any]]) -> Any:
    """One JSON object, of its pairs. Raises `DuplicateKeyError` for a key that stands twice."""
    value = dict(pairs)
    if len(value) != len(pairs):
        seen: set[str] = set()
        for key, _ in pairs:
            if key in seen:
                raise DuplicateKeyError(key)
            seen.add(key)
    if len(value) == 1 and "__float__" in value:
        number = value["__float__"]
        if isinstance(number, str) and number in _SPECIAL:
            return _SPECIAL[number]
    return value
