"""Whether a mismatch is an alarm: what stands around it must say that the page means this model and this field.

A number that differs from the config may be wrong, or may be of another model, of another field, of a run, of a file or of another part.
Each sign for or against an alarm has a weight, all in one table; an alarm that does not reach the threshold is doubtful: shown, never
mended. In generated sections every mismatch is wrong.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction
from functools import cache, lru_cache
from typing import Literal, Protocol

from archcalc.cards import truth, words
from archcalc.cards.document import Table
from archcalc.cards.judge import Judgement, Rules, is_misworked, is_right, judge
from archcalc.cards.labels import NUMERIC, WORDS, Label, Quals
from archcalc.cards.layout import Slot
from archcalc.cards.models import Model, load
from archcalc.cards.names import namesakes, siblings
from archcalc.cards.quantity import scales
from archcalc.cards.readers.claim import NO, YES, Claim
from archcalc.cards.resolve import Resolved
from archcalc.cards.vocabulary import mark
from archcalc.records import NamedTuple
from archcalc.report import Verdict

NEAR = 12
"""Lines around a claim of a list that speak of the same model."""
THRESHOLD = 2


Named = Literal["pinned", "outright", "loosely", "around"]


class Owner(Protocol):
    """Those whom a claim is about."""

    resolved: Resolved
    label: str
    models: tuple[Model, ...]
    who: tuple[str, ...]


class Page(Protocol):
    """What a file says around a claim."""

    def source_line(self, line: int) -> str: ...
    def labels(self, table: Table) -> str: ...
    def named(self, slot: Slot, resolved: Resolved) -> Named: ...


class Finding:
    """One claim, judged, and where it stands; what stands around it is looked up for those that are not right.

    `table` is the number of `where`, the table or list, in the document; `name` and `text` are what the page calls the model and claims.
    """

    # Of a hundred thousand the slots alone are what a page of them takes.
    __slots__ = (
        "_named", "_nearly", "claim", "column", "judgement", "line", "name", "owner", "page", "shown", "slot", "table", "text", "verdict",
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
        self._nearly: bool | None = None
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
        if self._nearly is None:
            self._nearly = self._is_near()
        return self._nearly

    def _is_near(self) -> bool:
        number = self.claim.number
        if number is None or len(self.models) != 1:
            return False
        claimed, below = number.mantissa * 10**number.scale, 10**number.decimals
        values = [v.value * below for v in truth.safely(self.models[0], self.claim.field, self.claim.quals)]
        return any(v and abs(claimed * u - v) * _NEARLY < v for v in values for u in (1, 1000, 10**6, 10**9))


class Near(NamedTuple):
    """What other claims say around one: fields of the same model that are right and wrong, whether the column is right for others,
    whether the same line states the field rightly already, and how many other models' figures in the column are nearly right."""

    right: int
    wrong: int
    column: bool
    said: bool
    nearly: int = 0
    claims: tuple[Claim, ...] = ()
    """What is right around it of its model."""
    varied: bool = False
    """Whether its table has a model with several values of the field."""


_NOTHING = Near(0, 0, False, False)


class Sign(NamedTuple):
    """A sign for an alarm (a positive weight) or against one, and what to say of it; of some fields, or of all."""

    weight: int
    says: str
    holds: Callable[[Finding, Near], bool]
    fields: frozenset[str] = frozenset()


_SET_BY_RUNS = frozenset({"context", "active_experts", "routing", "window"})
_ARCHITECTURE = frozenset({"layers", "hidden_size", "intermediate_size", "heads", "kv_heads", "head_dim", "vocab"})
_SIZES = frozenset({"total_params", "weights", "active_params"})
_WEIGHTS, _CONTEXT, _CACHES = frozenset({"weights"}), frozenset({"context"}), frozenset({"kv_cache", "kv_per_token"})
_COUNTS = frozenset(field for field in NUMERIC if field.endswith("_params"))


