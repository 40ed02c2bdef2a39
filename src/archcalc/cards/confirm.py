"""Whether a mismatch is an alarm: what stands around it must say that the page means this model and this field.

A number that differs from the config may be wrong, or may be of another model, of another field, of a run, of a file or of another part.
Each sign for or against an alarm has a weight, all in one table; an alarm that does not reach the threshold is doubtful: shown, and
mended only where a neighbour that is mended confirms it. In generated sections every mismatch is wrong.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence

from archcalc.cards.findings import NOTHING, Finding, Near
from archcalc.cards.readers.claim import Claim
from archcalc.cards.signs import CACHES, SIZES, Sign, far, signs_of
from archcalc.cards.vocabulary import says
from archcalc.records import NamedTuple

NEAR = 12
"""Lines around a claim of a list that speak of the same model."""
THRESHOLD = 2
_REASONS = 2
"""Reasons that a doubt names."""


class _Place(NamedTuple):
    """What the place of a claim says for an alarm, and the signs that its number, cell, line and neighbours are still to be asked for;
    of those against one, True with those that hold for the place."""

    weight: int
    signs_for: tuple[Sign, ...]
    against: tuple[tuple[bool, Sign], ...]


def _place(f: Finding) -> _Place:
    signs_for, signs_against = signs_of(f.claim.field)
    weight, left = 0, []
    for sign in signs_for:
        if sign.by_place is not None and sign.by_place(f):
            weight += sign.weight
        elif sign.holds is not None:
            left.append(sign)
    against = []
    for sign in signs_against:
        holds = sign.by_place is not None and sign.by_place(f)
        if holds or sign.holds is not None:
            against.append((holds, sign))
    return _Place(weight, tuple(left), tuple(against))


def doubts(findings: Sequence[Finding]) -> dict[int, str]:
    """Why alarms are not raised, by the identity of the finding."""
    out: dict[int, str] = {}
    # Cells under one label of a table are of one place, and repeat: a page may hold a hundred thousand.
    places: dict[tuple[object, ...], tuple[int, _Place]] = {}
    tables: dict[tuple[object, ...], int] = {}
    numbers: dict[int, int] = {}
    known: dict[tuple[object, ...], str] = {}
    for f, around in near(findings):
        where, field = f.where, f.claim.field
        if where.context.begin:
            continue
        number = numbers.get(f.table)
        if number is None:
            corner = where.rows[0][0].text if where.kind == "table" and where.heads and where.rows[0] else ""
            number = numbers[f.table] = tables.setdefault(
                (where.kind, f.block, says("part", f.around), "gguf" in f.around.lower(), corner), len(tables)
            )
        key = number, id(f.owner), id(f.slot.label), field, f.heading, f.name, f.named
        place = places.get(key)
        if place is None:
            place = places[key] = len(places), _place(f)
        line: object = field in SIZES and says("quantized", f.line_text)
        if where.kind == "list" or field in CACHES:
            line = f.line_text, f.around
        said = (
            place[0],
            id(f.claim),
            line,
            around.wrong,
            around.column,
            around.said,
            around.nearly,
            around.varied,
            *map(id, around.claims),
        )
        why = known.get(said)
        if why is None:
            why = known[said] = _doubt(f, around, place[1])
        if why:
            out[id(f)] = why
    return out


def _doubt(finding: Finding, near: Near, place: _Place) -> str:
    weight = place.weight
    for sign in place.signs_for:
        if sign.holds is not None and sign.holds(finding, near):
            weight += sign.weight
    against: list[str] = []
    for holds, sign in place.against:
        if holds or (sign.holds is not None and sign.holds(finding, near)):
            weight += sign.weight
            against.append(sign.says)
            if weight < THRESHOLD and len(against) >= _REASONS:
                break  # no later sign changes what is said
    if weight >= THRESHOLD:
        return ""
    return "; ".join(against[:_REASONS]) or "nothing nearby confirms that this model and this figure are meant"


def of_another(finding: Finding) -> bool:
    """Whether a sign says that a sentence's figure is of something else, however far off it is: such a figure is not even doubted."""
    return any(
        sign.weight < -1
        and sign.holds is not far
        and ((sign.by_place is not None and sign.by_place(finding)) or (sign.holds is not None and sign.holds(finding, NOTHING)))
        for sign in signs_of(finding.claim.field)[1]
    )


class _Said:
    """Fields that one line or table states of one model, rightly and wrongly."""

    __slots__ = ("others", "right", "wrong")

    def __init__(self) -> None:
        self.right: dict[str, Claim] = {}
        self.wrong: set[str] = set()
        self.others: dict[str, tuple[tuple[Claim, ...], int]] = {}

    def neighbours(self, field: str) -> tuple[tuple[Claim, ...], int]:
        """The right claims of other fields, and how many others are wrong."""
        found = self.others.get(field)
        if found is None:
            right = tuple(claim for name, claim in self.right.items() if name != field)
            found = self.others[field] = right, len(self.wrong - {field})
        return found


