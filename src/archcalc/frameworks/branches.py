"""Which lines of a shell script run, as far as its own variables say; nothing is run."""

from __future__ import annotations

import re
from collections.abc import Sequence

from archcalc.commands.shell import condition
from archcalc.errors import FormatError
from archcalc.records import NamedTuple

_IF = re.compile(r"^\s*(el)?if\s+(.*?)\s*(?:;\s*then\b.*)?$")
_SCALAR = re.compile(r"""^\s*(?:export\s+|local\s+)?([A-Za-z_]\w*)(\+?)=(?:"([^"$`]*)"|'([^']*)'|([^\s"'$`()]*))\s*(?:[;#].*)?$""")
_SET = re.compile(r"^\s*(?:export\s+|local\s+)?([A-Za-z_]\w*)\+?=")


class Branches(NamedTuple):
    """The lines that may run, and the variables that are set where the script does not say whether it comes there."""

    lines: list[str]
    unsettled: list[str]


def followed(lines: Sequence[str]) -> Branches:
    """The lines of a script without those of branches that its own variables rule out."""
    known: dict[str, str] = {}
    # Of each `if` around a line: whether its branch runs, and whether one before it did.
    around: list[list[bool | None]] = []
    out: list[str] = []
    unsettled: list[str] = []
    for line in lines:
        found = _IF.match(line)
        word = line.strip().split(" ")[0].rstrip(";")
        if found and not found[1]:
            if re.search(r"\bfi\s*;?\s*$", line):  # All on one line.
                found = None
            else:
                holds = _holds(found[2], known)
                around.append([holds, holds])
        elif around and (found or word == "else"):
            _, before = around[-1]
            holds = _holds(found[2], known) if found else True
            around[-1] = [
                False if before else holds if before is False else None,
                True if before else None if before is None else holds,
            ]
        elif around and word == "fi":
            around.pop()
        runs = [branch for branch, _ in around]
        if False in runs:
            continue
        out.append(line)
        if assigned := _SET.match(line):
            scalar = _SCALAR.match(line)
            if None in runs:
                known.pop(assigned[1], None)
                if "(" in line or "--" in line:
                    unsettled.append(assigned[1])
            elif scalar and not scalar[2]:
                known[scalar[1]] = scalar[3] or scalar[4] or scalar[5] or ""
            else:
                known.pop(assigned[1], None)
    return Branches(out, list(dict.fromkeys(unsettled)))


def _holds(test: str, known: dict[str, str]) -> bool | None:
    """Whether a test holds; None where the script does not say."""
    try:
        found = condition(test, known)
    except FormatError:
        return None
    return found.holds if found.sure and found.tested else None