def is_setting(finding: Finding, fields: frozenset[str]) -> bool:
    """Whether a claim is a setting of a run: its label may be one, and what stands beside it is. `fields` are those of its block."""
    if finding.claim.field not in _SET_BY_RUNS or finding.strict or finding.verdict in ("ok", "said"):
        return False
    if finding.claim.field == "context":
        if "_" in finding.heading and _says("stored", finding.around):
            return False  # keys under such a heading are what a file holds
        if _says("served", finding.heading):
            return True
    of_run = _said("run", finding.block) | _said("run", finding.around)
    bare = finding.claim.field == "context" and not fields & _ARCHITECTURE and _ONE_WORD.fullmatch(finding.heading)
    if bare and len(of_run | _said("setting", finding.block)) > 1:
        return True  # "Context: 16384" beside a concurrency and a limit of tokens
    if _may_be_setting(finding, _NOTHING) or (_says("sampler", finding.block) and not _says("most", finding.heading)):
        return len(of_run) >= (_MANY if fields & _ARCHITECTURE else 1)
    return False


_ONE_WORD = re.compile(r"[^A-Za-z\u0080-\uffff]*[A-Za-z]+\W*")
_MANY = 3
"""Settings of a run that outweigh an architecture beside them: GPUs, TP and a batch size."""
_MIXED_UP = (
    frozenset({"experts", "active_experts", "shared_experts"}),
    frozenset({"heads", "kv_heads", "head_dim"}),
    frozenset({"layers", "dense_layers", "moe_layers", "linear_layers", "full_layers", "window_layers"}),
)
"""Fields whose numbers often stand in one cell."""


def _another_fact(finding: Finding, near: Near) -> bool:
    """Whether the number is another figure of the model that cells state beside this one, such as 384 experts read as active ones."""
    number = finding.claim.number
    if number is None or near.column or len(finding.models) != 1 or number.printed < 3:
        return False
    return number.printed in _beside(finding.models[0], finding.claim.field)


@lru_cache(maxsize=4096)
def _beside(model: Model, field: str) -> frozenset[int | Fraction]:
    """What a model has of the fields whose numbers stand beside those of a field."""
    others = next((group - {field} for group in _MIXED_UP if field in group), ())
    return frozenset(value.value for other in others for value in truth.safely(model, other, Quals()))


def _far(finding: Finding, near: Near) -> bool:
    """Whether a number is off by more than a factor of three where nothing speaks for the field."""
    number = finding.claim.number
    if number is None or near.column or near.right or number.unit == "%" or finding.named == "pinned":
        return False
    claimed, below = number.mantissa * 10**number.scale, 10**number.decimals
    values = [v.value * below for model in finding.models for v in truth.safely(model, finding.claim.field, finding.claim.quals)]
    units = (1, 1000, 1024, 10**6, 1 << 20, 10**9, 10**12)
    return (
        bool(claimed)
        and any(values)
        and not any(v and claimed * u <= 3 * v and 3 * claimed * u >= v for v in values for u in units)
    )


_SENTENCE = 60
"""A cell longer than this explains."""
_YES_OR_NO = 12


def _gloss(finding: Finding, _near: Near) -> bool:
    """A word that is not the value of its label: the rest of a sentence, or what explains the label."""
    claim = finding.claim
    if claim.number is not None and claim.number.mantissa:
        return False
    said = finding.cell[claim.start : claim.end]
    if NO.match(said):
        # "off (a kernel's limit)" tells of one program.
        return len(finding.cell) > _YES_OR_NO
    if claim.form != "word" or YES.match(said):
        return False
    if not finding.heading or len(finding.cell) > _SENTENCE:
        return True
    return claim.field in WORDS and any(True for _ in words.hits(claim.field, finding.heading))


def _plain_label(finding: Finding, _near: Near) -> bool:
    """A label that can mean nothing else: a key of a config, or the field's own name."""
    return bool(finding.heading) and not finding.label.weak and not _may_be_setting(finding, _near)


def _may_be_setting(finding: Finding, _near: Near) -> bool:
    label = finding.heading
    return finding.claim.field in _SET_BY_RUNS and _says("setting", label) and not _says("of-the-model", label)


