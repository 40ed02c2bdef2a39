"""A right value and its convention."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from fractions import Fraction

from archcalc.cards.labels import Quals
from archcalc.cards.models import Model
from archcalc.records import NamedTuple


class Value(NamedTuple):
    """A right value. `basis` names the convention or the key it comes from. `tag` restricts it to claims that say so (`native`,
    `extended`, `original` of contexts), marks a convention as `rare`, or a value as that of a `namesake`, as what a `name` says or as
    `published` alone; mostly it is empty."""

    value: int | Fraction
    basis: str
    tag: str = ""


Find = Callable[[Model, Quals], Iterator[Value]]
"""What finds the right values of one field, the canonical one first."""
