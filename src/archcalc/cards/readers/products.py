"""What a product in a cell makes: `64 x 128 = 8,192`, `2 × 32 layers × 8 heads × 128 × 2 bytes`, `10 × (5 local + 1 global) + 2`."""

from __future__ import annotations

import re
from fractions import Fraction

from archcalc.cards.quantity import Number
from archcalc.records import NamedTuple

_UNITS = {"b": 1, "byte": 1, "bytes": 1, "kb": 10**3, "mb": 10**6, "gb": 10**9, "kib": 1 << 10, "mib": 1 << 20, "gib": 1 << 30}
_TOKEN = re.compile(
    r"\s*(?:(?P<number>\d{1,3}(?:,\d{3})+|\d{1,15})(?P<behind>\.\d{1,6})?(?:(?P<scale>[BM])(?![A-Za-z])"
    r"|\s?(?P<unit>[KMG]i?B|bytes?|B)(?![A-Za-z]))?(?![\dA-WYZa-wyz])|(?P<sign>[×·*x/+()-])(?![A-Za-z]))"
)
_WORDS = re.compile(r"\s*[A-Za-z][A-Za-z -]*?(?=\s*(?:[×·*/+()=]|x\s|$))")
_LONGEST = 120


class Product(NamedTuple):
    """What a product makes, its factors, and where it ends."""

    number: Number
    factors: tuple[int | Fraction, ...]
    end: int


def first(text: str) -> Product | None:
    """The product that a text begins with, up to its end or the sign of an equation; None where it is none, or not understood.

    >>> first("2 × 32 layers × 8 heads × 128 × 2 bytes = 128 KiB").number.mantissa, first("10 × (5 local + 1 global) + 2").number.mantissa
    (131072, 62)
    >>> first("4096"), first("8k × 16")
    (None, None)
    """
    at, parts, decimals, scale, in_bytes = 0, list[str](), 0, 0, False
    factors: list[int | Fraction] = []
    body = text[: text.index("=")] if "=" in text else text
    if len(body) > _LONGEST:
        return None
    while body[at:].strip():
        match = _TOKEN.match(body, at)
        words = None if match else _WORDS.match(body, at)
        if words is not None and parts and (parts[-1] not in "*/+-("):
            at = words.end()
            continue
        if match is None:
            return None
        at = match.end()
        if match["sign"]:
            parts.append({"×": "*", "·": "*", "x": "*"}.get(match["sign"], match["sign"]))
            continue
        value = Fraction(match["number"].replace(",", "") + (match["behind"] or ""))
        decimals += len(match["behind"] or ".") - 1
        scale += {"B": 9, "M": 6}.get(match["scale"] or "", 0)
        in_bytes = in_bytes or bool(match["unit"])
        value *= _UNITS.get((match["unit"] or "b").lower(), 1)
        factors.append(int(value) if value.denominator == 1 else value)
        parts.append(str(len(factors) - 1))
    made = _evaluated(parts, factors) if "*" in parts else None
    if made is None or made <= 0 or scale > 9:
        return None
    mantissa = made * 10**decimals
    if mantissa.denominator != 1:
        return None
    said = body.strip()
    start = len(body) - len(body.lstrip())
    unit = "b" if in_bytes and not scale else ""
    number = Number(int(mantissa), decimals, scale, unit, "", start, start + len(said), said, start + len(said))
    return Product(number, tuple(factors), len(body))


def _evaluated(parts: list[str], factors: list[int | Fraction]) -> Fraction | None:
    """The value of numbers and signs, or None where they are no expression."""
    at = 0

    def atom() -> Fraction | None:
        nonlocal at
        if at >= len(parts):
            return None
        part, at = parts[at], at + 1
        if part == "(":
            value = total()
            if value is None or at >= len(parts) or parts[at] != ")":
                return None
            at += 1
            return value
        return Fraction(factors[int(part)]) if part.isdecimal() else None

    def term() -> Fraction | None:
        nonlocal at
        value = atom()
        while value is not None and at < len(parts) and parts[at] in "*/":
            sign, at = parts[at], at + 1
            other = atom()
            value = None if other is None or (sign == "/" and not other) else value * other if sign == "*" else value / other
        return value

    def total() -> Fraction | None:
        nonlocal at
        value = term()
        while value is not None and at < len(parts) and parts[at] in "+-":
            sign, at = parts[at], at + 1
            other = term()
            value = None if other is None else value + other if sign == "+" else value - other
        return value

    found = total()
    return found if at == len(parts) else None
