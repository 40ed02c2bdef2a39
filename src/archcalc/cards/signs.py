"""The signs for and against an alarm, each with its weight, all in one table: a number that differs from the config may be wrong, or may
be of another model, of another field, of a run, of a file or of another part."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from fractions import Fraction
from functools import cache, lru_cache
from typing import Literal

from archcalc.cards import mentions, truth, words
from archcalc.cards.findings import Finding, Near
from archcalc.cards.judge import Rules, is_misworked, is_right, judge, rounds_to_stated
from archcalc.cards.labels import NUMERIC, WORDS, Quals
from archcalc.cards.models import Model, load
from archcalc.cards.names import namesakes, siblings
from archcalc.cards.quantity import scales
from archcalc.cards.readers.claim import NO, YES, Claim
from archcalc.cards.vocabulary import mark, says
from archcalc.records import NamedTuple


class Sign(NamedTuple):
    """A sign for an alarm (a positive weight) or against one, and what to say of it; of some fields, or of all.

    `holds` asks the claim and what is near it, at places where it may hold (`where`); `by_place` its place alone (`confirm._Place`):
    each claim of it has what holds there; `by_near` its place, and how many neighbours are right and wrong."""

    weight: int
    says: str
    holds: Callable[[Finding, Near], bool] | None
    fields: frozenset[str] = frozenset()
    by_place: Callable[[Finding], bool] | None = None
    by_near: Callable[[Finding, Near], bool] | None = None
    where: Callable[[Finding], bool] = lambda _f: True


_SET_BY_RUNS = frozenset({"context", "active_experts", "routing", "window"})
_OF_EMBEDDER = frozenset({"hidden_size", "vocab"})
ASKED = _SET_BY_RUNS | _OF_EMBEDDER
_HEADS = frozenset({"heads", "kv_heads", "intermediate_size"})
_ARCHITECTURE = frozenset({"layers", "hidden_size", "intermediate_size", "heads", "kv_heads", "head_dim", "vocab"})
SIZES = frozenset({"total_params", "weights", "active_params"})
_WEIGHTS, _CONTEXT, CACHES = frozenset({"weights"}), frozenset({"context"}), frozenset({"kv_cache", "kv_per_token"})
TYPED = _WEIGHTS | CACHES
_COUNTS = frozenset(field for field in NUMERIC if field.endswith("_params"))


def is_setting(finding: Finding, fields: frozenset[str]) -> bool:
    """Whether a claim is a setting of a run: its label may be one, and what stands beside it is. `fields` are those of its block."""
    if finding.claim.field not in ASKED or finding.strict or finding.verdict in ("ok", "said"):
        return False
    if finding.claim.field == "context":
        if "_" in finding.heading and says("stored", finding.around):
            return False  # keys under such a heading are what a file holds
        if says("served", finding.heading):
            return True
    of_run = _said("run", finding.block) | _said("run", finding.around)
    if (
        finding.verdict == "wrong"
        and len(_said("retrieval", finding.block)) + says("retrieval", finding.around) > 1
        and not fields & _HEADS
    ):
        return True  # pieces of documents, how many of them, and the model that embeds them
    if finding.claim.field in _OF_EMBEDDER:
        return False
    bare = finding.claim.field == "context" and not fields & _ARCHITECTURE and _ONE_WORD.fullmatch(finding.heading)
    if bare and len(of_run | _said("setting", finding.block)) > 1:
        return True  # "Context: 16384" beside a concurrency and a limit of tokens
    if _may_be_setting(finding) or (says("sampler", finding.block) and not says("most", finding.heading)):
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


def another_noun(field: str, text: str, end: int) -> str:
    """The field of the noun behind a number, where it counts something else than the number's label, and nothing like it."""
    if end >= len(text):
        return ""
    found = mentions.counted_by(text, end)
    alike = {other for group in _MIXED_UP if field in group for other in group}
    like = any(other in alike or other.rpartition("_")[2] == field.rpartition("_")[2] for other in found)
    return found[0] if found and not like and NUMERIC[found[0]] == NUMERIC[field] else ""


