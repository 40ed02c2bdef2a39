"""From a cell to claims: each number, word or yes in it, as the label and the words around it say what it counts.

Nothing here knows a model's figures. What a cell says and nobody here understands is left unread, and reported as such.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Literal, NamedTuple

from archcalc.cards import words
from archcalc.cards.labels import FLAGS, NUMERIC, UNKNOWABLE, WORDS, Label, Quals, dtype_in
from archcalc.cards.labels import parse as parse_label
from archcalc.cards.quantity import Number, numbers
from archcalc.cards.text import Cell

Form = Literal["number", "word", "flag", "ratio", "every", "relation", "unknowable", "unread"]


class Claim(NamedTuple):
    """One thing that a cell says. `start` and `end` are its place in the cell's text.

    `number`, `word` with `flag`, `ratio` or `every` hold the value, as `form` says. `scope` are the members of a family that the cell
    says it of; `listed` marks one of several values that a family takes.
    """

    field: str
    form: Form
    start: int
    end: int
    quals: Quals = Quals()
    number: Number | None = None
    word: str = ""
    flag: bool = True
    ratio: tuple[int, int] = (0, 0)
    every: int = 0
    scope: tuple[str, ...] = ()
    listed: bool = False


Scope = Callable[[str], tuple[str, ...]]

_EMPTY = re.compile(
    r"(?i)\s*(?:[-–—−_./?*]+|n/?a\.?|n\.a\.|tbd|tba|unknown|undisclosed|null|…|\.\.\."
    r"|not (?:disclosed|stated|public|released|available))?\s*"
)
_YES = re.compile(r"(?i)\s*(?:yes|true|y|sí|oui|ja|是|✓|✔️?|✅|☑️?|on|enabled|supported|√)(?![A-Za-z])")
_NO = re.compile(r"(?i)\s*(?:no|none|false|n|non|nein|否|无|✗|✘|❌|✕|✖️?|×|off|disabled|not used|without|0)(?![A-Za-z0-9.])")
_EVERY = re.compile(
    r"(?i)every\s+(other|second|third|fourth|fifth|sixth|(\d+)(?:st|nd|rd|th)?)(?:\s+(?:layers?|blocks?))?"
    r"|(\d+)(?:st|nd|rd|th)\s+layer|alternat\w+(?: layers?)?"
)
_ORDINALS = {"other": 2, "second": 2, "third": 3, "fourth": 4, "fifth": 5, "sixth": 6}
_RATIO = re.compile(r"(?<![\d.:])(\d{1,3})\s*[:：∶]\s*(\d{1,3})(?![\d:])")


def read(label: Label, cell: Cell, scope: Scope | None = None) -> list[Claim]:
    """The claims of a cell under a label. `scope` finds the members that a word names, in rows about a family."""
    text = cell.text
    if _EMPTY.fullmatch(text):
        return []
    return sorted(_cell(label, text, scope), key=lambda claim: claim.start)


_PAIR = re.compile(r"(?<![\w=:])([A-Za-z][A-Za-z _/-]{0,30}(?:\([^()]*\))?)\s*[:=]\s*(?=[~≈]?\d)([^,;\n()]+)")


def _pairs_in(text: str, quals: Quals) -> list[Claim]:
    """Labels with numbers inside a cell: `Layers: 22, Heads: 32`, `yes (q_lora=1536, kv_lora=512)`."""
    out: list[Claim] = []
    for match in _PAIR.finditer(text):
        label = parse_label(match[1])
        if label is not None and len(label.fields) == 1 and label.fields[0] in NUMERIC and label.fields[0] != "rope_theta":
            out += _moved(_read(label.fields[0], match[2], quals._replace(unit=0)), match.start(2))
    return out


def _cell(label: Label, text: str, scope: Scope | None) -> list[Claim]:
    pairs = _pairs_in(text, label.quals)
    if pairs:
        rest = text
        for match in _PAIR.finditer(text):
            rest = rest[: match.start()] + " " * (match.end() - match.start()) + rest[match.end() :]
        if len(pairs) > 1 and not rest.strip(" ,;/()"):
            return pairs
        if label.fields[0] in FLAGS or label.fields[0] in WORDS:
            return [*(c for c in _plain(label, rest, scope) if c.form != "unread"), *pairs]
    return _plain(label, text, scope)


def _plain(label: Label, text: str, scope: Scope | None) -> list[Claim]:
    if len(label.fields) > 1:
        pieces = split(text, len(label.fields))
        if pieces is None:
            # One value for several fields: a form that says which is which, such as "32 for Q and 8 for KV".
            if label.fields[0] in ("heads", "linear_heads", "experts", "total_params", "layers"):
                return _scoped(label.fields[0], text, 0, label.quals, scope)
            return []
        out: list[Claim] = []
        for field, (start, end) in zip(label.fields, pieces, strict=True):
            if not _EMPTY.fullmatch(text[start:end]):
                out += _scoped(field, text[start:end], start, label.quals, scope)
        return out
    return _scoped(label.fields[0], text, 0, label.quals, scope)


def split(text: str, count: int) -> list[tuple[int, int]] | None:
    """A text in `count` pieces, by the first separator outside brackets that gives so many."""
    for separator in (r";", r"\s*/\s*", r"\s*\|\s*", r",\s+", r"\n", r"\s*\+\s*", r"\s*(?=\()"):
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
    pieces = [(m.start(), m.end()) for m in re.finditer(r"→|->|⇒|;", rest)]
    for a, b in [*pieces, (len(rest), len(rest))]:
        piece = rest[start:a]
        members: tuple[str, ...] = ()
        blank = piece
        for match in re.finditer(r"\(([^()]{1,40})\)", piece):
            if found := scope(match[1]):
                members = found
                blank = blank[: match.start()] + " " * (match.end() - match.start()) + blank[match.end() :]
        head = re.match(r"\s*([A-Za-z][\w.+-]*(?:[ -]\d[\w.]*)?)(?=\s*(?:\(|$|:|,))", piece)
        named = scope(head[1]) if head else ()
        if head and named:
            members = named
            blank = " " * head.end() + blank[head.end() :]
            if field == "moe":
                at = offset + start
                out.append(Claim("moe", "word", at + head.start(1), at + head.end(1), quals, word="moe", scope=named))
        claims = _moved(_read(field, blank, quals), offset + start) if not _EMPTY.fullmatch(blank) else []
        out += [c._replace(scope=members) if members and not c.scope else c for c in claims]
        start = b
    several = len(pieces) > 0 or bool(re.search(r"\s&\s|\band\b", rest))
    return [c._replace(listed=several) for c in out]


def _moved(claims: list[Claim], offset: int) -> list[Claim]:
    return [c._replace(start=c.start + offset, end=c.end + offset) for c in claims] if offset else claims


def _read(field: str, text: str, quals: Quals) -> list[Claim]:
    reader = _READERS.get(field)
    if field in UNKNOWABLE:
        return [Claim(field, "unknowable", 0, len(text), quals)]
    if ":" in field:  # a part of the model that is not the text model
        return []
    if reader is not None:
        claims = list(reader(field, text, quals))
    elif field in NUMERIC:
        claims = list(_number(field, text, quals))
    elif field in FLAGS:
        claims = list(_flag(field, text, quals))
    else:
        claims = list(_words(field, text, quals))
    if claims:
        return claims
    return [Claim(field, "unread", 0, len(text), quals)]


def _of(field: str, number: Number, quals: Quals) -> Claim:
    if NUMERIC.get(field) in ("tokens", "int") and number.decimals == 3 and not number.scale and number.digits < 1000:
        # 32.768 tokens: on the continent the point groups thousands, and no such count has decimals.
        number = number._replace(digits=number.digits * 1000 // 1)
    return Claim(field, "number", number.start, number.after, quals, number)


# Plain numbers


def _number(field: str, text: str, quals: Quals) -> Iterator[Claim]:
    """The first number of a cell that begins with one; words such as "tokens" may follow."""
    found = list(numbers(text))
    if not found:
        if _NO.match(text) and field in ("shared_experts", "experts", "mtp_layers", "dense_layers", "moe_layers", "window"):
            yield Claim(field, "flag", 0, len(text), quals, flag=False)
        return
    first = found[0]
    if re.search(r"[A-Za-z]{4,}", text[: first.start]) and not re.match(
        r"(?i)\s*(?:up to|about|approx\w*\.?|around|roughly|over|full|total|max\w*|default|yes|vocab\w*|size|dim)\b", text
    ):
        return
    if first.unit or first.bound == "<":
        return
    yield _of(field, first, quals)
    # 32K → 131K: each end is a claim.
    for number in found[1:]:
        between = text[first.after : number.start]
        if re.fullmatch(r"[\s~]*(?:→|->|⇒|–|—|\bto\b)[\s~]*", between):
            yield _of(field, number, quals)
        first = number


def _head_dim(field: str, text: str, quals: Quals) -> Iterator[Claim]:
    """One dimension, or two of a model with two kinds of heads (`128 / 256`)."""
    found = list(_number(field, text, quals))
    yield from found
    pair = re.match(r"\s*\d+\s*/\s*(?=\d)", text)
    if found and pair and (second := next(numbers(text, pair.end()), None)) is not None and not second.unit:
        yield _of(field, second, quals)


def _kv_heads(field: str, text: str, quals: Quals) -> Iterator[Claim]:
    """`8`, `8 (GQA)`, `2 (GQA ratio 16:1)`."""
    yield from _number(field, text, quals)
    if ratio := _RATIO.search(text):
        yield Claim("gqa_ratio", "ratio", ratio.start(), ratio.end(), quals, ratio=(int(ratio[1]), int(ratio[2])))
    elif re.match(r"\s*\d", text):
        yield from _sharing(text, quals)


def _context(field: str, text: str, quals: Quals) -> Iterator[Claim]:
    found = [n for n in numbers(text) if not n.unit and (n.scale or n.digits >= 128 or n.decimals == 3)]
    for i, number in enumerate(found):
        left = text[found[i - 1].after if i else 0 : number.start]
        right = text[number.after : found[i + 1].start if i + 1 < len(found) else len(text)]
        clause = re.split(r"[;,/→+]|->|\band\b", right, maxsplit=1)[0]
        before = re.split(r"[;,→]|->", left)[-1]
        if re.search(r"(?i)generat|output|max new|answer|completion|image|patch|layers?|dim|theta|θ", clause) or re.search(
            r"(?i)generat\w*(?: up to| of)?\s*$|output\s*:?\s*$|theta|θ|base", before
        ):
            continue
        if i and re.fullmatch(r"\s*/\s*", left):
            continue
        span = quals.span
        if re.search(r"(?i)nativ|train|original|default", clause) or re.search(
            r"(?i)\b(?:native(?:ly)?|train\w*|pre-?train\w*)\W*$", before
        ):
            span = "native"
        elif re.search(r"(?i)yarn|extend|extens|extrapol|inference|dca|stretch|scal", clause + " " + before):
            span = "extended"
        # 32K → 128K: what it was trained on, and what it was stretched to.
        if not span and re.fullmatch(r"\s*(?:→|->|⇒|➜|=>)\s*~?", right):
            span = "native"
        elif not span and i and re.fullmatch(r"\s*(?:→|->|⇒|➜|=>)\s*~?", left):
            span = "extended"
        yield _of(field, number, quals._replace(span=span))


def _window(field: str, text: str, quals: Quals) -> Iterator[Claim]:
    found = [n for n in numbers(text) if not n.unit and (n.scale or n.mantissa >= 64)]
    if found:
        yield _of(field, found[0], quals)
    elif _NO.match(text):
        yield Claim("window", "word", 0, len(text), quals, word="window", flag=False)
    elif _YES.match(text):
        yield Claim("window", "word", 0, len(text), quals, word="window")


# Parameters


def _params(field: str, text: str, quals: Quals) -> Iterator[Claim]:
    found = [n for n in numbers(text) if n.unit != "%" and not n.unit.endswith(("flop", "flops"))]
    if field == "total_params" and found and all(n.unit for n in found):
        # A column of sizes in GB speaks of files.
        yield from (_of("weights", n, quals) for n in found[:1])
        return
    counts = [n for n in found if not n.unit and (n.scale or quals.unit or n.mantissa >= 100_000)]
    if field == "active" and not any(n.scale for n in counts):
        yield from _experts("active_experts", text, quals)
        return
    field = "active_params" if field == "active" else field
    roles: list[tuple[str, str]] = []
    for i, number in enumerate(counts):
        left = text[counts[i - 1].after if i else 0 : number.start].lower()
        right = text[number.after : counts[i + 1].start if i + 1 < len(counts) else len(text)].lower()
        roles.append(_param_role(field, left, right))
    if len(counts) == 2 and roles == [(field, ""), (field, "")] and field == "total_params":
        between = text[counts[0].after : counts[1].start]
        if re.fullmatch(r"\s*/\s*", between):
            small, large = sorted(range(2), key=lambda k: counts[k].digits.scaleb(counts[k].scale))
            roles[small], roles[large] = ("active_params", ""), ("total_params", "")
    for number, (role, embedding) in zip(counts, roles, strict=True):
        if role:
            yield _of(role, number, quals._replace(embedding=embedding or quals.embedding))
    # 671B-A37B: a letter before the digits hides the number from `numbers`.
    if match := re.search(r"(?<![A-Za-z])A(\d+(?:\.\d+)?)\s?B\b", text):
        hidden = next(numbers(" " * match.start(1) + text[match.start(1) :]), None)
        if hidden is not None:
            yield _of("active_params", hidden, quals)


_OTHER_COUNTS = (
    r"\b(?:embedding|embed|vision|vit|encoder|audio|draft|projector|per expert|each|lora|trainable|effective|optimizer|tokens)\b"
)


def _param_role(field: str, left: str, right: str) -> tuple[str, str]:
    """What a count of parameters counts, by the words on either side of it."""
    near = re.split(r"[;,\n|]|\band\b|\(", left)[-1] if "(" not in left[-2:] else left.rpartition("(")[2]
    after = re.split(r"[;,\n|]|\band\b", right)[0]
    if re.search(r"non-?\s?emb|without emb|w/o emb|excl\w* (?:the )?emb", after):
        return "total_params" if field != "active_params" else field, "without"
    if re.search(_OTHER_COUNTS, after):
        if re.search(r"\bincl", after):
            return field, "with" if "emb" in after else ""
        return ("embedding_params", "") if re.search(r"\bembedding", after) else ("", "")
    if re.search(r"\bmtp\b", after) and not re.search(r"incl|with", after):
        return "mtp_params", ""
    if re.search(r"\b(?:effective)\b", near):
        return "", ""
    if re.search(r"\b(?:active|activated|act\.?|activation|activating|active/token|per token)\b", after):
        return "active_params", ""
    if re.search(r"\b(?:total|in total|all|overall)\b", after):
        return "total_params", ""
    if re.search(r"\b(?:active|activated|activates|act)\b", near):
        return "active_params", ""
    if re.search(r"\btotal\b", near):
        return "total_params", ""
    return field, ""


# Layers


def _layers(field: str, text: str, quals: Quals) -> Iterator[Claim]:
    if field != "layers":
        if every := _EVERY.search(text):
            step = _ORDINALS.get((every[1] or "").lower(), 0) or int(every[2] or every[3] or 2)
            yield Claim(field, "every", every.start(), every.end(), quals, every=step)
            return
        if re.match(r"(?i)\s*all\b", text):
            yield Claim(field, "every", 0, len(text), quals, every=1)
            return
        if match := re.match(r"(?i)\s*(\d+)\s*(?:of|out of|/)\s*(\d+)", text):
            found = list(numbers(text))
            yield _of(field, found[0], quals)
            yield _of("layers", found[1], quals)
            return
        if match := _RATIO.search(text):
            yield Claim("layer_ratio", "ratio", match.start(), match.end(), quals, ratio=(int(match[1]), int(match[2])))
            return
        yield from _number(field, text, quals)
        return
    taken: list[tuple[int, int]] = []
    if pattern := re.search(
        r"(\d+)\s*(?:x\s*)?([A-Za-z ]+?)\s*[+&/]\s*(\d+)\s*([A-Za-z ]+?)\s+(?:per|every|in each)\s+(\d+)", text
    ):
        ratio = _ratio_of(pattern[2], int(pattern[1]), pattern[4], int(pattern[3]))
        if ratio:
            yield Claim("layer_ratio", "ratio", pattern.start(), pattern.end(), quals, ratio=ratio)
        taken.append(pattern.span())
    first = True
    for number in numbers(text):
        if any(a <= number.start < b for a, b in taken) or number.unit or number.scale:
            continue
        after = re.split(r"[,;+()/\n]|\band\b", text[number.after :].lower())[0]
        before = text[: number.start].lower()
        role = ""
        for name, words_ in (
            ("mtp_layers", r"\bmtp\b|nextn"), ("dense_layers", r"\bdense\b"), ("moe_layers", r"\bmoe\b|\bsparse\b|expert"),
            ("window_layers", r"\bswa\b|sliding|\blocal\b|window"), ("full_layers", r"\bfull\b|\bglobal\b|softmax"),
            ("linear_layers", r"linear|deltanet|lightning|mamba|\bkda\b|gdn"), ("nope_layers", r"\bnope\b"),
            ("", r"encoder|vision|vit|unique|shared"),
        ):  # fmt: skip
            if re.search(words_, after):
                role = name or "skip"
                break
        if first and not role and (not before.strip() or re.fullmatch(r"\W*(?:total|l\s*=|all)?\W*", before)):
            yield _of("layers", number, quals)
        elif role and role != "skip":
            yield _of(role, number, quals)
        elif re.search(r"^\s*(?:main |transformer |decoder )?layers?\b", after) and first:
            yield _of("layers", number, quals)
        first = False


_LINEAR = re.compile(r"(?i)linear|lightning|delta|mamba|gdn|kda|ssm|recurrent")
_LOCAL = re.compile(r"(?i)local|sliding|swa|window|chunk")
_GLOBAL = re.compile(r"(?i)global|full|softmax|attention|mla|gqa|dense")


def _ratio_of(first: str, a: int, second: str, b: int) -> tuple[int, int] | None:
    """The ratio with sliding or linear layers first, or None where the words are neither."""
    for some in (_LINEAR, _LOCAL):
        if some.search(first) and _GLOBAL.search(second) and not some.search(second):
            return a, b
        if some.search(second) and _GLOBAL.search(first) and not some.search(first):
            return b, a
    return None


def _layer_ratio(field: str, text: str, quals: Quals) -> Iterator[Claim]:
    """A ratio of two kinds of layers, and the window of the one that has it."""
    yield from _ratio(field, text, quals)
    if window := re.search(r"(?i)(?:swa|sliding|window|local)\s*\(\s*(?:window\s*)?(?=\d)", text):
        number = next(numbers(text, window.end()), None)
        if number is not None and (number.scale or number.mantissa >= 64):
            yield _of("window", number, quals)


def _ratio(field: str, text: str, quals: Quals) -> Iterator[Claim]:
    if match := _RATIO.search(text):
        yield Claim(field, "ratio", match.start(), match.end(), quals, ratio=(int(match[1]), int(match[2])))
        return
    if field != "layer_ratio":
        yield from _number(field, text, quals)
        return
    layout = re.search(
        r"(\d+)\s*[x×*]\s*\(?\s*\(?(\d+)\s*[x×*]?\s*\(?([A-Za-z ]+).*?(?:→|->|\+|,)\s*(\d+)\s*[x×*]?\s*\(?([A-Za-z ]+)", text
    )
    if layout and (ratio := _ratio_of(layout[3], int(layout[2]), layout[5], int(layout[4]))):
        yield Claim(field, "ratio", layout.start(), layout.end(), quals, ratio=ratio)
        return
    if after := re.search(
        r"(?i)(softmax|full|global)\s+attention.*?(?:after|every)\s+(?:every\s+)?(\d+)\s+(lightning|linear|local|sliding)", text
    ):
        yield Claim(field, "ratio", after.start(), after.end(), quals, ratio=(int(after[2]), 1))
        return
    if pair := re.search(r"(\d+)\s+([A-Za-z ]+?)\s*[+:/,&]\s*(\d+)\s+([A-Za-z ]+)", text):
        ratio = _ratio_of(pair[2], int(pair[1]), pair[4], int(pair[3]))
        if ratio:
            yield Claim(field, "ratio", pair.start(), pair.end(), quals, ratio=ratio)
            return
    kinds = [word for word in re.split(r"[\s,\[\]→>-]+", text) if word]
    if len(kinds) > 2 and all(_LOCAL.fullmatch(w) or _GLOBAL.fullmatch(w) or w.lower() == "repeating" for w in kinds):
        local = sum(bool(_LOCAL.fullmatch(w)) for w in kinds)
        rest = sum(bool(_GLOBAL.fullmatch(w)) for w in kinds)
        if local and rest:
            yield Claim(field, "ratio", 0, len(text), quals, ratio=(local, rest))
            return
    yield from _words("attention", text, quals)


# Heads


def _heads(field: str, text: str, quals: Quals) -> Iterator[Claim]:
    kv = "kv_heads" if field == "heads" else "linear_qk_heads"
    found = [n for n in numbers(text) if not n.unit and not n.scale and not n.decimals]
    if not found:
        return
    ratios = [m.span() for m in _RATIO.finditer(text)]
    for m in _RATIO.finditer(text):
        if field == "heads":
            yield Claim("gqa_ratio", "ratio", m.start(), m.end(), quals, ratio=(int(m[1]), int(m[2])))
    plain = [n for n in found if not any(a <= n.start < b for a, b in ratios)]
    for i, number in enumerate(plain):
        left = text[plain[i - 1].after if i else 0 : number.start].lower()
        right = text[number.after : plain[i + 1].start if i + 1 < len(plain) else len(text)].lower()
        after = re.split(r"[;,/\n)]|\band\b|\+", right)[0]
        role = ""
        if re.search(r"\bkv\b|key|\bgroups?\b|kv[- ]?heads?", after) or re.search(r"\bkv\b\W*(?:heads)?\W*$", left):
            role = kv
        elif re.search(r"\bqk\b", after):
            role = kv if field != "heads" else "heads"
        elif re.search(r"\bq\b|quer|q[- ]?heads?" + (r"|\bv\b" if field != "heads" else ""), after) or re.search(
            r"\b(?:q|quer\w*)\W*$", left
        ):
            role = field
        elif re.search(r"^\s*-?\s*dim|head dim|per head|wide", after) or re.search(r"[×x]\s*$|\bdim\w*\s*(?:of|=|:)?\s*$", left):
            role = "head_dim" if field == "heads" else "linear_head_dim"
        elif i == 0:
            role = field
        elif (re.search(r"[/|]\s*$", left) and i == 1) or (re.search(r"\(\s*$", left) and i == 1 and re.match(r"\s*\)", right)):
            role = kv
        if role:
            yield _of(role, number, quals)
    if field == "heads":
        yield from _sharing(text, quals)


def _sharing(text: str, quals: Quals) -> Iterator[Claim]:
    return (c for c in _words("attention", text, quals) if c.word in ("mha", "gqa", "mqa", "mla") and c.form == "word")


# Experts

_VISITED = r"(?:active|activated|selected|chosen|used|per[- ]token|/\s*token|routed per token|a token)"
_EXPERT_FORMS = (
    r"top[- ]?(?:k\s*[=:]?\s*)?(?P<active>\d+)",
    rf"(?P<active>\d+)\s*(?:routed\s*)?(?:experts?\s*)?(?:are\s+)?{_VISITED}",
    r"(?:active|activated|selected|picks?|activates?|choose|uses?)\s*[:=]?\s*(?:top[- ]?)?(?P<active>\d+)",
    r"(?P<shared>\d+)\s*(?:is\s+|are\s+)?(?:always[- ]on\s+)?shared",
    r"shared\s*(?:experts?)?\s*[:=]\s*(?P<shared>\d+)",
    r"(?P<routed>\d+)\s*(?:are\s+)?routed",
    r"(?P<small>\d+)\s*(?:/|of|out of|from|in)\s*(?P<large>\d+)",
    r"(?P<base>\d+)\s*\+\s*(?P<plus>\d+)",
    r"(?P<experts>\d+)\s*(?:x\s*)?(?:total\s+|fine-grained\s+|local\s+)?experts?\b",
    r"(?P<experts>\d+)E\b",
    r"^\s*[~≈]?\s*(?P<lead>\d+)",
    r"(?<=\()\s*(?P<experts>\d+)(?=\s*,)",
)


def _experts(field: str, text: str, quals: Quals) -> Iterator[Claim]:
    """Forms such as `256+1`, `8/256`, `Top-8 + shared`, `32 (Top-2 routing)`, `10 Routed + 1 Shared`, `yes (256 experts, top-8)`."""
    by_start = {n.start: n for n in numbers(text)}
    taken: list[tuple[int, int]] = []
    seen_active = seen_shared = False
    out: list[Claim] = []

    def add(role: str, start: int) -> None:
        number = by_start.get(start)
        if number is not None and not number.unit and not number.scale and not any(a <= start < b for a, b in taken):
            taken.append((number.start, number.after))
            out.append(_of(role, number, quals))

    counts_active = field == "active_experts"
    # Where routed experts are listed beside shared ones under a total, the total comes first: "2 (1 routed + 1 shared)".
    for pattern in _EXPERT_FORMS:
        for match in re.finditer(pattern, text, re.IGNORECASE):
            for group, value in match.groupdict().items():
                if value is None:
                    continue
                start = match.start(group)
                if any(a <= start < b for a, b in taken):
                    continue
                if group == "active":
                    seen_active = True
                    add("active_experts", start)
                elif group == "shared":
                    seen_shared = True
                    add("shared_experts", start)
                elif group == "routed":
                    add("active_experts" if counts_active else "experts", start)
                elif group == "small":
                    pair = sorted((int(match["small"]), int(match["large"])))
                    both = [match.start("small"), match.start("large")]
                    if int(match["small"]) != pair[0]:
                        both.reverse()
                    add("active_experts", both[0])
                    add("experts", both[1])
                elif group == "base":
                    add(field if field in ("experts", "active_experts") else "experts", start)
                elif group == "plus":
                    seen_shared = True
                    add("shared_experts", start)
                elif group == "experts":
                    add("active_experts" if counts_active and not seen_active else "experts", start)
                elif group == "lead":
                    add(field if field in ("experts", "active_experts", "shared_experts") else "experts", start)
    out.sort(key=lambda c: c.start)
    yield from out
    shared = re.search(r"(?i)(\bno\s+|without\s+)?\bshared\b", text)
    if shared and not seen_shared and field in ("experts", "active_experts", "routing", "moe"):
        yield Claim("shared_experts", "word", shared.start(), shared.end(), quals, word="shared", flag=shared[1] is None)
    yield from (_of("expert_share", number, quals) for number in by_start.values() if number.unit == "%")
    if not out and field in ("experts", "active_experts", "shared_experts"):
        if _NO.match(text):
            yield Claim(field, "flag", 0, len(text), quals, flag=False)
        elif _YES.match(text):
            yield Claim(field, "flag", 0, len(text), quals)


def _moe(field: str, text: str, quals: Quals) -> Iterator[Claim]:
    if said := _YES.match(text) or _NO.match(text):
        yield Claim("moe", "word", said.start(), said.end(), quals, word="moe", flag=_YES.match(text) is not None)
    found = [c for c in _experts("moe", text, quals) if c.form != "flag"]
    yield from found
    shared = any(c.word == "shared" for c in found)
    for claim in _words("moe" if field == "moe" else "routing", text, quals):
        if not (claim.word == "shared" and (shared or any(c.field == "shared_experts" for c in found))):
            yield claim


def _share(field: str, text: str, quals: Quals) -> Iterator[Claim]:
    found = list(numbers(text))
    for number in found:
        if number.unit == "%":
            yield _of(field, number, quals)
    if match := re.search(r"(\d+)\s*(?:/|of|out of)\s*(\d+)", text):
        starts = {match.start(1): "active_experts", match.start(2): "experts"}
        if field == "expert_share":
            for number in found:
                if number.start in starts:
                    yield _of(starts[number.start], number, quals)
    elif not any(n.unit == "%" for n in found) and found and found[0].decimals:
        yield _of(field, found[0], quals)


# Words and flags


def _words(field: str, text: str, quals: Quals) -> Iterator[Claim]:
    known = field if field in words.VOCABULARY else "type"
    found = list(words.hits(known, text))
    names = {hit.word for hit in found}
    for hit in found:
        # "Multi-head attention (GQA)" says GQA; "MLA" and "multi-head latent attention" are one claim.
        if hit.word == "mha" and names & {"gqa", "mqa", "mla"}:
            continue
        if any(other.word == hit.word and other.start < hit.start for other in found):
            continue
        yield Claim(field, "word", hit.start, hit.end, quals, word=hit.word, flag=not hit.negated)
    if field == "type":
        for number in numbers(text):
            if number.scale >= 6 and re.match(r"[\s-]*param", text[number.after :], re.IGNORECASE):
                yield _of("total_params", number, quals)
    if field == "attention":
        yield from _in_attention(text, quals, names)
    if field == "position" and (match := re.search(r"(?i)(?:θ|theta|base(?: frequency)?)\s*(?:of|=|:|\\=)?\s*(?=\d)", text)):
        yield from (_of("rope_theta", number, quals) for number in list(numbers(text, match.end()))[:1])


def _in_attention(text: str, quals: Quals, names: set[str]) -> Iterator[Claim]:
    """Numbers in a cell about attention: `GQA (32/8)`, `MHA (12 heads)`, `GQA (8 KV heads)`, `5:1`, `window 1024`."""
    if match := re.search(r"(?<![\d.])(\d+)\s*/\s*(\d+)(?![\d.])", text):
        by_start = {n.start: n for n in numbers(text)}
        for group, field in ((1, "heads"), (2, "kv_heads")):
            if match.start(group) in by_start:
                yield _of(field, by_start[match.start(group)], quals)
        # 64/8, 64: what stands behind the heads is their size.
        if (size := re.match(r"\s*,\s*(\d+)\s*$", text[match.end() :])) and match.end() + size.start(1) in by_start:
            yield _of("head_dim", by_start[match.end() + size.start(1)], quals)
    else:
        for number in numbers(text):
            after = text[number.after :].lower()
            if number.unit or number.scale or number.decimals:
                continue
            if re.match(r"\s*-?\s*(?:kv|key)[- ]?(?:value )?(?:heads?|groups?)|\s*groups?\b", after):
                yield _of("kv_heads", number, quals)
            elif re.match(r"\s*-?\s*(?:query|q|attention)?[- ]?heads?\b", after):
                yield _of("heads", number, quals)
    if names & {"window", "full", "alternating", "linear", "deltanet", "lightning", "hybrid"} and (match := _RATIO.search(text)):
        yield Claim("layer_ratio", "ratio", match.start(), match.end(), quals, ratio=(int(match[1]), int(match[2])))
    elif "gqa" in names and (match := _RATIO.search(text)):
        yield Claim("gqa_ratio", "ratio", match.start(), match.end(), quals, ratio=(int(match[1]), int(match[2])))
    if match := re.search(r"(?i)(?:window|swa|sliding)\D{0,12}?(\d[\d,.]*\s?k?)(?![\w:/])", text):
        size = next((n for n in numbers(text) if n.start == match.start(1)), None)
        if size is not None and (size.scale or size.mantissa >= 64):
            yield _of("window", size, quals)


def _flag(field: str, text: str, quals: Quals) -> Iterator[Claim]:
    word = {
        "shared_expert": "shared",
        "gqa": "gqa",
        "dsa": "index",
        "norm_params": "no_norm_weights",
        "pre_norm": "pre",
        "post_norm": "post",
    }.get(field, field)
    if field in words.VOCABULARY:
        for hit in words.hits(field, text):
            flag = (hit.word == "untied") == hit.negated
            yield Claim(field, "word", hit.start, hit.end, quals, word="tied", flag=flag)
            return
    if match := _YES.match(text):
        yield Claim(field, "word", match.start(), match.end(), quals, word=word, flag=field != "norm_params")
    elif match := _NO.match(text):
        yield Claim(field, "word", match.start(), match.end(), quals, word=word, flag=field == "norm_params")
    elif field in ("attention_bias", "bias") and re.search(r"(?i)\bqkv\b|\bbias(?:es)?\b", text):
        yield Claim(field, "word", 0, len(text), quals, word="attention_bias", flag=not re.search(r"(?i)\bno\b|without", text))
    elif field == "qk_norm" and re.search(r"(?i)norm", text):
        yield Claim(field, "word", 0, len(text), quals, word=word)
    elif field == "mtp":
        for number in list(numbers(text))[:1]:
            if not number.scale and re.match(r"\s*(?:layers?|modules?|depth|\)|$)", text[number.after :]):
                yield _of("mtp_layers", number, quals)


def _theta(field: str, text: str, quals: Quals) -> Iterator[Claim]:
    if match := re.match(r"\s*(\d+(?:\.\d+)?)[eE]\+?(\d+)\s*$", text):
        from decimal import Decimal

        digits = Decimal(f"{match[1]}e{match[2]}")
        yield _of(
            field, Number(Decimal(int(digits)), 0, "", "", match.start(1), match.end(2), match[0].strip(), match.end(2)), quals
        )
        return
    if re.match(r"\s*10\s*\^|\s*10[⁰-⁹]", text):
        return
    yield from _number(field, text, quals)


def _bytes(field: str, text: str, quals: Quals) -> Iterator[Claim]:
    found = [n for n in numbers(text) if n.unit not in ("%",) and "flop" not in n.unit]
    for i, number in enumerate(found):
        if number.unit or quals.unit or number.scale:
            near = text[number.after : found[i + 1].start if i + 1 < len(found) else len(text)].lower()
            yield _of(field, number, quals._replace(dtype=dtype_in(near) or quals.dtype))
            return


def _width(field: str, text: str, quals: Quals) -> Iterator[Claim]:
    if match := re.fullmatch(
        r"(?i)\s*(?:depth|layers?|n_?layers?)\s*[×x*·]\s*(\d+)\s*|\s*(\d+)\s*[×x*·]\s*(?:depth|layers?)\s*", text
    ):
        yield Claim("hidden_size", "ratio", 0, len(text), quals, ratio=(int(match[1] or match[2]), 0))
        return
    found = list(_number(field, text, quals))
    # "Token embedding: 248,320" counts rows; a width is smaller.
    yield from found


def _vocab(field: str, text: str, quals: Quals) -> Iterator[Claim]:
    # 2**17 ~= 128k: the power is no count.
    powers = [match.span() for match in re.finditer(r"\d+\s*(?:\*\*|\^)\s*\d+", text)]
    blank = text
    for a, b in powers:
        blank = blank[:a] + " " * (b - a) + blank[b:]
    for claim in _number(field, blank.replace("=", " "), quals):
        if claim.number is not None and (claim.number.scale or claim.number.mantissa >= 500):
            yield claim


_MORE = re.compile(
    r"(?i)\b(more|fewer|less|larger|smaller|bigger|higher|lower|same|equal|longer|shorter|wider)\b\s+(?:number of |size of )?([A-Za-z -]+)"
)


def _relation(_: str, text: str, quals: Quals) -> Iterator[Claim]:
    """`true` for "KV cache smaller than X's", "4 times as many", "more experts, fewer attention heads"."""
    field, word, _other = quals.other.split("|", 2)
    if field and word:
        if said := _YES.match(text) or _NO.match(text):
            yield Claim(field, "relation", said.start(), said.end(), quals, word=word, flag=_YES.match(text) is not None)
        return
    if field and (match := re.search(r"(?i)(\d+(?:\.\d+)?)\s*(?:times|x|×)", text)):
        number = next(numbers(text[: match.end(1)]), None)
        if number is not None:
            yield Claim(field, "relation", match.start(), match.end(), quals, number=number, word="times")
        return
    for match in _MORE.finditer(text):
        if field:
            yield Claim(field, "relation", match.start(), match.end(), quals, word=match[1].lower())
            continue
        label = parse_label(match[2].strip())
        if label is not None and label.fields:
            yield Claim(label.fields[0], "relation", match.start(), match.end(), quals, word=match[1].lower())


_READERS: dict[str, Callable[[str, str, Quals], Iterator[Claim]]] = {
    "total_params": _params, "active_params": _params, "active": _params, "embedding_params": _params, "mtp_params": _params,
    "vision_params": _params, "layers": _layers, "dense_layers": _layers, "moe_layers": _layers, "window_layers": _layers,
    "full_layers": _layers, "linear_layers": _layers, "nope_layers": _layers, "heads": _heads, "linear_heads": _heads,
    "experts": _experts, "active_experts": _experts, "shared_experts": _experts, "routing": _moe, "moe": _moe, "context": _context,
    "window": _window, "layer_ratio": _layer_ratio, "gqa_ratio": _ratio, "ffn_ratio": _number, "sparsity": _number, "expert_share": _share,
    "active_share": _share, "tied": _flag, "rope_theta": _theta, "kv_cache": _bytes, "kv_per_token": _bytes, "weights": _bytes,
    "activations": _bytes,
    "head_dim": _head_dim, "kv_heads": _kv_heads,
    "hidden_size": _width, "vocab": _vocab, "relation": _relation,
}  # fmt: skip
