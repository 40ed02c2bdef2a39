"""Single numbers: counts, contexts, windows, vocabularies, bytes."""

from __future__ import annotations

import re
from collections.abc import Iterator

from archcalc.cards.labels import NUMERIC, Quals, context_in, devices_in, dtype_in, of_rank, sequences_in
from archcalc.cards.quantity import Number, numbers
from archcalc.cards.readers.claim import NO, YES, Claim, of
from archcalc.cards.vocabulary import mark, says

_ARROW = re.compile(r"[\s~]*(?:→|->|⇒|–|—|\bto\b)[\s~]*")


def read_number(field: str, text: str, quals: Quals) -> Iterator[Claim]:
    """The first number of a cell that begins with one; words such as "tokens" may follow."""
    found = list(numbers(text))
    if not found:
        if NO.match(text) and field in ("shared_experts", "experts", "mtp_layers", "dense_layers", "moe_layers", "window"):
            yield Claim(field, "flag", 0, len(text), quals, flag=False)
        return
    first = found[0]
    if re.search(r"[A-Za-z]{4,}", text[: first.start]) and not re.match(
        r"(?i)\s*(?:up to|about|approx\w*\.?|around|roughly|over|full|total|max\w*|default|yes|vocab\w*|size|dim)\b", text
    ):
        return
    if first.unit or first.bound == "<":
        return
    if NUMERIC[field] == "int" and len(found) > 1 and _ARROW.fullmatch(text, first.after, found[1].start):
        return  # 32 → 8, 28–64: not one number
    yield of(field, first, quals)
    # 32K → 131K: each end is a claim.
    for number in found[1:]:
        if _ARROW.fullmatch(text, first.after, number.start):
            yield of(field, number, quals)
        first = number


_OPENED = re.compile(r"([^(（]*)[(（][^;,，、()（）]*")


def read_context(field: str, text: str, quals: Quals) -> Iterator[Claim]:
    found = [n for n in numbers(text) if not n.unit and n.scale < 9 and (n.scale or n.printed >= 128 or n.decimals == 3)]
    for i, number in enumerate(found):
        left = text[found[i - 1].after if i else 0 : number.start]
        right = text[number.after : found[i + 1].start if i + 1 < len(found) else len(text)]
        if i + 1 < len(found) and (opened := _OPENED.fullmatch(right)):
            right = opened[1]  # 32768 (131072 with YaRN): the brackets are the next one's
        clause = re.split(r"[;,/→+；，、]|->|\band\b", right, maxsplit=1)[0]
        before = re.split(r"[;,→；，、]|->", left)[-1]
        if re.search(r"(?i)generat|output|max new|answer|completion|image|patch|layers?|dim|theta|θ", clause) or re.search(
            r"(?i)generat\w*(?: up to| of)?\s*$|output\s*:?\s*$|theta|θ|base", before
        ):
            continue
        if (i and re.fullmatch(r"\s*/\s*", left)) or says("tested", before):
            continue
        span = quals.span
        if (
            re.search(r"(?i)nativ|train|original|default", clause)
            or re.search(r"(?i)\b(?:nativ\w*|natif|train\w*|pre-?train\w*)\W*$", before)
            or says("native", before)
        ):
            span = "native"
        elif re.search(r"(?i)yarn|extend|extens|extrapol|inference|dca|stretch|scal", clause + " " + before):
            span = "extended"
        # 32K → 128K: what it was trained on, and what it was stretched to.
        if not span and re.fullmatch(r"\s*(?:→|->|⇒|➜|=>)\s*~?", right):
            span = "native"
        elif not span and i and re.fullmatch(r"\s*(?:→|->|⇒|➜|=>)\s*~?", left):
            span = "extended"
        if re.match(r"\s*(?:tokens\s*)?\([^()]*\b(?:variant|edition)\b", clause):
            span = "variant"  # 1M (Turbo variant): of a release that the row does not name
        yield of(field, number, quals._replace(span=span))


def read_window(field: str, text: str, quals: Quals) -> Iterator[Claim]:
    found = [n for n in numbers(text) if not n.unit and (n.scale or n.mantissa >= 64)]
    if found:
        yield of(field, found[0], quals)
    elif NO.match(text):
        yield Claim("window", "word", 0, len(text), quals, word="window", flag=False)
    elif YES.match(text):
        yield Claim("window", "word", 0, len(text), quals, word="window")


def read_theta(field: str, text: str, quals: Quals) -> Iterator[Claim]:
    if match := re.match(r"\s*(\d{1,20}(?:\.\d{1,20})?)[eE]\+?(\d{1,2})\s*$", text):
        from decimal import Decimal

        digits = Decimal(f"{match[1]}e{match[2]}")
        yield of(field, Number(int(digits), 0, 0, "", "", match.start(1), match.end(2), match[0].strip(), match.end(2)), quals)
        return
    if re.match(r"\s*10\s*\^|\s*10[⁰-⁹]", text):
        return
    yield from read_number(field, text, quals)


# The memory of a machine: "64 GB (more than an A100 80GB)".
_MACHINE = re.compile(r"(?i)(?<![a-z\d])(?!bf|fp|tf|int|uint)(?:rtx ?|gtx ?|[a-z])\d{2,4}(?: ?(?:ti|super|pcie|sxm\d?))?[ -]*$")


_AT = re.compile(r"(?i)\s*(?:at|@|for)\s*(\d{1,3}(?:,\d{3})+|\d{1,7})\s?(k)?\b(?!\s*(?:users?|sequences?|requests?))")


