"""Figures that label themselves: a number beside the noun that it counts, and a known word, in an item or a note.

A number goes with the nearest noun that has a field, before a separator. What is found so is a claim where the model has that figure, or
where no model is known; it never raises an alarm, since a sentence may speak of something else.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from functools import cache, lru_cache

from archcalc.cards import names, vocabulary, words
from archcalc.cards.labels import NUMERIC, Quals, context_in, dtype_in, sequences_in
from archcalc.cards.quantity import numbers, shape
from archcalc.cards.vocabulary import NOUGHTS, mark, says
from archcalc.records import NamedTuple

MAX_TEXT = 600
"""Longer items are pages of their own."""


class Mention(NamedTuple):
    """A field, and where its number or word stands; `also` are fields that the words around it could mean too, `quals` what they say of
    how it is counted."""

    field: str
    start: int
    end: int
    word: str = ""
    also: tuple[str, ...] = ()
    quals: Quals = Quals()


_STRONG = re.compile(r"[,;:.()\[\]|/+，。；：（）、]|→|->")
_TO = re.compile(r"\s*(?:to|→|->|(?:提升|扩展|增加)?[到至]了?)\s*")
_SEPARATOR = re.compile(r"[,;:.()\[\]|/+，。；：（）、]|\band\b|\bwith\b|\bplus\b|→|->")
_SCALED = frozenset({"total_params", "active_params"})
_ROUTED = re.compile(r"(?i)[-\s]*routed\b")
_TOP = re.compile(r"(?i)\btop[-\s]*$")
_ACTIVE = re.compile(r"(?i)\bactivat\w+(?: only| just)?\W*$")


@cache
def _patterns() -> tuple[list[tuple[str, re.Pattern[str]]], list[tuple[str, re.Pattern[str]]]]:
    """What may stand behind a number, and what before it."""
    spaced = r"[-\s]*"
    after = [(f, re.compile(rf"(?i)[-\s]*(?:{p.replace(' ', spaced)})")) for f, p in vocabulary.section("behind a number")]
    tail = r"[-\s:=]*(?:[为是达]?约?为?|~|≈)?\s*$"
    before = [
        (f, re.compile(rf"(?i)(?<![A-Za-z])(?:{p.replace(' ', spaced)}){tail}")) for f, p in vocabulary.section("before a number")
    ]
    return after, before


@cache
def _any() -> tuple[re.Pattern[str], re.Pattern[str]]:
    """One expression each for all that stands behind a number, and before it: most numbers have neither."""
    after, before = ("|".join(p.pattern.removeprefix("(?i)") for _, p in patterns) for patterns in _patterns())
    return re.compile(f"(?i){after}"), re.compile(f"(?i){before}")


class _Nouns(NamedTuple):
    """What stands around a number: the fields of its nouns, whether it goes on from the number before it, whether it numbers a layer,
    counts layers (of MTP, if that is meant), or is of something else. None of it depends on digits."""

    fields: tuple[str, ...]
    goes_on: bool
    names_layer: bool
    counts_layers: bool
    of_else: bool
    of_mtp: bool
    top: bool
    active: bool


@lru_cache(maxsize=8192)
def _nouns(behind: str, ahead: str, known: bool) -> _Nouns:
    after, before = _patterns()
    some_behind, some_ahead = _any()
    near = _STRONG.split(ahead)[-1]
    fields = list(dict.fromkeys(f for f, p in after if p.match(behind)))[: 3 if known else 1] if some_behind.match(behind) else []
    fields += [f for f, p in before if p.search(near)][:1] if near and some_ahead.search(near) else []
    return _Nouns(
        tuple(fields),
        _TO.fullmatch(ahead) is not None,
        _NAMES_LAYER.search(ahead) is not None,
        _LAYERS.match(behind) is not None,
        says("other", _SEPARATOR.split(behind)[0]),
        _MTP.search(ahead) is not None,
        _TOP.search(ahead) is not None,
        _ACTIVE.search(ahead) is not None,
    )


def counted_by(text: str, end: int) -> tuple[str, ...]:
    """The fields of the noun behind a number."""
    return tuple(field for field in _nouns(text[end : end + _NEAR].translate(NOUGHTS), "", True).fields if field[-1] != "?")


_NAMES_LAYER = re.compile(r"(?i)\blayers?\s*$|\d\s*[–-]\s*$|\bgpu[-_ ]layers\W*$")
"""Layer 0, layers 1–19, an engine's gpu_layers."""
_LAYERS = re.compile(r"(?i)[-\s]*(?:layer|module|depth)")
_MTP = re.compile(r"(?i)\bmtp\b")
_NEAR = 50
"""Characters around a number."""


