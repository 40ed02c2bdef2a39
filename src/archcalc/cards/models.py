"""A model to judge claims by: its normalized architecture, the config it came from, and the contexts its publisher states."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from functools import cache, cached_property, lru_cache
from typing import Any

from archcalc.cards.labels import key_of
from archcalc.errors import ArchcalcError
from archcalc.model import Architecture
from archcalc.records import NamedTuple
from archcalc.report import Inspection, SourceInfo


class PublishedContext(NamedTuple):
    """A context that a publisher states and the config does not: `native`, or `extended` by what the source says."""

    tokens: int
    span: str
    source: str


class PublishedCount(NamedTuple):
    """A count, mostly of parameters, that a publisher states and the config does not say; `field` says which, with "without the embedding"
    behind it where that is left out."""

    field: str
    params: int
    source: str


class Model:
    """One resolved model. Everything beyond its architecture is worked out when a claim asks for it."""

    def __init__(self, name: str, source: SourceInfo, architecture: Architecture) -> None:
        self.name = name
        self.source = source
        self.architecture = architecture
        self.truths: dict[Any, Any] = {}
        """What `truth.safely` found, by field and qualifiers."""

    @cached_property
    def report(self) -> Inspection:
        """The figures that `archcalc inspect` prints."""
        from archcalc.analysis.inspect import inspect

        return inspect(self.architecture, self.source)

    @cached_property
    def config(self) -> dict[str, Any]:
        """The config as published, for the keys that no figure is made of."""
        from archcalc import sources, zoo

        if self.source.kind == "bundled":
            return zoo.config(self.source.name)
        try:
            return sources.resolve(self.source.name, offline=True).config
        except ArchcalcError:
            return {}

    @cached_property
    def text_config(self) -> dict[str, Any]:
        """The part of the config that describes the text model."""
        for key in ("text_config", "language_config", "llm_config"):
            nested = self.config.get(key)
            if isinstance(nested, dict):
                return {**self.config, **nested}
        return self.config

    @cached_property
    def keys(self) -> dict[str, list[tuple[str, Any]]]:
        """The keys of the text model, with their values, by what labels that spell them are compared by (`labels.key_of`)."""
        out: dict[str, list[tuple[str, Any]]] = {}
        nested = [self.text_config]
        for config in nested:
            for key, value in config.items():
                if isinstance(value, dict):
                    nested += [value] if not _TOWER.search(key) else []
                else:
                    out.setdefault(key_of(key), []).append((key, value))
        return out

    @property
    def counts(self) -> tuple[PublishedCount, ...]:
        """What the publisher states of parameters where the tensors hold another number, of bundled models."""
        return _counts().get(self.source.name, ()) if self.source.kind == "bundled" else ()

    @property
    def contexts(self) -> tuple[PublishedContext, ...]:
        """What the publisher states beyond the config, of bundled models."""
        return _contexts().get(self.source.name, ()) if self.source.kind == "bundled" else ()


def trained(source: str, config: Mapping[str, Any]) -> int | None:
    """The positions that a bundled model was trained with before any scaling, where its publisher states fewer than its config."""
    from archcalc import zoo

    entry = zoo.find(source)
    stated = config.get("max_position_embeddings")
    native = [each.tokens for each in _contexts().get(entry.name, ()) if each.span == "native"] if entry else []
    return native[0] if native and isinstance(stated, int) and native[0] < stated else None


_TOWER = re.compile("vision|audio|talker|image|video")


@cache
def _counts() -> dict[str, tuple[PublishedCount, ...]]:
    with open(os.path.join(os.path.dirname(__file__), "counts.json"), encoding="utf-8") as file:
        return {name: tuple(PublishedCount(*row) for row in rows) for name, rows in json.load(file).items()}


@cache
def _contexts() -> dict[str, tuple[PublishedContext, ...]]:
    path = os.path.join(os.path.dirname(__file__), "contexts.json")
    with open(path, encoding="utf-8") as file:
        return {name: tuple(PublishedContext(*row) for row in rows) for name, rows in json.load(file).items()}


def resolved(text: str, folder: str) -> str:
    """The SOURCE that a file in `folder` means by a text: paths are from there, and a bundled name is no path."""
    from archcalc import zoo

    candidate = os.path.join(folder, text)
    is_path = text.startswith(".") or text.endswith(".json") or (not zoo.find(text) and os.path.exists(candidate))
    if not is_path or text.startswith("~"):
        return text
    plain = os.path.normpath(candidate)
    return plain if os.path.isabs(plain) or plain.startswith(os.pardir) else os.path.join(os.curdir, plain)


def load(source: str, offline: bool) -> Model:
    """The model that a SOURCE names. Raises the errors of `archcalc.errors`."""
    # A file may change, and its path mean another in another folder.
    return _load(source, offline) if os.path.lexists(source) else _kept(source, offline)


@lru_cache(maxsize=512)
def _kept(source: str, offline: bool) -> Model:
    return _load(source, offline)


def _load(source: str, offline: bool) -> Model:
    from archcalc import loader

    loaded = loader.load(source, offline=offline)
    return Model(loaded.source.name, loaded.source, loaded.architecture)
