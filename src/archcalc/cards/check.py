"""Check files: read their claims, resolve their models, judge, and put the results together."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from fractions import Fraction
from functools import cache, lru_cache

from archcalc import report
from archcalc.cards import confirm, document, layout, mentions, names, pages, reading, signs, vocabulary, words
from archcalc.cards.document import Document, Pin, Table
from archcalc.cards.findings import Finding, Named, types_above
from archcalc.cards.judge import Judgement, readings_of, relate, written_as, written_behind
from archcalc.cards.labels import NUMERIC, UNKNOWABLE, Label, Quals
from archcalc.cards.layout import Slot
from archcalc.cards.owner import Owner
from archcalc.cards.readers import each
from archcalc.cards.readers.claim import NO, YES, Claim
from archcalc.cards.resolve import Resolved, Resolver
from archcalc.cards.settings import Settings
from archcalc.cards.text import EMPTY, Cell
from archcalc.errors import ArchcalcError, UsageError
from archcalc.records import NamedTuple

_WORDY = re.compile(r"(?![\d,.]*$).*?[(（,，;]", re.DOTALL)
"""A cell that may say more than its label asks for."""
_ENOUGH = 5
"""Figures that tell a model."""
_NAMED_BEHIND = re.compile(r"[^().,;，。；]{0,30}[(（]([^()（）]{2,40})[)）]")
"""What brackets behind a figure name: "32K tokens (Qwen1.5) to 128K tokens (Qwen2)"."""
_OF_ANOTHER = re.compile(
    r"\b(?:[Oo]urs?|[Ww]e|[Mm]y|[Uu]nlike|student|teacher|distilled|smaller|larger"
    r"|(?!A\d|K\d|V\d|(?:With|At|The|For|From|In|To|Over|About|Its|Has|Of|And|On|By|Only|Up) "
    r"|Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)[A-Z][A-Za-z]+(?:[- ](?=\d)|-?(?=\d))\d[\w.]*)\b|我们|本文"
)
"""What makes the figures behind it those of something else: another name, or who writes."""
_ALSO = {
    "window": (re.compile(rf"(?i)^(?!.*(?:{vocabulary.mark('window-of').pattern}))"), "context"),
    "kv_heads": (re.compile(r"(?i)\bgroups?\b"), "gqa_ratio"),
    "context": (re.compile(r"(?i)\btrain|训练"), "original_context"),
}
"""What a label may ask for beside its field: a window of tokens is of the attention, or of the context; groups are counted, or measured;
what a model was trained on may be what was stretched."""
_SHORT = 80
_CERTAIN = frozenset({"qk_norm", "rope", "rmsnorm", "layernorm", "swiglu", "geglu", "gqa", "mla", "mqa", "mha", "yarn", "sinks"})
"""Words that mean one thing wherever they stand."""
_DATE = re.compile(r"[-_ ](?:instruct[-_ ]|thinking[-_ ])?2[3-9]\d\d\b")
_NAME = 60
"""Characters of a name."""
_REMEMBERED = 20_000
"""Cells whose claims are kept in case that they repeat."""


class Edit(NamedTuple):
    """Replace `text[start:end]` of a file, which is `old`, by `new`: what a result at a line and column is mended by."""

    start: int
    end: int
    old: str
    new: str
    line: int = 0
    column: int = 0


class Checked(NamedTuple):
    """One file: its results in the order of the text, what went wrong beside them, and how its wrong claims could be mended."""

    file: str
    results: list[report.CheckResult]
    errors: list[report.CheckError]
    edits: list[Edit]
    text: str
    encoding: str = "utf-8"


def check_file(
    path: str, settings: Settings, *, offline: bool = False, tolerance: Fraction | None = None, model: str | None = None
) -> Checked:
    """The claims of one file. `model` is the source of tables that nothing around them names a model for.

    Raises `ArchcalcError` where it cannot be read.
    """
    text, encoding = pages.read(path)
    checked = check_text(text, path, settings, offline=offline, tolerance=tolerance, model=model)
    return checked._replace(encoding=encoding)


def check_text(
    text: str, path: str, settings: Settings, *, offline: bool = False, tolerance: Fraction | None = None, model: str | None = None
) -> Checked:
    """The claims of a text, as if `path` held it."""
    lower = path.lower()
    if lower.endswith((".json", ".yaml", ".yml")):
        from archcalc.cards import tree

        found, default = tree.read(text, path)
    else:
        found, default = document.read(text), ""
        if found.front_matter is not None:
            from archcalc.cards import tree

            found, default = tree.with_front_matter(found, path)
    if default:
        found = found._replace(pins=(Pin("", default, 1), *found.pins))
    resolver = Resolver(path, found, settings.sources, settings.folder, offline)
    resolver.default_source = default or model or ""
    resolver.default_folder = None if default else "."
    rate = settings.tolerance if tolerance is None else tolerance
    checker = _Checker(path, found, resolver, settings, rate)
    checker.pins()
    for number, table in enumerate(found.tables):
        checker.table(table, number)
    results, edits = checker.settle()
    return Checked(path, results, checker.errors, edits, text)


def _explained(slot: Slot, claim: Claim) -> bool:
    """Whether a word stands in what explains its label: `RMSNorm: a layer normalization without centring`."""
    if (
        claim.form != "word"
        or not slot.labelled
        or claim.field not in ("norm", "activation")
        or YES.match(slot.cell.text)
        or NO.match(slot.cell.text)
    ):
        return False
    said = {hit.word for hit in words.hits(claim.field, slot.heading)} - {"pre", "post"}
    return bool(said) and claim.word not in said


def _in_brackets(text: str, end: int) -> names.Said | None:
    """The name that stands in brackets behind a figure."""
    behind = _NAMED_BEHIND.match(text, end)
    said = names.in_sentence(text) if behind else ()
    return next((n for n in said if behind and behind.start(1) <= n.start and n.end <= behind.end(1)), None)


def _printed(claim: Claim) -> tuple[int, int]:
    """What the digits of a claim's number say, and their scale: 32K is not said where 32B is."""
    return (claim.number.mantissa, claim.number.scale) if claim.number is not None else (0, 0)


