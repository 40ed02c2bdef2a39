"""Every regular expression of the package ends on text made to keep it busy: a hang guard, not a measurement."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

# Runs in a process of its own, which can be ended. It prints each pattern before it is tried.
TRIES = r'''
import ast, importlib, itertools, re, sys
from pathlib import Path

try:
    import re._constants as c, re._parser as parser
except ImportError:
    import sre_constants as c, sre_parse as parser

LENGTH = 200
ROOT = Path(sys.argv[1])
SOME = "a0 ._-|,(x*\t\n1B/#:~" + "".join(map(chr, range(33, 127)))
compiled, found = re.compile, {}


def noted(pattern, flags=0):
    made = compiled(pattern, flags)
    place = sys._getframe(1)
    if "archcalc" in place.f_code.co_filename and isinstance(made.pattern, str):
        found.setdefault((made.pattern, made.flags), f"{place.f_code.co_filename}:{place.f_lineno}")
    return made


re.compile = noted
for path in sorted(ROOT.rglob("*.py")):
    name = ".".join(path.relative_to(ROOT.parent).with_suffix("").parts).removesuffix(".__init__")
    if not name.endswith("__main__"):
        importlib.import_module(name)
re.compile = compiled
for path in sorted(ROOT.rglob("*.py")):
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if (
            isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and isinstance(node.func.value, ast.Name)
            and node.func.value.id == "re" and node.args and isinstance(node.args[0], ast.Constant)
            and isinstance(node.args[0].value, str) and node.func.attr != "escape"
        ):
            made = compiled(node.args[0].value)
            found.setdefault((made.pattern, made.flags), f"{path}:{node.lineno}")


def is_in(kind, char):
    kind = str(kind)
    held = char.isdigit() if "DIGIT" in kind else char.isspace() if "SPACE" in kind else char.isalnum() or char == "_"
    return held != ("NOT" in kind)


def members(items):
    """Characters that a set holds, the first few of those that patterns often have."""
    def holds(char):
        hit = False
        for op, value in items:
            hit |= op is c.LITERAL and ord(char) == value
            hit |= op is c.RANGE and value[0] <= ord(char) <= value[1]
            hit |= op is c.CATEGORY and is_in(value, char)
        return hit != (items[0][0] is c.NEGATE)

    own = [chr(value if op is c.LITERAL else value[0]) for op, value in items if op in (c.LITERAL, c.RANGE)]
    return [char for char in SOME if holds(char)] or own or ["a"]


def sample(tree, turn):
    """A text that a part of a pattern matches; `turn` chooses between its ways."""
    out = ""
    for op, value in tree:
        if op is c.LITERAL:
            out += chr(value)
        elif op is c.NOT_LITERAL:
            out += "b" if value == 97 else "a"
        elif op is c.ANY:
            out += "a 0"[turn % 3]
        elif op is c.IN:
            chars = members(value)
            out += chars[turn % len(chars)]
        elif op is c.BRANCH:
            out += sample(value[1][turn % len(value[1])], turn)
        elif op is c.SUBPATTERN:
            out += sample(value[3], turn)
        elif op in (c.MAX_REPEAT, c.MIN_REPEAT):
            out += sample(value[2], turn) * min(max(value[0], turn % 2), 3)
    return out


def repeated(tree, before=""):
    """What leads to each repetition of a pattern, and what it repeats."""
    for op, value in tree:
        if op in (c.MAX_REPEAT, c.MIN_REPEAT):
            if value[1] is c.MAXREPEAT or value[1] > 4:
                yield from ((before, text) for turn in range(4) if (text := sample(value[2], turn)))
            yield from repeated(value[2], before)
        elif op is c.SUBPATTERN:
            yield from repeated(value[3], before)
        elif op is c.BRANCH:
            for branch in value[1]:
                yield from repeated(branch, before)
        elif op in (c.ASSERT, c.ASSERT_NOT):
            yield from repeated(value[1], before)
        before += sample([(op, value)], 0)


def texts(pattern, flags):
    tree = parser.parse(pattern, flags)
    for before, text in itertools.islice(dict.fromkeys(repeated(tree)), 24):
        for end in ("\0", "!"):
            yield before + text * (LENGTH // len(text)) + end
        yield (before + 3 * text) * (LENGTH // len(before + 3 * text)) + "\0"
    for turn in range(4):
        if whole := sample(tree, turn):
            yield whole * (LENGTH // len(whole) + 1)


for (pattern, flags), place in found.items():
    print(place, pattern, flush=True)
    made = compiled(pattern, flags)
    for text in texts(pattern, flags):
        made.match(text), made.fullmatch(text)
        for _ in made.finditer(text):
            pass
print(f"{len(found)} patterns ended")
'''


def test_every_pattern_ends() -> None:
    """What doubles with each character would not. Cells and names are bounded where a power of the length could be felt."""
    root = Path(__file__).parent.parent / "src" / "archcalc"
    try:
        done = subprocess.run(
            [sys.executable, "-c", TRIES, str(root)], capture_output=True, text=True, encoding="utf-8", timeout=240, check=False
        )
    except subprocess.TimeoutExpired as error:
        said = error.stdout.decode() if isinstance(error.stdout, bytes) else error.stdout or ""
        pytest.fail(f"does not end: {said.splitlines()[-1]}")
    assert done.returncode == 0, done.stderr
    assert done.stdout.endswith("patterns ended\n")
