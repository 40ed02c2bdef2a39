"""Whether a mismatch is an alarm: what stands around it must say that the page means this model and this field.

A number that differs from the config may be wrong, or may be of another model, of another field, of a run, of a file or of another part.
Each sign for or against an alarm has a weight, all in one table; an alarm that does not reach the threshold is doubtful: shown, and
mended only where a neighbour that is mended confirms it. In generated sections every mismatch is wrong.
"""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from functools import lru_cache
from itertools import groupby
from operator import attrgetter

from archcalc.cards.findings import NOTHING, Finding, Near
from archcalc.cards.readers.claim import Claim
from archcalc.cards.signs import Sign, far, signs_of
from archcalc.cards.text import Cell
from archcalc.cards.vocabulary import says
from archcalc.records import NamedTuple

NEAR = 12
"""Lines around a claim of a list that speak of the same model."""
THRESHOLD = 2
_REASONS = 2
"""Reasons that a doubt names."""


class _Place(NamedTuple):
    """What the place of a claim says for an alarm, and the signs that are still to be asked for; of those against one, True with those
    that hold for the place."""

    number: int
    weight: int
    signs_for: tuple[Sign, ...]
    against: tuple[tuple[bool, Sign], ...]


class _Case(NamedTuple):
    """A place and how many neighbours are right and wrong: the same, where signs of the claim itself are left to ask. `why` is the doubt
    where none of them can change it."""

    weight: int
    signs_for: tuple[Sign, ...]
    against: tuple[tuple[bool, Sign], ...]
    why: str | None


def _place(f: Finding, number: int) -> _Place:
    signs_for, signs_against = signs_of(f.claim.field)
    weight, left = 0, []
    for sign in signs_for:
        if sign.by_place is not None and sign.by_place(f):
            weight += sign.weight
        elif (sign.holds is not None and sign.where(f)) or sign.by_near is not None:
            left.append(sign)
    against = []
    for sign in signs_against:
        holds = sign.by_place is not None and sign.by_place(f)
        if holds or (sign.holds is not None and sign.where(f)) or sign.by_near is not None:
            against.append((holds, sign))
    return _Place(number, weight, tuple(left), tuple(against))


def _case(f: Finding, near: Near, place: _Place) -> _Case:
    weight, left, against = place.weight, [], []
    for sign in place.signs_for:
        if sign.holds is not None:
            left.append(sign)
        elif sign.by_near is not None and sign.by_near(f, near):
            weight += sign.weight
    for by_place, sign in place.against:
        holds = by_place or (sign.by_near is not None and sign.by_near(f, near))
        if holds:
            weight += sign.weight
        if holds or sign.holds is not None:
            against.append((holds, sign))
    settled = weight + sum(sign.weight for sign in left) < THRESHOLD and all(holds for holds, _ in against[:_REASONS])
    why = "; ".join(sign.says for _, sign in against[:_REASONS]) if settled and len(against) >= _REASONS else None
    return _Case(weight, tuple(left), tuple(against), why)


class Places:
    """The places of a page's claims: cells under one label of a table are of one place, and a page may hold a hundred thousand."""

    def __init__(self) -> None:
        self._places: dict[tuple[object, ...], _Place] = {}
        self._tables: dict[tuple[object, ...], int] = {}
        self._numbers: dict[int, int] = {}

    def of(self, f: Finding) -> _Place:
        """The place of a claim."""
        number = self._numbers.get(f.table)
        if number is None:
            where, around = f.where, f.around
            corner = where.rows[0][0].text if where.kind == "table" and where.heads and where.rows[0] else ""
            above = *(says(name, around) for name in ("part", "reduced", "experiment")), "gguf" in around.lower(), len(f.types) > 1
            said = where.kind, f.block, f.heads, corner, above
            number = self._numbers[f.table] = self._tables.setdefault(said, len(self._tables))
        key = number, id(f.owner), id(f.slot.label), f.claim.field, f.heading, f.name, f.named
        if (place := self._places.get(key)) is None:
            place = self._places[key] = _place(f, len(self._places))
        return place

    def of_another(self, f: Finding) -> bool:
        """Whether a sign says that a sentence's figure is of something else, however far off it is: such a figure is not even doubted."""
        return any(
            holds or (sign.holds is not None and sign.holds(f, NOTHING))
            for holds, sign in self.of(f).against
            if sign.weight < -1 and sign.holds is not far
        )


