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
from archcalc.cards.labels import Quals, key_of
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
    """A figure of `archcalc inspect`, by its place, or what the config says under the first of some keys that it has."""

    def find(model: Model, _: Quals) -> Iterator[Value]:
        if field.source.startswith("config."):
            keys = field.source.removeprefix("config.").split("|")
            yield from next((said for key in keys if (said := list(_under_key(model, key_of(key))))), ())
            return
        value: Any = model.report
        for key in field.source.split("."):
            value = value[key] if isinstance(value, Mapping) else getattr(value, key)
        if value or not field.some:
            yield Value(value, field.basis)

    return find


def values(model: Model, field: str, quals: Quals) -> list[Value]:
    """The right values of a numeric field, the canonical one first. Empty where the config does not say."""
    if quals.each:
        from archcalc.cards.truths import each

        return list({value.value: value for value in reversed(list(each.find(model, field, quals)))}.values())[::-1]
    find = _finders().get(field)
    if find is None:
        return []
    found: dict[int | Fraction, Value] = {}
    for value in find(model, quals):
        found.setdefault(value.value, value)
    without = quals.embedding == "without"
    for one in model.counts:
        if one.field == (f"{field} without the embedding" if without else field):
            # What is left is stated with a decimal, nought too: 70.0B.
            found.setdefault(one.params, Value(one.params, f"the publisher's figure, {one.source}", "" if without else "published"))
    said = [value for value in _under_key(model, quals.key) if value.value not in found] if quals.key else []
    # A window that another key turns off is none, whatever its own key says.
    none = [value for value in list(found.values())[:1] if not value.value]
    said.sort(key=lambda value: not value.value)
    rest = [value for value in found.values() if value not in none]
    return [*none, *said, *rest] if not said or said[0].value else [*none, *rest, *said]


def _under_key(model: Model, key: str) -> Iterator[Value]:
    """What the config says under the key that a label spells."""
    for name, value in model.keys.get(key, ()):
        if isinstance(value, (int, float)) and not isinstance(value, bool) and value >= 0:
            yield Value(int(value) if value == int(value) else Fraction(str(value)), f"{name} of the config")


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
