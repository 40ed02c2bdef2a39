"""What a model's config says of a field: every value that is right in some convention, with the convention's name.

The first value of a list is what is printed as the truth; the others are right ways to count that people use. Whether a claim may use
them all is the judge's business.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from fractions import Fraction
from functools import cache
from importlib import import_module
from typing import Any

from archcalc.cards import vocabulary
from archcalc.cards.labels import Quals
from archcalc.cards.models import Model
from archcalc.cards.truths.value import Find, Value
from archcalc.errors import ArchcalcError

GROWING = frozenset({"kv_cache", "kv_per_token", "flops", "activations", "fit"})
"""What depends on the context."""
_FILES = ("params", "layers", "widths", "lengths", "sizes")


@cache
def _finders() -> dict[str, Find]:
    plain = {name: _figure(field) for name, field in vocabulary.fields().items() if field.source}
    return plain | {field: find for name in _FILES for field, find in import_module(f"archcalc.cards.truths.{name}").FIELDS.items()}


def _figure(field: vocabulary.Field) -> Find:
    """A figure of `archcalc inspect`, by its place."""

    def find(model: Model, _: Quals) -> Iterator[Value]:
        value: Any = model.report
        for key in field.source.split("."):
            value = value[key] if isinstance(value, Mapping) else getattr(value, key)
        if value or not field.some:
            yield Value(value, field.basis)

    return find


def values(model: Model, field: str, quals: Quals) -> list[Value]:
    """The right values of a numeric field, the canonical one first. Empty where the config does not say."""
    find = _finders().get(field)
    if find is None:
        return []
    found: dict[int | Fraction, Value] = {}
    for value in find(model, quals):
        found.setdefault(value.value, value)
    return list(found.values())


def safely(model: Model, field: str, quals: Quals) -> list[Value]:
    """`values`, or nothing where the architecture has a part that the figure is not defined for."""
    if quals.context and field not in GROWING:
        quals = quals._replace(context=0)
    found = model.truths.get((field, quals))
    if found is None:
        try:
            found = values(model, field, quals)
        except ArchcalcError:
            found = []
        model.truths[field, quals] = found
    return found
