"""What a checkpoint's headers say: every tensor's name, shape and dtype, read from the first bytes of its files.

No header is believed about its own size: lengths are checked against the file before anything is allocated.
"""

from __future__ import annotations

import os
import struct
from math import prod
from typing import Any, BinaryIO

from archcalc import files
from archcalc.errors import FormatError, SourceError, SourceNotFoundError
from archcalc.records import NamedTuple

MAX_HEADER = 100 * 2**20
"""The largest safetensors header, by its own specification; a GGUF header with its tokenizer has some 30 MB at most."""
MAX_TENSORS = 2**21
MAX_AXES = 8
MAX_ELEMENTS = 2**56
_MAX_PARTS = 4096
SUFFIXES = (".safetensors", ".gguf")
INDEX = "model.safetensors.index.json"
INDEXES = (INDEX, "pytorch_model.bin.index.json", "consolidated.safetensors.index.json")


class Held(NamedTuple):
    """One tensor of a checkpoint. An index knows names only: shape and dtype are None."""

    shape: tuple[int, ...] | None
    dtype: str | None

    @property
    def elements(self) -> int:
        return prod(self.shape or ())


class Header(NamedTuple):
    """The tensors of one checkpoint by name, and what its files say beside them.

    `format` is `safetensors`, `gguf` or `index`. `metadata` is what GGUF states of the model, or the index's own. `notes` are worth
    telling, such as that a file ends before its data does.
    """

    format: str
    tensors: dict[str, Held]
    metadata: dict[str, Any]
    files: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


def read(path: str) -> Header:
    """The header of one file, of all files that an index names, or of all in a folder; of a part of a split file, that of all its parts.

    Of the files that an index names, those that are there are read; where none is, the index's names are all that is known.
    """
    if os.path.isdir(path):
        return _folder(path)
    lower = path.lower()
    if lower.endswith(".json"):
        return _index(path)
    return _split(path)


def read_file(path: str) -> Header:
    """The header of one .safetensors or .gguf file, told apart by its first bytes."""
    from archcalc.formats import gguf, safetensors

    with opened(path) as file:
        start = file.read(8)
        file.seek(0)
        size = os.fstat(file.fileno()).st_size
        if start[:4] == b"GGUF":
            return gguf.read(file, path, size)
        if start == b"version " and file.read(23) == b"version https://git-lfs":
            raise FormatError(f"{path} is a pointer of Git LFS, not the file itself", "fetch it with git lfs pull, or from the Hub")
        file.seek(0)
        if path.lower().endswith(".gguf"):
            raise FormatError(f"{path} is not GGUF: it begins with {start[:4]!r}, not with GGUF", "fetch or convert the file again")
        if start[:2] in (b"PK", b"\x80\x02"):
            raise FormatError(f"{path} is a pickle of PyTorch: its tensors cannot be listed without running it", "use .safetensors")
        return safetensors.read(file, path, size)


def best_in(folder: str, names: list[str]) -> str | None:
    """The file of a folder that lists its tensors best: an index, safetensors, GGUF."""
    for name in INDEXES:
        if name in names:
            return os.path.join(folder, name)
    for suffix in SUFFIXES:
        if any(name.lower().endswith(suffix) for name in names):
            return folder
    return None


def _folder(folder: str) -> Header:
    try:
        names = sorted(os.listdir(folder))
    except OSError as error:
        raise SourceError(f"{folder}: the folder cannot be read ({error.strerror})", "check who may read it") from None
    for name in INDEXES:
        if name in names:
            return _index(os.path.join(folder, name))
    for suffix in SUFFIXES:
        held = [name for name in names if name.lower().endswith(suffix)]
        if suffix == ".safetensors" and "model.safetensors" in held:
            # Adapters, other precisions and copies in Mistral's own names may lie beside it.
            held = ["model.safetensors"]
        if suffix == ".gguf":
            held = _one_model(folder, [name for name in held if not name.lower().startswith("mmproj")])
        held = sorted({*held, *(part for name in held for part in _parts(name))})
        if len(held) == 1:
            return _split(os.path.join(folder, held[0]))
        if held:
            return _whole(folder, held, folder)
    raise SourceNotFoundError(
        f"{folder} holds no .safetensors, no .gguf and no index of either", "give the folder or the file that holds the weights"
    )


_PART = r"-(\d{5})-of-(\d{5})(?=\.(?:gguf|safetensors)$)"


def _parts(name: str) -> list[str]:
    """The names of all parts of what a split file's name says it is a part of, its own among them; none for another name."""
    import re

    found = re.search(_PART, name, flags=re.IGNORECASE)
    if found is None or not 1 <= int(found[1]) <= int(found[2]) <= _MAX_PARTS:
        return []
    return [f"{name[: found.start()]}-{part:05d}-of-{found[2]}{name[found.end() :]}" for part in range(1, int(found[2]) + 1)]


def _split(path: str) -> Header:
    """The header of one file or, of a part of a split one, of all parts, which lie beside it."""
    folder, name = os.path.split(path)
    parts = _parts(name)
    if len(parts) > 1 and os.path.isfile(path):
        return _whole(folder, parts, path)
    header = read_file(path)
    count = header.metadata.get("split.count") if header.format == "gguf" else None
    if isinstance(count, int) and count > 1:
        # llama.cpp b9500, src/llama-model-loader.cpp: the parts are looked for by name, from that of the first.
        number = header.metadata.get("split.no")
        which = f"part {number + 1}" if isinstance(number, int) else "a part"
        raise FormatError(
            f"{path} is {which} of {count} (split.count), and its name does not say where the others are",
            f"name the parts NAME-00001-of-{count:05d}.gguf and so on, in one folder, as llama.cpp looks for them",
        )
    return header


