"""Reading a model (`archcalc.load`), and the schemas of reports. `archcalc.questions` asks about it."""

from __future__ import annotations

import os
from collections.abc import Mapping
from types import UnionType
from typing import TYPE_CHECKING, Any, Literal, Union, get_args, get_origin, get_type_hints

from archcalc import report
from archcalc.errors import ConfigError, UsageError
from archcalc.loader import Loaded

if TYPE_CHECKING:
    from pydantic import BaseModel


def load(
    source: str | os.PathLike[str] | Mapping[str, Any],
    *,
    offline: bool = False,
    refresh: bool = False,
    overrides: Mapping[str, Any] | None = None,
) -> Loaded:
    """Read a model's config and normalize it.

    `source` is what the command line takes (a bundled name, a Hub repo id, a path, `-`), or a config as a mapping. `overrides` sets
    config keys before parsing, dots going deeper. The result is a pair: `source`, where the config came from, and `architecture`.

    Raises `archcalc.errors.ArchcalcError`: its `message` and `hint` say what is wrong and what to do.

    >>> import archcalc
    >>> loaded = archcalc.load("deepseek-v3", offline=True)
    >>> loaded.architecture.layers, loaded.architecture.facts.attention
    (61, 'MLA')
    """
    from archcalc import loader

    check_set(overrides, "overrides")
    if isinstance(source, Mapping):
        from archcalc.arch import parse

        _check_keys(source)
        config = {**source}
        for key, value in (overrides or {}).items():
            config = _set(config, key, value)
        return Loaded(report.SourceInfo(str(config.get("model_type") or "config"), "file", "hf-config"), parse(config))
    if not isinstance(source, (str, os.PathLike)):
        raise UsageError(
            f"a source of type {type(source).__name__}", "give a bundled name, a path, a Hub repository or a config as a mapping"
        )
    return loader.load(
        os.fspath(source),
        offline=offline,
        refresh=refresh,
        overrides=[f"{key}={json_of(key, value)}" for key, value in (overrides or {}).items()],
    )


def schema_model(record: type[report.Record]) -> type[BaseModel]:
    """A pydantic model with the fields of a report, nested ones included: it validates the JSON and gives its schema."""
    from pydantic import create_model

    def model(kind: Any) -> Any:
        if isinstance(kind, type) and issubclass(kind, report.Record):
            return schema_model(kind)
        arguments = get_args(kind)
        if not arguments or get_origin(kind) is Literal:
            return kind
        inner = tuple(model(a) for a in arguments)
        if get_origin(kind) in (Union, UnionType):
            return Union[inner]  # noqa: UP007
        return get_origin(kind)[inner]

    hints = {name: model(kind) for name, kind in get_type_hints(record).items() if name in record._fields}
    fields: dict[str, Any] = {name: (kind, getattr(record, name, ...)) for name, kind in hints.items()}
    return create_model(record.__name__, __doc__=record.__doc__, __config__={"extra": "forbid"}, **fields)


_MOST_DEEP = 64


def _check_keys(node: Any, place: str = "", depth: int = 0) -> None:
    """Refuse what JSON cannot hold and adapters do not expect: a key that is no text, a value of another type, a mapping in itself."""
    if depth > _MOST_DEEP:
        raise ConfigError(f"{place[:60]}... is nested too deeply, or holds itself", "give a config as JSON holds it")
    for key, value in node.items() if isinstance(node, Mapping) else enumerate(node) if isinstance(node, (list, tuple)) else ():
        if isinstance(node, Mapping) and not isinstance(key, str):
            raise ConfigError(f"{place or 'the config'} has the key {key!r}, which is no text", "give a config as JSON holds it")
        below = f"{place}.{key}" if place else str(key)
        if value is not None and not isinstance(value, (str, int, float, Mapping, list, tuple)):
            kind = type(value)
            named = kind.__name__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__name__}"
            raise ConfigError(f"{below} is of type {named}, which no JSON holds", f"give {_plainer(value, key)}", below)
        _check_keys(value, below, depth + 1)


def _plainer(value: Any, key: Any) -> str:
    """What Python has in place of a number of NumPy or a tensor of one."""
    made = getattr(value, "item", None)
    return f"{key}.item(), Python's own number" if callable(made) else "what JSON holds: a text, a number, a list or a mapping"


def check_set(keys: Any, name: str = "set") -> None:
    """Raise `UsageError` for what is no mapping of config keys."""
    if keys is not None and not (isinstance(keys, Mapping) and all(isinstance(key, str) for key in keys)):
        raise UsageError(f"{name}={keys!r}: a mapping of config keys to values was expected", 'such as {"num_hidden_layers": 16}')


def json_of(key: str, value: Any) -> str:
    """A value of a config key as JSON. Raises `UsageError` for what JSON cannot hold."""
    import json

    try:
        return json.dumps(value)
    except (TypeError, ValueError, RecursionError):
        raise UsageError(f"{key}: a value of type {type(value).__name__} is none of a config", "give what JSON holds") from None


def _set(config: dict[str, Any], key: str, value: Any) -> dict[str, Any]:
    from archcalc.sources import apply_overrides

    return apply_overrides(config, [f"{key}={json_of(key, value)}"])