class _Checker:
    def __init__(self, path: str, found: Document, resolver: Resolver, settings: Settings, tolerance: Fraction) -> None:
        self.path = path
        self.document = found
        self.resolver = resolver
        self.settings = settings
        self.tolerance = tolerance
        self.errors: list[report.CheckError] = []
        self.findings: list[Finding] = []
        self._before_dates: frozenset[str] | None = None
        self._by_line: dict[int, list[Finding]] = {}
        self._failed: set[str] = set()
        self._labels: dict[int, str] = {}
        self._mentioned: tuple[Cell, tuple[int, int, str], tuple[Slot, list[Claim]]] = EMPTY, (0, 0, ""), (_NOWHERE, [])
        self._named: dict[tuple[str, str, int], Named] = {}
        self._owners: dict[int, Owner] = {}
        self._alike: dict[Resolved, Owner] = {}
        self._kept: list[Resolved] = []
        self._remembered = 0
        self._nameless: dict[tuple[tuple[Label, str], ...], Resolved | None] = {}

    def pins(self) -> None:
        """A source that the document asks for and that cannot be had is a failure, whether or not a claim needs it."""
        for pin in self.document.pins:
            if fault := _fault(pin):
                self.fail(pin.line, fault)
            elif pin.source:
                found = self.resolver.source(pin.source)
                if found.failed is not None:
                    self.fail(pin.line, found.failed)

    def fail(self, line: int, error: ArchcalcError) -> None:
        """Note an error once."""
        if error.message not in self._failed:
            self._failed.add(error.message)
            self.errors.append(report.CheckError(self.path, line, error.code, error.message, error.hint))

    def table(self, table: Table, number: int) -> None:
        """All claims of a table."""
        around = cache(lambda: self.resolver.around(layout.surroundings(table)))
        rows: list[tuple[Slot, Resolved]] = []
        for slot in layout.slots(table):
            # The cells of a row are of one subject: to look it up takes as long as to judge a cell.
            if slot.subject is None:
                resolved = around()
            elif not rows or slot.subject is not rows[-1][0].subject:
                resolved = self.resolver.subject(slot.subject, table.context)
            rows.append((slot, resolved))
        if table.kind == "table" and rows and not _speaks_of_models(rows):
            return
        nameless = [(i, slot) for i, (slot, resolved) in enumerate(rows) if slot.subject is None and not resolved.groups]
        if len(nameless) >= _ENOUGH and (found := self._by_figures([slot for _, slot in nameless], table)):
            for i, slot in nameless:
                rows[i] = (slot, found)
        for slot, resolved in rows:
            if resolved.failed is not None:
                self.fail(slot.cell.line or table.line, resolved.failed)
            parts = self._each(slot, resolved, table) if len(resolved.groups) > 1 else ((slot, resolved),)
            for part, whose in parts:
                owner = self._owner(whose)
                for claim in self._claims(part, owner):
                    other = None
                    if table.kind == "list":
                        if _explained(part, claim):
                            continue
                        other = self._named_behind(part.cell.text, claim.end, table) if claim.form == "number" else None
                    self.claim(part, claim, self._owner(other) if other else owner, table, number)
                if table.kind == "table" and _WORDY.match(part.cell.text):
                    self.mentioned(layout.Text(part.subject, part.cell), whose, table, number)
        if table.kind == "prose":
            self.prose(table, number, around)
            return
        for text in layout.texts(table):
            resolved = self.resolver.subject(text.subject, table.context) if text.subject is not None else around()
            self.mentioned(text, resolved, table, number)

    def _owner(self, resolved: Resolved) -> Owner:
        owner = self._owners.get(id(resolved))
        if owner is None:
            # The same name in another table is another object, which the list keeps with its identity.
            self._kept.append(resolved)
            if (owner := self._alike.get(resolved)) is None:
                owner = self._alike[resolved] = Owner(resolved)
            self._owners[id(resolved)] = owner
        return owner

    def _by_figures(self, slots: Sequence[Slot], table: Table) -> Resolved | None:
        """The one model that the page names somewhere and that nearly all figures of a table without a name are right of."""
        key = tuple((slot.label, slot.cell.text) for slot in slots)
        if key not in self._nameless:
            self._nameless[key] = self._of_figures(slots, table)
        return self._nameless[key]

    def _of_figures(self, slots: Sequence[Slot], table: Table) -> Resolved | None:
        best: list[tuple[int, str, Resolved]] = []
        for name in self.resolver.named_somewhere():
            resolved = self.resolver.subject(layout.Subject(name), table.context)
            if len(resolved.groups) != 1 or len(resolved.groups[0]) != 1:
                continue
            owner = self._owner(resolved)
            judged = [
                self._judge(claim, owner, table).verdict
                for slot in slots
                for claim in self._claims(slot, owner)
                if claim.form == "number"
            ]
            right = judged.count("ok")
            if right >= _ENOUGH and right >= 0.9 * len(judged):
                best.append((right, name, resolved))
        best.sort(key=lambda found: -found[0])
        if not best or (len(best) > 1 and best[1][0] == best[0][0]):
            return None
        right, name, resolved = best[0]
        return resolved._replace(note=f"by {right} of its figures, and {name} is named on the page", named="")

    def mentioned(self, text: layout.Text, resolved: Resolved, table: Table, number: int) -> None:
        """What an item, a note or a cell says without a label: right of its model, or of no model that is known."""
        here = self._by_line.get(text.cell.line, ())
        taken = {_printed(f.claim) for f in here if f.claim.form == "number"}
        found = list(mentions.counts(text.cell.text, text.before, bool(resolved.groups)))
        above = names.in_sentence(table.context.caption) if found and not resolved.groups else ()
        inside = names.in_sentence(text.cell.text) if found else ()
        alone = len(found) == 1 and found[0].field not in mentions.ALONE | mentions.named_by(text.before)
        if alone and not resolved.groups and not inside and not above:
            return  # one figure of nobody
        for mention in found:
            whose = Resolved()
            if not resolved.groups:
                whose = self._whose(text, mention, inside, table) or whose
            if not whose.groups and (name := _in_brackets(text.cell.text, mention.end) or next(reversed(above), None)):
                whose = self.resolver.subject(layout.Subject(name.text), table.context)
            if not (whose.groups and self._mention(text, mention, whose, table, number, taken)) and (resolved.groups or not alone):
                self._mention(text, mention, resolved, table, number, taken)
        if found or here:
            fields = {mention.field for mention in found} | {f.claim.field for f in here}
            if not resolved.groups:
                fields &= {"heads", "kv_heads"}
            for mention in mentions.known_words(text.cell.text, fields):
                if not any(f.claim.field == mention.field for f in here):
                    self._mention(text, mention, resolved, table, number, set())
        short = not found and not here and not text.before and len(text.cell.text) <= _SHORT
        if resolved.groups and (short or text.note):
            self._words(text, resolved, table, number)

    def _named_behind(self, text: str, end: int, table: Table) -> Resolved | None:
        """The model that brackets behind a figure of an item name: "up to 128K tokens (Llama 3.1)" under Llama 3."""
        name = _in_brackets(text, end)
        return self.resolver.subject(layout.Subject(name.text), table.context) if name else None

    def _words(self, text: layout.Text, resolved: Resolved, table: Table, number: int) -> None:
        """A note, or a short item without figures, that says a known word: "No QK LayerNorm", "Rotary embeddings (RoPE)"."""
        owner = self._owner(resolved)
        said = {f.claim.field for f in self._by_line.get(text.cell.line, ())}
        for kind in ("attention", "norm", "activation", "position"):
            if kind in said:
                continue
            slot = Slot(text.subject, Label((kind,)), text.cell, kind, False)
            for claim in reading.read(slot.label, slot.cell):
                if vocabulary.mark("topic").match(text.cell.text, claim.end):
                    continue
                if claim.form == "word" and claim.word in _CERTAIN and self._judge(claim, owner, table).verdict == "ok":
                    self.claim(slot, claim, owner, table, number)

    def prose(self, table: Table, number: int, around: Callable[[], Resolved]) -> None:
        """The figures of sentences: right of the model that is named last before them, or of that which the page is about."""
        last: Resolved | None = None
        of_another = False
        found = [(text, [*mentions.counts(text.cell.text), *mentions.sizes(text.cell.text)]) for text in layout.texts(table)]
        for text, figures in found if any(figures for _, figures in found) else ():
            said = names.in_sentence(text.cell.text) if len(text.cell.text) <= mentions.MAX_TEXT else ()
            # "Foo-7B is new. It has 40 layers.": "it" is nobody known here.
            of_another = len(said) > 1 or (
                not said and (of_another or any(word[0].lower() != "we" for word in _OF_ANOTHER.finditer(text.cell.text)))
            )
            for mention in figures:
                if mentions.is_share(text.cell.text, mention):
                    continue
                named = self._whose(text, mention, said, table)
                whose = named if named is not None else last if last is not None else around()
                if len(whose.groups) != 1 or (whose.family and "none" in whose.closed):
                    continue
                right = self._mention(text, mention, whose, table, number, set())
                if not right and (said or not of_another) and mentions.is_outright(text.cell.text, mention, said):
                    self._doubted(text, mention, whose, table, number)
            if said:
                last = self.resolver.subject(layout.Subject(said[-1].text), table.context)

    def _doubted(self, text: layout.Text, mention: mentions.Mention, resolved: Resolved, table: Table, number: int) -> None:
        """A number that a sentence states outright of one model, and that is right in no way: shown, and no alarm."""
        if len(resolved.groups[0]) != 1:
            return
        owner = self._owner(resolved)
        slot, claims = self._read_mention(mention.field, text, mention)
        for claim in claims:
            if claim.form != "number" or self._judge(claim, owner, table).verdict != "wrong":
                continue
            if mention.field != "weights" or signs.is_no_footprint(claim, owner.models):
                self.claim(slot, claim, owner, table, number)

    def _read_mention(self, field: str, text: layout.Text, mention: mentions.Mention) -> tuple[Slot, list[Claim]]:
        """A figure or word said without a label, as what a column of that field would hold. The last one is kept: it may be asked for
        another model too."""
        cell, key, found = self._mentioned
        if cell is not text.cell or key != (mention.start, mention.end, field):
            found = self._as_column(field, text, mention)
            self._mentioned = text.cell, (mention.start, mention.end, field), found
        return found

    def _as_column(self, field: str, text: layout.Text, mention: mentions.Mention) -> tuple[Slot, list[Claim]]:
        cell = document.located(self.document.lines, text.cell.part(mention.start, mention.end))
        # What stands before a window says of what it is: "a sliding window of 4096 tokens".
        heading = text.cell.text[max(0, mention.start - _BEFORE) : mention.start] if field == "window" else field
        slot = Slot(text.subject, _label(field, mention.quals), cell, heading, False)
        return slot, [c for c in reading.read(slot.label, cell) if c.field == field and c.form in ("number", "word")]

    def _whose(self, text: layout.Text, mention: mentions.Mention, said: Sequence[names.Said], table: Table) -> Resolved | None:
        """The model of a figure in a sentence: the one in brackets behind it, or that named last before it."""
        if any(name.start < mention.end and mention.start < name.end for name in said):
            return Resolved()
        name = _in_brackets(text.cell.text, mention.end) or next((n for n in reversed(said) if n.end <= mention.start), None)
        if name is None and len(said) == 1:
            name = said[0]  # "With 30.5B parameters, Qwen3-30B-A3B"
        # "Unlike Qwen3-8B, our Foo-9B has 36 layers".
        if _OF_ANOTHER.search(text.cell.text, name.end if name and name.end <= mention.start else 0, mention.start):
            return Resolved()
        return self.resolver.subject(layout.Subject(name.text), table.context) if name else None

    def _mention(
        self,
        text: layout.Text,
        mention: mentions.Mention,
        resolved: Resolved,
        table: Table,
        number: int,
        taken: set[tuple[int, int]],
    ) -> bool:
        """A figure said without a label. What the words around it leave open the figure settles."""
        for field in (mention.field, *(mention.also if resolved.groups else ())):
            slot, claims = self._read_mention(field, text, mention)
            fresh = [claim for claim in claims if claim.form != "number" or _printed(claim) not in taken]
            right = [(claim, owner) for claim in fresh if (owner := self._right_of(claim, resolved, table)) is not None]
            for claim, owner in right:
                self.claim(slot, claim, owner, table, number)
            if right:
                return True
        return False

    def _right_of(self, claim: Claim, resolved: Resolved, table: Table) -> Owner | None:
        """Those of some models of whom a figure is right: the members of a family that have it; whom nobody knows all the same."""
        if resolved.family and len(resolved.groups) == 1:
            right = [m for m in resolved.groups[0] if self._judge(claim, Owner(resolved.of((m,))), table).verdict == "ok"]
            return Owner(resolved.of(tuple(right))) if right else None
        owner = self._owner(resolved)
        return owner if not resolved.groups or self._judge(claim, owner, table).verdict == "ok" else None

    def _claims(self, slot: Slot, owner: Owner) -> Sequence[Claim]:
        key = (id(slot.label), slot.cell.text)
        found = owner.read.get(key)
        if found is None:
            found = slot.label, reading.read(slot.label, slot.cell, owner.scope)
            self._remembered += 1
            if self._remembered > _REMEMBERED:
                self._forget()  # cells that have not repeated so far will not
            owner.read[key] = found
        return found[1]

    def _forget(self) -> None:
        """Drop what cells said: it is there to read and judge those that repeat once."""
        self._remembered = 0
        for owner in self._alike.values():
            owner.read.clear()
            owner.judged.clear()

    def _each(self, slot: Slot, resolved: Resolved, table: Table) -> Sequence[tuple[Slot, Resolved]]:
        """The slot itself; or, of "32 / 80" under "8B / 70B", one for each model, if that way all of it is right."""
        whole = ((slot, resolved),)
        count = len(resolved.groups)
        if len(slot.label.fields) > 1:
            return whole
        pieces = list(re.finditer(r"(?<![^/|\n])[^/|\n]*\d[^/|\n]*", slot.cell.text))
        if len(pieces) != count or not self._wrong(whole, table):
            return whole
        cells = [document.located(self.document.lines, slot.cell.part(*piece.span())) for piece in pieces]
        each = [
            (slot._replace(cell=cell), resolved._replace(groups=(group,), closed=resolved.closed[i : i + 1]))
            for i, (cell, group) in enumerate(zip(cells, resolved.groups, strict=True))
        ]
        return whole if self._wrong(each, table) else each

    def _wrong(self, parts: Iterable[tuple[Slot, Resolved]], table: Table) -> bool:
        return any(
            self._judge(claim, owner, table).verdict == "wrong"
            for slot, owner in ((slot, Owner(resolved)) for slot, resolved in parts)
            for claim in self._claims(slot, owner)
            if claim.form != "unknowable"
        )

    def claim(self, slot: Slot, claim: Claim, owner: Owner, table: Table, number: int) -> None:
        """One claim: judged, and noted unless the settings say to leave it alone."""
        resolved, cell = owner.resolved, slot.cell
        if claim.form == "unread" and not resolved.groups:
            return
        if cell.is_plain and table.kind == "table":
            line, column = cell.line, cell.column + claim.start
        else:
            place = cell.locate(claim.start, claim.end) or cell.locate(claim.start, claim.start + 1)
            line, column = self.document.lines.place(place[0]) if place is not None else (cell.line, cell.column)
        name = slot.subject.text if slot.subject is not None else owner.label or table.context.stated
        text = cell.text[claim.start : claim.end].strip() or cell.text
        if self.settings.ignore and any(r.covers(self.path, name, claim.field, text, line) for r in self.settings.ignore):
            return
        if not resolved.groups:
            verdict: report.Verdict = "unknown-model" if claim.form != "unknowable" else "unverifiable"
            judgement = Judgement("unverifiable", why=UNKNOWABLE.get(claim.field, resolved.problem))
        else:
            judgement = self._judge(claim, owner, table)
            if judgement.verdict != "ok":
                claim, judgement = self._otherwise(slot, claim, judgement, owner, table)
            if judgement.verdict == "wrong":
                if table.context.begin:
                    if self._as_written(resolved, line):
                        judgement = Judgement("ok", why="as archcalc card writes it")
                elif slot.label.unsure:
                    return
                elif slot.subject is not None and slot.subject.made:
                    why = f"{judgement.why}; a model made from {owner.label} may have its own"
                    judgement = Judgement("unverifiable", judgement.actual, why)
            verdict = judgement.verdict
        finding = Finding(self, slot, claim, owner, table, number, line, column, name, text, verdict, judgement)
        self.findings.append(finding)
        found_here = self._by_line.get(line)
        if found_here is None:
            self._by_line[line] = [finding]
        else:
            found_here.append(finding)

    def _otherwise(self, slot: Slot, claim: Claim, judgement: Judgement, owner: Owner, table: Table) -> tuple[Claim, Judgement]:
        """What is not right of its label's field as what else the label or the words behind it may ask for."""
        numeric = claim.form == "number"
        if numeric and (fields := claim.also or _also(claim.field, slot.heading)):
            for field in fields:
                other = claim._replace(field=field, also=())
                if (found := self._judge(other, owner, table)).verdict == "ok":
                    claim, judgement = other, found
        if judgement.verdict == "wrong" and numeric and (noun := signs.another_noun(claim.field, slot.cell.text, claim.end)):
            claim = claim._replace(field=noun, also=())  # MoE block: 128 experts
            judgement = self._judge(claim, owner, table)
        if judgement.verdict == "wrong" and claim.field in signs.TYPED and not claim.quals.dtype and not table.context.begin:
            return self._as_typed(claim, judgement, owner, table, slot.types)
        return claim, judgement

    def _as_typed(
        self, claim: Claim, judgement: Judgement, owner: Owner, table: Table, beside: tuple[str, ...]
    ) -> tuple[Claim, Judgement]:
        """A size of no type of its own under a caption or heading that names some, or in a row that states one of something: right if it
        is so in one of them; where there is one above it, it is of that."""
        types = types_above(table)
        for dtype in (*beside, *types):
            typed = claim._replace(quals=claim.quals._replace(dtype=dtype))
            found = self._judge(typed, owner, table)
            if found.verdict == "ok" or (len(types) == 1 and dtype == types[0]):
                return typed, found
        return claim, judgement

    def _as_written(self, resolved: Resolved, line: int) -> bool:
        """Whether a line of a generated section is one that the card of its model has: a word that no reading knows yet."""
        from archcalc.cards import write

        models = [model for group in resolved.groups for model in group]
        return len(models) == 1 and self.source_line(line).strip() in map(str.strip, write.section(models[0], "x").splitlines())

    def _judge(self, claim: Claim, owner: Owner, table: Table) -> Judgement:
        if claim.form == "relation":
            other = self.resolver.subject(layout.Subject(claim.quals.other.split("|", 2)[2]), table.context)
            if not other.groups:
                return Judgement("unverifiable", why=other.problem)
            return relate(owner.resolved.groups[0][0], other.groups[0][0], claim)
        return owner.judge(claim, bool(table.context.begin), self.tolerance)

    def _edit(self, f: Finding, fix: str) -> Iterator[Edit]:
        start, end, cell, number = f.claim.start, f.claim.end, f.slot.cell, f.claim.number
        if number is not None:
            if (start or end < len(cell.text)) and each.worked(cell.text, start):
                return
            # Bounds and units stay; digits and the letter of their scale are rewritten together.
            end = start + number.end - number.start
            if number.suffix:
                end = cell.text.index(number.suffix, end) + len(number.suffix)
        found = cell.locate(start, end)
        if found is not None and (old := self.document.lines.text[found[0] : found[1]]) != fix:
            yield Edit(*found, old, fix, f.line, f.column)

    # What the signs of `confirm` ask of a page

    def source_line(self, line: int) -> str:
        """A line of the file, from 1."""
        lines = self.document.lines
        return lines.text[lines.start(line - 1) : lines.start(line)]

    def labels(self, table: Table) -> str:
        """The labels of a table or list."""
        if id(table) not in self._labels:
            heads = [cell.text for row in table.rows[: table.heads] for cell in row] if table.kind == "table" else []
            self._labels[id(table)] = " | ".join(dict.fromkeys((*heads, *(row[0].text for row in table.rows if row))))
        return self._labels[id(table)]

    def named(self, slot: Slot, resolved: Resolved) -> Named:
        """Whether a name says which one model is meant: with the size where the bundled name has one, and not short for a longer
        one that the page says elsewhere."""
        name, size = (slot.subject.text, slot.subject.size) if slot.subject is not None else (resolved.named, "")
        key = name, "", id(resolved)
        if key not in self._named:
            self._named[key] = self._named_so(name, "", resolved)
        if self._named[key] != "loosely" or not size:
            return self._named[key]
        key = name, size, id(resolved)
        if key not in self._named:
            self._named[key] = self._named_so(name, size, resolved)
        return self._named[key]

    def _named_so(self, name: str, size: str, resolved: Resolved) -> Named:
        plain = names.clean(name)
        if not plain or resolved.family or len(resolved.groups) != 1 or len(resolved.groups[0]) != 1:
            return "around"
        said = re.sub(r"\s", "", f"{name} {size}".lower())
        if not all(one in said for one in re.findall(r"(?<!\d)\d+(?:\.\d+)?[bm](?![a-z])", resolved.groups[0][0].name)):
            return "loosely"
        return "loosely" if plain.lower() in self._dated() else "outright"

    def _dated(self) -> frozenset[str]:
        """What stands before the dates of releases that the page names: "qwen3-30b-a3b" of Qwen3-30B-A3B-Instruct-2507."""
        if self._before_dates is None:
            text = self.document.lines.text.lower()
            before = {text[max(0, m.start() - _NAME) : m.start()] for m in _DATE.finditer(text)}
            self._before_dates = frozenset(said[m.start() :] for said in before for m in re.finditer(r"\b", said))
        return self._before_dates

    def _as_column_says(self, f: Finding, ways: Mapping[_Column, tuple[str, int]]) -> Judgement | None:
        """How a wrong size is mended whose column is right in another way than the first: GB as GiB, 128k as 128,000 tokens."""
        way = ways.get((f.table, f.heading, f.claim.field))
        if way is None or f.strict or f.claim.number is None or len(f.models) != 1:
            return None
        written = written_as(f.models[0], f.claim, *way)
        return f.judgement._replace(fix=written, actual=written_behind(f.claim.number, written)) if written else None

    def settle(self) -> tuple[list[report.CheckResult], list[Edit]]:
        """The results: without settings of runs, and what nothing confirms doubted; and how what is wrong could be mended."""
        self._forget()
        fields = confirm.block_fields(self.findings)
        settings: dict[tuple[object, ...], bool] = {}
        kept = []
        for f in self.findings:
            if f.claim.field in signs.ASKED:
                key = f.table, f.heading, f.claim.field, f.verdict
                if (of_run := settings.get(key)) is None:
                    of_run = settings[key] = signs.is_setting(f, fields[f.table])
                if of_run:
                    continue
            kept.append(f)
        places = confirm.Places()
        ways = _ways(kept)
        doubts = confirm.doubts(kept, places)
        edits: list[Edit] = []
        results = []
        for f in kept:
            verdict, judgement, resolved = f.shown, f.judgement, f.owner.resolved
            why, fix = judgement.why, None
            if resolved.note and resolved.tuned and verdict != "ok" and f.claim.form not in ("unread", "unknowable"):
                why = f"{why}; {resolved.note}"
            if f.verdict == "said" and verdict == "wrong":
                if places.of_another(f):
                    continue
                verdict, why = "doubtful", f"{why}; not an alarm, as a sentence may speak of something else"
            elif doubted := doubts.get(id(f), ""):
                verdict = "doubtful"
                why = _not_alarm(why, doubted)
            # What is wrong of one of several models may be right of another.
            elif verdict == "wrong" and len(resolved.groups) == 1:
                if (as_column := self._as_column_says(f, ways)) is not None:
                    judgement = as_column
                fix = _fix(f.claim, judgement.fix, f.cell)
                edits += self._edit(f, fix) if fix is not None else ()
            results.append(
                report.CheckResult(
                    self.path, f.line, f.column, _line(f.name), f.owner.label or None, f.claim.field, _line(f.text),
                    judgement.actual or None, verdict, why, fix,
                )
            )  # fmt: skip
        results.sort(key=lambda r: (r.line, r.column))
        return results, edits


