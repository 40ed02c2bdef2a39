"""Heads: queries, keys and values, their sizes and how they are shared."""

from __future__ import annotations

import re
from collections.abc import Iterator

from archcalc.cards.labels import Quals
from archcalc.cards.quantity import numbers
from archcalc.cards.readers.claim import RATIO, Claim, of
from archcalc.cards.readers.numeric import read_number
from archcalc.cards.readers.wording import read_words


def read_heads(field: str, text: str, quals: Quals) -> Iterator[Claim]:
    kv = "kv_heads" if field == "heads" else "linear_qk_heads"
    found = [n for n in numbers(text) if not n.unit and not n.scale and not n.decimals]
    if not found:
        return
    ratios = [m.span() for m in RATIO.finditer(text)]
    for m in RATIO.finditer(text):
        if field == "heads":
            yield Claim("gqa_ratio", "ratio", m.start(), m.end(), quals, ratio=(int(m[1]), int(m[2])))
    plain = [n for n in found if not any(a <= n.start < b for a, b in ratios)]
    for i, number in enumerate(plain):
        left = text[plain[i - 1].after if i else 0 : number.start].lower()
        right = text[number.after : plain[i + 1].start if i + 1 < len(plain) else len(text)].lower()
        if i + 1 < len(plain) and right.rfind("(") > right.rfind(")"):
            right = right[: right.rfind("(")]  # 96 (KV: 8)
        after = re.split(r"[;,/\n)；，、）]|\band\b|\+", right)[0]
        role = ""
        if re.search(r"\bkv\b|key|\bgroups?\b|kv[- ]?heads?", after) or re.search(r"\bkv\b\W*(?:heads|头)?\W*[为是有]?\W*$", left):
            role = kv
        elif re.search(r"\bqk\b", after):
            role = kv if field != "heads" else "heads"
        elif re.search(r"\bq\b|quer|q[- ]?heads?" + (r"|\bv\b" if field != "heads" else ""), after) or re.search(
            r"\b(?:q|quer\w*)\W*(?:heads|头)?\W*[为是有]?\W*$", left
        ):
            role = field
        elif re.search(r"^\s*-?\s*dim|head dim|per head|wide", after) or re.search(r"[×x]\s*$|\bdim\w*\s*(?:of|=|:)?\s*$", left):
            role = "head_dim" if field == "heads" else "linear_head_dim"
        elif i == 0:
            role = field
        elif (re.search(r"[/|]\s*$", left) and i == 1) or (re.search(r"\(\s*$", left) and i == 1 and re.match(r"\s*\)", right)):
            role = kv
        if role:
            yield of(role, number, quals)
    if field == "heads":
        yield from read_sharing(text, quals)


def read_head_dim(field: str, text: str, quals: Quals) -> Iterator[Claim]:
    """One dimension, or two of a model with two kinds of heads (`128 / 256`)."""
    found = list(read_number(field, text, quals))
    yield from found
    pair = re.match(r"\s*\d+\s*/\s*(?=\d)", text)
    if found and pair and (second := next(numbers(text, pair.end()), None)) is not None and not second.unit:
        yield of(field, second, quals)


def read_kv_heads(field: str, text: str, quals: Quals) -> Iterator[Claim]:
    """`8`, `8 (GQA)`, `2 (GQA ratio 16:1)`."""
    yield from read_number(field, text, quals)
    if ratio := RATIO.search(text):
        yield Claim("gqa_ratio", "ratio", ratio.start(), ratio.end(), quals, ratio=(int(ratio[1]), int(ratio[2])))
    elif re.match(r"\s*\d", text):
        yield from read_sharing(text, quals)


def read_sharing(text: str, quals: Quals) -> Iterator[Claim]:
    return (c for c in read_words("attention", text, quals) if c.word in ("mha", "gqa", "mqa", "mla") and c.form == "word")