def read_bytes(field: str, text: str, quals: Quals) -> Iterator[Claim]:
    """Every size in a cell: `16.1 GB`, `~14 GB fp16 / ~28 GB fp32`, `17,179,869,184 bytes (16.0 GiB)`."""
    found = [n for n in numbers(text) if n.unit not in ("%", "x") and "flop" not in n.unit]
    found = [n for n in found if not _MACHINE.search(text, 0, n.start) and not (n.unit and mark("device").match(text, n.after))]
    for i, number in enumerate(found):
        if number.suffix == "B" and not number.decimals and number.mantissa >= (10**6 if field == "weights" else 1000):
            # 147,456 B is written out: B are bytes.
            number = number._replace(scale=0, unit="b", suffix="")  # noqa: PLW2901
        if _many(field, number, quals):
            # 685B under "Weights" counts parameters, as a size without a unit does.
            yield of("total_params", number, quals)._replace(also=("weights",))
        elif field == "kv_per_token" and quals.other == "bytes" and not (number.unit or number.scale or quals.unit):
            yield of(field, number._replace(unit="b"), quals)  # 131,072 under "bytes per token"
        elif number.unit or ((quals.unit or number.scale) and not i):
            near = text[number.after : found[i + 1].start if i + 1 < len(found) else len(text)].lower()
            what, context = field, quals.context
            if field == "weights" and (of_rank(near) or (not i and of_rank(text[: number.start]))):
                if not (devices := devices_in(text) or quals.devices):
                    continue  # of one of nobody says how many
                quals = quals._replace(tp=devices)
            if field == "kv_cache" and re.match(r"\s*(?:/|per)\s*tok", near):
                what = "kv_per_token"
            elif field in ("kv_cache", "kv_per_token") and (length := _AT.match(text, number.after)):
                # Beside what a token costs: "144 KiB per token, 4.5 GiB at 32k".
                what, context = "kv_cache", int(length[1].replace(",", "")) * (1024 if length[2] else 1)
            labelled = quals.dtypes[i] if len(quals.dtypes) == len(found) else quals.dtype
            said = quals._replace(dtype=dtype_in(near) or labelled, context=context, dtypes=())
            yield of(what, number, _of_sequences(text, number, said) if what == "kv_cache" else said)


def _of_sequences(text: str, number: Number, quals: Quals) -> Quals:
    """What a cell says of how many sequences a cache is, and of how many tokens each: behind the size, or before the one size it has."""
    ahead, behind = text[: number.start], text[number.after :]
    next_size = _SIZE.search(behind)
    clause = re.split(r"[;；]|,\s*$", behind[: next_size.start()] if next_size else behind)[0]
    if not _SIZE.search(ahead) or ahead.rstrip(" ~≈").endswith("="):
        clause = f"{ahead} {clause}"
    batch = sequences_in(clause)
    if batch == 1:
        return quals
    return quals._replace(batch=batch, context=quals.context or context_in(_SIZE.sub(" ", clause)))


_SIZE = re.compile(r"(?i)\d\s?[kmgt]i?b(?![a-z])")


def _many(field: str, number: Number, quals: Quals) -> bool:
    """Whether a number under "weights" says how many, and nothing says how large: B and M are billions and millions, G is giga."""
    of_bytes = number.unit or quals.unit or quals.dtype or quals.other
    return field == "weights" and number.scale >= 6 and number.suffix not in ("G", "g") and not of_bytes


def read_flops(field: str, text: str, quals: Quals) -> Iterator[Claim]:
    """Every number of operations in a cell."""
    found = [n for n in numbers(text) if "flop" in n.unit]
    yield from (of(field, number, quals) for number in found)
    if not found and quals.unit:
        yield from read_number(field, text, quals)


def read_width(field: str, text: str, quals: Quals) -> Iterator[Claim]:
    if match := re.fullmatch(
        r"(?i)\s*(?:depth|layers?|n_?layers?)\s*[×x*·]\s*(\d+)\s*|\s*(\d+)\s*[×x*·]\s*(?:depth|layers?)\s*", text
    ):
        yield Claim("hidden_size", "ratio", 0, len(text), quals, ratio=(int(match[1] or match[2]), 0))
        return
    yield from read_number(field, text, quals)


_OF_EXPERTS = re.compile(r"(?i)\s*(?:\(|for |in )\s*(?:the )?(?:routed |each )?(?:experts?|moe)\b")


def read_ffn_size(field: str, text: str, quals: Quals) -> Iterator[Claim]:
    """`18432`, or `18432 (dense layers), 2048 (expert layers)`."""
    for number in numbers(text):
        if not number.unit and not number.scale and number.mantissa >= 64 and _OF_EXPERTS.match(text, number.after):
            yield of("expert_size", number, quals)
            text = text[: number.start] + " " * (number.after - number.start) + text[number.after :]
    yield from read_number(field, text, quals)


def read_vocab(field: str, text: str, quals: Quals) -> Iterator[Claim]:
    named = re.search(r"(?i)\b(?:(?:o200|cl100|p50|r50)k(?:_\w+)?|tiktoken|sentencepiece|bpe)\b", text)
    if named and not re.search(r"\d", text[: named.start()] + text[named.end() :]):
        yield Claim("tokenizer", "unknowable", named.start(), named.end(), quals)
    # 2**17 ~= 128k: the power is no count.
    powers = [match.span() for match in re.finditer(r"(?<!\d)\d+\s*(?:\*\*|\^)\s*\d+", text)]
    blank = text
    for a, b in powers:
        blank = blank[:a] + " " * (b - a) + blank[b:]
    for claim in read_number(field, blank.replace("=", " "), quals):
        if claim.number is not None and (claim.number.scale or claim.number.mantissa >= 500):
            yield claim