def counts(text: str, label: str = "", known: bool = True) -> Iterator[Mention]:
    """Each number with the field that the nearest noun gives it. `label` stands in front of the text; of a model that is not `known`
    only nouns that leave no doubt count."""
    if len(text) > MAX_TEXT:
        return
    found = _counts(shape(text), label, known)
    values = {n.start: n for n in numbers(text)} if any(m.field in _LONG for m in found) else {}
    for mention in found:
        number = values.get(mention.start) if mention.field in _LONG else None
        if number is None or number.printed * 10**number.scale >= _LEAST:
            yield mention


_ABBREVIATED = frozenset({"mrd.", "mio."})
_LONG = frozenset({"context", "vocab", "window"})
_LEAST = 512
"""What is fewer tokens counts something else."""


@lru_cache(maxsize=4096)
def _counts(text: str, label: str, known: bool) -> tuple[Mention, ...]:
    """What stands where in a text of a shape; of its numbers nothing but the place is known."""
    out: list[Mention] = []
    last, stretched = 0, tuple[str, ...]()
    for number in numbers(text):
        start, end = number.start, number.after
        if text[end - 3 : end + 1].lower() in _ABBREVIATED:
            end += 1
        nouns = _nouns(text[end : end + _NEAR].translate(NOUGHTS), text[max(last, start - _NEAR) : start].translate(NOUGHTS), known)
        last = end
        if nouns.names_layer:
            continue
        if nouns.counts_layers and says("mtp", f"{label} {text[max(0, start - _NEAR) : start]}"):
            out.append(Mention("mtp_layers", start, end))
            continue
        stretched = nouns.fields or (stretched if nouns.goes_on else ())  # from 4096 to 32768
        field = next(iter(stretched), "")
        if not field or (field[-1] == "?" and not known):
            continue
        fields = [other for other in stretched if known and other[-1] != "?"]
        field = field.rstrip("?")
        if field == "active_experts" and nouns.top and not says("routed", f"{label} {text}"):
            continue
        if field == "active_experts" and number.scale >= 6:
            field = "active_params"
        if field == "total_params" and nouns.active:
            field = "active_params"
        if field == "experts" and "active_experts" in fields and (nouns.top or nouns.active or not _ROUTED.match(text, end)):
            field = "active_experts"
        if (field in _SCALED and number.scale < 6) or number.unit or (number.decimals and NUMERIC[field] == "int"):
            continue
        if nouns.of_else or (field != "mtp_layers" and nouns.of_mtp):
            continue
        if field == "context" and says("in-use", f"{label} {text}"):
            continue
        also = tuple(other for other in fields if other != field and NUMERIC[other] == NUMERIC[field])
        plainly = field == "total_params" and not says("embedding", f"{label} {text}")
        out.append(Mention(field, start, end, "", also, _WHOLE if plainly else _PLAIN))
    for match in _SHARED_HEADS.finditer(text):
        out += Mention("heads", *match.span(1)), Mention("kv_heads", *match.span(2))
    for match in _SIZES.finditer(text):
        out += Mention("total_params", *match.span(1)), Mention("active_params", *match.span(2))
    return tuple(out)


