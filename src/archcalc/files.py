"""Files read and written: only regular ones are opened, and a file is replaced whole or not at all."""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import BinaryIO

from archcalc.errors import SourceError, UsageError

# What the shell opened itself (`<(...)`, standard input) is there to be read, and ends.
_OPEN_ALREADY = ("/dev/fd/", "/proc/self/fd/", "/dev/stdin")
_KINDS = ((stat.S_ISFIFO, "a pipe"), (stat.S_ISSOCK, "a socket"), (stat.S_ISCHR, "a device"), (stat.S_ISBLK, "a device"))


def open_regular(path: str | os.PathLike[str], label: str = "") -> BinaryIO:
    """The file, opened for reading. Raises `SourceError` for a pipe, a socket or a device, which may never end, and `OSError`."""
    name = os.fspath(path)
    if name.startswith(_OPEN_ALREADY):
        return open(name, "rb")
    # A pipe without a writer would wait for one.
    handle = os.open(name, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0) | getattr(os, "O_CLOEXEC", 0))
    try:
        mode = os.fstat(handle).st_mode
        if stat.S_ISDIR(mode):
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), name)  # noqa: TRY301
        if not stat.S_ISREG(mode):
            raise SourceError(f"{label or name} is {kind_of(mode)}, not a file", "give a file, or - for standard input")  # noqa: TRY301
        return os.fdopen(handle, "rb")
    except BaseException:
        os.close(handle)
        raise


def kind_of(mode: int) -> str:
    """What stands at a path that is neither file nor folder."""
    return next((name for test, name in _KINDS if test(mode)), "something special")


def check_output(out: str, sources: Iterable[str] = (), option: str = "--out") -> None:
    """Refuse, before anything is computed, a place that is no file, or that one of the sources is read from."""
    try:
        held = os.stat(out)
    except OSError:  # not there yet, or told when it is written
        return
    if not stat.S_ISREG(held.st_mode) and not stat.S_ISDIR(held.st_mode):
        raise UsageError(f"{option} {out} is {kind_of(held.st_mode)}, not a file", "give the name of a file")
    for source in sources:
        with contextlib.suppress(OSError, ValueError):
            place = os.path.expanduser(source)
            if any(os.path.samestat(held, os.stat(read)) for read in _read_from(place)):
                raise UsageError(f"{option} {out} is read as a source: it would be lost", "write to another file")


def _read_from(source: str) -> Iterator[str]:
    """The file that a source is, or those of a folder that one is read from."""
    yield source
    if os.path.isdir(source):
        for name in os.listdir(source):
            if name.lower().endswith((".json", ".gguf", ".safetensors")):
                yield os.path.join(source, name)


@contextmanager
def replacing(path: str, unchanged: Callable[[], bool] | None = None) -> Iterator[str]:
    """The path of a new file beside `path`, which takes its place if the block ends well: no reader ever sees half of it.

    Owner and permissions are kept, and a link stays one, to a file that is replaced. `unchanged` is asked last: where it says no, or
    the file changes in the moment of being replaced, it stays as it is and `SourceError` is raised.
    """
    import tempfile  # every start reads files, few write one

    target = os.path.realpath(path)
    before = os.stat(target) if os.path.exists(target) else None
    if before is not None:
        if stat.S_ISDIR(before.st_mode):
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), path)
        if not stat.S_ISREG(before.st_mode):
            raise SourceError(f"{path} is {kind_of(before.st_mode)}, not a file", "give the name of a file")
        if not os.access(target, os.W_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), path)
    try:
        handle, temporary = tempfile.mkstemp(dir=os.path.dirname(target), prefix=".archcalc-", suffix=os.path.splitext(target)[1])
    except OSError as error:
        raise type(error)(error.errno, error.strerror, path) from None
    os.close(handle)
    try:
        yield temporary
        with open(temporary, "rb+") as file:
            os.fsync(file.fileno())
        if before is not None and hasattr(os, "chown"):
            with contextlib.suppress(OSError):  # only root may give files away
                os.chown(temporary, before.st_uid, before.st_gid)
        os.chmod(temporary, before.st_mode & 0o7777 if before is not None else 0o666 & ~_umask())
        if unchanged is None:
            os.replace(temporary, target)
        else:
            _replace_unchanged(path, temporary, target, unchanged)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        raise


def _replace_unchanged(path: str, temporary: str, target: str, unchanged: Callable[[], bool]) -> None:
    changed = SourceError(f"{path} was changed in the meantime: nothing was written", "run the command again")
    if not unchanged():
        raise changed
    if not os.path.exists(target):
        os.replace(temporary, target)
        return
    with open(target, "rb") as old:
        was = os.fstat(old.fileno())
        # Another name for the old file, under which it comes back if it was written to in this moment.
        kept = f"{temporary}-old"
        with contextlib.suppress(OSError):
            os.link(target, kept)
        try:
            os.replace(temporary, target)
            now = os.fstat(old.fileno())
            if (now.st_size, now.st_mtime_ns) != (was.st_size, was.st_mtime_ns) and os.path.exists(kept):
                os.replace(kept, target)
                raise changed
        finally:
            with contextlib.suppress(OSError):
                os.unlink(kept)


def write_text(path: str, text: str, encoding: str = "utf-8", unchanged: Callable[[], bool] | None = None) -> None:
    """Replace a file's text, all or nothing."""
    with replacing(path, unchanged) as temporary, open(temporary, "w", encoding=encoding, newline="") as file:
        file.write(text)


def _umask() -> int:
    mask = os.umask(0o077)
    os.umask(mask)
    return mask
