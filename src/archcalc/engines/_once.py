"""What depends on a model alone, made once for it: a record of one is never changed, and too large to be compared or hashed."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any, Concatenate, ParamSpec, TypeVar

_Held = TypeVar("_Held")
_Rest = ParamSpec("_Rest")
_Made = TypeVar("_Made")
_MOST = 1024


def once(function: Callable[Concatenate[_Held, _Rest], _Made]) -> Callable[Concatenate[_Held, _Rest], _Made]:
    """The function, which keeps what it found for an object and the hashable arguments behind it.

    The objects are kept too, so that no other gets the address of one.
    """
    kept: dict[tuple[Any, ...], tuple[_Held, _Made]] = {}

    @wraps(function)
    def found(held: _Held, /, *rest: _Rest.args, **named: _Rest.kwargs) -> _Made:
        key = (id(held), rest, *named.items()) if named else (id(held), rest)
        known = kept.get(key)
        if known is None:
            if len(kept) >= _MOST:
                kept.clear()
            known = kept[key] = held, function(held, *rest, **named)
        return known[1]

    return found
