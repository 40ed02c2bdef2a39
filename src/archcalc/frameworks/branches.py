"""Which lines of a shell script run, as far as its own variables say; nothing is run."""

from __future__ import annotations

import re
from collections.abc import Sequence

from archcalc.records import NamedTuple

_IF = re.compile(r"^\s*(el)?if\s+(.*?)\s*(?:;\s*then\b.*)?$")
_TEST = re.compile(r"^(?:\[\[?\s+(.+?)\s+\]\]?|\(\((.+?)\)\))$")
_COMPARED = re.compile(r"""^["']?([^"'\s]*)["']?\s+(==|=|!=|-eq|-ne)\s+["']?([^"'\s]*)["']?$""")
_SCALAR = re.compile(r"""^\s*(?:export\s+|local\s+)?([A-Za-z_]\w*)(\+?)=(?:"([^"$`]*)"|'([^']*)'|([^\s"'$`()]*))\s*(?:[;#].*)?$""")
_SET = re.compile(r"^\s*(?:export\s+|local\s+)?([A-Za-z_]\w*)\+?=")
_NAMED = re.compile(r"\$(?:\{([A-Za-z_]\w*)\}|([A-Za-z_]\w*))")


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


def _holds(condition: str, known: dict[str, str]) -> bool | None:
    """Whether a test of one comparison holds; None where the script does not say."""
    test = _TEST.match(condition.strip())
    if test is None or test[1] is None or re.search(r"&&|\|\|", condition):
        return None
    names = [m[1] or m[2] for m in _NAMED.finditer(test[1])]
    if any(name not in known for name in names):
        return None
    text = _NAMED.sub(lambda m: known[m[1] or m[2]], test[1])
    if "$" in text or "*" in text:
        return None
    if compared := _COMPARED.match(text):
        same = compared[1] == compared[3]
        return same if compared[2] in ("==", "=", "-eq") else not same
    if empty := re.match(r"""^-([zn])\s+["']?([^"']*)["']?$""", text):
        return (not empty[2]) == (empty[1] == "z")
    return None
