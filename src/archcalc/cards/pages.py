"""The files that a check is asked for, and their text."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator

from archcalc import files as disk
from archcalc.cards.settings import spellings
from archcalc.errors import FormatError, SourceError

MAX_BYTES = 2 * 2**20
"""The largest file that is read: a card has some kilobytes, a long README a hundred."""


def read(path: str) -> tuple[str, str]:
    """A file's text, byte order mark and line ends included, and its encoding. Raises `ArchcalcError` for what is no text."""
    return _decode(_bytes(path), path)


def _bytes(path: str) -> bytes:
    try:
        if path == "-":
            import sys

            data = sys.stdin.buffer.read(MAX_BYTES + 1)
        else:
            with disk.open_regular(path) as file:
                size = os.fstat(file.fileno()).st_size
                if size > MAX_BYTES:
                    raise FormatError(
                        f"{path} has {size / 2**20:,.0f} MiB: no card is that large",
                        f"files up to {MAX_BYTES // 2**20} MiB are read",
                    )
                data = file.read(MAX_BYTES + 1)
    except IsADirectoryError:
        raise SourceError(f"{path} is a folder without Markdown files", "give the files in it") from None
    except OSError as error:
        raise SourceError(f"{path} cannot be read: {error.strerror or error}", "give a Markdown, JSON or YAML file") from None
    if len(data) > MAX_BYTES:
        raise FormatError(f"{path} is larger than {MAX_BYTES // 2**20} MiB: no card is that large", "give the card alone")
    return data


def _decode(data: bytes, path: str) -> tuple[str, str]:
    for mark, encoding in ((b"\xff\xfe", "utf-16-le"), (b"\xfe\xff", "utf-16-be")):
        if data.startswith(mark):
            try:
                return data.decode(encoding), encoding
            except UnicodeDecodeError:
                raise FormatError(f"{path} begins as UTF-16 and is not", "save it as UTF-8") from None
    if b"\0" in data:
        raise FormatError(f"{path} is not text", "give a Markdown, JSON or YAML file")
    try:
        return data.decode("utf-8"), "utf-8"
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise FormatError(f"{path} is not UTF-8: byte 0x{data[error.start]:02x} in line {line}", "save it as UTF-8") from None


def expand(patterns: Iterable[str], exclude: Iterable[str]) -> Iterator[str]:
    """The files that paths, folders and glob patterns name, each once, in order. A pattern that matches nothing is yielded as it is."""
    import glob
    from fnmatch import fnmatch

    seen: set[str] = set()
    left_out = tuple(exclude)
    for pattern in patterns:
        if pattern == "-" or os.path.isfile(pattern):
            found = [pattern]
        elif os.path.isdir(pattern):
            found = sorted(_markdown_below(pattern)) or [pattern]
        else:
            found = sorted(p for p in glob.glob(pattern, recursive=True) if os.path.isfile(p)) or [pattern]
        for path in found:
            if path not in seen and not any(fnmatch(plain, e) for plain in spellings(path) for e in left_out):
                seen.add(path)
                yield path


def _markdown_below(folder: str) -> Iterator[str]:
    for root, folders, found in os.walk(folder):
        folders[:] = sorted(
            name for name in folders if not name.startswith(".") and name not in ("node_modules", "__pycache__", "venv")
        )
        for name in found:
            if name.lower().endswith((".md", ".markdown")):
                yield os.path.join(root, name)