def _of_part(finding: Finding, _near: Near) -> bool:
    if ":" in finding.claim.field or finding.claim.field in ("vision_params", "mtp_params", "mtp_layers", "audio_params", "mtp"):
        return False
    item = finding.line_text if finding.listed else finding.cell
    return any(_says("part", text) for text in (finding.heading, item, finding.around))


@lru_cache(maxsize=4096)
def _said(name: str, text: str) -> frozenset[str]:
    """Which words of a mark a text holds."""
    return frozenset(match[0].lower() for match in mark(name).finditer(text))


@lru_cache(maxsize=4096)
def _says(name: str, text: str) -> bool:
    """Whether a text holds a mark: labels, headings and lines are asked again for each figure beside them."""
    return mark(name).search(text) is not None


def _marked(name: str, place: Literal["line_text", "block", "cell"]) -> Callable[[Finding, Near], bool]:
    """A sign that what stands around gives."""
    return lambda f, _near: _says(name, getattr(f, place))


def _share(f: Finding, _near: Near) -> bool:
    """What one of several devices has, and nothing says of how many."""
    return f.claim.quals.tp == 1 and (_says("share", f.heading) or _says("share", f.cell[f.claim.start : f.claim.end + 40]))


def _misworked(f: Finding, _near: Near) -> bool:
    return len(f.models) == 1 and is_misworked(f.models[0], f.claim)


def _of_batch(f: Finding, _near: Near) -> bool:
    """A cache where a batch, users or ranks are stated, in its cell or label, in a label of its table, or above it, and not understood."""
    if _misworked(f, _near):
        return False
    marks = [*(["batch"] if f.claim.quals.batch == 1 else []), *(["ranks"] if f.claim.quals.tp == 1 else [])]
    # What a token costs is of no batch, which other rows may have.
    block = "" if f.claim.field == "kv_per_token" else f.block
    return any(_says(name, text) for text in (f.heading, f.cell, f.line_text, block, f.around) for name in marks)


_RELEASE = re.compile(
    r"\s*(?:[-*+•]|\d+[.)])?\s*[*_`\[]{0,3}([A-Za-z][\w.+/ -]*?[A-Za-z]-?\d[\w.+-]*(?: [\w.+-]+){0,2})"
    r"[*_`\]]{0,3}\s*(?:\([^)]*\))?\s*[:：|—–]"
)
"""A name with a number in it, as releases have, at the head of an item; looked for in so many characters, as it backtracks."""
_HEAD = 120


def _names_another(f: Finding, _near: Near) -> bool:
    """A list's item, or a table's corner, that begins with the name of another release, known or not."""
    if f.listed:
        text = f.line_text[:_HEAD]
    else:
        corner = f.where.rows[0][0].text if f.where.kind == "table" and f.where.heads and f.where.rows[0] else ""
        text = f"{corner[:_HEAD]}:"
    release = _release(text)
    if not release or (f.heading and f.heading.casefold() in release.casefold()):
        return False
    said = _plain(release)
    return not any(said in _plain(name) or _plain(name) in said for model in f.models for name in (model.name, f.name))


@lru_cache(maxsize=256)
def _release(text: str) -> str:
    """The name of a release that a text begins with, or nothing."""
    found = _RELEASE.match(text)
    return found[1] if found else ""


@lru_cache(maxsize=1024)
def _plain(name: str) -> str:
    """A name without case and marks."""
    return re.sub(r"[^a-z0-9]", "", name.rpartition("/")[2].casefold())


def _rounding(finding: Finding, _near: Near) -> bool:
    """Bytes within a twentieth, parameters rounded before they were multiplied or GiB under GB; or twice what the name calls its size."""
    number = finding.claim.number
    if number is None:
        return False
    values = [v.value for model in finding.models for v in truth.safely(model, "weights", finding.claim.quals)]
    if any(abs(number.printed * u - v) * 20 <= v for v in values for u in (10**9, 1 << 30, 10**6, 1 << 20)):
        return True
    if number.unit not in ("g", "gb") or finding.claim.quals.dtype not in (None, "", "bf16", "fp16"):
        return False
    sizes = [size[1] for model in finding.models if (size := _BILLIONS.search(model.name.lower()))]
    return any(number.printed == 2 * Fraction(size) for size in sizes)


