"""The data that reading goes by: what a claim may be about (fields.txt), and what that is called (a file for each of languages/)."""

from __future__ import annotations

import os
import re
from functools import cache, lru_cache

from archcalc.records import NamedTuple

_HERE = os.path.dirname(__file__)


class Field(NamedTuple):
    """A line of fields.txt. `source` is the figure of `archcalc inspect` that is true, `basis` what it is called; of an unknowable field
    `basis` is the reason. `some` if nought means that there is none."""

    kinds: tuple[str, ...]
    reader: str
    source: str = ""
    basis: str = ""
    some: bool = False


def lines(path: str) -> list[str]:
    """The lines of a file of data that say something."""
    with open(os.path.join(_HERE, path), encoding="utf-8") as file:
        return [line.rstrip("\n") for line in file if line.strip() and line[0] != "#"]


@cache
def fields() -> dict[str, Field]:
    """All fields by name."""
    out = {}
    for line in lines("fields.txt"):
        name, kinds, reader, *rest = line.split(maxsplit=5)
        source, basis = (rest[1], " ".join(rest[2:])) if rest and rest[0][0] == "=" else ("", " ".join(rest))
        out[name] = Field(tuple(kinds.split("+")), reader, source, basis, rest[:1] == ["=?"])
    return out


def named(*kinds: str) -> tuple[str, ...]:
    """The fields of some kinds."""
    return tuple(name for name, field in fields().items() if set(kinds) & set(field.kinds))


@cache
def listed(path: str) -> dict[str, list[str]]:
    """What stands between commas, by the heads above it."""
    out: dict[str, list[str]] = {}
    for line in lines(path):
        if line[0] == "[" and line[-1] == "]":
            last = out.setdefault(line.strip("[]"), [])
        else:
            last += line.split(", ")
    return out


@cache
def section(title: str) -> tuple[tuple[str, str], ...]:
    """The lines of a section, English first and then by language, each with the field before it or above it."""
    out = []
    files = sorted(os.listdir(os.path.join(_HERE, "languages")), key=lambda name: (name != "en.txt", name))
    for name in files:
        here = field = ""
        for line in lines(f"languages/{name}") if name.endswith(".txt") else ():
            if line[0] == "[":
                here = line.strip("[]")
            elif line[0] == " ":
                out.append((here, field, line.strip()))
            elif here in ("labels", "words"):
                field = line
            else:
                out.append((here, *line.split(" ", 1)))  # type: ignore[arg-type]
    return tuple((field, text) for here, field, text in out if here == title)


@cache
def mark(name: str) -> re.Pattern[str]:
    """The words of every language that mark the same thing."""
    return re.compile("|".join(f"(?:{pattern})" for found, pattern in section("marks") if found == name), re.IGNORECASE)


NOUGHTS = str.maketrans("123456789", "0" * 9)


@cache
def _tells_digits(name: str) -> bool:
    """Whether a mark asks for some digits: int4, but not `\\d` GPUs."""
    return re.search(r"\d", re.sub(r"\{[\d,]+\}", "", mark(name).pattern)) is not None


def says(name: str, text: str) -> bool:
    """Whether a text holds a mark. Pages say the same of other numbers again and again: their digits are asked only where they matter."""
    return _holds(name, text if len(text) > _LONG or _tells_digits(name) else text.translate(NOUGHTS))


_LONG = 1000
"""Longer texts are few, and asked as they are."""


@lru_cache(maxsize=8192)
def _holds(name: str, text: str) -> bool:
    return mark(name).search(text) is not None