def near(findings: Sequence[Finding]) -> Iterator[tuple[Finding, Near]]:
    """Each wrong finding with what stands around it. In one pass over all of them: a page may hold a hundred thousand."""
    wrong = [f for f in findings if f.verdict == "wrong"]
    if not wrong:
        return
    # Names are told apart by numbers: to hash them for each claim takes longer than all else here.
    numbers: dict[tuple[str, ...], int] = {}
    known: dict[int, int] = {}
    for f in findings:
        if id(f.owner) not in known:
            known[id(f.owner)] = numbers.setdefault(f.owner.who, len(numbers))
    wrong_of = {known[id(f.owner)] for f in wrong}
    wrong_in: dict[tuple[int, str], set[int]] = {}
    for f in wrong:
        key = f.table, f.claim.field
        if (those := wrong_in.get(key)) is None:
            those = wrong_in[key] = set()
        those.add(known[id(f.owner)])
    by_table: dict[tuple[int, int], _Said] = {}
    by_line: dict[int, dict[int, _Said]] = {}
    lines: dict[int, list[int]] = {}
    stated: dict[tuple[int, int, str], set[tuple[str, str]]] = {}
    columns: dict[tuple[int, str], set[int]] = {}
    nearly: dict[tuple[int, str], set[int]] = {}
    for f in findings:
        verdict = f.verdict
        if verdict not in ("ok", "wrong"):
            continue
        who, field, table, line = known[id(f.owner)], f.claim.field, f.table, f.line
        if (those := wrong_in.get((table, field))) is not None:
            if verdict == "ok":
                columns.setdefault((table, field), set()).add(who)
            elif len(those) > _SEVERAL and f.nearly:
                nearly.setdefault((table, field), set()).add(who)
        if who not in wrong_of:
            continue
        if (of_table := by_table.get((who, table))) is None:
            of_table = by_table[who, table] = _Said()
        if (its_lines := by_line.get(who)) is None:
            its_lines = by_line[who] = {}
        if (of_line := its_lines.get(line)) is None:
            of_line = its_lines[line] = _Said()
        if (extent := lines.get(table)) is None:
            lines[table] = [line, line]
        elif line < extent[0]:
            extent[0] = line
        elif line > extent[1]:
            extent[1] = line
        if verdict == "ok":
            of_table.right[field] = of_line.right[field] = f.claim
            stated.setdefault((who, line, field), set()).add((f.cell, f.heading))
        else:
            of_table.wrong.add(field)
            of_line.wrong.add(field)
    in_order = {who: sorted(its_lines) for who, its_lines in by_line.items()}
    varied = _varied(findings)
    together: dict[tuple[int, int, int], _Said] = {}
    for f in wrong:
        who, field, table, line = known[id(f.owner)], f.claim.field, f.table, f.line
        first, last = lines[table]
        if first <= line - NEAR and line + NEAR <= last and not f.listed:
            near_by = by_table[who, table]  # no line near it is of another table
        elif (found := together.get((who, table, line))) is not None:
            near_by = found
        else:
            near_by = together[who, table, line] = _Said()
            near_by.right.update(by_table[who, table].right)
            near_by.wrong |= by_table[who, table].wrong
            at = in_order[who]
            for other in at[bisect_left(at, line - NEAR) : bisect_right(at, line + NEAR)]:
                one = by_line[who][other]
                near_by.right.update(one.right)
                near_by.wrong |= one.wrong
        rightly = (who, line, field) in stated and any(
            f.claim.form == "number" if cell == f.cell else heading != f.heading for cell, heading in stated[who, line, field]
        )
        right_for = columns.get((table, field), ())
        column = not f.listed and len(right_for) > (who in right_for)
        beside = len(nearly[table, field] - {who}) if (table, field) in nearly and f.nearly else 0
        others, wrongly = near_by.neighbours(field)
        yield f, Near(len(others), wrongly, column, rightly, beside, others, (table, f.heading) in varied)


_SEVERAL = 2
"""So many models whose figures in a column are off by little are no sign; more are."""


def _varied(findings: Sequence[Finding]) -> frozenset[tuple[int, str]]:
    """Tables and their labels under which one model has several contexts."""
    cells: dict[tuple[int, str, tuple[str, ...]], set[str]] = {}
    for f in findings:
        if f.claim.field == "context" and f.where.kind == "table" and f.heading:
            cells.setdefault((f.table, f.heading, f.owner.who), set()).add(f.cell)
    return frozenset((table, heading) for (table, heading, who), said in cells.items() if who and len(said) > 1)


def block_fields(findings: Sequence[Finding]) -> dict[int, frozenset[str]]:
    """The fields that each table or list speaks of."""
    found: dict[int, set[str]] = {}
    for f in findings:
        found.setdefault(f.table, set()).add(f.claim.field)
    return {table: frozenset(fields) for table, fields in found.items()}