_BILLIONS = re.compile(r"(?<![\w.])(\d+(?:\.\d+)?)b(?![a-z])")


def _as_quantized(finding: Finding, _near: Near) -> bool:
    """A size of no stated type that fits two to six bits a parameter: what a page of an engine's downloads lists."""
    number = finding.claim.number
    if number is None or finding.claim.quals.dtype:
        return False
    return any(
        value.value * _FEWEST_BITS <= 16 * number.printed * unit <= value.value * _MOST_BITS
        for model in finding.models
        for value in truth.safely(model, "weights", finding.claim.quals._replace(dtype="bf16"))[:1]
        for unit in (10**9, 1 << 30, 10**6, 1 << 20)
    )


_FEWEST_BITS, _MOST_BITS = 2, 7
_NEARLY = 100
"""A figure off by less than this part of it may be counted in another way."""
_PAD = 64
"""Embeddings are padded to a multiple of this at least: Megatron's `make_vocab_size_divisible_by` is 128, nanoGPT's 64."""


def is_no_footprint(claim: Claim, models: Sequence[Model]) -> bool:
    """Whether bytes are less than the weights, or more than what a server takes beside them: half as much again."""
    values = [v.value for model in models for v in truth.safely(model, "weights", claim.quals)]
    sizes = [claim.number.printed * unit for unit, _ in scales(claim.number, "bytes")] if claim.number else []
    return bool(values and sizes) and (2 * min(sizes) > 3 * max(values) or max(sizes) < min(values))


def _of_plan(finding: Finding, _near: Near) -> bool:
    """A context within the model's, beside GPUs or ranks."""
    number = finding.claim.number
    if number is None or finding.listed or not {"gpus", "gpu", "tp", "pp"} & _said("run", finding.block):
        return False
    claimed = number.printed * scales(number, "tokens")[0][0]
    return any(claimed < value.value for model in finding.models for value in truth.safely(model, "context", finding.claim.quals))


def _of_no_cache(finding: Finding, _near: Near) -> bool:
    """Bytes a token that nothing says are a cache's: those of the weights read."""
    if finding.claim.field != "kv_per_token" or finding.where.kind == "prose":
        return False
    return not any(_says("cache", text) for text in (finding.block, finding.cell, finding.around))


def _between(finding: Finding, _near: Near) -> bool:
    """A count of parameters between two ways to count them."""
    number = finding.claim.number
    if number is None or len(finding.models) != 1:
        return False
    claimed = number.printed * 10 ** (number.scale or finding.claim.quals.unit)
    values = [v.value for v in truth.safely(finding.models[0], finding.claim.field, finding.claim.quals) if v.tag != "name"]
    return bool(values) and min(values) < claimed < max(values) <= min(values) * _CLOSE


_CLOSE = Fraction(11, 10)
"""Ways to count that differ by more than a tenth count different things."""


def _counted_otherwise(finding: Finding, near: Near) -> bool:
    """Whether a column is off by little for several models, which no slip of the pen does."""
    return near.nearly > 1 and finding.nearly


