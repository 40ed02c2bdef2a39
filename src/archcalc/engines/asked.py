"""What an engine's command asks for, in archcalc's own terms: one record, whatever the engine."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from archcalc.records import NamedTuple


class Asked(NamedTuple):
    """A command, understood.

    `model` is its SOURCE, `overrides` what it sets in the config (`KEY=VALUE`), `values` fields of `plan.Ask`, `own` the engine's own
    settings record, `draft` the SOURCE of a draft model. `gpus` is how many GPUs it runs on, None for as many as there are. `unmodelled`
    are flags of this command that change memory and are not taken into account, `notes` what was taken for what. `passed_over` are
    variables of the environment that change nothing in this release. `library` says that the model is a name in the program's own library,
    `by_memory` that the context not stated depends on the GPU's memory. `environment` are variables that say what the command's image
    does by itself.
    """

    engine: str
    model: str
    version: str | None
    values: Mapping[str, Any]
    own: Any
    overrides: tuple[str, ...] = ()
    draft: str | None = None
    gpus: int | None = None
    unmodelled: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    passed_over: frozenset[str] = frozenset()
    library: bool = False
    by_memory: bool = False
    environment: tuple[tuple[str, str], ...] = ()


class FlagsRead(NamedTuple):
    """What became of the flags of a command: used in the figures, without effect on memory, or not modelled."""

    used: dict[str, str]
    inert: list[str]
    unmodelled: list[str]
