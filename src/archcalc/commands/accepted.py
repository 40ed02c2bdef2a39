"""Values that a release refuses at its start, whatever the model and the machine: one place for all flags of all engines.

The tables are made from each release's sources by scripts/build_flags.py: argparse's choices, bounds of pydantic's fields, enumerations,
what validators and llama.cpp's handlers throw for. A flag that takes anything has no line; one of which plugins may bring more values is
`open`: what no release knows is told of, and not refused.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from archcalc.commands.words import NAMES, Engine
from archcalc.errors import UsageError
from archcalc.records import NamedTuple

_COMPARED = {">=": operator.ge, ">": operator.gt, "<=": operator.le, "<": operator.lt, "!=": operator.ne}
_WORDS = {">=": "{} or more", ">": "more than {}", "<=": "{} at most", "<": "less than {}", "!=": "any but {}"}
_SHOWN = 12
_PLUGINS = {"--tool-call-parser": "--tool-parser-plugin", "--reasoning-parser": "--reasoning-parser-plugin"}
"""Flags whose values another one adds to."""


class Line(NamedTuple):
    """What a flag, or a key of its JSON object, takes in the releases from `since` up to but without `until`, by their place."""

    since: int
    until: int
    requires: str
    kind: str
    values: tuple[str, ...]


class Lines(NamedTuple):
    releases: tuple[str, ...]
    of: Mapping[str, tuple[Line, ...]]


def lines(engine: Engine, names: frozenset[str]) -> Lines:
    """The lines of these flags and of their keys."""
    path = Path(__file__).parent / "tables" / f"{engine}.values.tsv"
    releases: list[str] = []
    found: dict[str, list[Line]] = {}
    for text in path.read_text(encoding="utf-8").splitlines():
        if text.startswith("#"):
            releases = text.partition(":")[2].split() if text.startswith("# Releases read:") else releases
            continue
        name, since, until, requires, kind, values = text.split("\t")
        if name.partition(".")[0] in names:
            first = releases.index(since) if since else 0
            end = releases.index(until) if until else len(releases)
            found.setdefault(name, []).append(Line(first, end, requires, kind, tuple(values.split())))
    return Lines(tuple(releases), {name: tuple(made) for name, made in found.items()})


def choices(engine: Engine, version: str | None, key: Any, flag: str) -> tuple[str, ...]:
    """What a flag takes in a release, or in the nearest that was read; of two around it in the later one."""
    table = lines(engine, frozenset({flag}))
    places = _places(table.releases, version, key)
    older = version is not None and key(version) < key(table.releases[0])
    at = places[-1] if places else 0 if older else len(table.releases) - 1
    found = _line(table.of.get(flag, ()), at)
    return tuple(_known(found, table.releases, at)) if found else ()


class Passed(NamedTuple):
    """Values that only other releases take, where none is named, and those that no release knows and a plugin may bring."""

    gone: tuple[str, ...]
    plugins: tuple[str, ...]


def refuse(engine: Engine, version: str | None, key: Any, given: Mapping[str, Any]) -> Passed:
    """Raises `UsageError` for a value that the release refuses; returns those that are passed all the same.

    `given` are values by the flags' full names, `key` puts versions in order. A release that was not read takes what its neighbours take,
    and one newer than all of them anything."""
    table = lines(engine, frozenset(given))
    at = _places(table.releases, version, key)
    gone: list[str] = []
    plugins: list[str] = []
    for flag, value in given.items() if at else ():
        for name, inner in _inside(flag, value, table):
            for one in inner if isinstance(inner, list) else [inner]:
                here = [_line(table.of[name], place) for place in at]
                if any(line is None or _takes(line, one, table.releases, place) for line, place in zip(here, at, strict=True)):
                    continue
                line = here[-1]
                if line is None or (line.requires and not given.get(line.requires)) or given.get(_PLUGINS.get(name, "")):
                    continue
                known = any(_ever(line, one) for line in table.of[name])
                if version is None and known:
                    gone.append(f"{name} {one}")
                    continue
                if line.kind == "open" and not known:
                    plugins.append(f"{name} {one}")
                    continue
                release = NAMES[engine] if engine == "llama.cpp" else f"{NAMES[engine]} {table.releases[at[-1]]}"
                raise _refused(name, one, release, line, [v.partition(":")[0] for v in _known(line, table.releases, at[-1])])
    return Passed(tuple(gone), tuple(plugins))


def _places(releases: Sequence[str], version: str | None, key: Any) -> tuple[int, ...]:
    """The places of the releases whose rules may be those of a version."""
    if not releases:
        return ()
    last = len(releases) - 1
    if version is None:
        return (last,)
    if re.fullmatch(r"b\d+", version.strip()):
        # llama.cpp's builds are not ordered by the releases that were read.
        return tuple(range(len(releases)))
    asked, keys = key(version), [key(release) for release in releases]
    after = next((place for place, each in enumerate(keys) if each >= asked), None)
    if after is None:
        return ()
    early = re.search(r"rc|dev|alpha|beta", version) is not None
    if keys[after] == asked and not early:
        return (after,)
    return (after - 1, after) if after else ()


def _inside(flag: str, value: Any, table: Lines) -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict):
        if f"{flag}.*" in table.of:
            yield f"{flag}.*", list(value)
        for inner, found in value.items():
            if f"{flag}.{inner}" in table.of and found is not None and not isinstance(found, (bool, dict, list)):
                yield f"{flag}.{inner}", found
    elif flag in table.of and not isinstance(value, bool):
        yield flag, value


def _line(found: Sequence[Line], place: int) -> Line | None:
    return next((line for line in found if line.since <= place < line.until), None)


def _known(line: Line, releases: Sequence[str], place: int) -> Iterator[str]:
    """The choices of a release."""
    for value in line.values:
        name, _, span = value.partition(":")
        since, _, until = span.partition(":")
        if (not since or releases.index(since) <= place) and (not until or place < releases.index(until)):
            yield name


def _takes(line: Line, value: Any, releases: Sequence[str], place: int) -> bool:
    text = str(value).strip("\"' ")
    if not text or text.lower() == "none" or "$" in text or "`" in text:
        return True
    if line.kind == "bounds":
        try:
            number = float(text)
        except ValueError:
            return True
        return all(_COMPARED[sign](number, float(limit)) for sign, limit in map(_parted, line.values))
    known = list(_known(line, releases, place))
    if line.kind == "parts":
        return all(part in known for part in text.split(","))
    if line.kind == "open":
        return text.lower() in known
    if line.kind == "folded":
        return not isinstance(value, str) or text.upper() in {name.upper() for name in known}
    return text in known


def _ever(line: Line, value: Any) -> bool:
    """Whether any release of that line's span takes it."""
    every = line._replace(values=tuple(v.partition(":")[0] for v in line.values))
    return _takes(every, value, (), 0)