def _padded(finding: Finding, _near: Near) -> bool:
    """A vocabulary with rows to fill up the embedding, or the embedding that has them."""
    number, field = finding.claim.number, finding.claim.field
    if number is None or number.scale or number.decimals:
        return False
    for model in finding.models:
        width = 1 if field == "vocab" else model.report.architecture.hidden_size or 1
        for value in truth.safely(model, field, finding.claim.quals):
            rows, rest = divmod(number.mantissa - value.value, width)
            if not rest and 0 < rows < 4 * _PAD and (number.mantissa // width) % _PAD == 0:
                return True
    return False


def _of_sibling(finding: Finding, near: Near) -> bool:
    """A figure that is right of a release whose name goes on: 15.7B of DeepSeek-V2-Lite, which pages call DeepSeek-V2 too; or of what
    this one was tuned from. Unless the figures around it are this one's alone."""
    if len(finding.models) != 1 or finding.models[0].source.kind != "bundled":
        return False
    sizes = ("total_params", "active_params")
    fields = sizes if finding.claim.field in sizes else (finding.claim.field,)
    return any(
        is_right(other := load(name, True), finding.claim._replace(field=field))
        and sum(judge(other, claim, Rules()).verdict == "wrong" for claim in near.claims) < _ALONE
        # Contexts of releases that go on stand in contexts.json.
        for name in (
            *namesakes(finding.models[0].name),
            *(siblings(finding.models[0].name) if finding.claim.field != "context" else ()),
        )
        for field in fields
    )


_ALONE = 2
"""Right figures of a model that are wrong of another release of its name, and so tell them apart."""

SIGNS: tuple[Sign, ...] = (
    Sign(2, "the model is pinned", lambda f, _n: f.named == "pinned"),
    Sign(1, "the model is named outright", lambda f, _n: f.named == "outright"),
    Sign(-2, "other releases go by that name too", lambda f, _n: f.named == "loosely"),
    Sign(1, "another figure of the model is right", lambda _f, n: n.right > 0),
    Sign(1, "several figures of the model are right", lambda _f, n: n.right > 1),
    Sign(1, "the column is right for other models", lambda _f, n: n.column),
    Sign(1, "the label means nothing else", _plain_label),
    Sign(2, "the product in front of it is right", _misworked),
    Sign(-1, "another figure of the model is not right either", lambda f, n: n.wrong > 0 and f.named != "pinned"),
    Sign(-2, "most figures here are not this model's", lambda f, n: n.wrong > 1 and n.wrong >= n.right and f.named != "pinned"),
    Sign(-2, "it is another figure of the model", _another_fact, frozenset().union(*_MIXED_UP)),
    Sign(-4, "it is right of another release of that name", _of_sibling),
    Sign(-2, "it is too far off to be of this model", _far),
    Sign(-3, "the same line states it rightly", lambda _f, n: n.said),
    Sign(-3, "it is a word of an explanation", _gloss),
    Sign(-3, "it may be the size of a quantized file", _marked("quantized", "line_text"), _SIZES),
    Sign(-4, "it may be the size of a quantization", _as_quantized, _WEIGHTS),
    Sign(-4, "it may be of another part of the model", _of_part),
    Sign(-4, "it is what one device has", _share),
    Sign(-6, "it may be of several sequences, or of one of several devices", _of_batch, _CACHES),
    Sign(-6, "its item or table begins with another name", _names_another),
    Sign(-3, "it is a setting of a run", _marked("given", "cell"), _SET_BY_RUNS),
    Sign(-4, "the column is nearly right for several models, as if counted in another way", _counted_otherwise),
    Sign(-3, "it may be padded", _padded, frozenset({"vocab", "embedding_params"})),
    Sign(-4, "it may be what a service offers", _marked("priced", "block"), _CONTEXT),
    Sign(-4, "a GGUF file states a length of its own", lambda f, _n: "gguf" in f.around.lower(), _CONTEXT),
    Sign(-4, "the table states it several times of one model, as of runs", lambda _f, n: n.varied, _CONTEXT),
    Sign(-3, "it may be what fits a machine", lambda f, _n: not f.listed and _says("machine", f.block), _CONTEXT),
    Sign(-3, "it is shorter than the model's, as a run's is", _of_plan, _CONTEXT),
    Sign(-4, "nothing says that a cache is meant", _of_no_cache, _CACHES),
    Sign(-4, "it lies between two ways to count", _between, _COUNTS),
    Sign(-4, "it may be rounded parameters times bytes", _rounding, _WEIGHTS),
    Sign(-1, "such a label is often a setting of a run", _may_be_setting, _SET_BY_RUNS),
)  # fmt: skip


@cache
def _signs(field: str) -> tuple[tuple[Sign, ...], tuple[Sign, ...]]:
    """The signs that may hold for a field: those for an alarm, and those against one."""
    found = [sign for sign in SIGNS if not sign.fields or field in sign.fields]
    return tuple(sign for sign in found if sign.weight > 0), tuple(sign for sign in found if sign.weight < 0)


_REASONS = 2
"""Reasons that a doubt names."""


def doubt(finding: Finding, near: Near) -> str:
    """Why an alarm is not raised, or nothing where it stands."""
    if finding.strict:
        return ""
    signs_for, signs_against = _signs(finding.claim.field)
    weight = sum(sign.weight for sign in signs_for if sign.holds(finding, near))
    against: list[str] = []
    for sign in signs_against:
        if sign.holds(finding, near):
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
        sign.weight < -1 and sign.holds is not _far and sign.holds(finding, _NOTHING) for sign in _signs(finding.claim.field)[1]
    )


