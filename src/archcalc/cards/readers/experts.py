"""Experts: routed, visited and shared, in the many forms that they are written in."""

from __future__ import annotations

import re
from collections.abc import Iterator

from archcalc.cards.labels import Quals
from archcalc.cards.quantity import numbers
from archcalc.cards.readers.claim import NO, YES, Claim, of
from archcalc.cards.readers.wording import read_words

_VISITED = r"(?:active|activated|selected|chosen|used|per[- ]token|/\s*token|routed per token|a token)"


_EXPERT_FORMS = (
    r"top[- ]?(?:k\s*[=:]?\s*)?(?P<active>\d+)",
    rf"(?P<active>\d+)\s*(?:routed\s*)?(?:experts?\s*)?(?:are\s+)?{_VISITED}(?!\s*groups?)",
    r"(?:active|activated|selected|picks?|activates?|choose|uses?)\s*[:=]?\s*(?:top[- ]?)?(?P<active>\d+)",
    r"(?:激活|选择|选取|选)\s*(?:其中)?\s*(?P<active>\d+)\s*个?",
    r"\bof (?:which|them|these)\s+(?:only\s+|just\s+)?(?P<active>\d+)",
    r"(?P<shared>\d+)\s*(?:is\s+|are\s+)?(?:always[- ]on\s+)?shared",
    r"shared\s*(?:experts?)?\s*[:=]\s*(?P<shared>\d+)",
    r"(?P<routed>\d+)\s*(?:are\s+)?routed",
    r"(?P<small>\d+)\s*(?:/|of|out of|from|in)\s*(?P<large>\d+)",
    r"(?P<base>\d+)\s*\+\s*(?P<plus>\d+)(?!\d|\s*(?:redundant|replica|duplicate|extra|spare|冗余))",
    r"(?P<experts>\d+)\s*(?:x\s*)?(?:total\s+|fine-grained\s+|local\s+)?experts?\b",
    r"(?P<experts>\d+)E\b",
    r"^\s*[~≈]?\s*(?P<lead>\d+)",
    r"(?<=\()\s*(?P<experts>\d+)(?=\s*,)",
)


_ALL = re.compile(r"(?i)(?<!\d)(\d+)\s+(?:total\s+)?experts\b")


def read_experts(field: str, text: str, quals: Quals) -> Iterator[Claim]:
    """Forms such as `256+1`, `8/256`, `Top-8 + shared`, `32 (Top-2 routing)`, `10 Routed + 1 Shared`, `yes (256 experts, top-8)`."""
    # 16E is sixteen experts, and to `numbers` no number.
    by_start = {n.start: n for n in numbers(re.sub(r"(?<=\d)[eE]\b", " ", text))}
    taken: list[tuple[int, int]] = []
    seen_active = seen_shared = False
    out: list[Claim] = []

    def add(role: str, start: int) -> None:
        number = by_start.get(start)
        if number is not None and not number.unit and not number.scale and not any(a <= start < b for a, b in taken):
            taken.append((number.start, number.after))
            # "each token goes to 2 experts": which ones the figure says, where no label asks for one kind.
            also = ("active_experts",) if role == "experts" and field == "moe" else ()
            out.append(of(role, number, quals)._replace(also=also))

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
                    more = _ALL.search(text)
                    of_them = more is not None and int(more[1]) > int(value)
                    add("active_experts" if counts_active or of_them else "experts", start)
                elif group == "small":
                    pair = sorted((int(match["small"]), int(match["large"])))
                    both = [match.start("small"), match.start("large")]
                    if int(match["small"]) != pair[0]:
                        both.reverse()
                    # 160/128 of which 8 are visited: those of two models. None visits more than half.
                    two = seen_active or pair[0] * 2 > pair[1]
                    add("experts" if two else "active_experts", both[0])
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
    yield from (of("expert_share", number, quals) for number in by_start.values() if number.unit == "%")
    if not out and field in ("experts", "active_experts", "shared_experts"):
        if NO.match(text):
            yield Claim(field, "flag", 0, len(text), quals, flag=False)
        elif YES.match(text):
            yield Claim(field, "flag", 0, len(text), quals)


def read_moe(field: str, text: str, quals: Quals) -> Iterator[Claim]:
    if said := YES.match(text) or NO.match(text):
        yield Claim("moe", "word", said.start(), said.end(), quals, word="moe", flag=YES.match(text) is not None)
    found = [c for c in read_experts("moe", text, quals) if c.form != "flag"]
    yield from found
    shared = any(c.word == "shared" for c in found)
    for claim in read_words("moe" if field == "moe" else "routing", text, quals):
        if not (claim.word == "shared" and (shared or any(c.field == "shared_experts" for c in found))):
            yield claim


def read_share(field: str, text: str, quals: Quals) -> Iterator[Claim]:
    found = list(numbers(text))
    for number in found:
        if number.unit == "%":
            yield of(field, number, quals)
    if match := re.search(r"(?<!\d)(\d+)\s*(?:/|of|out of)\s*(\d+)", text):
        starts = {match.start(1): "active_experts", match.start(2): "experts"}
        if field == "expert_share":
            for number in found:
                if number.start in starts:
                    yield of(starts[number.start], number, quals)
    elif not any(n.unit == "%" for n in found) and found and found[0].decimals:
        yield of(field, found[0], quals)


_COUNTED = re.compile(
    r"(?i)\s*(?:(?:routed|total|active|activated|shared|local|fine-grained)\s+)*(?:e\b|experts?\b|active|activated|shared|per token)"
)
_COUNTS = re.compile(r"(?i)(?:top-?\s*k?\s*=?\s*|experts?\s*[:=]\s*|active\s*[:=]?\s*)$")


def read_type(field: str, text: str, quals: Quals) -> Iterator[Claim]:
    """`MoE`, `MoE 8e`, `14B parameters, dense decoder-only Transformer`."""
    yield from read_words(field, text, quals)
    if re.search(r"(?i)\d\s*(?:e|experts?)\b|top-?\d", text):
        # Beside layers and heads only what a word next to it counts: "48 layers, 128 experts (8 active), GQA 32/4".
        yield from (
            c
            for c in read_experts("moe", text, quals)
            if c.form != "number" or _COUNTED.match(text, c.end) or _COUNTS.search(text, 0, c.start)
        )
    for number in numbers(text):
        if number.scale >= 6 and re.match(r"[\s-]*param", text[number.after :], re.IGNORECASE):
            yield of("total_params", number, quals)