def _parted(bound: str) -> tuple[str, str]:
    sign = bound[:2] if bound[1] == "=" else bound[0]
    return sign, bound[len(sign) :]


def _order(name: str) -> tuple[int, str]:
    return (int(name), "") if name.isdecimal() else (1 << 30, name)


def _refused(name: str, value: Any, release: str, line: Line, known: Sequence[str]) -> UsageError:
    from difflib import get_close_matches

    shown = f"{value:g}" if isinstance(value, float) else str(value)[:40]
    flag, _, inner = name.partition(".")
    written = f"{flag}: {inner} {shown}" if inner else f"{flag} {shown}"
    if inner == "*":
        near = get_close_matches(shown, known, 1, 0.6)
        return UsageError(
            f"{flag}: {release} has no key {shown}", f"the nearest is {near[0]}" if near else "its documentation lists the keys"
        )
    if line.kind == "bounds":
        limits = " and ".join(_WORDS[sign].format(limit) for sign, limit in map(_parted, line.values))
        return UsageError(f"{written}: {release} takes {limits}", f"give such a number, or leave {inner or flag} out")
    listed = ", ".join(sorted(known, key=_order)[:_SHOWN]) + (f" and {len(known) - _SHOWN} more" if len(known) > _SHOWN else "")
    words = [name for name in known if not name.isdecimal()]
    near = get_close_matches(shown, words, 1, 0.6) or get_close_matches(shown.upper(), words, 1, 0.6)
    plugin = f"; {_PLUGINS[name]} brings others" if name in _PLUGINS else ""
    way = f"the nearest is {near[0]}" if near else f"name one of them, or leave {inner or flag} out"
    return UsageError(f"{written}: {release} takes {listed}", way + plugin)
