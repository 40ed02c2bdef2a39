"""What a model's config says of a field: every value that is right in some convention, with the convention's name.

The first value of a list is what is printed as the truth; the others are right ways to count that people use. Whether a claim may use
them all is the judge's business.
"""

from __future__ import annotations

from fractions import Fraction
from functools import cache
from importlib import import_module

from archcalc.cards.labels import Quals
from archcalc.cards.models import Model
from archcalc.cards.truths.value import Find, Value
from archcalc.errors import ArchcalcError

_FILES = ("params", "layers", "widths", "lengths", "sizes")


@cache
def _finders() -> dict[str, Find]:
    return {field: find for name in _FILES for field, find in import_module(f"archcalc.cards.truths.{name}").FIELDS.items()}


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
    found = model.truths.get((field, quals))
    if found is None:
        try:
            found = values(model, field, quals)
        except ArchcalcError:
            found = []
        model.truths[field, quals] = found
    return found
