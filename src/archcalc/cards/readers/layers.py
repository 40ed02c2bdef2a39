"""Counts of layers, and how kinds of layers take turns."""

from __future__ import annotations

import re
from collections.abc import Iterator

from archcalc.cards.labels import Quals
from archcalc.cards.quantity import numbers
from archcalc.cards.readers.claim import RATIO, Claim, of
from archcalc.cards.readers.experts import read_experts
from archcalc.cards.readers.numeric import read_number
from archcalc.cards.readers.wording import read_words

_EVERY = re.compile(
    r"(?i)every\s+(other|second|third|fourth|fifth|sixth|(\d+)(?:st|nd|rd|th)?)(?:\s+(?:layers?|blocks?))?"
    r"|(?<!\d)(\d+)(?:st|nd|rd|th)\s+layer|alternat\w+(?: layers?)?"
)


_ORDINALS = {"other": 2, "second": 2, "third": 3, "fourth": 4, "fifth": 5, "sixth": 6}


def read_layers(field: str, text: str, quals: Quals) -> Iterator[Claim]:
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
            yield of(field, found[0], quals)
            yield of("layers", found[1], quals)
            return
        if match := RATIO.search(text):
            yield Claim("layer_ratio", "ratio", match.start(), match.end(), quals, ratio=(int(match[1]), int(match[2])))
            return
        yield from read_number(field, text, quals)
        return
    if (
        re.match(r"(?i)\W*(?:mlp|ffn|attention|layer|first|last|all|every|embed\w*|lm_head)\b(?!\W*\d+\W*$)", text)
        and len(text) > 20
    ):
        return  # which layers, not how many
    taken: list[tuple[int, int]] = []
    if pattern := re.search(
        r"(?<!\d)(\d+)\s*(?:x\s*)?([A-Za-z ]+?)\s*[+&/]\s*(\d+)\s*([A-Za-z ]+?)\s+(?:per|every|in each)\s+(\d+)", text
    ):
        ratio = _ratio_of(pattern[2], int(pattern[1]), pattern[4], int(pattern[3]))
        if ratio:
            yield Claim("layer_ratio", "ratio", pattern.start(), pattern.end(), quals, ratio=ratio)
        taken.append(pattern.span())
    if experts := re.search(r",[^,;]*?\d+ experts\b", text):
        # 24, with 64 experts per layer (2 active per token)
        for claim in read_experts("moe", text[experts.start() :], quals):
            yield claim._replace(start=claim.start + experts.start(), end=claim.end + experts.start())
        taken.append((experts.start(), len(text)))
    first = True
    # "4 attention / 36 Mamba2" are two kinds, "28 attention" are all layers.
    mixed = r"|^\s*attention\b" if _LINEAR.search(text) else ""
    for number in numbers(text):
        if any(a <= number.start < b for a, b in taken) or number.unit or number.scale:
            continue
        after = re.split(r"[,;+()/\n]|\band\b", text[number.after :].lower())[0]
        before = text[: number.start].lower()
        if re.search(r"\blayers?\s*$|\d\s*[-–—]\s*$", before) or re.match(r"\s*[-–—]\s*\d", text[number.after :]):
            first = False
            continue  # the number of a layer, not of layers
        role = ""
        for name, words_ in (
            ("mtp_layers", r"\bmtp\b|nextn"), ("dense_layers", r"\bdense\b"), ("moe_layers", r"\bmoe\b|\bsparse\b|expert"),
            ("window_layers", r"\bswa\b|sliding|\blocal\b|window"), ("full_layers", r"\bfull\b|\bglobal\b|softmax" + mixed),
            ("linear_layers", r"linear|deltanet|lightning|mamba|\bkda\b|gdn"), ("nope_layers", r"\bnope\b"),
            ("", r"encoder|vision|vit|unique|shared"),
        ):  # fmt: skip
            if re.search(words_, after):
                role = name or "skip"
                break
        if first and not role and (not before.strip() or re.fullmatch(r"\W*(?:total|l\s*=|all)?\W*", before)):
            yield of("layers", number, quals)
        elif role and role != "skip":
            yield of(role, number, quals)
        elif re.search(r"^\s*(?:main |transformer |decoder )?layers?\b", after) and first:
            yield of("layers", number, quals)
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


def read_layer_ratio(field: str, text: str, quals: Quals) -> Iterator[Claim]:
    """A ratio of two kinds of layers, and the window of the one that has it."""
    yield from read_ratio(field, text, quals)
    if window := re.search(r"(?i)(?:swa|sliding|window|local)\s*\(\s*(?:window\s*)?(?=\d)", text):
        number = next(numbers(text, window.end()), None)
        if number is not None and (number.scale or number.mantissa >= 64):
            yield of("window", number, quals)


def read_ratio(field: str, text: str, quals: Quals) -> Iterator[Claim]:
    if match := RATIO.search(text):
        yield Claim(field, "ratio", match.start(), match.end(), quals, ratio=(int(match[1]), int(match[2])))
        return
    if field != "layer_ratio":
        yield from read_number(field, text, quals)
        return
    layout = re.search(
        r"(?<!\d)(\d+)\s*[x×*]\s*\(?\s*\(?(\d+)\s*[x×*]?\s*\(?([A-Za-z ]+).*?(?:→|->|\+|,)\s*(?:(\d+)\s*[x×*]?\s*\(?|\()([A-Za-z ]+)",
        text,
    )
    if layout and (ratio := _ratio_of(layout[3], int(layout[2]), layout[5], int(layout[4] or 1))):
        yield Claim(field, "ratio", layout.start(), layout.end(), quals, ratio=ratio)
        return
    if after := re.search(
        r"(?i)(softmax|full|global)\s+attention.*?(?:after|every)\s+(?:every\s+)?(\d+)\s+(lightning|linear|local|sliding)", text
    ):
        yield Claim(field, "ratio", after.start(), after.end(), quals, ratio=(int(after[2]), 1))
        return
    if pair := re.search(r"(?<!\d)(\d+)\s+([A-Za-z ]+?)\s*[+:/,&]\s*(\d+)\s+([A-Za-z ]+)", text):
        ratio = _ratio_of(pair[2], int(pair[1]), pair[4], int(pair[3]))
        if ratio:
            yield Claim(field, "ratio", pair.start(), pair.end(), quals, ratio=ratio)
            return
    kinds = [word for word in re.split(r"[\s,\[\]→>-]+", text) if word]
    kinds = [word for word in kinds if word.lower() not in ("repeating", "repeat")]
    if len(kinds) > 2 and all(any(p.fullmatch(word) for p in (_LINEAR, _LOCAL, _GLOBAL)) for word in kinds):
        some = _LINEAR if any(_LINEAR.fullmatch(word) for word in kinds) else _LOCAL
        first = sum(bool(some.fullmatch(word)) for word in kinds)
        if 0 < first < len(kinds):
            yield Claim(field, "ratio", 0, len(text), quals, ratio=(first, len(kinds) - first))
            return
    yield from read_words("attention", text, quals)
