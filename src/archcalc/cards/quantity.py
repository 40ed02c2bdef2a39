"""Numbers as cards print them, and whether a true value reads so: exactly, rounded, or cut off.

The precision of a number is that of its last digit; trailing zeros of a number without decimals may be none (400B for 401.6), but two
digits always count. Everything is computed with integers.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from fractions import Fraction
from functools import lru_cache
from typing import Literal

from archcalc.cards import vocabulary
from archcalc.cards.vocabulary import NOUGHTS
from archcalc.records import NamedTuple

Kind = Literal["count", "tokens", "int", "bytes", "share", "factor", "flops"]
How = Literal["exact", "rounded", "zeros", "cut"]

SCALES = {
    word: int(power)
    for title in ("scales", "comma scales")
    for power, line in vocabulary.section(title)
    for word in line.split("|")
}
_COMMA = frozenset(word for _, line in vocabulary.section("comma scales") for word in line.split("|"))
"""Words for powers of ten, and those of languages that write decimals behind a comma and group thousands by points."""
_WORDS = "|".join(sorted(map(re.escape, SCALES), key=len, reverse=True))

# Not after a digit, a dot or a letter, but for those of scripts without blanks (BF16, A22B, v3.1), a slash of a date, nor inside a name
# such as 8x7B.
_NUMBER = re.compile(
    rf"""(?<![^\W\u3040-\u30ff\u4e00-\u9fff\uac00-\ud7a3])(?<![.\d])(?<!\d,)(?P<about>[~≈∼]\s*)?(?P<compare>[<>≥≤]=?\s*)?
        (?P<digits>\d{{1,3}}(?:(?:[,_\u00a0\u2009\u202f]|\{{,\}})\d{{3}})+(?:\.\d+)?
           |\d{{1,3}}(?:[ ]\d{{3}})+(?=\s*(?:$|[(;,|)→]|tokens?\b|mots\b|palabras\b))
           |\d+,\d{{1,2}}(?=\s?(?:{_WORDS}|[KMGT]i?B)(?![A-Za-z]))|\d+(?:\.\d+)?|\.\d+)
        (?:\s?(?P<unit>[KMGTP]i?B(?:ytes?)?|bytes?|B(?=/token))(?![A-Za-z0-9])
          |\s?(?P<flops>[KMGTPE]?FLOPs?)(?![A-Za-z0-9])
          |\s?(?P<scale>{_WORDS}|[×x*·]\s?10(?:\^|\*\*)\{{?\d{{1,2}}\}}?)(?=(?-i:[-+\s,.;:/()\[→*)\]|'"–—†‡·&（）、，。；：！？\u3040-\u30ff\u4e00-\u9fff\uac00-\ud7a3])|params?\b|$)
          |\s?(?P<percent>%)
          |\s?(?P<times>[x×])(?![\w\s]*\d)
          |(?P<bits>[- ]?bits?\b)
          |(?!\.?\d|[A-Za-z]|[x×]\d))
        (?P<plus>\+(?!\s*\d))?""",
    re.VERBOSE | re.IGNORECASE,
)
_CONTINENTAL = re.compile(r"\d+,\d{1,2}")
_POINTS = re.compile(r"\.(?=\d{3}(?!\d))")
_SEPARATORS = re.compile(r"[ ,_{}\u00a0\u2009\u202f]")
_POINTED = re.compile(r"\d(\.)\d{3}(?!\d)")
_GROUPED = re.compile(r"\d([ ,_\u00a0\u2009\u202f]|\{,\})\d{3}")
MAX_DIGITS = 40
"""What has more digits counts nothing of a model's."""
_STEPS = {"k": 1, "m": 2, "g": 3, "t": 4, "p": 5, "e": 6}


class Number(NamedTuple):
    """A number in a cell: its digits without the point and how many stand behind it, its scale (a power of ten, 0 without) or unit,
    and where it stands.

    `start` and `end` are those of its digits, `after` is behind its unit; `suffix` is the letter of the scale as printed.
    `bound` is `+` for "at least", `<` for "less than", `>` for "more than". `style` is one that all have which are written alike: what
    does not depend on digits is looked up by it.
    """

    mantissa: int
    decimals: int
    scale: int
    unit: str
    bound: str
    start: int
    end: int
    text: str
    after: int
    suffix: str = ""
    style: Number | None = None

    @property
    def printed(self) -> Fraction:
        """What the digits say, without scale and unit."""
        return Fraction(self.mantissa, 10**self.decimals)


def numbers(text: str, start: int = 0, end: int | None = None) -> Iterator[Number]:
    """Every number in a text, in order."""
    stop = len(text) if end is None else end
    # Where numbers stand does not depend on their digits: pages say the same of other ones again and again.
    for one in _shaped(shape(text), start, stop):
        place, decimals, scale, unit, bound, first, last, _, after, suffix, _ = one
        digits = int("".join(filter(str.isdecimal, text[first:last])))
        yield Number(digits, decimals, scale, unit, bound, first, last, text[place:after].strip(), after, suffix, one)


_POWER = re.compile(r"\d\s?[eE]\d")


def shape(text: str) -> str:
    """A text with all digits nought, unless some say a scale: 1e6, 5 × 10^5."""
    plain = text.translate(NOUGHTS)
    if "0^" in plain or "0**" in plain:
        return text
    maybe = "0e" in plain or "0 e" in plain or "0E" in plain or "0 E" in plain
    return text if maybe and _POWER.search(plain) else plain


@lru_cache(maxsize=8192)
def _shaped(text: str, start: int, end: int) -> tuple[Number, ...]:
    """The numbers of a text's shape, each with its place in the text as its mantissa."""
    out = []
    for match in _NUMBER.finditer(text, start, end):
        digits = match["digits"]
        word = (match["scale"] or "").lower()
        if word in _COMMA:
            digits = _POINTS.sub("", digits)  # 8.030 Mio.
        if _CONTINENTAL.fullmatch(digits) or (word in _COMMA and digits.count(",") == 1):
            digits = digits.replace(",", ".")  # 12,2B, as written on the continent
        whole, _, behind = _SEPARATORS.sub("", digits).partition(".")
        if len(whole) + len(behind) > MAX_DIGITS:
            continue
        unit = (
            match["unit"] or match["flops"] or match["percent"] or (match["times"] and "x") or (match["bits"] and "bit") or ""
        ).lower()
        scale = SCALES[word] if word in SCALES else int(re.findall(r"\d+", word)[-1]) if word else 0
        bound = "+" if match["plus"] else (match["compare"] or "").strip()[:1]
        bound = {"≥": "+", "≤": "<"}.get(bound, bound)
        out.append(
            Number(
                match.start(), len(behind), scale, unit, bound, match.start("digits"), match.end("digits"), "", match.end(),
                match["scale"] or "",
            )
        )  # fmt: skip
    return tuple(out)


def scales(number: Number, kind: Kind, unit: int = 0) -> list[tuple[int, str]]:
    """What one unit of the number may stand for, likeliest first, each with the convention's name.

    `unit` is the power of ten that a column head gives to numbers without one: 9 for "Params (B)".
    """
    power = number.scale or unit
    if kind == "tokens":
        if power == 3:
            return [(1024, "k as 1,024"), (1000, "k as 1,000")]
        if power == 6:
            return [(1 << 20, "M as 1,048,576"), (10**6, "M as 1,000,000"), (1_024_000, "M as 1,000 x 1,024")]
        return [(10**power, ""), *([(10_240, "10 k, k as 1,024")] if power == 4 else [])]
    if kind == "int" and power == 3:
        return [(1000, "k as 1,000"), (1024, "k as 1,024")]
    if kind == "bytes":
        return _byte_units(number, unit)
    if kind == "flops":
        step = _STEPS.get(number.unit[:1], 0) if number.unit != "flop" and number.unit != "flops" else 0
        return [(1000**step, "")]
    return [(10**power, "")]


def _byte_units(number: Number, unit: int) -> list[tuple[int, str]]:
    name = number.unit
    if not name and number.scale:
        name = {3: "kb", 6: "mb", 9: "gb", 12: "tb"}.get(number.scale, "")
    if not name and unit > 0:
        letter = " KMGT"[unit // 3]
        return [(10**unit, ""), (1024 ** (unit // 3), f"{letter}B as {letter}iB, 2^{10 * unit // 3} bytes")]
    if not name:
        return [(1 << -unit, "")]
    step = _STEPS.get(name[0], 0) if not name.startswith("b") else 0
    if not step:
        return [(1, "")]
    letter = name[0].upper()
    if name[1:2] == "i":
        return [(1024**step, "")]
    return [(1000**step, ""), (1024**step, f"{letter}B as {letter}iB, 2^{10 * step} bytes")]


def compare(number: Number, value: int | Fraction, unit: int, *, zeros: bool = True, least: int = 2) -> How | None:
    """How `value` reads as the number in units of `unit`, or None where it does not. `least` digits always count.

    >>> compare(next(numbers("72B")), 72_700_000_000, 10**9), compare(next(numbers("73B")), 72_700_000_000, 10**9)
    ('cut', 'rounded')
    >>> compare(next(numbers("400B")), 401_583_681_536, 10**9), compare(next(numbers("1T")), 671 * 10**9, 10**12)
    ('zeros', None)
    """
    # Both sides times `below`: value / unit x 10^decimals against the digits.
    below = value.denominator * unit
    scaled, printed = value.numerator * 10**number.decimals, number.mantissa * below
    if scaled == printed:
        return "exact"
    if not printed:
        return None  # 0 GiB for half a GiB: no digit counts
    off = abs(scaled - printed)
    # 671B rounds to 1T only by losing every digit that counts.
    lost = number.mantissa == 1 and number.decimals == 0 and 100 * scaled < 95 * below
    if 2 * off <= below and not lost:
        return "rounded"
    if zeros and number.decimals == 0:
        digits = str(number.mantissa)
        significant = max(least, len(digits.rstrip("0")))
        step = 10 ** max(0, len(digits) - significant)
        if step > 1 and number.mantissa % step == 0 and 2 * off <= step * below:
            return "zeros"
    # 236.0: a column of one decimal, though nothing stands behind the point.
    if zeros and number.decimals == 1 and number.mantissa % 10 == 0 and number.mantissa >= 1000 and 2 * off <= 10 * below:
        return "zeros"
    if scaled > printed and off < below:
        return "cut"
    return None


def like(number: Number, value: int | Fraction, unit: int) -> str:
    """`value` in the style of the number: as many decimals, separators if it had them; exact where the number was written out.

    >>> like(next(numbers("9.24B")), 8_030_261_248, 10**9), like(next(numbers("131,072")), 8192, 1)
    ('8.03', '8,192')
    """
    whole = _divided(value.numerator * 10**number.decimals, value.denominator * unit)
    if number.decimals:
        head, tail = divmod(whole, 10**number.decimals)
        text = f"{tail:0{number.decimals}}"
        return f"{_grouped(head, number)}{',' if '.' not in number.text and ',' in number.text else '.'}{text}"
    return _grouped(whole, number)


def _divided(a: int, b: int) -> int:
    """a / b rounded, halves to even."""
    whole, rest = divmod(a, b)
    return whole + (2 * rest > b or (2 * rest == b and whole % 2 == 1))


def _grouped(n: int, number: Number) -> str:
    separator = _GROUPED.search(number.text) if number.mantissa >= 1000 * 10**number.decimals else None
    if separator is None and not number.decimals:
        separator = _POINTED.search(number.text)
    if separator:
        return f"{n:,}".replace(",", separator[1])
    # A number too short to show whether it would have had separators is written as most are: with them from five digits on.
    return f"{n:,}" if n >= 10_000 and number.mantissa < 1000 else str(n)
