"""The bundled models: their configs as published, facts about them, and their normalized specs, all of it data.

`index.json` lists them, `configs/` holds each config.json, `specs/` the `Architecture` parsed from it and what its weights take once
loaded, so that a bundled model needs neither a schema nor an engine at run time. `scripts/build_zoo.py` makes all three.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from functools import cache
from typing import TYPE_CHECKING, Any

from archcalc.records import NamedTuple

if TYPE_CHECKING:
    from archcalc.model import Architecture, Use

# A plain path: importlib.resources takes longer to import than everything here takes to run.
_HERE = os.path.dirname(__file__)
_FOLD = str.maketrans("", "", "-_ :")


class Entry(NamedTuple):
    """One bundled model.

    `aliases` are further names; those with a slash are repository ids that the same repository has or had. `release` is
    YYYY-MM-DD, or YYYY-MM, and `license` the SPDX id or the publisher's own name for it; each is None where not known for certain.
    `release_note` says where the release is another date's that was at hand. `use` is what the publisher makes of a model whose config
    is a decoder's and that writes no text: its card says so, and no key of the config does.
    `task` is the one task that a model which writes text was made for, by its card: lists of what to run name it behind those for all.
    `card` says whether `model_cards/` has one of it. `origin` says how the config was had, `origin_note` what else to know about that.
    """

    name: str
    repo: str
    aliases: tuple[str, ...]
    family: str
    release: str | None
    license: str | None
    origin: str
    origin_note: str | None
    card: bool = True
    release_note: str | None = None
    use: Use = ""
    task: str = ""


HALVES_IN_YEARS = 0.5
"""After how much time half the parameters are as good: a choice of ours. Xiao et al. 2024, "Densing Law of LLMs" (arXiv:2412.04315), found
3.3 months for models of up to 2024."""


def standing(params: int, release: str | None) -> float:
    """Parameters less what age takes of them, half for each `HALVES_IN_YEARS` between a release and the newest that is bundled: an order of
    models, the newest and largest first. Every bundled model has a date; where there is none, as of a file, it is taken as new.

    >>> standing(100, None), standing(100, "2019-02") < standing(1, "2025-09")
    (100.0, True)
    """
    if release is None:
        return float(params)
    return float(params * 0.5 ** ((_newest() - _years(release)) / HALVES_IN_YEARS))


@cache
def _newest() -> float:
    return max(_years(entry.release) for entry in entries() if entry.release)


def _years(date: str) -> float:
    """A date in years; one without its day is in the middle of its month."""
    year, month, day = map(int, (date + ("-06-15", "-15", "")[date.count("-")]).split("-"))
    return year + (month - 1) / 12 + day / 372


def entries() -> tuple[Entry, ...]:
    """All bundled models, by family."""
    return _read()[0]


@cache
def names() -> tuple[str, ...]:
    """The names of all bundled models, in the order of `entries`.

    >>> "deepseek-v3" in names()
    True
    """
    return tuple(_rows())


def find(text: str) -> Entry | None:
    """The bundled model that `text` names, or None.

    `text` is a name or an alias, in any case and with `-`, `_`, `:` and spaces where one likes, or a repository id in any case.

    >>> find("Llama 3.1 8B").repo
    'meta-llama/Llama-3.1-8B'
    >>> find("deepseek-ai/deepseek-v3").name
    'deepseek-v3'
    >>> find("llama-9") is None
    True
    """
    row = _rows().get(text)
    return _entry(row) if row is not None else _read()[1].get(key(text))


def keys() -> Iterable[str]:
    """What `key` makes of every name, alias and repository id."""
    return _read()[1].keys()


def starting_with(text: str) -> list[str]:
    """The names that a name is the beginning of, up to one of their separators: those of fewest words, of these the newest first.

    >>> starting_with("gemma3")[-1], "gemma-3n-e4b" in starting_with("gemma3"), starting_with("gemma-3-4b")
    ('gemma-3-27b', False, ['gemma-3-4b'])
    """
    wanted = key(text)
    rests = [(entry, _rest(entry.name, wanted)) for entry in entries()]
    found = [entry for entry, rest in rests if wanted and rest is not None and rest[:1] in ("", "-")]
    found.sort(key=lambda entry: entry.release or "9", reverse=True)
    return [entry.name for entry in sorted(found, key=lambda entry: entry.name.count("-"))]


def _rest(name: str, wanted: str) -> str | None:
    """What of a name stands behind a key that it begins with; None where it begins otherwise."""
    for c in wanted:
        name = name.lstrip("-_ :")
        if not name.startswith(c):
            return None
        name = name[1:]
    return name


def meant_as_well(text: str, entry: Entry) -> list[str]:
    """The other models that a short name could mean: what it is the beginning of, where it is no model's own.

    >>> meant_as_well("qwen3-coder", find("qwen3-coder")), meant_as_well("kimi-k2", find("kimi-k2"))
    (['qwen3-coder-next', 'qwen3-coder-30b-a3b'], [])
    """
    if "/" in text or key(text) == key(entry.name):
        return []
    return [name for name in starting_with(text) if name != entry.name]


def key(text: str) -> str:
    """What two spellings of one name have in common. Repository ids differ by their separators, so those keep them."""
    text = text.strip().lower()
    return text if "/" in text else text.translate(_FOLD)


def config(name: str) -> dict[str, Any]:
    """The config.json of one bundled model, by its name."""
    from archcalc.jsonfile import read_json

    path = _path("configs", name)
    return read_json(path, path)


def spec(name: str) -> Architecture | None:
    """The normalized spec of one bundled model, or None where it has none: the same as parsing its config, and faster."""
    data = _written(name)
    if data is None:
        return None
    from archcalc.zoo import _spec

    return _spec.load(data)


def loaded(name: str) -> list[dict[str, Any]] | None:
    """What the weights of one bundled model take once loaded and the cards that hold them (`archcalc.analysis.sizes`), as the keys of
    `archcalc.report.LoadedWeights`; None where it is not written."""
    data = _written(name)
    return None if data is None else data.get("loaded")


def _written(name: str) -> dict[str, Any] | None:
    try:
        with open(_path("specs", name), encoding="utf-8") as file:
            data: dict[str, Any] = json.load(file)
    except FileNotFoundError:
        return None
    return data


def _path(folder: str, name: str) -> str:
    if name not in _rows():
        raise KeyError(name)
    return os.path.join(_HERE, folder, f"{name}.json")


@cache
def _rows() -> dict[str, dict[str, Any]]:
    with open(os.path.join(_HERE, "index.json"), encoding="utf-8") as file:
        return {row["name"]: row for row in json.load(file)}


def _entry(row: dict[str, Any]) -> Entry:
    return Entry(
        row["name"], row["repo"], tuple(row["aliases"]), row["family"], row["release"], row["license"],
        row["origin"], row["origin_note"], row.get("card", True), row.get("release_note"), row.get("use", ""), row.get("task", ""),
    )  # fmt: skip


@cache
def _read() -> tuple[tuple[Entry, ...], dict[str, Entry]]:
    """All entries, and each by the keys of all its names: a model that is asked for by its own name needs neither."""
    found = tuple(map(_entry, _rows().values()))
    return found, {key(text): entry for entry in found for text in (*entry.aliases, entry.repo, entry.name)}