_PLAIN, _WHOLE = Quals(), Quals(embedding="whole")
_SHARED_HEADS = re.compile(r"(?i)\b(?:gqa|mqa|mha)\b\W{0,3}(\d+)\s*/\s*(\d+)\b")
"""GQA 32/4: query heads and those of keys and values."""
_SIZES = re.compile(r"(?<![\w-])(\d+(?:\.\d+)?B)[- ]A(\d+(?:\.\d+)?B)\b")
"""Sizes of a model that stand for its name: 120B-A5.1B."""
_OUTRIGHT = frozenset(
    {
        "total_params", "active_params", "layers", "heads", "kv_heads", "head_dim", "experts", "active_experts", "shared_experts",
        "hidden_size", "intermediate_size", "vocab", "context", "window", "weights", "kv_cache", "kv_per_token",
    }
)  # fmt: skip
"""Fields that a sentence states of a whole model."""


def sizes(text: str) -> Iterator[Mention]:
    """Sizes in bytes that a sentence gives to weights in a type, or to a cache: "takes 16 GB in bf16", "KV cache ... 128 KiB per token"."""
    if len(text) > MAX_TEXT or not _BYTES.search(text):
        return
    found = [n for n in numbers(text) if n.unit[-1:] in ("b", "s") and n.unit[0] in "kmgt"]
    for number in found:
        start, end = _clause(text, number.start, number.after)
        ahead, behind = text[start : number.start].lower(), text[number.after : end].lower()
        dtype = dtype_in(behind) or dtype_in(ahead)
        if re.search(r"\d\s*[-–]\s*$", ahead):
            continue  # 40-42 GB
        if says("kv-cache", ahead):
            a_token = mark("per-token").match(behind)
            context = 0 if a_token else context_in(f"{ahead} {behind}")
            if a_token or context:
                batch = 1 if a_token else sequences_in(f"{ahead} {behind}")
                quals = Quals(dtype=dtype, context=context, batch=batch)
                yield Mention("kv_per_token" if a_token else "kv_cache", number.start, number.after, quals=quals)
        elif dtype and not says("beside-weights", f"{ahead} {behind.partition(',')[0]}"):
            yield Mention("weights", number.start, number.after, quals=Quals(dtype=dtype))


_BYTES = re.compile(r"(?i)\d\s?[kmgt]i?b")


def is_outright(text: str, mention: Mention, said: Sequence[names.Said]) -> bool:
    """Whether a sentence, or its clause around the figure, says it of one model that it names, or of the model spoken of, in so many
    words: "Qwen3-8B has 36 layers", "It has 36 layers"."""
    where = tuple((name.start, name.end, name.match.kind) for name in said)
    return mention.field in _OUTRIGHT and _outright(shape(text), mention.field, mention.start, mention.end, where)


@lru_cache(maxsize=4096)
def _outright(text: str, field: str, first: int, last: int, said: tuple[tuple[int, int, names.Kind], ...]) -> bool:
    """The same of a text's shape: other digits change nothing."""
    start, end = _clause(text, first, last)
    if here := tuple(name for name in said if start <= name[0] and name[1] <= end):
        said, text = here, text[:end]
    elif said:
        start = 0
    behind = _CLAUSE.split(text[last:], maxsplit=1)[0]
    if not said:
        subject = mark("the-model").match(text, start)
        if subject is None or subject.end() > first:
            return False
        between, has = _after_subject(text[subject.end() : first], field)
    elif len(said) != 1 or said[0][2] not in ("exact", "tuned"):
        return False
    elif (name_end := said[0][1]) <= first:
        between, has = _after_subject(text[name_end:first], field)
    else:
        between = text[start:first]
        has = _WITH.match(between) is not None and _BEHIND.fullmatch(text, last, said[0][0]) is not None
    return has and _said_of_all(between, behind) and not says("part", text[start:])


