"""The printed formulas, evaluated: numbers, `x`, `+`, `-`, `/` and parentheses; words say what a number is, and count for nothing.

A parenthesis beside a value, with no sign between them, is a remark. What follows a comma or semicolon is one too.
"""

from __future__ import annotations

import re
from fractions import Fraction

_TOKEN = re.compile(
    r"(?P<number>\d[\d,]*\d(?:\.\d+)?|\d+(?:\.\d+)?)|(?P<sign>[()]|[+/-](?=\s)|\bx\b)|(?P<unit>[KMGT]iB\b)|(?P<word>[A-Za-z_'][\w'./-]*)|(?P<end>[,;:=])"
)
_UNITS = {"KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30, "TiB": 1 << 40}


class NoFormulaError(Exception):
    """The text is words."""


def value(text: str) -> Fraction:
    """The number that a formula gives; raises `NoFormulaError` where it is no arithmetic."""
    if not (re.match(r"[\d(]", text) and re.search(r" [x+/-] |\d B\b", text)) and " + " not in text:
        raise NoFormulaError(text)
    tokens = [(m.lastgroup or "", m[0]) for m in _TOKEN.finditer(text) if m.lastgroup != "word"]
    found, rest = _sum(tokens)
    if rest and rest[0][0] != "end":
        raise NoFormulaError(text)
    return found


def _sum(tokens: list[tuple[str, str]]) -> tuple[Fraction, list[tuple[str, str]]]:
    total, tokens = _product(tokens)
    while tokens and tokens[0][1] in "+-" and tokens[0][0] == "sign":
        sign = 1 if tokens[0][1] == "+" else -1
        term, tokens = _product(tokens[1:])
        total += sign * term
    return total, tokens


def _product(tokens: list[tuple[str, str]]) -> tuple[Fraction, list[tuple[str, str]]]:
    total, tokens = _operand(tokens)
    while tokens and tokens[0][1] in ("x", "/"):
        factor, rest = _operand(tokens[1:])
        total = total * factor if tokens[0][1] == "x" else total / factor
        tokens = rest
    return total, tokens


def _operand(tokens: list[tuple[str, str]]) -> tuple[Fraction, list[tuple[str, str]]]:
    if not tokens:
        raise NoFormulaError
    kind, text = tokens[0]
    if text == "(":
        inside, after = _closed(tokens)
        if after and after[0][0] == "number":
            return _operand(after)
        found, rest = _sum(inside)
        if rest:
            raise NoFormulaError
        return found, _unremarked(after)
    if kind != "number":
        raise NoFormulaError
    found, tokens = Fraction(text.replace(",", "")), tokens[1:]
    if tokens and tokens[0][0] == "unit":
        found, tokens = found * _UNITS[tokens[0][1]], tokens[1:]
    return found, _unremarked(tokens)


def _unremarked(tokens: list[tuple[str, str]]) -> list[tuple[str, str]]:
    while tokens and tokens[0][1] == "(":
        tokens = _closed(tokens)[1]
    return tokens


def _closed(tokens: list[tuple[str, str]]) -> tuple[list[tuple[str, str]], list[tuple[str, str]]]:
    depth = 0
    for i, (_, text) in enumerate(tokens):
        depth += (text == "(") - (text == ")")
        if not depth:
            return tokens[1:i], tokens[i + 1 :]
    raise NoFormulaError