def _another_fact(finding: Finding, near: Near) -> bool:
    """Whether the number is another figure of the model that cells state beside this one, such as 384 experts read as active ones."""
    number = finding.claim.number
    if number is None or near.column or number.printed < 3:
        return False
    return number.printed in _beside(finding.models[0], finding.claim.field)


@lru_cache(maxsize=4096)
def _beside(model: Model, field: str) -> frozenset[int | Fraction]:
    """What a model has of the fields whose numbers stand beside those of a field."""
    others = next((group - {field} for group in _MIXED_UP if field in group), ())
    return frozenset(value.value for other in others for value in truth.safely(model, other, Quals()))


def far(finding: Finding, near: Near) -> bool:
    """Whether a number is off by more than a factor of three where nothing speaks for the field."""
    number = finding.claim.number
    if number is None or near.column or near.right or number.unit == "%" or finding.named == "pinned":
        return False
    claimed, below = number.mantissa * 10**number.scale, 10**number.decimals
    values = [value * below for value in finding.values()]
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


def _plain_label(finding: Finding) -> bool:
    """A label that can mean nothing else: a key of a config, or the field's own name."""
    return bool(finding.heading) and not finding.label.weak and not _may_be_setting(finding)


def _may_be_setting(finding: Finding) -> bool:
    label = finding.heading
    return finding.claim.field in _SET_BY_RUNS and says("setting", label) and not says("of-the-model", label)


def _under_part(finding: Finding) -> bool:
    return _may_be_of_part(finding) and any(says("part", text) for text in (finding.heading, finding.around))


def _of_part(finding: Finding, _near: Near) -> bool:
    return says("part", finding.line_text if finding.listed else finding.cell)


def _may_be_of_part(finding: Finding) -> bool:
    field = finding.claim.field
    return ":" not in field and field not in ("vision_params", "mtp_params", "mtp_layers", "audio_params", "mtp")


@lru_cache(maxsize=4096)
def _said(name: str, text: str) -> frozenset[str]:
    """Which words of a mark a text holds."""
    return frozenset(match[0].lower() for match in mark(name).finditer(text))


def _marked(name: str, place: Literal["line_text", "cell"]) -> Callable[[Finding, Near], bool]:
    """A sign that what stands around gives."""
    return lambda f, _near: says(name, getattr(f, place))


def _of_derived(f: Finding) -> bool:
    """Whether the model is only what another one was made from, or what stands above or heads the table speaks of pruning or merging."""
    derived = f.owner.resolved.derived or says("ours", f.name) or says("reduced", f.around) or says("reduced", f.heads)
    return derived and f.named != "pinned"


def _share(f: Finding, _near: Near) -> bool:
    """What one of several devices has, and nothing says of how many."""
    return f.claim.quals.tp == 1 and (says("share", f.heading) or says("share", f.cell[f.claim.start : f.claim.end + 40]))