def _after_subject(between: str, field: str) -> tuple[str, bool]:
    """What stands between a subject's verb and a figure, and whether there is such a verb."""
    has = mark("takes" if NUMERIC[field] == "bytes" else "has").match(between)
    return between[has.end() :] if has else between, has is not None


def is_share(text: str, mention: Mention) -> bool:
    """Whether a sentence says a figure of one of several devices: "needs 40 GB per GPU"."""
    return _is_share(shape(text), mention.field, mention.start, mention.end)


@lru_cache(maxsize=4096)
def _is_share(text: str, field: str, first: int, last: int) -> bool:
    start, end = _clause(text, first, last)
    behind = text[last:end]
    if NUMERIC[field] != "bytes":
        behind = _SEPARATOR.split(behind, maxsplit=1)[0]  # "36 layers and 8 GPUs, 4 layers per GPU"
    return any(says("share", beside) for beside in (text[start:first], behind))


def _said_of_all(between: str, behind: str) -> bool:
    """Whether nothing between a name and its figure, nor behind that, makes it one of some layers, of a change or of a second verb."""
    beside = f"{_SEPARATOR.split(between)[-1]} {_SEPARATOR.split(behind, maxsplit=1)[0]}"
    return (
        not _VERB.search(between)
        and not mark("not-outright").search(mark("per-token").sub(" ", f"{between} {behind}"))
        and not says("of-some-only", beside)
    )


def _clause(text: str, start: int, end: int) -> tuple[int, int]:
    """Where the clause around a figure begins and ends."""
    cuts = _cuts(text)
    first = max((cut for _, cut in cuts if cut <= start), default=0)
    return first, next((cut for cut, _ in cuts if cut >= end), len(text))


@lru_cache(maxsize=1024)
def _cuts(text: str) -> tuple[tuple[int, int], ...]:
    return tuple(cut.span() for cut in _CLAUSE.finditer(text))


_VERB = re.compile(r"(?<!\band )\b(?:has|have|had|contains?|uses?|features?|supports|activates|goes?|gets?|takes?|needs?)\b")
"""A second verb may be of something else: "Qwen3-8B has 36 layers and ours has 40 layers"; not "and uses 32 heads"."""
_WITH = re.compile(r"(?i)\W*with\b[^.;:]*$")
_BEHIND = re.compile(r"[^.;:]*,\s*(?:the )?")
_CLAUSE = re.compile(r"(?<!\b[Mm]rd)(?<!\b[Mm]io)[;.。；]\s|\bwhile\b|\bwhereas\b|\bbut\b")
ALONE = frozenset({"vocab", "active_params", "rope_theta"})
"""Fields of which one figure is a claim even where no model is known."""
_LABELS = {
    "context": re.compile(r"(?i)context|上下文"),
    "vocab": re.compile(r"(?i)vocab|tokeniz|词表"),
    "layers": re.compile(r"(?i)layers|层"),
}


def named_by(label: str) -> frozenset[str]:
    """The fields that the label in front of a sentence speaks of."""
    return frozenset(field for field, pattern in _LABELS.items() if pattern.search(label))


# Words that explain a figure beside them: "8 query groups (GQA)", "128K tokens (via YaRN)".
_EXPLAINS = frozenset({"gqa", "mla", "mha", "mqa", "yarn"})
_WORDS = {"heads": "attention", "kv_heads": "attention", "context": "position"}


def known_words(text: str, fields: set[str]) -> Iterator[Mention]:
    """The first known word of each kind that goes with figures said in the same text. `fields` are theirs."""
    for kind in dict.fromkeys(word for field, word in _WORDS.items() if field in fields):
        if (hit := _explained(kind, text.translate(NOUGHTS))) is not None:
            yield Mention(kind, hit.start, hit.end, hit.word)


@lru_cache(maxsize=4096)
def _explained(kind: str, text: str) -> words.Hit | None:
    return next((hit for hit in words.hits(kind, text) if not hit.negated and hit.word in _EXPLAINS), None)