def _whole(folder: str, names: list[str], label: str) -> Header:
    """The headers of the files of one model as one. Raises `SourceNotFoundError` that names a part that is not there."""
    absent = [name for name in names if not os.path.exists(os.path.join(folder, name))]
    if absent:
        more = f" and {len(absent) - 1} more" if len(absent) > 1 else ""
        raise SourceNotFoundError(
            f"{label}: of its {len(names)} parts {absent[0]}{more} {'are' if more else 'is'} not there",
            f"fetch {'them' if more else 'it'} into {folder or 'the same folder'}, or give the model's config.json",
        )
    found = merged([read_file(os.path.join(folder, name)) for name in names], label)
    stated = found.metadata.get("split.tensors.count")
    if found.format == "gguf" and isinstance(stated, int) and stated != len(found.tensors):
        raise FormatError(
            f"{label}: its parts hold {len(found.tensors):,} tensors, and split.tensors.count says {stated:,}",
            "fetch the parts of one model again",
        )
    return found


def _one_model(folder: str, held: list[str]) -> list[str]:
    """The files of one GGUF model: split files are named -00001-of-00003."""
    import re

    stems = {re.sub(_PART, "", name, flags=re.IGNORECASE) for name in held}
    if len(stems) > 1:
        raise FormatError(f"{folder} holds several models: {', '.join(sorted(stems)[:3])}", "give the file that is meant")
    return held


def _index(path: str) -> Header:
    from archcalc.jsonfile import read_json

    index = read_json(path, limit=MAX_HEADER)
    names = weight_map(index, path)
    folder = os.path.dirname(path)
    files = sorted(set(names.values()))
    there = [file for file in files if file.endswith(".safetensors") and os.path.isfile(os.path.join(folder, file))]
    metadata = index.get("metadata")
    if not there:
        return Header("index", dict.fromkeys(names, Held(None, None)), metadata if isinstance(metadata, dict) else {}, (path,))
    found = merged([read_file(os.path.join(folder, file)) for file in there], path)
    notes = found.notes
    absent = set(files) - set(there)
    tensors = dict(found.tensors)
    if absent:
        notes += (f"{len(absent)} of {len(files)} files are not there: of their tensors the index gives the names only",)
        tensors |= {name: Held(None, None) for name, file in names.items() if file in absent}
    lost = [name for name, file in names.items() if file in there and name not in found.tensors]
    if lost:
        notes += (f"the index lists {len(lost)} tensors that its files do not hold, such as {lost[0]}",)
    return found._replace(tensors=tensors, notes=notes)


def weight_map(index: dict[str, Any], label: str) -> dict[str, str]:
    """Which file holds each tensor, from an index."""
    names = index.get("weight_map")
    if not isinstance(names, dict) or not names:
        raise FormatError(f"{label} is no checkpoint's index: it has no weight_map", "give model.safetensors.index.json")
    if len(names) > MAX_TENSORS or not all(isinstance(file, str) for file in names.values()):
        raise FormatError(f"{label}: weight_map should name a file for each tensor", "fetch the index again")
    for file in set(names.values()):
        if os.path.isabs(file) or ".." in file.split("/") or "\0" in file:
            raise FormatError(f"{label} names a file outside its folder: {file[:60]!r}", "fetch the index again")
    return names


def merged(headers: list[Header], label: str) -> Header:
    """The headers of the files of one checkpoint as one."""
    first = headers[0]
    tensors: dict[str, Held] = {}
    for header in headers:
        for name, held in header.tensors.items():
            if name in tensors:
                raise FormatError(f"{label} holds the tensor {name} in two files", "give the files of one checkpoint only")
            tensors[name] = held
    return Header(
        first.format,
        tensors,
        first.metadata,
        tuple(f for h in headers for f in h.files),
        tuple(n for h in headers for n in h.notes),
    )


def opened(path: str) -> BinaryIO:
    """The file, or an error that says why not."""
    try:
        return files.open_regular(path)
    except IsADirectoryError:
        raise SourceNotFoundError(f"{path} is a folder, not a file", "give the file itself") from None
    except FileNotFoundError:
        raise SourceNotFoundError(f"{path}: no such file", "give a .safetensors or .gguf file, an index, or their folder") from None
    except PermissionError:
        raise SourceError(f"{path}: no permission to read it", "check who may read the file") from None
    except OSError as error:
        raise SourceError(f"{path} cannot be read: {error.strerror or error}", "check the file and the disk") from None


class Reader:
    """Reads numbers and strings of a header, and never more than the file holds."""

    def __init__(self, file: BinaryIO, label: str, size: int) -> None:
        self.file, self.label, self.size, self.order = file, label, size, "<"
        self.at = 0

    def take(self, n: int, what: str) -> bytes:
        """The next `n` bytes."""
        if n > self.size - self.at:
            raise FormatError(
                f"{self.label} is truncated: {what} should have {n:,} bytes, and {max(0, self.size - self.at):,} are left",
                "fetch or copy the file again",
            )
        data = self.file.read(n)
        self.at += len(data)
        if len(data) != n:
            raise FormatError(f"{self.label} is truncated in {what}", "fetch or copy the file again")
        return data

    def skip(self, n: int, what: str) -> None:
        """Pass over `n` bytes."""
        if n > self.size - self.at:
            self.take(n, what)
        self.file.seek(n, os.SEEK_CUR)
        self.at += n

    def number(self, code: str, what: str) -> Any:
        """One number of a `struct` type."""
        return struct.unpack(self.order + code, self.take(struct.calcsize(code), what))[0]
