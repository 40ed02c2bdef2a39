"""What an engine's class of a model asks of the config where it is built, and raises at else: activations, switches, kinds of rotary
embeddings, no more ranks than routed experts.

The rows are each engine's `asks.json`, which `scripts/build_asks.py` reads out of the engine's source, with file and line. Only what a
config states is judged, not what a class of its library has as default.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from functools import cache

from archcalc.engines._version import parse
from archcalc.engines.served import Registry, built_of, classes_of, listed, served, stand_ins
from archcalc.errors import json_text
from archcalc.model import Architecture
from archcalc.records import NamedTuple

_RANKS, _ROPE = "tp", "rope"
_SWITCHES = {"true": True, "false": False}


class Asks(NamedTuple):
    """`classes` map each class to what it asks, each with the releases that do and the place of the newest; `ropes` are the types of
    scaling that releases know, `functions` what their functions know that look an activation up."""

    releases: tuple[str, ...]
    ropes: Mapping[str, str]
    functions: Mapping[str, Mapping[str, str]]
    classes: Mapping[str, Mapping[str, tuple[str, str]]]


@cache
def asks(folder: str) -> Asks:
    """The rows of one engine, by its folder's name."""
    with open(os.path.join(os.path.dirname(__file__), folder, "asks.json"), encoding="utf-8") as file:
        data = json.load(file)
    return Asks(tuple(data["releases"]), data["ropes"], data["functions"], data["classes"])


def _rows(registry: Registry, architecture: Architecture, version: str | None) -> Iterator[tuple[str, str, str]]:
    """What the class that the release builds asks, and its text model's, each with the class and the place. Nothing of a release older than
    all that were read; what lies between two of them is as the earlier one."""
    known, lists = asks(registry.folder), served(registry.folder).classes
    if version is not None and parse(registry.title, version).numbers < parse(registry.title, known.releases[0]).numbers:
        return
    text = built_of(architecture.text.model_type) if architecture.text else ""
    for name in dict.fromkeys((*classes_of(architecture), text)):
        made = name if name in lists else next((other for other in stand_ins(registry, name) if other in lists), "")
        for row, (span, where) in known.classes.get(made, {}).items():
            if listed(span, registry.title, known.releases, version):
                yield made, row, where


def refused(registry: Registry, architecture: Architecture, version: str | None) -> str | None:
    """Why the release does not build its class of this config; None where it does, or where it is not known."""
    for name, row, where in _rows(registry, architecture, version):
        engine = f"{registry.title} {version or registry.newest}"
        known = asks(registry.folder)
        if row == _ROPE:
            types = _listed(registry, known.ropes, version)
            for rope in architecture.lengths.ropes if architecture.lengths else ():
                if rope.kind not in types:
                    return f"{engine} knows no rotary embeddings of the type {json_text(rope.kind)} ({where}): {', '.join(types)}"
            continue
        asked, _, condition = row.partition(" if ")
        key, _, wanted = asked.partition(": ")
        if wanted in known.functions:
            wanted = "|".join(_listed(registry, known.functions[wanted], version))
        stated = architecture.stated.get(key)
        if row == _RANKS or stated is None or _takes(stated, wanted) or not _applies(condition, architecture.stated):
            continue
        takes = wanted.replace("|", ", ")
        other = condition.partition(" ")[0]
        beside = f" and {other} {json_text(architecture.stated[other])}" if other not in ("", key) else ""
        return f"{engine} does not build {name} with {key} {json_text(stated)}{beside}: it takes {takes} alone ({where})"
    return None


def _listed(registry: Registry, spans: Mapping[str, str], version: str | None) -> list[str]:
    return [name for name, span in spans.items() if listed(span, registry.title, asks(registry.folder).releases, version)]


def _takes(stated: str | int, wanted: str) -> bool:
    if wanted in _SWITCHES:
        return not isinstance(stated, bool) or stated is _SWITCHES[wanted]
    words = wanted.split("|")
    # A list of functions is asked in lower case (layers/activation.py `get_act_fn`), one word as it stands.
    return not isinstance(stated, str) or (stated.lower() if len(words) > 1 else stated) in words


def _applies(condition: str, stated: Mapping[str, str | int]) -> bool:
    """Whether the key that a row is asked for with is as the row says, and is stated.

    >>> [_applies("n > 0", {"n": n}) for n in (0, 2)], _applies("n > 0", {}), _applies("", {})
    ([False, True], False, True)
    >>> [_applies("act != silu|geglu", {"act": act}) for act in ("silu", "gelu")]
    [False, True]
    """
    if not condition:
        return True
    key, asked, wanted = (condition + " ").split(" ", 2)
    value = stated.get(key)
    if value is None:
        return False
    if asked in ("=", "!="):
        return (value in wanted.strip().split("|")) is (asked == "=")
    return asked == "stated" or (isinstance(value, int) and value > 0)


def ranks_refused(registry: Registry, architecture: Architecture, version: str | None, tp: int) -> str:
    """Why the release does not build its class on so many ranks of tensor parallelism; empty where it does."""
    moe = architecture.facts.moe
    if moe is None or tp <= moe.experts:
        return ""
    for name, row, where in _rows(registry, architecture, version):
        if row == _RANKS:
            return f"{registry.title} builds {name} on no more ranks than routed experts, {moe.experts} ({where}), and TP is {tp}"
    return ""
