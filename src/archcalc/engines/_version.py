"""Versions of engines as people and logs write them: one reading of them for every rule that changed between releases."""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Sequence
from typing import Protocol, TypeVar

from archcalc.errors import UsageError
from archcalc.records import NamedTuple


class Version(NamedTuple):
    """The numbers of a version, at least three of them, whether it stands before the release that it is named after, and the number of
    its post-release."""

    numbers: tuple[int, ...]
    before_release: bool = False
    post: int = 0


# PEP 440 with what logs add in front: "v0.11.2rc1", "~0.8", "0.23.1.dev12", "0.10.0+cu128", "0.8.5.post1".
_WRITTEN = (
    r"\s*[v~]?(?P<numbers>\d{1,5}(?:\.\d{1,5}){0,3})"
    r"(?P<before>[._-]?(?:a|b|c|rc|alpha|beta|pre|preview)[._-]?\d{0,5})?"
    r"(?:[._-]?post[._-]?(?P<post>\d{0,5}))?"
    r"(?P<dev>[._-]?dev[._-]?\d{0,9})?"
    r"(?:\+[a-z0-9._-]{1,80})?\s*"
)
_PLACES = 3


def parse(engine: str, text: str) -> Version:
    """Read a version. Raises `UsageError` for anything else."""
    found = re.fullmatch(_WRITTEN, text, re.IGNORECASE) if len(text) < 120 else None
    if found is None:
        raise UsageError(f"{text[:40]!r} is not a version of {engine}", "write it like 0.33.0")
    numbers = _padded(tuple(map(int, found["numbers"].split("."))))
    return Version(numbers, bool(found["before"] or found["dev"]), int(found["post"] or 0))


def _padded(numbers: tuple[int, ...]) -> tuple[int, ...]:
    return numbers + (0,) * (_PLACES - len(numbers))


def leads_to(version: Version, releases: Sequence[str]) -> tuple[int, ...]:
    """The numbers whose rules hold: those of a release itself; of what was built before one, those of the first of
    `releases` from there on.

    A development version is named after the next number (0.23.1.dev12 is built on the way from 0.23.0), which is often never released.
    """
    if not version.before_release or not releases:
        return version.numbers
    numbers = [parse("the engine", release).numbers for release in releases]
    place = bisect_left(numbers, version.numbers)
    return numbers[place] if place < len(numbers) else version.numbers


def ordered(version: Version, releases: Sequence[str] = ()) -> tuple[tuple[int, ...], int]:
    """What releases and the post-releases between them are in order of, for the release that a version leads to."""
    return leads_to(version, releases), 0 if version.before_release else version.post


def released(engine: str, version: str | None, first: str, newest: str) -> tuple[str, ...]:
    """What to say of a version beyond the newest whose source was read, whose rules hold for it.

    Raises `UsageError` for what is no version, and for one before the first."""
    if version is None:
        return ()
    known = f"known from {first} to {newest}"
    try:
        asked = parse(engine, version)
    except UsageError as error:
        raise UsageError(error.message, f"{error.hint}; {known}") from None
    if asked.numbers < parse(engine, first).numbers:
        if asked.before_release:
            # What is built of a tree without tags is 0.1.dev and the number of commits.
            raise UsageError(f"{engine} {version} is a build that names no release", f"name the release that it leads to; {known}")
        raise UsageError(f"{engine} {version} is older than the rules known here", known)
    if asked.numbers <= parse(engine, newest).numbers:
        return ()
    return (
        f"{engine} {version} is newer than {newest}, the newest release whose source was read: the rules of that one hold here",
    )


def at_least(version: str | None, *wanted: int) -> bool:
    """Whether a version ("0.11.2") is this one or newer; None is the newest."""
    return version is None or parse("the engine", version).numbers >= _padded(wanted)


class _Since(Protocol):
    @property
    def since(self) -> str: ...


R = TypeVar("R", bound=_Since)


def as_of(engine: str, rows: Sequence[R], version: str | None, releases: Sequence[str] = ()) -> R:
    """The row of rules in force at `version`, the newest without one. `rows` are in the order of their versions."""
    found = rows_as_of(engine, rows, version, releases)
    return found[-1]


def rows_as_of(engine: str, rows: Sequence[R], version: str | None, releases: Sequence[str] = ()) -> Sequence[R]:
    """All rows up to `version`. Raises `UsageError` for a version before the first."""
    if version is None:
        return rows
    asked = leads_to(parse(engine, version), releases)
    found = [row for row in rows if parse(engine, row.since).numbers <= asked]
    if not found:
        raise UsageError(
            f"{engine} {version} is older than the rules known here", f"known from {rows[0].since} to {rows[-1].since}"
        )
    return found
