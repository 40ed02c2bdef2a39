"""Regular expressions from configs, matched in bounded work.

The `re` module backtracks: `([a-z._0-9]+)+!$` takes it longer than anyone waits. Here a pattern becomes a nondeterministic automaton whose
states are followed all at once (Thompson, "Regular Expression Search Algorithm", CACM 11(6), 1968), and sets of states that were seen
are kept, so that a character costs one look-up. What cannot be followed so (references to groups) is refused, and all that patterns of
one list take is counted against a budget.
"""

from __future__ import annotations

import importlib
import re
import sys
import unicodedata
from collections.abc import Callable
from typing import Any

from archcalc.records import NamedTuple

MAX_LENGTH = 1000
"""Published patterns have some 50 characters, those that list a model's layers some hundreds."""
MAX_NODES = 5000
_ACCEPT, _CHAR, _SPLIT, _AT, _LOOK = range(5)

Test = Callable[[str], bool]


class CostError(Exception):
    """The budget is spent."""


class Budget:
    """How many steps all patterns of a list may take: a step is some tenth of a microsecond."""

    __slots__ = ("left",)

    def __init__(self, steps: int = 4_000_000) -> None:
        self.left = steps

    def spend(self, steps: int) -> None:
        self.left -= steps
        if self.left < 0:
            raise CostError


class _Look(NamedTuple):
    """A look ahead or behind: where its automaton starts, whether it must not match, how far back it begins."""

    start: int
    negated: bool
    back: int


class Pattern:
    """A pattern that is matched at the start of a text, as `re.match` does."""

    __slots__ = ("_accepting", "_budget", "_fold", "_moves", "_nodes", "_plain", "_start")

    def __init__(self, text: str, budget: Budget) -> None:
        """Raises `re.error` for what is no pattern, or one that is not matched here."""
        if len(text) > MAX_LENGTH:
            raise re.error(f"it has {len(text):,} characters, more than {MAX_LENGTH:,}")
        try:
            tree = _parser().parse(text)
        except (RecursionError, OverflowError):
            raise re.error("it is nested too deeply, or repeats too often") from None
        self._budget = budget
        self._fold = bool(tree.state.flags & re.IGNORECASE)
        self._nodes: list[tuple[int, Any, tuple[int, ...]]] = []
        self._plain = True
        self._start = self._sequence(tree, self._node(_ACCEPT, None))
        self._accepting = frozenset(i for i, node in enumerate(self._nodes) if node[0] == _ACCEPT)
        # By set of nodes, then by character: the next set.
        self._moves: dict[frozenset[int], dict[str, frozenset[int]]] = {}

    def match(self, text: str) -> bool:
        """Whether some start of `text` matches. Raises `CostError` where the budget is spent."""
        return self._run(self._start, text, 0)

    def _node(self, kind: int, what: Any, *after: int) -> int:
        if len(self._nodes) >= MAX_NODES:
            raise re.error("its repeats amount to too many states")
        self._nodes.append((kind, what, after))
        return len(self._nodes) - 1

    def _sequence(self, items: Any, after: int) -> int:
        for op, what in reversed(list(items)):
            after = self._item(str(op), what, after)
        return after

    def _item(self, op: str, what: Any, after: int) -> int:
        if op in ("LITERAL", "NOT_LITERAL", "ANY", "IN"):
            return self._node(_CHAR, _test(op, what, self._fold), after)
        if op == "SUBPATTERN":
            if what[1] or what[2]:
                raise re.error("flags within a group are not matched here")
            return self._sequence(what[3], after)
        if op == "BRANCH":
            return self._node(_SPLIT, None, *(self._sequence(each, after) for each in what[1]))
        if op in ("MAX_REPEAT", "MIN_REPEAT"):
            return self._repeat(what, after)
        if op == "AT":
            if str(what) not in ("AT_BEGINNING", "AT_BEGINNING_STRING", "AT_END", "AT_END_STRING"):
                self._plain = False
            return self._node(_AT, str(what), after)
        if op in ("ASSERT", "ASSERT_NOT"):
            self._plain = False
            direction, inner = what
            back = inner.getwidth()[0] if direction < 0 else 0
            look = _Look(self._sequence(inner, self._node(_ACCEPT, None)), op == "ASSERT_NOT", back)
            return self._node(_LOOK, look, after)
        raise re.error(f"{op.lower().replace('_', ' ')} is not matched here")

    def _repeat(self, what: Any, after: int) -> int:
        least, most, item = what
        if int(most) >= _parser().MAXREPEAT:
            loop = self._node(_SPLIT, None)
            self._nodes[loop] = (_SPLIT, None, (self._sequence(item, loop), after))
            after = loop
        else:
            for _ in range(int(most) - least):
                after = self._node(_SPLIT, None, self._sequence(item, after), after)
        for _ in range(least):
            after = self._sequence(item, after)
        return after

    def _run(self, start: int, text: str, at: int) -> bool:
        states = self._closure((start,), text, at)
        for place in range(at, len(text)):
            if not states or not states.isdisjoint(self._accepting):
                break
            states = self._step(states, text, place)
        return not states.isdisjoint(self._accepting)

    def _step(self, states: frozenset[int], text: str, place: int) -> frozenset[int]:
        c = text[place]
        # The end of the text is another place than those before: `$` holds there.
        keep = self._plain and place + 1 < len(text)
        self._budget.spend(1)
        if keep:
            moves = self._moves.setdefault(states, {})
            known = moves.get(c)
            if known is not None:
                return known
        self._budget.spend(2 * len(states))
        after = [self._nodes[s][2][0] for s in states if self._nodes[s][0] == _CHAR and self._nodes[s][1](c)]
        found = self._closure(tuple(after), text, place + 1)
        if keep:
            moves[c] = found
        return found

    def _closure(self, states: tuple[int, ...], text: str, at: int) -> frozenset[int]:
        """The nodes that take a character or accept, reached without one."""
        seen: set[int] = set()
        todo = list(states)
        while todo:
            state = todo.pop()
            if state in seen:
                continue
            seen.add(state)
            kind, what, after = self._nodes[state]
            if kind == _SPLIT or (kind == _AT and _is_at(what, text, at)) or (kind == _LOOK and self._sees(what, text, at)):
                todo += after
        self._budget.spend(2 * len(seen))
        return frozenset(s for s in seen if self._nodes[s][0] in (_CHAR, _ACCEPT))

    def _sees(self, look: _Look, text: str, at: int) -> bool:
        if not look.back:
            return self._run(look.start, text, at) != look.negated
        held = at >= look.back and self._run(look.start, text[:at], at - look.back)
        return held != look.negated