class _Said(NamedTuple):
    """Fields that one line or table states of one model, rightly and wrongly."""

    right: dict[str, Claim]
    wrong: set[str]


def near(findings: Sequence[Finding]) -> Iterator[tuple[Finding, Near]]:
    """Each wrong finding with what stands around it. In one pass over all of them: a page may hold a hundred thousand."""
    wrong = [f for f in findings if f.verdict == "wrong"]
    if not wrong:
        return
    # Names are told apart by numbers: to hash them for each claim takes longer than all else here.
    numbers: dict[tuple[str, ...], int] = {}
    known: dict[int, int] = {}

    def number(f: Finding) -> int:
        found = known.get(id(f.owner))
        return known.setdefault(id(f.owner), numbers.setdefault(f.owner.who, len(numbers))) if found is None else found

    wrong_of = {number(f) for f in wrong}
    doubted = {(f.table, f.claim.field) for f in wrong}
    by_table: dict[tuple[int, int], _Said] = {}
    by_line: dict[tuple[int, int], _Said] = {}
    stated: dict[tuple[int, int, str], set[tuple[str, str]]] = {}
    columns: dict[tuple[int, str], set[int]] = {}
    nearly: dict[tuple[int, str], set[int]] = {}
    for f in findings:
        if f.verdict not in ("ok", "wrong"):
            continue
        who, field = number(f), f.claim.field
        if (f.table, field) in doubted:
            if f.verdict == "ok":
                columns.setdefault((f.table, field), set()).add(who)
            elif f.nearly:
                nearly.setdefault((f.table, field), set()).add(who)
        if who not in wrong_of:
            continue
        for said in (
            by_table.get((who, f.table)) or by_table.setdefault((who, f.table), _Said({}, set())),
            by_line.get((who, f.line)) or by_line.setdefault((who, f.line), _Said({}, set())),
        ):
            if f.verdict == "ok":
                said.right[field] = f.claim
            else:
                said.wrong.add(field)
        if f.verdict == "ok":
            stated.setdefault((who, f.line, field), set()).add((f.cell, f.heading))
    varied = _varied(findings)
    together: dict[tuple[int, int, int], _Said] = {}
    for f in wrong:
        who, field = number(f), f.claim.field
        near_by = together.get((who, f.table, f.line))
        if near_by is None:
            around = [by_table[who, f.table]]
            around += [by_line[who, line] for line in range(f.line - NEAR, f.line + NEAR + 1) if (who, line) in by_line]
            near_by = _Said(
                {name: claim for one in around for name, claim in one.right.items()}, set().union(*(one.wrong for one in around))
            )
            together[who, f.table, f.line] = near_by
        rightly = any(
            f.claim.form == "number" if cell == f.cell else heading != f.heading
            for cell, heading in stated.get((who, f.line, field), ())
        )
        column = not f.listed and any(other != who for other in columns.get((f.table, field), ()))
        beside = len(nearly.get((f.table, field), set()) - {who}) if f.nearly else 0
        others = tuple(claim for name, claim in near_by.right.items() if name != field)
        yield f, Near(len(others), len(near_by.wrong - {field}), column, rightly, beside, others, (f.table, f.heading) in varied)


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
