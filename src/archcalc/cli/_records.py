"""Options as records: a command takes each group of its options whole."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any, get_type_hints


def options(command: Callable[..., None]) -> Callable[..., None]:
    """The command with the fields of its records as options of their own; a record is a parameter annotated with a NamedTuple, and its
    fields are annotated as typer's options are."""
    hints = get_type_hints(command, include_extras=True)
    plain: list[inspect.Parameter] = []
    records: dict[str, tuple[type, list[str]]] = {}
    for name, parameter in inspect.signature(command).parameters.items():
        kind = hints[name]
        if not (isinstance(kind, type) and hasattr(kind, "_field_defaults")):
            plain.append(parameter.replace(annotation=kind, kind=inspect.Parameter.KEYWORD_ONLY))
            continue
        fields = get_type_hints(kind, include_extras=True)
        records[name] = kind, list(fields)
        plain += [
            inspect.Parameter(
                field,
                inspect.Parameter.KEYWORD_ONLY,
                default=kind._field_defaults.get(field, inspect.Parameter.empty),
                annotation=hint,
            )
            for field, hint in fields.items()
        ]

    def run(**given: Any) -> None:
        whole = {name: kind(**{field: given.pop(field) for field in fields}) for name, (kind, fields) in records.items()}
        command(**given, **whole)

    run.__doc__, run.__name__, run.__module__ = command.__doc__, command.__name__, command.__module__
    run.__signature__ = inspect.Signature(plain)  # type: ignore[attr-defined]
    run.__annotations__ = {parameter.name: parameter.annotation for parameter in plain}
    return run


def said(record: Any, but: str = "") -> dict[str, Any]:
    """What was given of a record's options, by their names on the command line; `but` the fields that it names.

    >>> from archcalc.cli.fit import Split
    >>> said(Split(tp=2, dcp=4), but="dcp")
    {'--tp': 2}
    """
    hints = get_type_hints(type(record), include_extras=True)
    return {
        hints[field].__metadata__[0].default: value
        for field, value in record._asdict().items()
        if value != record._field_defaults[field] and field not in but.split()
    }