_Column = tuple[int, str, str]
"""A table, its label and the field."""


def _ways(findings: Sequence[Finding]) -> dict[_Column, tuple[str, int]]:
    """In which way most right sizes of a column are right in which some are wrong, unless the first one does for as many."""
    wrong = {
        (f.table, f.heading, f.claim.field) for f in findings if f.verdict == "wrong" and NUMERIC.get(f.claim.field) == "bytes"
    }
    votes: dict[_Column, Counter[tuple[str, int]]] = {}
    for f in findings if wrong else ():
        key = f.table, f.heading, f.claim.field
        if key in wrong and f.verdict == "ok" and len(f.models) == 1:
            votes.setdefault(key, Counter()).update(set(readings_of(f.models[0], f.claim)))
    found = {}
    for key, count in votes.items():
        best = max(count.items(), key=lambda one: (one[1], -one[0][1]))
        plain = max((n for (_, reading), n in count.items() if not reading), default=0)
        if best[1] > plain:
            found[key] = best[0]
    return found


def _fault(pin: Pin) -> ArchcalcError | None:
    """What is wrong with a comment that names a model: it names none, or more than one."""
    said = f"{pin.name} = {pin.source}".strip(" =")
    if not pin.source:
        return UsageError(f"the comment `archcalc: {said}` names no model", "as in <!-- archcalc: org/model -->")
    if not pin.name and len(pin.source.split()) > 1:
        return UsageError(
            f"the comment `archcalc: {said}` has words behind its model", "leave them out, or put them into another comment"
        )
    return None


