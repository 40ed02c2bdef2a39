"""From a cell to claims: each number, word or yes in it, as the label and the words around it say what it counts.

Nothing here knows a model's figures. What a cell says and nobody here understands is left unread, and reported as such.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache

from archcalc.cards import vocabulary
from archcalc.cards.labels import FLAGS, NUMERIC, UNKNOWABLE, WORDS, Label, Quals
from archcalc.cards.labels import parse as parse_label
from archcalc.cards.quantity import Number
from archcalc.cards.readers import each, experts, heads, layers, numeric, params, wording
from archcalc.cards.readers.claim import EMPTY, Claim
from archcalc.cards.readers.counted import counted
from archcalc.cards.text import Cell

MAX_CELL = 400
"""A longer cell is a page of its own, and left unread."""

Scope = Callable[[str], tuple[str, ...]]


def read(label: Label, cell: Cell, scope: Scope | None = None) -> Sequence[Claim]:
    """The claims of a cell under a label. `scope` finds the members that a word names, in rows about a family."""
    text = cell.text
    if len(text) > MAX_CELL:
        return (Claim(label.fields[0], "unread", 0, MAX_CELL // 8, label.quals),)
    if scope is not None:
        return _sorted(label, text, scope)
    if not _ALIKE.fullmatch(text):
        return _claims(label, text)
    # A page may hold a hundred thousand numbers, of a few styles.
    mantissa = int("".join(filter(str.isdecimal, text)))
    return [_of_digits(claim, mantissa, text) for claim in _claims(label, text.translate(_EIGHTS))]


def _of_digits(claim: Claim, mantissa: int, text: str) -> Claim:
    """A claim of a cell that is one number, with other digits."""
    if claim.number is None:
        return claim
    _, decimals, scale, unit, bound, start, end, shown, after, suffix, style = claim.number
    number = Number(mantissa, decimals, scale, unit, bound, start, end, text[: len(shown)], after, suffix, style)
    return Claim(claim.field, claim.form, claim.start, claim.end, claim.quals, number, also=claim.also)


@lru_cache(maxsize=4096)
def _claims(label: Label, text: str) -> Sequence[Claim]:
    return _sorted(label, text, None)


def _sorted(label: Label, text: str, scope: Scope | None) -> Sequence[Claim]:
    if EMPTY.fullmatch(text) or _DIFFERENCE.match(text):
        return ()
    if symbols := _SYMBOLS.match(text):
        text = " " * symbols.end() + text[symbols.end() :]
    # What else a cell says is not what its label's key says.
    plain = label._replace(quals=_keyed(label.quals, "")) if label.quals.key else label
    if _NUMBER.fullmatch(text) and len(label.fields) == 1 and label.fields[0] not in _SAID_BY_NUMBERS:
        found = _plain(plain, text, scope)
    else:
        found = each.apart(_cell(plain, each.equation(text), scope), text)
        if all(claim.form == "unread" for claim in found) and len(label.fields) == 1 and label.fields[0] in NUMERIC:
            found = [product] if (product := each.alone(label.fields[0], text, plain.quals)) else found
    if label.quals.key:
        found = [c._replace(quals=_keyed(c.quals, label.quals.key)) if c.field in label.fields else c for c in found]
    return tuple(sorted(found, key=lambda claim: claim.start))


@lru_cache(maxsize=4096)
def _keyed(quals: Quals, key: str) -> Quals:
    """What labels of one kind say, one object for all cells below them, with a key or without one."""
    return quals._replace(key=key)


_DIFFERENCE = re.compile(r"\s*[+＋±]\s?\d")
_ALIKE = re.compile(r"[1-9](?:\d{3,}|\d{0,2}(?:,\d{3})+)(?:\.\d+)?|[1-9]\d*(?:\.\d+)?\s?(?:[KMGT]i?B|[KMBT])")
"""A cell that is one number, of which no reader asks more than its style: smaller ones without a scale may tell what they count."""
_EIGHTS = str.maketrans("0123456789", "8" * 10)
_NUMBER = re.compile(r"\d[\d,]*(?:\.\d+)?\s?[KMBT]?")
"""A cell that is one number: no product, no pair and no figure of one layer."""
_SYMBOLS = re.compile(r"\s*[A-Za-z][\w{}^\\]*(?:\s*[×·*/+]\s*[A-Za-z0-9][\w{}^\\]*)+\s*=\s*(?=\d)")
"""A product in symbols: n_h × d_h = 32 × 128."""
_SAID_BY_NUMBERS = ("attention", "ffn", "tied", "type")
"""What a number alone says something else of than its label."""
_PAIR = re.compile(r"(?<![\w=:])['\"]?([A-Za-z][A-Za-z _/-]{0,40}(?:\([^()]*\))?)['\"]?\s*[:=]\s*(?=[~≈]?\d)([^,;\n(){}]+)")


def _pairs_in(text: str, quals: Quals) -> list[Claim]:
    """Labels with numbers inside a cell: `Layers: 22, Heads: 32`, `yes (q_lora=1536, kv_lora=512)`."""
    out: list[Claim] = []
    for match in _PAIR.finditer(text):
        label = parse_label(match[1])
        if label is not None and len(label.fields) == 1 and label.fields[0] in NUMERIC and label.fields[0] != "rope_theta":
            out += _moved(_read(label.fields[0], match[2], quals._replace(unit=0, key=label.quals.key)), match.start(2))
    return out


_PARTS = {"attention": "attention_params", "ffn": "ffn_params", "tied": "embedding_params"}
_SIZE = re.compile(r"\s*[~≈]?\d[\d.,]*\s?[BM]\s*")
_WIDTH = re.compile(r"\s*\d[\d,]{2,6}\s*")
_PRODUCT = re.compile(r"\s*\d+\s*[*×x]\s*[A-Za-z]+_?[A-Za-z]+\s*$")
_SUM = re.compile(r"\s*\d[\d\s,./×x*+()-]*=\s*(?=\d)")


def _cell(label: Label, text: str, scope: Scope | None) -> list[Claim]:
    if worked := _SUM.match(text):
        text = " " * worked.end() + text[worked.end() :]  # 4096/32=128
    if _PRODUCT.match(text):
        return []  # 4 * hidden_size
    if label.fields[0] in _PARTS and len(label.fields) == 1 and _SIZE.fullmatch(text):
        label = label._replace(fields=(_PARTS[label.fields[0]],))  # MLP: 114.71B
    if label.fields == ("ffn",) and _WIDTH.fullmatch(text):
        label = label._replace(fields=("intermediate_size",))
    pairs = _pairs_in(text, label.quals)
    if pairs:
        rest = text
        for match in _PAIR.finditer(text):
            rest = rest[: match.start()] + " " * (match.end() - match.start()) + rest[match.end() :]
        if not rest.strip(" ,;/()") and (len(pairs) > 1 or pairs[0].field == label.fields[0]):
            return pairs
        if label.fields[0] in FLAGS or label.fields[0] in WORDS or all(pair.field not in label.fields for pair in pairs):
            return [*(c for c in _plain(label, rest, scope) if c.form != "unread"), *pairs]
    if label.fields == ("type",):
        return _whole(label, text, scope)
    return _plain(label, text, scope)


def _whole(label: Label, text: str, scope: Scope | None) -> list[Claim]:
    """A cell about the whole model: its words, and the counts among them."""
    out = _plain(label, text, scope)
    for counts, start, end in counted(text):
        if not any(c.start < end and start < c.end for c in out if c.form != "unread"):
            out += _moved(_read(counts.fields[0], text[start:end], label.quals), start)
    return [c for c in out if c.form != "unread"] or out


def _plain(label: Label, text: str, scope: Scope | None) -> list[Claim]:
    if label.bare and _TWO.fullmatch(text) and vocabulary.fields()[label.bare].reader != "experts":
        label = label._replace(fields=(label.bare, *label.fields))
    if len(label.fields) > 1:
        pieces = split(text, len(label.fields))
        if (
            pieces is not None
            and label.fields[:2] == ("total_params", "active_params")
            and all(_MEMBER.search(text[start:end]) for start, end in pieces)
        ):
            return []  # 355B (Base) / 106B (Air): not what the label says
        if pieces is None:
            # One value for several fields: a form that says which is which, such as "32 for Q and 8 for KV".
            if label.fields[0] in ("heads", "linear_heads", "experts", "total_params", "layers"):
                found = _scoped(label.fields[0], text, 0, label.quals, scope)
                alone = len(found) == 1 and found[0].form == "number"
                return [found[0]._replace(also=label.fields[1:])] if alone else found
            return []
        out: list[Claim] = []
        for field, (start, end) in zip(label.fields, pieces, strict=True):
            if not EMPTY.fullmatch(text[start:end]):
                out += _scoped(field, text[start:end], start, label.quals, scope)
        return out
    return _scoped(label.fields[0], text, 0, label.quals, scope)


_ONE = r"\s*[\d.,]+\s?[KMBT]?(?:\s*[A-Za-z]+)?\s*"
_TWO = re.compile(rf"{_ONE}(?:/{_ONE}|\({_ONE}\))\s*")
"""A cell of two numbers."""
_MEMBER = re.compile(
    r"\((?!(?:[^()]*\b)?(?:active|activated|total|shared|routed|with|without|incl\w*|non-?emb\w*|per token)\b)[^()]*[A-Za-z][^()]*\)"
)


def split(text: str, count: int) -> list[tuple[int, int]] | None:
    """A text in `count` pieces, by the first separator outside brackets that gives so many."""
    for separator in (r";", r"\s*/\s*", r"\s*\|\s*", r",\s+", r"\n", r"\s*\+\s*", r"\s*(?=\()", r"\s*[×*]\s*|\s+x\s+"):
        bounds, depth, start = [], 0, 0
        pattern = re.compile(separator)
        i = 0
        while i < len(text):
            if depth == 0 and (match := pattern.match(text, i)) and i > start:
                bounds.append((start, i))
                start = i = match.end()
                if not match[0]:
                    i += 1
                    depth += 1
                continue
            depth += {"(": 1, "[": 1, ")": -1, "]": -1}.get(text[i], 0)
            i += 1
        bounds.append((start, len(text)))
        if len(bounds) == count:
            return [_trimmed(text, a, b) for a, b in bounds]
    return None


def _trimmed(text: str, start: int, end: int) -> tuple[int, int]:
    while start < end and text[start].isspace():
        start += 1
    while end > start and text[end - 1].isspace():
        end -= 1
    return start, end


def _scoped(field: str, text: str, offset: int, quals: Quals, scope: Scope | None) -> list[Claim]:
    """The claims of a text, those that name members of a family marked with them."""
    if scope is None:
        return _moved(_read(field, text, quals), offset)
    out: list[Claim] = []
    rest = text
    # "Dense (L4: MoE)": what the brackets say holds for the member they name.
    for match in re.finditer(r"\(([^():]{1,30}):\s*([^()]+)\)", text):
        singled = scope(match[1])
        if singled:
            out += [c._replace(scope=singled) for c in _moved(_read(field, match[2], quals), match.start(2))]
            rest = rest[: match.start()] + " " * (match.end() - match.start()) + rest[match.end() :]
    start = 0
    separator = r"→|->|⇒|;"
    if all(re.match(r"\s*[A-Za-z][\w-]*\s+\d", piece) for piece in rest.split(",")) and "," in rest:
        separator = ","  # Scout 17/109, Maverick 17/400
    elif field == "total_params" and re.fullmatch(r"\s*\d[\d.]*\s?[BMT]?(?:\s*/\s*\d[\d.]*\s?[BMT]?)+\s*", rest):
        separator = "/"  # the sizes of a family
    elif any(scope(match[1]) for match in re.finditer(r"\(([^()]{1,40})\)\s*,\s", rest)):
        separator = r",\s+"  # 32K (1B), 128K
    pieces = [(m.start(), m.end()) for m in re.finditer(separator, rest)]
    for a, b in [*pieces, (len(rest), len(rest))]:
        piece = rest[start:a]
        members: tuple[str, ...] = ()
        blank = piece
        for match in re.finditer(r"\(([^()]{1,40})\)", piece):
            if found := scope(match[1]):
                members = found
                blank = blank[: match.start()] + " " * (match.end() - match.start()) + blank[match.end() :]
        head = re.match(
            r"\s*([A-Za-z][\w.+-]*)" if separator == "," else r"\s*([A-Za-z][\w.+-]*(?:[ -]\d[\w.]*)?)(?=\s*(?:\(|$|:|,))", piece
        )
        named = scope(head[1]) if head else ()
        if separator == "," and not named:
            start = b
            continue  # a member that is not known here
        if head and named:
            members = named
            blank = " " * head.end() + blank[head.end() :]
            if field == "moe":
                at = offset + start
                out.append(Claim("moe", "word", at + head.start(1), at + head.end(1), quals, word="moe", scope=named))
        claims = _moved(_read(field, blank, quals), offset + start) if not EMPTY.fullmatch(blank) else []
        out += [c._replace(scope=members) if members and not c.scope else c for c in claims]
        start = b
    several = len(pieces) > 0 or bool(re.search(r"\s&\s|\band\b", rest))
    return [c._replace(listed=several) for c in out]


def _moved(claims: list[Claim], offset: int) -> list[Claim]:
    return [c._replace(start=c.start + offset, end=c.end + offset) for c in claims] if offset else claims


def _read(field: str, text: str, quals: Quals) -> list[Claim]:
    if field in UNKNOWABLE:
        return [Claim(field, "unknowable", 0, len(text), quals)]
    if ":" in field:  # a part of the model that is not the text model
        return []
    own = vocabulary.fields()[field].reader
    reader = own if own != "-" else "number" if field in NUMERIC else "flag" if field in FLAGS else "words"
    claims = list(_READERS[reader](field, text, quals))
    if claims:
        return claims
    return [Claim(field, "unread", 0, len(text), quals)]


_READERS: dict[str, Callable[[str, str, Quals], Iterator[Claim]]] = {
    name.removeprefix("read_"): function
    for module in (experts, heads, layers, numeric, params, wording)
    for name, function in vars(module).items()
    if name.startswith("read_")
}
