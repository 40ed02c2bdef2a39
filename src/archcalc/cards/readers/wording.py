"""Words, yes and no, and comparisons with another model."""

from __future__ import annotations

import re
from collections.abc import Iterator

from archcalc.cards import words
from archcalc.cards.labels import Quals
from archcalc.cards.labels import parse as parse_label
from archcalc.cards.quantity import numbers
from archcalc.cards.readers.claim import NO, RATIO, YES, Claim, of

_SAYS = {
    "mla": "attention", "gqa": "attention", "mha": "attention", "rope": "position", "swiglu": "activation", "geglu": "activation",
    "rmsnorm": "norm", "qk_norm": "attention", "attention_bias": "attention", "tied": "tied",
}  # fmt: skip
"""What a word in a cell about the whole model says something of."""


def read_words(field: str, text: str, quals: Quals) -> Iterator[Claim]:
    known = field if words.known(field) else "type"
    found = list(words.hits(known, text))
    names = {hit.word for hit in found}
    said = {hit.word for hit in found if not hit.negated}
    for hit in found:
        # "Multi-head attention (GQA)" says GQA; "MLA" and "multi-head latent attention" are one claim.
        if hit.word == "mha" and said & {"gqa", "mqa", "mla"}:
            continue
        if any(other.word == hit.word and other.start < hit.start for other in found):
            continue
        yield Claim(
            _SAYS.get(hit.word, field) if field == "type" else field,
            "word",
            hit.start,
            hit.end,
            quals,
            word=hit.word,
            flag=not hit.negated,
        )
    if field in ("ffn", "activation") and (
        width := re.search(
            r"(?i)(?:intermediate|hidden|inner)\s+(?:size|dim\w*|width)\D{0,4}(?=\d)|glu[,;:]?\s+\(?(?=\d[\d,]{2,6}\)?\s*$)", text
        )
    ):
        yield from (of("intermediate_size", number, quals) for number in list(numbers(text, width.end()))[:1])
    if field == "attention" or (
        field == "type" and names & {"mha", "gqa"} and re.search(r"(?i)\(\d+[:/]\d+\)|\b[gm][qh]a \d+\s*/\s*\d+", text)
    ):
        yield from _in_attention(text, quals, names)
    if field == "position" and (match := re.search(r"(?i)(?:θ|theta|base(?: frequency)?)\s*(?:of|=|:|\\=)?\s*(?=\d)", text)):
        yield from (of("rope_theta", number, quals) for number in list(numbers(text, match.end()))[:1])


def _in_attention(text: str, quals: Quals, names: set[str]) -> Iterator[Claim]:
    """Numbers in a cell about attention: `GQA (32/8)`, `MHA (12 heads)`, `GQA (8 KV heads)`, `5:1`, `window 1024`."""
    pair = re.search(r"(?<![\d.])(\d+)\s*/\s*(\d+)(?![\d.])", text)
    if pair is None and names & {"mha", "gqa", "mqa"}:
        # GQA (32:8) counts heads; GQA (4:1) is a ratio.
        pair = re.search(r"\(\s*(\d+)\s*:\s*((?!1\s*\))\d+)\s*\)", text)
    if match := pair:
        by_start = {n.start: n for n in numbers(text)}
        for group, field in ((1, "heads"), (2, "kv_heads")):
            if match.start(group) in by_start:
                yield of(field, by_start[match.start(group)], quals)
        # 64/8, 64: what stands behind the heads is their size.
        if (size := re.match(r"\s*,\s*(\d+)\s*$", text[match.end() :])) and match.end() + size.start(1) in by_start:
            yield of("head_dim", by_start[match.end() + size.start(1)], quals)
    else:
        for number in numbers(text):
            after = text[number.after :].lower()
            if number.unit or number.scale or number.decimals:
                continue
            if re.match(r"\s*-?\s*(?:kv|key)[- ]?(?:value )?(?:heads?|groups?)|\s*groups?\b", after):
                yield of("kv_heads", number, quals)
            elif re.match(r"\s*-?\s*(?:query|q|attention)?[- ]?heads?\b", after):
                yield of("heads", number, quals)
    if names & {"window", "full", "alternating", "linear", "deltanet", "lightning", "hybrid"} and (match := RATIO.search(text)):
        yield Claim("layer_ratio", "ratio", match.start(), match.end(), quals, ratio=(int(match[1]), int(match[2])))
    elif "gqa" in names and (match := RATIO.search(text)):
        yield Claim("gqa_ratio", "ratio", match.start(), match.end(), quals, ratio=(int(match[1]), int(match[2])))
    if match := re.search(r"(?i)(?:window|swa|sliding)\D{0,12}?(\d[\d,.]*\s?k?)(?![\w:/])", text):
        yield from (of("window", n, quals) for n in numbers(text) if n.start == match.start(1) and (n.scale or n.mantissa >= 64))