def _also(field: str, heading: str) -> tuple[str, ...]:
    """What a label may ask for beside its field."""
    pattern, other = _ALSO.get(field, (None, ""))
    return (other,) if pattern is not None and pattern.search(heading) else ()


@lru_cache(maxsize=1024)
def _label(field: str, quals: Quals) -> Label:
    """The label that stands for words around figures, one for all that are alike."""
    return Label((field,), quals)


_NOWHERE = Slot(None, Label(()), EMPTY, "")
_BEFORE = 48
"""Characters."""
_YES_NO = (
    ("yes", "no"), ("true", "false"), ("✓", "✗"), ("✔", "✘"), ("✅", "❌"), ("on", "off"), ("是", "否"), ("有", "无"), ("tied", "untied"),
)  # fmt: skip
_OPPOSITES = {**dict(_YES_NO), **{no: yes for yes, no in _YES_NO}}


def _fix(claim: Claim, fix: str, cell: str) -> str | None:
    """What to write in a wrong claim's place, in its own style: a ratio's numbers, or no for yes where the cell says nothing else."""
    text = cell[claim.start : claim.end]
    if claim.form == "ratio":
        parts = re.fullmatch(r"\d+(\s*[:：∶]\s*)\d+", text)
        return fix.replace(":", parts[1]) if fix and parts else None
    if claim.form == "word" and text.strip() == cell.strip() and (other := _OPPOSITES.get(text.lower())):
        return other.upper() if text.isupper() else other.capitalize() if text.istitle() else other
    return fix or None


