"""Whole numbers written as sums of others, in a shell's `$((...))` or in a program. Nothing is run."""

from __future__ import annotations

import ast
import operator
from collections.abc import Callable, Mapping
from typing import Any

MOST = 1 << 62
_SUMS: dict[type[ast.operator], Callable[[int, int], int]] = {
    ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul, ast.FloorDiv: operator.floordiv, ast.Mod: operator.mod,
}  # fmt: skip


def whole(text: str, variables: Mapping[str, str]) -> int | None:
    """A shell's arithmetic over whole numbers and variables; None for what is not known, or is no such sum.

    >>> whole("1024 * K", {"K": "16"})
    16384

    Source: POSIX.1-2024, Shell Command Language, section 2.6.4.
    """
    if len(text) > 200:
        return None
    try:
        tree = ast.parse(text.replace("$", "").replace("{", "").replace("}", "").strip(), mode="eval")
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None

    def named(name: str) -> int | None:
        value = variables.get(name, "").strip()
        return int(value) if value.lstrip("-").isdecimal() and len(value) < 19 else None

    return of(tree.body, named, shell=True)


def of(node: ast.AST, named: Callable[[str], Any], *, shell: bool = False) -> int | None:
    """The whole number that an expression makes, with what names stand for; None where it makes none."""
    if isinstance(node, ast.Constant):
        return node.value if type(node.value) is int and abs(node.value) < MOST else None
    if isinstance(node, ast.Name):
        found = named(node.id)
        return found if type(found) is int else None
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, (ast.USub, ast.UAdd)):
        inner = of(node.operand, named, shell=shell)
        return None if inner is None else -inner if isinstance(node.op, ast.USub) else inner
    if isinstance(node, ast.BinOp):
        left, right = of(node.left, named, shell=shell), of(node.right, named, shell=shell)
        if left is None or right is None:
            return None
        if isinstance(node.op, ast.Div) and shell:
            return None if not right else abs(left) // abs(right) * (1 if (left < 0) == (right < 0) else -1)
        if isinstance(node.op, (ast.Pow, ast.LShift)):
            base, power = (left, right) if isinstance(node.op, ast.Pow) else (2, right)
            if not 0 <= power < 63:
                return None
            made = base**power * (left if isinstance(node.op, ast.LShift) else 1)
            return made if abs(made) < MOST else None
        sums = _SUMS.get(type(node.op))
        if sums is None or (not right and isinstance(node.op, (ast.FloorDiv, ast.Mod))):
            return None
        made = sums(left, right)
        return made if abs(made) < MOST else None
    return None