def doubts(findings: Sequence[Finding], places: Places) -> dict[int, str]:
    """Why alarms are not raised, by the identity of the finding."""
    out: dict[int, str] = {}
    cases: dict[tuple[object, ...], _Case] = {}
    for f, around in near(findings):
        if f.where.context.begin:
            continue
        place = places.of(f)
        alike = place.number, around[:-1]
        case = cases.get(alike)
        if case is None:
            case = cases[alike] = _case(f, around, place)
        why = _doubt(f, around, case) if case.why is None else case.why
        if why:
            out[id(f)] = why
    return out


def _doubt(finding: Finding, near: Near, case: _Case) -> str:
    weight = case.weight
    for sign in case.signs_for:
        if sign.holds is not None and sign.holds(finding, near):
            weight += sign.weight
    against: list[str] = []
    for holds, sign in case.against:
        if holds:
            against.append(sign.says)
        elif sign.holds is not None and sign.holds(finding, near):
            weight += sign.weight
            against.append(sign.says)
        if weight < THRESHOLD and len(against) >= _REASONS:
            break  # no later sign changes what is said
    if weight >= THRESHOLD:
        return ""
    return "; ".join(against[:_REASONS]) or "nothing nearby confirms that this model and this figure are meant"


class _Said:
    """Fields that one line or table states of one model, rightly and wrongly."""

    __slots__ = ("others", "right", "wrong")

    def __init__(self) -> None:
        self.right: dict[str, Claim] = {}
        self.wrong: set[str] = set()
        self.others: dict[str, tuple[tuple[Claim, ...], int]] = {}

    def add(self, field: str, claim: Claim, right: bool) -> None:
        """One claim more."""
        if right:
            self.right[field] = claim
        else:
            self.wrong.add(field)

    def join(self, other: _Said) -> None:
        """All that another one says."""
        self.right.update(other.right)
        self.wrong |= other.wrong

    def neighbours(self, field: str) -> tuple[tuple[Claim, ...], int]:
        """The right claims of other fields, and how many others are wrong."""
        found = self.others.get(field)
        if found is None:
            right = tuple(claim for name, claim in self.right.items() if name != field)
            found = self.others[field] = right, len(self.wrong - {field})
        return found


class _Block:
    """What one table or list says: the fields of each model, by the number of its name; fields and the models for whom a column is
    right, wrong or nearly right; and of lines that state a wrong field rightly too, what they say."""

    __slots__ = ("first", "last", "nearly", "right", "said", "stated", "wrong")

    def __init__(self, findings: Sequence[Finding]) -> None:
        lines = [f.line for f in findings]
        self.first, self.last = min(lines), max(lines)
        self.said: dict[int, _Said] = {}
        self.right: dict[str, set[int]] = {}
        self.wrong: dict[str, set[int]] = {}
        self.nearly: dict[str, set[int]] = {}
        self.stated: dict[tuple[int, int, str], list[Finding]] = {}

    def is_inside(self, line: int) -> bool:
        """Whether no line near a line is of another block."""
        return self.first <= line - NEAR and line + NEAR <= self.last