@lru_cache(maxsize=4096)
def _not_alarm(why: str, doubted: str) -> str:
    """Why a claim is doubtful, one text for all that are so for one reason."""
    return f"{why}; not an alarm, as {doubted}"


def _line(text: str) -> str:
    """Text on one line, without what would steer a terminal."""
    return text if text.isprintable() else re.sub(r"[\0-\x1f\x7f-\x9f]", " ", text)


_STRONG = {
    "total_params", "active_params", "layers", "hidden_size", "intermediate_size", "heads", "kv_heads", "experts", "active_experts",
    "context", "vocab", "attention", "head_dim", "kv_cache",
}  # fmt: skip


def _speaks_of_models(rows: Iterable[tuple[Slot, Resolved]]) -> bool:
    """Whether a table is about models at all: one is known, or what it states is an architecture's."""
    strong = False
    for slot, resolved in rows:
        if resolved.groups:
            return True
        strong = strong or (not slot.label.weak and bool(_STRONG & set(slot.label.fields)))
    return strong


def summarize(checked: Iterable[Checked], errors: list[report.CheckError]) -> report.CheckReport:
    """All results as one report."""
    results: list[report.CheckResult] = []
    files = 0
    for one in checked:
        files += 1
        results += one.results
        errors = errors + one.errors
    count = Counter(r.verdict for r in results)
    return report.CheckReport(
        report.SCHEMA_VERSION,
        files,
        len(results),
        count["ok"],
        count["wrong"],
        count["doubtful"],
        count["unverifiable"],
        count["unknown-model"],
        results,
        errors,
    )
