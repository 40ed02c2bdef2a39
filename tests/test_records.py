"""Records behave as `typing.NamedTuple` does; and all of the package's are made by `archcalc.records`."""

from __future__ import annotations

import ast
import copy
import dataclasses
import pickle
import typing
from pathlib import Path

import pytest

import archcalc
from archcalc import records


class Theirs(typing.NamedTuple):
    """A record."""

    a: int
    b: str = "x"
    c: typing.Any = ()

    @property
    def both(self) -> str:
        return f"{self.a}{self.b}"


class Ours(records.NamedTuple):
    """A record."""

    a: int
    b: str = "x"
    c: typing.Any = ()

    @property
    def both(self) -> str:
        return f"{self.a}{self.b}"


class Empty(records.NamedTuple):
    """Nothing."""


def _shown(value: object) -> str:
    return repr(value).replace("Theirs", "Ours")


@pytest.mark.parametrize(
    "ask",
    [
        lambda cls: cls(1),
        lambda cls: cls(1, "y", c=3),
        lambda cls: cls._make([1, 2, 3]),
        lambda cls: cls(1)._replace(b="z"),
        lambda cls: cls(1)._asdict(),
        lambda cls: cls(1).both,
        lambda cls: (cls(1) == (1, "x", ()), hash(cls(1)) == hash((1, "x", ())), cls(1)[1:], len(cls(1))),
        lambda cls: (cls._fields, cls._field_defaults, cls.__match_args__, cls.__doc__, cls.__module__),
        lambda cls: pickle.loads(pickle.dumps(cls(1))),
        lambda cls: copy.deepcopy(cls(1, c=(2,))),
        typing.get_type_hints,
        lambda cls: isinstance(cls(1), tuple) and type(cls) is type,
        lambda cls: hasattr(cls(1), "__dict__"),
    ],
)
def test_as_typing_has_it(ask: typing.Callable[[typing.Any], object]) -> None:
    assert _shown(ask(Ours)) == _shown(ask(Theirs))


@pytest.mark.parametrize(
    "ask",
    [
        lambda cls: cls(),
        lambda cls: cls(1, d=2),
        lambda cls: cls(1, 2, 3, 4),
        lambda cls: cls._make([1]),
        lambda cls: cls(1)._replace(d=1),
        lambda cls: setattr(cls(1), "a", 2),
        lambda cls: setattr(cls(1), "d", 2),
    ],
)
def test_refuses_what_typing_refuses(ask: typing.Callable[[typing.Any], object]) -> None:
    raised = []
    for cls in (Ours, Theirs):
        with pytest.raises(Exception) as caught:
            ask(cls)
        raised.append(caught.type)
    assert issubclass(raised[0], (raised[1], TypeError))


def test_a_default_stands_last() -> None:
    with pytest.raises(TypeError, match="stands behind"):

        class Wrong(records.NamedTuple):
            a: int = 1
            b: int  # type: ignore[misc]

    assert Empty() == () and repr(Empty()) == "Empty()"


def test_all_records_are_made_here() -> None:
    for path in Path(archcalc.__file__).parent.rglob("*.py"):
        if path.name == "records.py":
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = [alias.name for alias in node.names] if isinstance(node, ast.ImportFrom) and node.module == "typing" else []
            assert "NamedTuple" not in names, path


@dataclasses.dataclass(frozen=True)
class TheirBase:
    a: int
    b: str = "x"


@dataclasses.dataclass(frozen=True)
class Their(TheirBase):
    b: str = "y"
    c: int = 3


class OurBase(records.Frozen):
    a: int
    b: str = "x"


class Our(OurBase):
    b: str = "y"
    c: int = 3


CALLS: list[typing.Callable[[typing.Any, typing.Any], object]] = [
    lambda cls, base: cls(1),
    lambda cls, base: cls(1, "z", 4),
    lambda cls, base: cls(1, c=5),
    lambda cls, base: (cls(1) == cls(a=1), cls(1) == cls(2), base(1, "y") == cls(1), len({cls(1), cls(1), cls(2)})),
    lambda cls, base: isinstance(cls(1), base),
    lambda cls, base: copy.deepcopy(cls(1)),
    lambda cls, base: pickle.loads(pickle.dumps(cls(1))),
]


@pytest.mark.parametrize("ask", CALLS)
def test_frozen_is_as_a_dataclass(ask: typing.Callable[[typing.Any, typing.Any], object]) -> None:
    assert repr(ask(Our, OurBase)) == repr(ask(Their, TheirBase)).replace("Their", "Our")


@pytest.mark.parametrize(
    "ask",
    [
        lambda cls: cls(),
        lambda cls: cls(1, d=2),
        lambda cls: cls(1, a=2),
        lambda cls: cls(1, "a", 3, 4),
        lambda cls: setattr(cls(1), "a", 2),
    ],
)
def test_frozen_refuses_what_a_dataclass_refuses(ask: typing.Callable[[typing.Any], object]) -> None:
    for cls in (Our, Their):
        with pytest.raises((TypeError, AttributeError)):
            ask(cls)


def test_frozen_with_other_values() -> None:
    assert Our(1).replace(c=9) == Our(1, "y", 9)