def near(findings: Sequence[Finding]) -> Iterator[tuple[Finding, Near]]:
    """Each wrong finding with what stands around it. In one pass over all of them: a page may hold a hundred thousand."""
    wrong = [f for f in findings if f.verdict == "wrong"]
    if not wrong:
        return
    # Names are told apart by numbers: to hash them for each claim takes longer than all else here.
    numbers: dict[tuple[str, ...], int] = {}
    owners = {id(f.owner): f.owner for f in findings}
    known = {number: numbers.setdefault(owner.who, len(numbers)) for number, owner in owners.items()}
    wrong_of = {known[number] for number in {id(f.owner) for f in wrong}}
    blocks: dict[int, _Block] = {}
    by_line: dict[int, dict[int, _Said]] = {who: {} for who in wrong_of}
    nearly: set[int] = set()
    for table, group in groupby(findings, _table_of):
        judged = [f for f in group if f.verdict in ("ok", "wrong")]
        if not judged:
            continue
        block = blocks[table] = _Block(judged)
        for f in judged:
            if f.verdict == "wrong":
                block.wrong.setdefault(f.claim.field, set()).add(known[id(f.owner)])
        for f in judged:
            who, field, line, right = known[id(f.owner)], f.claim.field, f.line, f.verdict == "ok"
            if (those := block.wrong.get(field)) is not None:
                if right:
                    block.right.setdefault(field, set()).add(who)
                    block.stated.setdefault((who, line, field), []).append(f)
                elif len(those) > _SEVERAL and f.nearly:
                    block.nearly.setdefault(field, set()).add(who)
                    nearly.add(id(f))
            if who not in wrong_of:
                continue
            if (said := block.said.get(who)) is None:
                said = block.said[who] = _Said()
            said.add(field, f.claim, right)
            if not block.is_inside(line):
                lines = by_line[who]
                if (said := lines.get(line)) is None:
                    said = lines[line] = _Said()
                said.add(field, f.claim, right)
    in_order = {who: sorted(lines) for who, lines in by_line.items()}
    varied = _varied(wrong, findings)
    together: dict[tuple[int, int, int, int], _Said] = {}
    alike: dict[tuple[object, ...], Near] = {}
    for f in wrong:
        who, field, line, block = known[id(f.owner)], f.claim.field, f.line, blocks[f.table]
        if block.is_inside(line):
            said = block.said[who]
        else:
            at = in_order[who]
            first, last = bisect_left(at, line - NEAR), bisect_right(at, line + NEAR)
            # Items of one list have the same lines near them.
            if (found := together.get((who, f.table, first, last))) is not None:
                said = found
            else:
                said = together[who, f.table, first, last] = _Said()
                said.join(block.said[who])
                for other in at[first:last]:
                    said.join(by_line[who][other])
        rightly = (who, line, field) in block.stated and any(
            f.claim.form == "number" if other.cell == f.cell else other.heading != f.heading
            for other in block.stated[who, line, field]
        )
        right_for = block.right.get(field, ())
        column = not f.listed and len(right_for) > (who in right_for)
        beside = len(block.nearly[field] - {who}) if id(f) in nearly else 0
        others, wrongly = said.neighbours(field)
        key = id(others), wrongly, column, rightly, beside, id(f) in varied
        if (around := alike.get(key)) is None:
            around = alike[key] = Near(len(others), wrongly, column, rightly, beside, key[-1], others)
        yield f, around


_table_of = attrgetter("table")
_SEVERAL = 2
"""So many models whose figures in a column are off by little are no sign; more are."""


def _varied(wrong: Sequence[Finding], findings: Sequence[Finding]) -> frozenset[int]:
    """Wrong claims, by identity, of which a table has other values of the model in other rows: contexts; or one that is right, where words
    or shares in their row say of which variant they are."""
    columns: dict[tuple[int, str, str], list[Finding]] = {
        (f.table, f.heading, f.claim.field): [] for f in wrong if f.where.kind == "table" and f.heading
    }
    for f in findings if columns else ():
        if (column := columns.get((f.table, f.heading, f.claim.field))) is not None:
            column.append(f)
    rows: dict[int, dict[int, tuple[Cell, ...]]] = {}
    found = []
    for (table, _, field), column in columns.items():
        if field != "context" and not any(f.verdict == "ok" for f in column):
            continue
        cells: dict[tuple[object, ...], dict[int, str]] = {}
        rightly = set()
        for f in column:
            cells.setdefault(key := _stated(f), {})[f.line] = f.cell
            if f.verdict == "ok":
                rightly.add(key)
        several = {key for key, said in cells.items() if (key in rightly or field == "context") and len(set(said.values())) > 1}
        for f in column if several else ():
            if f.verdict == "wrong" and _stated(f) in several:
                if field != "context" and table not in rows:
                    rows[table] = {cell.line: row for row in f.where.rows for cell in row}
                if field == "context" or any(
                    _is_variant(cell.text) for cell in rows[table].get(f.line, ()) if cell.text not in (f.cell, f.name)
                ):
                    found.append(id(f))
    return frozenset(found)


@lru_cache(maxsize=4096)
def _is_variant(text: str) -> bool:
    return _VARIANT.search(text) is not None


_VARIANT = re.compile(r"(?i)(?<!\w)(?!(?:bf|fp|int|i?q|nf|mxfp|nvfp|w)\d|auto\b)[^\W\d_]{2}(?!\w*\d+ ?[gmk]i?b\b)|\d ?[%x×]")
"""A word that is no type, or a share."""


def _stated(f: Finding) -> tuple[object, ...]:
    """The model, and how a figure is counted."""
    quals = f.claim.quals
    return f.owner.who if f.claim.field == "context" else f.name, quals.dtype, quals.context, quals.tp, quals.batch


def block_fields(findings: Sequence[Finding]) -> dict[int, frozenset[str]]:
    """The fields that each table or list speaks of."""
    found: dict[int, set[str]] = {}
    for f in findings:
        found.setdefault(f.table, set()).add(f.claim.field)
    return {table: frozenset(fields) for table, fields in found.items()}