def read_flag(field: str, text: str, quals: Quals) -> Iterator[Claim]:
    word = {
        "shared_expert": "shared",
        "gqa": "gqa",
        "dsa": "index",
        "norm_params": "no_norm_weights",
        "pre_norm": "pre",
        "post_norm": "post",
    }.get(field, field)
    if field in ("pre_norm", "post_norm") and (
        kind := next((h for h in words.hits("norm", text) if h.word.endswith("norm")), None)
    ):
        yield Claim("norm", "word", kind.start, kind.end, quals, word=kind.word, flag=not kind.negated)
        return
    if words.known(field):
        for hit in words.hits(field, text):
            flag = (hit.word == "untied") == hit.negated
            yield Claim(field, "word", hit.start, hit.end, quals, word="tied", flag=flag)
            return
    if match := YES.match(text):
        yield Claim(field, "word", match.start(), match.end(), quals, word=word, flag=field != "norm_params")
    elif match := NO.match(text):
        yield Claim(field, "word", match.start(), match.end(), quals, word=word, flag=field == "norm_params")
    elif field in ("attention_bias", "bias") and re.search(r"(?i)\bqkv\b|\bbias(?:es)?\b", text):
        yield Claim(field, "word", 0, len(text), quals, word="attention_bias", flag=not re.search(r"(?i)\bno\b|without", text))
    elif field == "qk_norm" and re.search(r"(?i)norm", text):
        yield Claim(field, "word", 0, len(text), quals, word=word)
    elif field == "mtp":
        for number in list(numbers(text))[:1]:
            if not number.scale and re.match(r"\s*(?:layers?|modules?|depth|\)|$)", text[number.after :]):
                yield of("mtp_layers", number, quals)


_MORE = re.compile(
    r"(?i)\b(more|fewer|less|larger|smaller|bigger|higher|lower|same|equal|longer|shorter|wider)\b\s+(?:number of |size of )?([A-Za-z -]+)"
)


def read_relation(_: str, text: str, quals: Quals) -> Iterator[Claim]:
    """`true` for "KV cache smaller than X's", "4 times as many", "more experts, fewer attention heads"."""
    field, word, _other = quals.other.split("|", 2)
    if field and word:
        if said := YES.match(text) or NO.match(text):
            yield Claim(field, "relation", said.start(), said.end(), quals, word=word, flag=YES.match(text) is not None)
        return
    if field and (match := re.search(r"(?i)(?<!\d)(\d+(?:\.\d+)?)\s*(?:times|x|×)", text)):
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


def read_fit(field: str, text: str, quals: Quals) -> Iterator[Claim]:
    """`yes` or `no` under "Fits H100"."""
    if said := YES.match(text) or NO.match(text):
        yield Claim(field, "fit", said.start(), said.end(), quals, flag=YES.match(text) is not None)


def read_norm_params(field: str, text: str, quals: Quals) -> Iterator[Claim]:
    """A count of parameters in norms, or that there are none."""
    counts = [n for n in numbers(text) if not n.unit]
    if counts and not NO.match(text):
        yield of(field, counts[0], quals)
    else:
        yield from read_flag(field, text, quals)
