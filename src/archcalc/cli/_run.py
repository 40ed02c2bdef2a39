"""What all commands share: errors into messages and exit statuses, sources into reports, reports into formats."""

from __future__ import annotations

import errno
import functools
import io
import json
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from enum import Enum
from typing import Any, NoReturn, TypeVar

from archcalc.errors import ArchcalcError, ConfigError, NoRoomError, UsageError
from archcalc.loader import Kept

R = TypeVar("R")
Command = Callable[..., None]


INTERNAL = (ArithmeticError, AttributeError, LookupError, TypeError, ValueError, AssertionError, ImportError, RecursionError)
"""What a mistake of ours raises. It is told as one, without a traceback."""


CLOSED_PIPE = 141
"""What a shell gives for a command that a closed pipe ended (128 + SIGPIPE): neither yes nor no."""


class Pipe(io.RawIOBase):
    """Standard output that takes what nobody reads any more, so that a command goes on to its verdict and ends with that status."""

    def __init__(self, below: Any) -> None:
        self.below = below
        self.closed_by_reader = False

    def write(self, data: Any) -> int:
        if not self.closed_by_reader:
            try:
                return int(self.below.write(data) or 0)
            except BrokenPipeError:
                self.closed_by_reader = True
        return len(data)

    def writable(self) -> bool:
        return True

    def fileno(self) -> int:
        return int(self.below.fileno())

    def isatty(self) -> bool:
        return bool(self.below.isatty())


def unread() -> bool:
    """Whether whoever read standard output has left: what would only print more may stop."""
    below = getattr(sys.stdout, "buffer", None)
    pipe = getattr(below, "raw", below)
    return isinstance(pipe, Pipe) and pipe.closed_by_reader


_REMEDIES = {
    errno.ENOENT: "make the folder first, or write elsewhere",
    errno.EISDIR: "that is a folder: give the name of a file",
    errno.ENOTDIR: "part of that path is a file: write elsewhere",
    errno.EACCES: "choose a place that you may write to",
    errno.EROFS: "choose a place that you may write to",
}


class Format(str, Enum):
    """How a command prints."""

    table = "table"
    json = "json"
    jsonl = "jsonl"
    markdown = "markdown"
    csv = "csv"


def explains(explain: bool, form: object, but: tuple[str, ...] = ("csv",)) -> None:
    """Raises `UsageError` for formulas that are asked for in a format that has no place for them."""
    name = form.value if isinstance(form, Enum) else None
    if explain and name in but:
        raise UsageError(f"--explain has no place in --format {name}", "leave one of them out, or take --format table or json")


def guarded(command: Command) -> Command:
    """The command with the contract's exit statuses: no error leaves a traceback."""

    @functools.wraps(command)
    def run(*args: Any, **kwargs: Any) -> None:
        try:
            command(*args, **kwargs)
            sys.stdout.flush()
        except ArchcalcError as error:
            complain(error.message, error.hint)
            leave(2)
        except KeyboardInterrupt:
            print("archcalc: interrupted", file=sys.stderr)
            leave(130)
        except BrokenPipeError:
            leave(CLOSED_PIPE)
        except OSError as error:
            what = f"cannot write {error.filename}" if error.filename else "cannot write the output"
            complain(f"{what}: {error.strerror or error}", _REMEDIES.get(error.errno or 0, "free some space, or write elsewhere"))
            leave(1)
        except INTERNAL as error:
            if os.environ.get("ARCHCALC_DEBUG"):
                raise
            complain(f"internal error: {type(error).__name__}: {error}", "ARCHCALC_DEBUG=1 shows where; please report it")
            leave(1)

    return run


def complain(message: str, hint: str = "") -> None:
    """One message on stderr, with what to do under it."""
    from archcalc.render.plain import plain

    print(plain(f"archcalc: {message}"), file=sys.stderr)
    if hint:
        print(plain(f"  {hint}"), file=sys.stderr)


def leave(status: int) -> NoReturn:
    """End the process. What a closed pipe or a full disk did not take is dropped, not tried again."""
    try:
        sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    raise SystemExit(status)


def each(sources: Iterable[str], report: Callable[[str], R]) -> Iterator[tuple[str, R | ArchcalcError]]:
    """The report of every source, or the error that stands in its place: one that fails does not stop the others."""
    for source in sources:
        try:
            yield source, report(source)
        except ArchcalcError as error:
            if isinstance(error, ConfigError) and source not in error.message:
                # What a figure found wrong in the config, once that was loaded.
                error.message = f"{source}: {error.message}"
            yield source, error
        except INTERNAL as error:
            if os.environ.get("ARCHCALC_DEBUG"):
                raise
            problem = ArchcalcError(
                f"{source}: internal error: {type(error).__name__}: {error}", "ARCHCALC_DEBUG=1 shows where; please report it"
            )
            yield source, problem


def failure(source: str, error: ArchcalcError) -> dict[str, Any]:
    """The JSON object in place of a report."""
    return {"source": source, "error": {"code": error.code, "message": error.message, "hint": error.hint}}


def print_each(
    sources: Sequence[str],
    report: Callable[[str], R],
    form: Format | Kept,
    *,
    plain: Callable[[R], Any],
    page: Callable[[R], None],
    markdown: Callable[[R], None],
    csv: Callable[[Iterable[R]], None],
) -> None:
    """Print one report per source, in input order, and end with 1 if some failed (with 2 if the only one did)."""
    if isinstance(form, Kept):
        form.reports += map(report, sources)
        return
    failed = 0
    results = each(sources, report)
    if form is Format.jsonl:
        for source, result in results:
            if isinstance(result, ArchcalcError):
                failed += 1
                line = failure(source, result)
            else:
                line = plain(result)
            sys.stdout.write(json.dumps(line, separators=(", ", ": "), ensure_ascii=False) + "\n")
        status = 1
    else:
        status = 2 if len(sources) == 1 else 1
        errors: list[ArchcalcError] = []
        if form is Format.csv:
            csv(result for _, result in _kept(results, errors))
        elif form is Format.json:
            objects = [failure(s, r) if isinstance(r, ArchcalcError) else plain(r) for s, r in _noted(results, errors)]
            if len(sources) > 1 or not errors:
                print(json.dumps(objects if len(sources) > 1 else objects[0], indent=2, ensure_ascii=False))
        else:
            for i, (_, result) in enumerate(_kept(results, errors)):
                if i:
                    print()
                (page if form is Format.table else markdown)(result)
        sys.stdout.flush()
        for error in errors:
            complain(error.message, error.hint)
        failed = len(errors)
        if all(isinstance(error, NoRoomError) for error in errors):
            status = 1
    if failed:
        leave(status)


def _noted(
    results: Iterable[tuple[str, R | ArchcalcError]], errors: list[ArchcalcError]
) -> Iterator[tuple[str, R | ArchcalcError]]:
    for source, result in results:
        if isinstance(result, ArchcalcError):
            errors.append(result)
        yield source, result


def _kept(results: Iterable[tuple[str, R | ArchcalcError]], errors: list[ArchcalcError]) -> Iterator[tuple[str, R]]:
    for source, result in _noted(results, errors):
        if not isinstance(result, ArchcalcError):
            yield source, result
