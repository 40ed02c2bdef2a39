"""Whether a shell's test holds, by words that are known; nothing is run.

Source: POSIX.1-2024, Utilities, `test`; bash 5.2 for `[[`.
"""

from __future__ import annotations

import fnmatch
import operator
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from archcalc.commands.arithmetic import whole
from archcalc.records import NamedTuple


class _Word(Protocol):
    @property
    def text(self) -> str: ...
    @property
    def unknown(self) -> tuple[str, ...]: ...


class Status(NamedTuple):
    """How a command ends: whether it holds, whether that is sure, and whether it is a test at all: other commands are taken to succeed."""

    holds: bool
    sure: bool
    tested: bool = True

    def __invert__(self) -> Status:
        return self._replace(holds=not self.holds)


def both(one: Status, two: Status) -> Status:
    """Whether one holds and the other: surely not where either surely does not."""
    fails = (one.sure and not one.holds) or (two.sure and not two.holds)
    return Status(one.holds and two.holds, fails or (one.sure and two.sure), one.tested or two.tested)


def not_known(condition: str, holds: bool) -> str:
    """The words for a condition that is taken to hold or not to."""
    said = " ".join(condition.strip().rstrip(";").split())
    said = said if len(said) <= 80 else said[:80] + " …"
    return f"whether {said} holds is not known here: it is taken {'to' if holds else 'not to'}"


def matched(text: str, pattern: str) -> bool:
    """Whether a text matches a pattern of a shell."""
    return fnmatch.fnmatchcase(text, pattern)


# Commands that are asked whether something is there.
_ASKING = frozenset("command which type hash grep pgrep nvidia-smi rocm-smi curl ping".split())
_COMPARED: Mapping[str, Callable[[int, int], bool]] = {
    "-eq": operator.eq, "-ne": operator.ne, "-gt": operator.gt, "-lt": operator.lt, "-ge": operator.ge, "-le": operator.le,
}  # fmt: skip


def judged(words: Sequence[_Word], *, guessed: bool) -> Status:
    """How a command ends by its words. `guessed` is whether a default stands in them for what may be set elsewhere."""
    name = words[0].text
    if name in ("[", "[[", "test"):
        inner = words[1:-1] if name != "test" and words[-1].text in ("]", "]]") else words[1:]
        return _test(inner, guessed, patterns=name == "[[")
    if name in ("true", ":", "false"):
        return Status(name != "false", True)
    return Status(False, False) if name in _ASKING else Status(True, True, False)


_SIGNS = {"==": "-eq", "!=": "-ne", ">=": "-ge", "<=": "-le", ">": "-gt", "<": "-lt"}


def compared(text: str, variables: Mapping[str, str], *, sure: bool) -> Status:
    """Whether an arithmetic command holds that is a sum or compares two."""
    sides = re.split(r"(==|!=|>=|<=|>|<)", text)
    sums = [whole(side, variables) for side in sides[::2]]
    if len(sums) == 1 and sums[0] is not None:
        return Status(sums[0] != 0, sure)
    if len(sums) == 2 and sums[0] is not None and sums[1] is not None:
        return Status(_COMPARED[_SIGNS[sides[1]]](sums[0], sums[1]), sure)
    return Status(False, False)


def _test(words: Sequence[_Word], guessed: bool, *, patterns: bool) -> Status:
    texts = [w.text for w in words]
    for either, signs in ((True, ("||", "-o")), (False, ("&&", "-a"))):
        at = next((i for i, text in enumerate(texts) if i and text in signs), None)
        if at is not None:
            first = _test(words[:at], guessed, patterns=patterns)
            second = _test(words[at + 1 :], guessed, patterns=patterns)
            return ~both(~first, ~second) if either else both(first, second)
    if texts[:1] == ["!"]:
        return ~_test(words[1:], guessed, patterns=patterns)
    known = []
    for word in words:
        text = word.text
        for unknown in word.unknown:
            # A variable that nothing sets is empty.
            text = text.replace(unknown, "")
        known.append(text)
    sure = not guessed and not any(w.unknown for w in words)
    match known:
        case ["-z"]:
            return Status(True, sure)
        case ["-z" | "-n" as sign, text]:
            return Status((not text) == (sign == "-z"), sure)
        case [text] if text != "-n":
            return Status(bool(text), sure)
        case [one, "=" | "==" | "!=" as sign, two]:
            same = matched(one, two) if patterns else one == two
            return Status(same == (sign != "!="), sure)
        case [one, sign, two] if sign in _COMPARED and all(t.lstrip("-").isdecimal() for t in (one, two)):
            return Status(_COMPARED[sign](int(one), int(two)), sure)
    return Status(False, False)
