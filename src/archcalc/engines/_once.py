"""What depends on a model alone, made once for it: a record of one is never changed, and too large to be compared or hashed."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from functools import lru_cache, wraps
from typing import Concatenate, ParamSpec, TypeVar

_Held = TypeVar("_Held")
_Rest = ParamSpec("_Rest")
_Made = TypeVar("_Made")
_MOST = 1024


class _Same:
    """A key that is equal where it holds the very same object, which it keeps, so that no other gets its address."""

    __slots__ = ("held",)

    def __init__(self, held: object) -> None:
        self.held = held

    def __hash__(self) -> int:
        return id(self.held)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Same) and self.held is other.held


def once(function: Callable[Concatenate[_Held, _Rest], _Made]) -> Callable[Concatenate[_Held, _Rest], _Made]:
    """The function, which keeps what it found for an object and the hashable arguments behind it."""

    @lru_cache(maxsize=_MOST)
    def made(same: _Same, *rest: Hashable) -> _Made:
        return function(same.held, *rest)  # type: ignore[arg-type, call-arg]

    @wraps(function)
    def found(held: _Held, /, *rest: _Rest.args, **named: _Rest.kwargs) -> _Made:
        return made(_Same(held), *rest, **named)  # type: ignore[arg-type]

    return found
