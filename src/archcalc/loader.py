"""From a SOURCE to a normalized architecture."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from archcalc.errors import ConfigError, UnsupportedError
from archcalc.report import SourceInfo

if TYPE_CHECKING:
    from archcalc.model import Architecture


class Loaded(NamedTuple):
    """An architecture and where its config came from; `note` is what is worth telling about the choice, or empty."""

    source: SourceInfo
    architecture: Architecture
    note: str = ""


def load(text: str, *, offline: bool = False, refresh: bool = False, overrides: Sequence[str] = ()) -> Loaded:
    """Resolve `text` and parse what it names.

    `overrides` are `KEY=VALUE` texts, applied to the config before parsing. A bundled model without overrides comes from its
    generated spec, which a test holds equal to a fresh parse. Raises the errors of `archcalc.errors`.
    """
    from archcalc import sources

    source = sources.resolve(text, offline=offline, refresh=refresh)
    info = SourceInfo(source.name, source.kind, source.format, source.revision)
    if source.kind == "bundled" and not overrides:
        from archcalc import zoo

        spec = zoo.spec(source.name)
        if spec is not None:
            return Loaded(info, spec, source.note)
    config = source.config
    if overrides:
        config = sources.apply_overrides(config, overrides)
    from archcalc.arch import parse

    try:
        return Loaded(info, parse(config), source.note)
    except (ConfigError, UnsupportedError) as error:
        error.args = (f"{text}: {error.message}",)
        error.message = error.args[0]
        raise
