"""Which model a name of Ollama's library stands for. Its tags name a size and a file type: `llama3.1:70b-instruct-q4_K_M`."""

from __future__ import annotations

import os
import re

from archcalc.errors import UsageError

_SIZE = re.compile(r"(?:e?\d+(?:\.\d+)?[bm](?:-a\d+(?:\.\d+)?b)?|\d+x\d+b)(?![a-z0-9])", re.IGNORECASE)
_NEAR = 0.12
"""How far a size in a name is from the parameters it stands for."""


def of_library(model: str) -> tuple[str, tuple[str, ...]]:
    """The bundled model, and a note that it is taken for the name; paths and repositories as they are. Raises `UsageError` where the tag
    names another size than the model of that name has, and where a name without one stands for several.

    >>> of_library("llama3.1:70b-instruct-q4_K_M")[0], of_library("org/model")[0]
    ('llama-3.1-70b', 'org/model')
    """
    from archcalc import zoo

    if "/" in model or model.endswith(".gguf") or os.path.exists(model):
        return model, ()
    name, _, tag = model.partition(":")
    found = _SIZE.match(tag)
    alone = zoo.find(name)
    entry = zoo.find(f"{name}-{found[0]}") if found else alone
    near = sorted(each for each in zoo.names() if zoo.key(each).startswith(zoo.key(name)))
    if found is None and len(_sizes(near)) > 1:
        entry = None
    if entry is None and found and alone is not None and _is_of_size(alone.name, found[0]):
        entry = alone
    if entry is not None:
        return entry.name, () if zoo.key(model) == zoo.key(entry.name) else (f"{model} is taken for {entry.name}",)
    if found is None and near:
        hint = f"name a tag: {', '.join(f'{name}:{size}' for size in _sizes(near)[:4])}"
        raise UsageError(f"{model} names no size, and what Ollama's library has behind it is not known here", hint)
    if found is not None and (near or alone is not None):
        sized = [each for each in near if found[0].lower() in each.split("-")] or near
        hint = f"say which model it is, such as --engine llama.cpp --quant q4_k_m with {', '.join(sized[:4])}"
        raise UsageError(f"{model}: no bundled model has that name and size", hint)
    return name, ()


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
