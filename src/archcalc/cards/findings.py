"""A claim that was judged, where it stands, and what other claims say around it."""

from __future__ import annotations

from fractions import Fraction
from math import ceil, floor
from typing import Literal, Protocol

from archcalc.cards import truth
from archcalc.cards.document import Table
from archcalc.cards.judge import Judgement, within
from archcalc.cards.labels import Label, Quals, dtypes_in
from archcalc.cards.layout import Slot
from archcalc.cards.models import Model
from archcalc.cards.quantity import Number
from archcalc.cards.readers.claim import Claim
from archcalc.cards.resolve import Resolved
from archcalc.records import NamedTuple
from archcalc.report import Verdict

Bands = tuple[tuple[int, int], ...]
Named = Literal["pinned", "outright", "loosely", "around"]


class Owner(Protocol):
    """Those whom a claim is about."""

    resolved: Resolved
    label: str
    models: tuple[Model, ...]
    who: tuple[str, ...]
    bands: dict[tuple[str, int, int, int], tuple[Claim, Bands]]
    """Between which digits numbers are off by little, by their field, the identity of what says how they are counted (which the claim
    keeps), their decimals and their scale."""


class Page(Protocol):
    """What a file says around a claim."""

    def source_line(self, line: int) -> str: ...
    def labels(self, table: Table) -> str: ...
    def named(self, slot: Slot, resolved: Resolved) -> Named: ...


_NEARLY = 100
"""A figure off by less than this part of it may be counted in another way."""


class Finding:
    """One claim, judged, and where it stands; what stands around it is looked up for those that are not right.

    `table` is the number of `where`, the table or list, in the document; `name` and `text` are what the page calls the model and claims.
    """

    # Of a hundred thousand the slots alone are what a page of them takes.
    __slots__ = (
        "_named", "claim", "column", "judgement", "line", "name", "owner", "page", "shown", "slot", "table", "text", "verdict",
        "where",
    )  # fmt: skip

    def __init__(
        self, page: Page, slot: Slot, claim: Claim, owner: Owner, where: Table, table: int, line: int, column: int, name: str,
        text: str, shown: Verdict, judgement: Judgement,
    ) -> None:  # fmt: skip
        self.page = page
        self.slot = slot
        self.claim = claim
        self.owner = owner
        self.where = where
        self.table = table
        self.line = line
        self.column = column
        self.name = name
        self.text = text
        self.shown = shown
        self.judgement = judgement
        # What a sentence says rightly confirms no alarm: it may be of something else.
        self.verdict = "said" if where.kind == "prose" else shown
        self._named: Named | None = None

    @property
    def cell(self) -> str:
        """The cell's text."""
        return self.slot.cell.text

    @property
    def heading(self) -> str:
        """The label as written, empty where the claim has none."""
        return self.slot.heading if self.slot.labelled else ""

    @property
    def label(self) -> Label:
        """What the heading was read as."""
        return self.slot.label

    @property
    def models(self) -> tuple[Model, ...]:
        """All models that it is of."""
        return self.owner.models

    @property
    def listed(self) -> bool:
        """Whether it stands in a list."""
        return self.where.kind == "list"

    @property
    def strict(self) -> bool:
        """Whether it stands in a generated section."""
        return bool(self.where.context.begin)

    @property
    def block(self) -> str:
        """All labels of its table or list."""
        return self.page.labels(self.where)

    @property
    def around(self) -> str:
        """The heading and caption that it stands under."""
        return " ".join((*self.where.context.headings[-1:], self.where.context.caption))

    @property
    def heads(self) -> str:
        """The heads of its table's columns."""
        return (
            " | ".join(cell.text for row in self.where.rows[: self.where.heads] for cell in row)
            if self.where.kind == "table"
            else ""
        )

    @property
    def types(self) -> tuple[str, ...]:
        """The types of weights or caches that stand above it."""
        return types_above(self.where)

    @property
    def line_text(self) -> str:
        """Its line of the file."""
        return self.page.source_line(self.line)

    @property
    def named(self) -> Named:
        """How the model is named: `pinned` by a comment, a link or the caller, `outright` by a whole name, `loosely` by a name that
        other releases go by too, or only `around` the claim. Keys of a tree are labels, and its model is stated as one."""
        if self._named is None:
            resolved = self.owner.resolved
            self._named = "pinned" if resolved.pinned or self.where.kind == "tree" else self.page.named(self.slot, resolved)
        return self._named

    @property
    def nearly(self) -> bool:
        """Whether the number is off by little."""
        claim, number = self.claim, self.claim.number
        if number is None or len(self.owner.models) != 1:
            return False
        key = claim.field, id(claim.quals), number.decimals, number.scale
        if (found := self.owner.bands.get(key)) is None:
            found = self.owner.bands[key] = claim, _bands(self.owner.models[0], claim, number)
        return within(found[1], number.mantissa)

    def values(self, field: str = "", quals: Quals | None = None) -> list[int | Fraction]:
        """What is right of its field, or of another, for any of its models."""
        asked = field or self.claim.field, self.claim.quals if quals is None else quals
        return [value.value for model in self.models for value in truth.safely(model, *asked)]


def types_above(table: Table) -> tuple[str, ...]:
    """The types that what stands above a table or list names: its caption, or else its heading."""
    return dtypes_in(table.context.caption) or dtypes_in(" ".join(table.context.headings[-1:]))


def _bands(model: Model, claim: Claim, number: Number) -> Bands:
    """Between which digits of numbers of one style those are that are off by little."""
    found = [
        Fraction(value.value * 10**number.decimals, 10**number.scale * unit)
        for value in truth.safely(model, claim.field, claim.quals)
        for unit in (1, 1000, 10**6, 10**9)
    ]
    return tuple((floor(one - one / _NEARLY) + 1, ceil(one + one / _NEARLY) - 1) for one in found if one > Fraction(1, 2))


class Near(NamedTuple):
    """What other claims say around one: fields of the same model that are right and wrong, whether the column is right for others,
    whether the same line states the field rightly already, and how many other models' figures in the column are nearly right."""

    right: int
    wrong: int
    column: bool
    said: bool
    nearly: int = 0
    varied: bool = False
    """Whether its table has several values of the field for its model."""
    claims: tuple[Claim, ...] = ()
    """What is right around it of its model."""


NOTHING = Near(0, 0, False, False)
