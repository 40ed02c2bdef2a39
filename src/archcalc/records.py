"""`NamedTuple` as `typing` has it, made in a third of the time: what a start-up makes of records is most of what it takes.

`typing.NamedTuple` compiles each annotation and makes each class twice. Here annotations stay the text they are, and what all records have
in common stands in one base. Type checkers see `typing.NamedTuple`.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, ClassVar
    from typing import NamedTuple as NamedTuple  # noqa: PLC0414

    from typing_extensions import Self
    from typing_extensions import dataclass_transform as dataclass_transform  # noqa: PLC0414
else:

    def dataclass_transform(**_):
        """Only type checkers need it."""
        return lambda cls: cls

    from _collections import _tuplegetter

    class _Made(type):
        """Makes a record's class of its annotations."""

        def __new__(mcs, name, bases, namespace):
            fields = tuple(namespace.get("__annotations__", ()))
            defaults = {field: namespace[field] for field in fields if field in namespace}
            if defaults and tuple(defaults) != fields[-len(defaults) :]:
                raise TypeError(f"{name}: a field without a default stands behind one with a default")
            names = ", ".join(fields)
            make = eval(f"lambda _cls, {names}: _new(_cls, ({names}{',' if fields else ''}))", {"_new": tuple.__new__})
            make.__name__ = "__new__"
            make.__qualname__ = f"{name}.__new__"
            make.__defaults__ = tuple(defaults.values())
            namespace.update({field: _tuplegetter(i, f"Alias for field number {i}") for i, field in enumerate(fields)})
            namespace.update(__slots__=(), __new__=make, _fields=fields, _field_defaults=defaults, __match_args__=fields)
            return type.__new__(type, name, (_Record,), namespace)

    class _Record(tuple):
        __slots__ = ()
        _fields = ()

        @classmethod
        def _make(cls, values):
            made = tuple.__new__(cls, values)
            if len(made) != len(cls._fields):
                raise TypeError(f"Expected {len(cls._fields)} arguments, got {len(made)}")
            return made

        def _replace(self, /, **changes):
            made = self._make(map(changes.pop, self._fields, self))
            if changes:
                raise ValueError(f"Got unexpected field names: {list(changes)!r}")
            return made

        __replace__ = _replace

        def _asdict(self):
            return dict(zip(self._fields, self, strict=True))

        def __repr__(self):
            return (
                f"{type(self).__name__}({', '.join(f'{name}={value!r}' for name, value in zip(self._fields, self, strict=True))})"
            )

        def __getnewargs__(self):
            return tuple(self)

    NamedTuple = type.__new__(_Made, "NamedTuple", (), {})


@dataclass_transform(frozen_default=True)
class Frozen:
    """A frozen dataclass whose methods are not compiled anew for each class: the annotations of a subclass are its fields, behind those of
    its base, and what stands in the class is their defaults."""

    _fields: ClassVar[tuple[str, ...]] = ()

    def __init_subclass__(cls) -> None:
        cls._fields = (*cls._fields, *(name for name in cls.__annotations__ if name not in cls._fields))

    def __init__(self, *values: Any, **named: Any) -> None:
        fields, own = self._fields, self.__dict__
        own.update(zip(fields, values, strict=False))
        wrong = [name for name in named if name in own or name not in fields]
        own.update(named)
        missing = [name for name in fields[len(values) :] if name not in own and not hasattr(type(self), name)]
        if wrong or missing or len(values) > len(fields):
            raise TypeError(f"{type(self).__name__}({', '.join(fields)}): wrong {wrong}, missing {missing}, {len(values)} in order")

    def __setattr__(self, name: str, value: Any) -> None:
        raise AttributeError(f"{type(self).__name__}.{name} cannot be set")

    def _values(self) -> tuple[Any, ...]:
        return tuple(getattr(self, name) for name in self._fields)

    def replace(self, **changes: Any) -> Self:
        """The same with other values of some fields."""
        return type(self)(**{**self.__dict__, **changes})

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Frozen) and type(other) is type(self) and other._values() == self._values()

    def __hash__(self) -> int:
        return hash((type(self), self._values()))

    def __repr__(self) -> str:
        shown = (f"{name}={value!r}" for name, value in zip(self._fields, self._values(), strict=True))
        return f"{type(self).__name__}({', '.join(shown)})"
