"""`helm install` and its like: the values that stand in the command itself.

Source: Helm 3.19, "The Format and Limitations of --set": commas part pairs, `a.b[0].c` names what is inside, `{a,b}` is a list, `\\` takes
a sign for itself, `--set-string` makes no numbers, `--set-json` takes JSON.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Any

from archcalc.errors import UsageError

_SETS = ("--set", "--set-string", "--set-json", "--set-literal")
_MOST_ITEMS = 64


def values(words: Sequence[str]) -> dict[str, Any] | None:
    """The values that a command of Helm sets; None of one that starts nothing.

    Raises `UsageError` where it takes values from a file, which says the rest, and for what is no pair."""
    if not {*words[:4]} & {"install", "upgrade", "template"}:
        return None
    out: dict[str, Any] = {}
    files: list[str] = []
    at = 0
    while at < len(words):
        flag, equals, value = words[at].partition("=")
        if flag in (*_SETS, "-f", "--values"):
            if not equals:
                at += 1
                value = words[at] if at < len(words) else ""
            if flag in _SETS:
                _put_all(out, flag, value)
            else:
                files.append(value)
        at += 1
    if files:
        beside = ", with what --set says written into it" if out else ""
        raise UsageError(
            f"helm {words[0]}: its values stand in {', '.join(files)[:120]}", f"give that file: --command-file {files[-1]}{beside}"
        )
    return out


def _put_all(out: dict[str, Any], flag: str, text: str) -> None:
    if flag in ("--set-json", "--set-literal"):
        key, equals, held = text.partition("=")
        try:
            value = json.loads(held) if flag == "--set-json" else held
        except ValueError as error:
            raise UsageError(f"{flag} {text[:60]}: JSON was expected behind the =", 'such as a.b=["x"]') from error
        _put(out, flag, key, value if equals else None)
        return
    for pair in _parted(text):
        key, equals, held = pair.partition("=")
        if not equals:
            raise UsageError(f"{flag} {pair[:60]}: KEY=VALUE was expected", "such as a.b[0].c=1")
        listed = re.fullmatch(r"(?s)\{(.*)\}", held)
        value = [_typed(flag, each) for each in _parted(listed[1])] if listed else _typed(flag, held)
        _put(out, flag, key, value)


def _typed(flag: str, text: str) -> Any:
    text = re.sub(r"\\(.)", r"\1", text)
    if flag == "--set-string":
        return text
    named = {"true": True, "false": False, "null": None}
    return named[text] if text in named else int(text) if re.fullmatch(r"-?(0|[1-9]\d{0,17})", text) else text


def _parted(text: str) -> list[str]:
    """What stands between commas that no brace holds and no backslash takes."""
    parts, held, depth, at = list[str](), "", 0, 0
    while at < len(text):
        c = text[at]
        if c == "\\" and at + 1 < len(text):
            held, at = held + text[at : at + 2], at + 2
            continue
        depth += (c == "{") - (c == "}")
        if c == "," and not depth:
            parts.append(held)
            held = ""
        else:
            held += c
        at += 1
    return [*parts, held] if held or parts else []


def _put(out: dict[str, Any], flag: str, key: str, value: Any) -> None:
    steps: list[str | int] = []
    for part in re.split(r"(?<!\\)\.", key):
        m = re.fullmatch(r"([^\[\]]+)((?:\[\d{1,3}\])*)", part)
        if m is None:
            raise UsageError(f"{flag} {key[:60]}: it names no value of a chart", "such as a.b[0].c=1")
        steps += [m[1].replace("\\.", "."), *(int(n) for n in re.findall(r"\d+", m[2]))]
    held: Any = out
    for step, following in zip(steps, [*steps[1:], None], strict=True):
        fresh: Any = value if following is None else [] if isinstance(following, int) else {}
        if isinstance(step, int):
            if step >= _MOST_ITEMS:
                raise UsageError(f"{flag} {key[:60]}: more than {_MOST_ITEMS} items", "give the values as a file")
            held += [None] * (step + 1 - len(held))
        if following is None or not isinstance(_at(held, step), type(fresh)):
            held[step] = fresh
        held = held[step]


def _at(held: Any, step: str | int) -> Any:
    return held.get(step) if isinstance(held, dict) else held[step]
