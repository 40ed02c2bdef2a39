"""Which model a name of Ollama's library stands for. Its tags name a size and a file type: `llama3.1:70b-instruct-q4_K_M`."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING

from archcalc.errors import UsageError
from archcalc.records import NamedTuple

if TYPE_CHECKING:
    from archcalc.zoo import Entry

_SIZE = re.compile(r"(?<![a-z0-9.])(?:e?\d+(?:\.\d+)?[bm](?:-a\d+(?:\.\d+)?b)?|\d+x\d+b)(?![a-z0-9])", re.IGNORECASE)
_NEAR = 0.12
"""How far a size in a name is from the parameters it stands for."""


_TYPE = re.compile(r"(?:^|-)(?:i?q\d\w*|t?q\d\w*|mxfp[48]|nvfp4|fp16|bf16|f16|f32|fp8|int[48])$", re.IGNORECASE)
_SAME = frozenset("instruct it chat text base latest qat".split())
"""Words of a tag that name a training of the same shape; a bundled model that says the word stands before one that does not."""
_BASE = frozenset({"text", "base"})
_DATED = re.compile(r"\d{4}|v\d+(?:\.\d+)*")
"""A release among others of one name: a month, or a version."""


def of_library(model: str) -> tuple[str, tuple[str, ...]]:
    """The bundled model, and a note that it is taken for the name; paths and repositories as they are. Raises `UsageError` where the tag
    names another size or release than the models of that name have, and where a name without one stands for several.

    A tag that names neither a release nor a file type moves to the newest release: `qwen3:4b` has one digest with
    `qwen3:4b-thinking-2507-q4_K_M` (ollama.com/library/qwen3/tags), `qwen3:30b-a3b` points to `30b-a3b-thinking-2507-q4_K_M` since August
    2025 (Qwen's documentation, "Ollama").

    >>> of_library("llama3.1:70b-instruct-q4_K_M")[0], of_library("org/model")[0]
    ('llama-3.1-70b-instruct', 'org/model')
    >>> of_library("qwen3:30b-a3b-instruct-2507-q8_0")[0]
    'qwen3-30b-a3b-instruct-2507'
    """
    from archcalc import zoo

    if "/" in model or model.endswith(".gguf") or os.path.exists(model):
        return model, ()
    name, _, tag = model.lower().partition(":")
    alone = zoo.find(name)
    if not tag.removeprefix("latest"):
        return _untagged(model, name, alone)
    bare = _TYPE.sub("", tag)
    size = _SIZE.search(bare)
    words = [w for w in re.split(r"-+", bare[: size.start()] + bare[size.end() :] if size else bare) if w]
    asked = {_folded(w) for w in words if w not in _SAME}
    of_name = [each for each in (_of(entry, name) for entry in zoo.entries()) if each is not None]
    sized = [each for each in of_name if size is None or _has(each, size[0])]
    named = [each for each in sized if asked <= each.words | each.own]
    exact = [each for each in named if each.words == asked & each.words]
    moved = False
    if size is not None and tag == bare and not asked - _VARIANTS and not _BASE & set(words):
        dated = [each for each in named if each.dates and not each.words - asked - {_folded(d) for d in each.dates} - _VARIANTS]
        newest = [each for each in dated if each.dates == max(each.dates for each in dated)]
        # Of releases of one shape the first is as good as any.
        if newest and not any(_alike(each.name, newest[0].name) for each in exact):
            answering = [each for each in newest if "instruct" in words and "instruct" in each.said]
            exact, moved = answering or [each for each in newest if each.words & _VARIANTS] or newest, True
    if size is None:
        exact = [each for each in exact if asked and each.words == asked]
    if exact:
        # As the library does: what is trained to answer, but where the tag says otherwise.
        plain = bool(_BASE & set(words))
        best = max(exact, key=lambda each: (("instruct" in each.said or "it" in each.said) != plain, each.name))
        if zoo.key(model) == zoo.key(best.name):
            return best.name, ()
        more = ""
        if moved:
            first = next((each.name for each in sized if not each.words), "")
            older = f", and {name}:{tag}-q4_K_M names {first}" if first else ""
            more = f", the newest release: a tag without a file type moves in Ollama's library{older}"
        return best.name, (f"{model} is taken for {best.name}{more}",)
    near = [each.name for each in (named or sized or of_name)] or [
        each for each in zoo.names() if zoo.key(each).startswith(zoo.key(name))
    ]
    if not near:
        return model.partition(":")[0], ()
    hint = f"say which model it is, such as --engine llama.cpp --quant q4_k_m with {', '.join(near[:4])}"
    if size is None:
        raise UsageError(f"{model} names no size, and what Ollama's library has behind it is not known here", hint)
    if not sized:
        raise UsageError(f"{model}: no bundled model has that name and size", hint)
    if not asked:
        raise UsageError(f"{model}: which release of that name and size the tag stands for is not known here", hint)
    raise UsageError(f"{model}: no bundled model of that name and size is {'-'.join(words)}", hint)


def _untagged(model: str, name: str, alone: Entry | None) -> tuple[str, tuple[str, ...]]:
    from archcalc import zoo

    near = sorted(each for each in zoo.names() if zoo.key(each).startswith(zoo.key(name)))
    if len(_sizes(near)) > 1 and not (alone is not None and _SIZE.search(name)):
        alone = None
    if alone is not None:
        return alone.name, () if zoo.key(model) == zoo.key(alone.name) else (f"{model} is taken for {alone.name}",)
    if near:
        tags = [tag for size in _sizes(near) if _is_taken(tag := f"{name}:{size}")]
        hint = (
            f"name a tag: {', '.join(tags[:4])}" if tags else f"name a tag with a size, as the library's page of {name} lists them"
        )
        raise UsageError(f"{model} names no size, and what Ollama's library has behind it is not known here", hint)
    return model.partition(":")[0], ()


def _is_taken(tag: str) -> bool:
    """Whether a tag is one that a bundled model is known for."""
    try:
        of_library(tag)
    except UsageError:
        return False
    return True


class _Named(NamedTuple):
    """A bundled model that has a name of the library: `words` are those of its own name beside that and its size, folded, `own` those of
    its repository, `said` those of its name that name a training of the same shape, `dates` the releases among the words."""

    name: str
    words: frozenset[str]
    own: frozenset[str]
    said: frozenset[str]
    size: str
    dates: tuple[str, ...]


_VARIANTS = frozenset({"thinking", "reasoning"})
"""Trainings of which one release has several; of two that answer, a bare tag is the one that thinks."""


def _of(entry: Entry, name: str) -> _Named | None:
    """The entry as a model of that name; None where it is of another."""
    from archcalc import zoo

    text = entry.name.lower()
    found = _SIZE.search(text)
    rest = [w for w in re.split(r"-+", text[: found.start()] + text[found.end() :] if found else text) if w]
    wanted = zoo.key(name)
    at = next((n for n in range(1, len(rest) + 1) if re.sub(r"\.0$", "", zoo.key("".join(rest[:n]))) == wanted), 0)
    if not at:
        return None
    words = rest[at:]
    repository = re.split(r"[-_]+", entry.repo.rpartition("/")[2].lower())
    return _Named(
        entry.name,
        frozenset(_folded(w) for w in words if w not in _SAME),
        frozenset(map(_folded, repository)),
        frozenset(words) & _SAME,
        found[0] if found else "",
        tuple(w for w in words if _DATED.fullmatch(w)),
    )


def _alike(one: str, other: str) -> bool:
    """Whether two bundled models have one config but for what says who wrote it."""
    from archcalc import zoo

    told = ("_name_or_path", "transformers_version", "torch_dtype", "dtype")
    first, second = ({key: value for key, value in zoo.config(name).items() if key not in told} for name in (one, other))
    return first == second


def _folded(word: str) -> str:
    """A word as both spell it: `v0.3` and `0.3` are one."""
    return re.sub(r"^v(?=\d)", "", word.lower()).replace(".", "")


def _has(each: _Named, size: str) -> bool:
    """Whether a model is of the size that a tag names: of an expert model its total may stand alone."""
    if each.size:
        return each.size == size or each.size.startswith(f"{size}-")
    return _is_of_size(each.name, size)


def _sizes(names: list[str]) -> list[str]:
    found = (next((part for part in each.split("-") if _SIZE.fullmatch(part)), None) for each in names)
    return list(dict.fromkeys(size for size in found if size))


def _is_of_size(name: str, size: str) -> bool:
    """Whether a bundled model has about as many parameters as a tag says."""
    from archcalc.analysis.params import components
    from archcalc.loader import load

    number = re.match(r"e?(\d+(?:\.\d+)?)([bm])", size, re.IGNORECASE)
    if number is None:
        return False
    said = float(number[1]) * (1e9 if number[2].lower() == "b" else 1e6)
    total = sum(c.total for c in components(load(name).architecture) if c.part != "mtp")
    return abs(total / said - 1) < _NEAR