def _parser() -> Any:
    """The parser of `re`, which has moved."""
    return importlib.import_module("re._parser" if sys.version_info >= (3, 11) else "sre_parse")


def _is_at(what: str, text: str, at: int) -> bool:
    if what.startswith("AT_BEGINNING"):
        return at == 0
    if what.startswith("AT_END"):
        return at == len(text)
    inside = (at > 0 and _is_word(text[at - 1])) != (at < len(text) and _is_word(text[at]))
    return inside != ("NON" in what)


def _is_word(c: str) -> bool:
    return c.isalnum() or c == "_"


_CATEGORIES: dict[str, Test] = {
    "CATEGORY_DIGIT": lambda c: unicodedata.category(c) == "Nd", "CATEGORY_SPACE": str.isspace, "CATEGORY_WORD": _is_word,
}  # fmt: skip


def _test(op: str, what: Any, fold: bool) -> Test:
    """What a node asks of a character."""
    if op == "ANY":
        return lambda c: c != "\n"
    items = [(op.removeprefix("NOT_"), what)] if op != "IN" else [(str(o), w) for o, w in what]
    negated = op == "NOT_LITERAL" or items[0][0] == "NEGATE"
    tests = [_one(o, w) for o, w in items if o != "NEGATE"]

    def held(c: str) -> bool:
        forms = {c, c.lower(), c.upper()} if fold else (c,)
        return any(test(form) for test in tests for form in forms if len(form) == 1) != negated

    return held


def _one(op: str, what: Any) -> Test:
    if op == "LITERAL":
        return lambda c: ord(c) == what
    if op == "RANGE":
        return lambda c: what[0] <= ord(c) <= what[1]
    name = str(what)
    test = _CATEGORIES.get(name.replace("NOT_", ""))
    if test is None:
        raise re.error(f"{name.lower()} is not matched here")
    return (lambda c: not test(c)) if "NOT_" in name else test