def _is_share(f: Finding, _near: Near) -> bool:
    """A width or count of the model over ranks, beside a column of them: 8 of 64 heads beside TP 8."""
    number = f.claim.number
    if number is None or not number.mantissa:
        return False
    claimed = number.printed * 10**number.scale
    return any(value % claimed == 0 and value // claimed in _RANKS for value in f.values())


_RANKS = (2, 4, 8, 16, 32, 64)
_SPLIT = frozenset({"heads", "kv_heads", "intermediate_size", "expert_size", "experts", "vocab", "layers", "hidden_size"})
"""What engines split over ranks."""


def _may_be_index(f: Finding, _near: Near) -> bool:
    """A number below the model's under a label in the singular: which layer, head or expert is meant."""
    number = f.claim.number
    return number is not None and all(
        number.printed < v.value for model in f.models for v in truth.safely(model, f.claim.field, Quals())[:1]
    )


def _misworked(f: Finding, _near: Near) -> bool:
    return _is_of_one(f) and is_misworked(f.models[0], f.claim)


def _is_of_one(f: Finding) -> bool:
    return len(f.models) == 1


def _of_other_kind(f: Finding, _near: Near) -> bool:
    """No layers under a label that names one kind of those that carry a state: a model of DeltaNet has none of Mamba."""
    return f.claim.number is not None and not f.claim.number.mantissa and "linear" not in f.heading.lower()


def _of_batch(f: Finding, _near: Near) -> bool:
    """A cache where a batch, users or ranks are stated, in its cell or label, in a label of its table, or above it, and not understood."""
    if _misworked(f, _near):
        return False
    marks = [*(["batch"] if f.claim.quals.batch == 1 else []), *(["ranks"] if f.claim.quals.tp == 1 else [])]
    # What a token costs is of no batch, which other rows may have.
    block = "" if f.claim.field == "kv_per_token" else f.block
    return any(says(name, text) for text in (f.heading, f.cell, f.line_text, block, f.around) for name in marks)


_RELEASE = re.compile(
    r"\s*(?:[-*+•]|\d+[.)])?\s*[*_`\[]{0,3}([A-Za-z][\w.+/ -]*?[A-Za-z]-?\d[\w.+-]*(?: [\w.+-]+){0,2})"
    r"[*_`\]]{0,3}\s*(?:\([^)]*\))?\s*[:：|—–]"
)
"""A name with a number in it, as releases have, at the head of an item; looked for in so many characters, as it backtracks."""
_HEAD = 120


def _item_of_another(f: Finding, _near: Near) -> bool:
    """A list's item that begins with the name of another release, known or not."""
    return _is_of_another(f, f.line_text[:_HEAD])


def _table_of_another(f: Finding) -> bool:
    """A table whose corner is the name of another release."""
    if f.where.kind != "table" or not f.where.heads or not f.where.rows[0]:
        return False
    return _is_of_another(f, f"{f.where.rows[0][0].text[:_HEAD]}:")


def _is_of_another(f: Finding, text: str) -> bool:
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
    values = finding.values("weights")
    if any(abs(number.printed * u - v) * 20 <= v for v in values for u in (10**9, 1 << 30, 10**6, 1 << 20)):
        return True
    if number.unit not in ("g", "gb") or finding.claim.quals.dtype not in (None, "", "bf16", "fp16"):
        return False
    sizes = [size[1] for model in finding.models if (size := _BILLIONS.search(model.name.lower()))]
    return any(number.printed == 2 * Fraction(size) for size in sizes)


_BILLIONS = re.compile(r"(?<![\w.])(\d+(?:\.\d+)?)b(?![a-z])")


def _flops_rounded(finding: Finding, _near: Near) -> bool:
    """Operations within a twentieth of what parameters make: 74 GFLOP of twice 37B."""
    number = finding.claim.number
    values = finding.values()
    units = [unit for unit, _ in scales(number, "flops", finding.claim.quals.unit)] if number else []
    return number is not None and any(abs(number.printed * unit - v) * 20 <= v for v in values for unit in units)


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
_PAD = 64
"""Embeddings are padded to a multiple of this at least: Megatron's `make_vocab_size_divisible_by` is 128, nanoGPT's 64."""


def is_no_footprint(claim: Claim, models: Sequence[Model]) -> bool:
    """Whether bytes are less than the weights, or more than what a server takes beside them: half as much again."""
    values = [v.value for model in models for v in truth.safely(model, "weights", claim.quals)]
    sizes = [claim.number.printed * unit for unit, _ in scales(claim.number, "bytes")] if claim.number else []
    return bool(values and sizes) and (2 * min(sizes) > 3 * max(values) or max(sizes) < min(values))


def _of_plan(finding: Finding, _near: Near) -> bool:
    """A context within the model's, beside GPUs or ranks, a sampler, or a limit of tokens, or under a key that may be a run's."""
    number = finding.claim.number
    if number is None:
        return False
    claimed = number.printed * scales(number, "tokens")[0][0]
    return any(claimed < value for value in finding.values())


def _is_planned(finding: Finding) -> bool:
    planned = {"gpus", "gpu", "tp", "pp"} & _said("run", finding.block)
    of_run = finding.where.kind == "tree" and _may_be_setting(finding)
    beside = planned or says("sampler", finding.block) or says("limit", finding.block)
    return says("training", finding.heading) or (not finding.listed and bool(of_run or beside))


def _of_none(finding: Finding, near: Near) -> bool:
    """A window of a model without one, under a label that does not say of what and that is right of no other model."""
    return finding.claim.number is not None and not near.column and not any(finding.values())


def _of_machine(finding: Finding) -> bool:
    """Memory of no type: what a machine has, or what a server takes."""
    return not finding.label.quals.dtype and mark("bare-memory").fullmatch(finding.heading.strip()) is not None


def _of_no_cache(finding: Finding, _near: Near) -> bool:
    """Bytes a token that nothing says are a cache's: those of the weights read."""
    if finding.claim.field != "kv_per_token" or finding.where.kind == "prose":
        return False
    return not any(says("cache", text) for text in (finding.block, finding.cell, finding.around))


def _between(finding: Finding, _near: Near) -> bool:
    """A count of parameters between two ways to count them."""
    number = finding.claim.number
    if number is None:
        return False
    claimed = number.printed * 10 ** (number.scale or finding.claim.quals.unit)
    values = [v.value for v in truth.safely(finding.models[0], finding.claim.field, finding.claim.quals) if v.tag != "name"]
    return bool(values) and min(values) < claimed < max(values) <= min(values) * _CLOSE


def _as_stated(finding: Finding, _near: Near) -> bool:
    """A total that rounds to the publisher's own figure: 1043B of what is stated as 1.04T."""
    number = finding.claim.number
    claimed = number.printed * 10 ** (number.scale or finding.claim.quals.unit) if number is not None else 0
    return any(rounds_to_stated(model, finding.claim.field, claimed) for model in finding.models)


def _of_whole(finding: Finding) -> bool:
    """A size in a table whose rows are named by what they are made of, behind what they are: "| Method | LLM | Params |"."""
    if finding.where.kind != "table" or not finding.where.heads:
        return False
    origins = [
        k for k, cell in enumerate(finding.where.rows[0]) if k and mark("origin").fullmatch(cell.text.strip(" *").casefold())
    ]
    return any(k < len(row) and row[k].text == finding.name for k in origins for row in finding.where.rows[finding.where.heads :])


def _of_file(finding: Finding) -> bool:
    """A size beside a tag of Ollama or a file's name: tags of small models are of eight bits, others of four, and files are shards."""
    return not finding.claim.quals.dtype and _FILE.fullmatch(finding.name.strip(" `*")) is not None


_FILE = re.compile(r"(?i)[\w./-]+:\w[\w.-]*|\S+\.(?:gguf|safetensors|bin|pth?|ckpt|mlx)")


def _of_encoder(finding: Finding, _near: Near) -> bool:
    """An encoder's parameters within half as many again: with or without pooling, positions or projector, or as its own name says."""
    number = finding.claim.number
    claimed = number.printed * 10 ** (number.scale or finding.claim.quals.unit) if number is not None else 0
    return any(2 * value <= 3 * claimed <= _HALF_AGAIN * value for value in finding.values())


_HALF_AGAIN = Fraction(9, 2)
_ENCODERS = frozenset({"vision_params", "audio_params"})


def _of_clause(finding: Finding, _near: Near) -> bool:
    """A count of what a bracket or clause names: "(including 0.9B for the embedding)"."""
    claim, text = finding.claim, finding.cell
    return mark("of-which").search(text, 0, claim.start) is not None or mark("for-a-part").match(text, claim.end) is not None


_SOME = frozenset({"layers", "heads", "kv_heads", "experts", "active_experts"})


def _of_some(finding: Finding, _near: Near) -> bool:
    """A count in an item that says where some of them are, or what is done with them: "100 experts live on the CPU"."""
    return says("some-of-them", finding.line_text)


def _of_members(finding: Finding, _near: Near) -> bool:
    """Sizes with slashes between them, of a model without experts: those of a family's members."""
    between = _SLASHED.search(finding.cell)
    return between is not None and not any(model.report.architecture.moe for model in finding.models)


_SLASHED = re.compile(r"\d\s?[BM]\s*/\s*\d")
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
    sizes, claim = ("total_params", "active_params"), finding.claim
    fields = sizes if claim.field in sizes else (claim.field,)
    # Contexts of releases that go on stand in contexts.json.
    return any(
        any(is_right(other, claim if field == claim.field else claim._replace(field=field)) for field in fields)
        and sum(judge(other, claim, Rules()).verdict == "wrong" for claim in near.claims) < _ALONE
        for other in _releases(finding.models[0].name, claim.field != "context")
    )


def _has_releases(finding: Finding) -> bool:
    """Whether a claim is of one bundled model, whose name others have too."""
    models = finding.models
    if len(models) != 1 or models[0].source.kind != "bundled":
        return False
    return bool(_names(models[0].name, finding.claim.field != "context"))


def _names(name: str, all_of_them: bool) -> tuple[str, ...]:
    return (*namesakes(name), *(siblings(name) if all_of_them else ()))


@lru_cache(maxsize=1024)
def _releases(name: str, all_of_them: bool) -> tuple[Model, ...]:
    """Other releases of a bundled model's name; `all_of_them` with those that it was tuned from."""
    return tuple(load(other, True) for other in _names(name, all_of_them))


_ALONE = 2
"""Right figures of a model that are wrong of another release of its name, and so tell them apart."""

SIGNS: tuple[Sign, ...] = (
    Sign(2, "the model is pinned", None, by_place=lambda f: f.named == "pinned"),
    Sign(1, "the model is named outright", None, by_place=lambda f: f.named == "outright"),
    Sign(-2, "other releases go by that name too", None, by_place=lambda f: f.named == "loosely"),
    Sign(1, "another figure of the model is right", None, by_near=lambda _f, n: n.right > 0),
    Sign(1, "several figures of the model are right", None, by_near=lambda _f, n: n.right > 1),
    Sign(1, "the column is right for other models", None, by_near=lambda _f, n: n.column),
    Sign(1, "the label means nothing else", None, by_place=_plain_label),
    Sign(2, "the product in front of it is right", _misworked),
    Sign(-1, "another figure of the model is not right either", None, by_near=lambda f, n: n.wrong > 0 and f.named != "pinned"),
    Sign(-2, "most figures here are not this model's", None, by_near=lambda f, n: 1 < n.wrong >= n.right and f.named != "pinned"),
    Sign(-2, "it is another figure of the model", _another_fact, frozenset().union(*_MIXED_UP), where=_is_of_one),
    Sign(-4, "it is right of another release of that name", _of_sibling, where=_has_releases),
    Sign(-2, "it is too far off to be of this model", far),
    Sign(-3, "the same line states it rightly", None, by_near=lambda _f, n: n.said),
    Sign(-3, "it is a word of an explanation", _gloss),
    Sign(-3, "it may be the size of a quantized file", _marked("quantized", "line_text"), SIZES),
    Sign(-4, "it may be the size of a quantization", _as_quantized, _WEIGHTS),
    Sign(-4, "it may be of another part of the model", _of_part, by_place=_under_part, where=_may_be_of_part),
    Sign(-6, "it may be of a model made from this one", None, by_place=_of_derived),
    Sign(-4, "the table states it several times of one model", None, by_near=lambda _f, n: n.varied),
    Sign(-4, "it is what one device has", _share),
    Sign(-4, "it may say which one", _may_be_index, frozenset({"layers", "heads", "kv_heads", "experts"}),
         where=lambda f: mark("one-of-them").fullmatch(f.heading) is not None),
    Sign(-4, "it is what one of several ranks has", _is_share, _SPLIT, where=lambda f: not f.listed and says("ranks", f.block)),
    Sign(-6, "it may be of several sequences, or of one of several devices", _of_batch, CACHES),
    Sign(-4, "it may be compressed", None, CACHES, lambda f: says("compressed", f.block)),
    Sign(-6, "its item or table begins with another name", _item_of_another, by_place=_table_of_another, where=lambda f: f.listed),
    Sign(-3, "it is a setting of a run", _marked("given", "cell"), _SET_BY_RUNS),
    Sign(-4, "the column is nearly right for several models, as if counted in another way", _counted_otherwise),
    Sign(-3, "it may be padded", _padded, frozenset({"vocab", "embedding_params"})),
    Sign(-4, "it may be what a service offers", None, _CONTEXT, lambda f: says("priced", f.block)),
    Sign(-4, "a GGUF file states a length of its own", None, _CONTEXT, lambda f: "gguf" in f.around.lower()),
    Sign(-3, "it may be what fits a machine", None, _CONTEXT, lambda f: not f.listed and says("machine", f.block)),
    Sign(-5, "it is shorter than the model's, as a run's is", _of_plan, _CONTEXT, where=_is_planned),
    Sign(-4, "it may be set for a run", _of_none, frozenset({"window"}), where=lambda f: not says("window-of", f.heading)),
    Sign(-4, "it may be of an experiment", None, _SET_BY_RUNS | {"layers"}, lambda f: says("experiment", f.around)),
    Sign(-4, "it may count copies of experts", None, frozenset({"experts"}), lambda f: says("expert-parallel", f.block)),
    Sign(-4, "it may be what a machine has", None, _WEIGHTS, _of_machine),
    Sign(-4, "nothing says that a cache is meant", _of_no_cache, CACHES),
    Sign(-4, "it may be of another kind of layer", _of_other_kind, frozenset({"linear_layers"})),
    Sign(-4, "it lies between two ways to count", _between, _COUNTS, where=_is_of_one),
    Sign(-6, "it may count heads", None, frozenset({"v_dim"}), lambda f: f.heading.lower().rstrip(" :").endswith("heads")),
    Sign(-6, "the row may hold more than the model", None, SIZES, _of_whole),
    Sign(-6, "it is the size of a tag or a file, of a type that is not said", None, _WEIGHTS, _of_file),
    Sign(-6, "it may hold an optimizer's states", _marked("states-beside", "cell"), _WEIGHTS, lambda f: says("states-beside", f.heading)),
    Sign(-6, "encoders are counted with and without what stands around them", _of_encoder, _ENCODERS),
    Sign(-6, "it may be what a sentence says of a part", _of_clause, _COUNTS),
    Sign(-4, "its item may be of some of them", _of_some, _SOME, where=lambda f: f.listed),
    Sign(-6, "its cell lists sizes, as of several members", _of_members, frozenset({"total_params", "active_params"})),
    Sign(-6, "it rounds to the publisher's own figure", _as_stated, frozenset({"total_params"})),
    Sign(-4, "several types are named above it", None, TYPED, lambda f: not f.claim.quals.dtype and len(f.types) > 1),
    Sign(-4, "it may be rounded parameters times bytes", _rounding, _WEIGHTS),
    Sign(-4, "it may be made of rounded parameters", _flops_rounded, frozenset({"flops"})),
    Sign(-1, "such a label is often a setting of a run", None, _SET_BY_RUNS, _may_be_setting),
)  # fmt: skip


@cache
def signs_of(field: str) -> tuple[tuple[Sign, ...], tuple[Sign, ...]]:
    """The signs that may hold for a field: those for an alarm, and those against one."""
    found = [sign for sign in SIGNS if not sign.fields or field in sign.fields]
    return tuple(sign for sign in found if sign.weight > 0), tuple(sign for sign in found if sign.weight < 0)
