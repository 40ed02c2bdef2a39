"""`Architecture` as compact JSON, and back, without a schema: bundled models are loaded with it at every start.

Records are arrays in the order of their fields, with trailing defaults left out. A tensor or a layer that occurs more than
once is written once and referred to by its number.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from archcalc.model import (
    Architecture,
    Attend,
    Bare,
    Buffer,
    Cache,
    Clamped,
    Differential,
    Encoder,
    Experts,
    Facts,
    Group,
    Layer,
    Lengths,
    Moe,
    Passes,
    Position,
    Rope,
    Rotation,
    Routing,
    Scores,
    Shard,
    Stack,
    State,
    Tensor,
    TextModel,
    Widened,
)

VERSION = 2

T = TypeVar("T")


def dump(architecture: Architecture) -> dict[str, Any]:
    """What `load` turns back into an equal `Architecture`, once it was written as JSON."""
    tensors: dict[Tensor, int] = {}
    layers: dict[Layer, int] = {}

    def tensor_ids(found: Sequence[Tensor]) -> list[int]:
        return [tensors.setdefault(tensor, len(tensors)) for tensor in found]

    groups = [[group.part, tensor_ids(group.tensors)] for group in architecture.groups]
    stacks = [
        _row(stack._replace(kinds=tuple(layers.setdefault(layer, len(layers)) for layer in stack.kinds)))  # type: ignore[misc]
        for stack in architecture.stacks
    ]
    layer_rows = [_row(layer._replace(tensors=tuple(tensor_ids(layer.tensors)))) for layer in layers]  # type: ignore[arg-type]
    fields = {
        name: _rows(value)
        for name, value in architecture._asdict().items()
        if name not in ("groups", "stacks") and value != Architecture._field_defaults.get(name, ...)
    }
    return {
        "version": VERSION,
        "tensors": [_row(tensor) for tensor in tensors],
        "layers": layer_rows,
        "groups": groups,
        "stacks": stacks,
        "fields": {**fields, "facts": _row(architecture.facts)},
    }


def load(data: dict[str, Any]) -> Architecture:
    """The `Architecture` that `dump` wrote. The lists of `data` are used up."""
    if data["version"] != VERSION:
        raise ValueError(f"a spec of version {data['version']}, not {VERSION}")
    tensors = [_tensor(row) for row in data["tensors"]]
    layers = data["layers"]
    for i, row in enumerate(layers):
        row[2] = tuple([tensors[k] for k in row[2]])
        layers[i] = _layer(row)
    stacks = data["stacks"]
    for i, row in enumerate(stacks):
        row[2] = tuple([layers[k] for k in row[2]])
        stacks[i] = _stack(row)
    fields = {name: _FIELDS[name](value) if name in _FIELDS else value for name, value in data["fields"].items()}
    groups = tuple([Group(part, tuple([tensors[k] for k in ids])) for part, ids in data["groups"]])
    return Architecture(**fields, groups=groups, stacks=tuple(stacks))


def _row(record: Any) -> list[Any]:
    """A named tuple as a list without its trailing defaults."""
    values = list(record)
    for name in reversed(record._fields):
        if name not in record._field_defaults or values[-1] != record._field_defaults[name]:
            break
        values.pop()
    found = [_row(value) if hasattr(value, "_fields") else _rows(value) for value in values]
    # Steps are of several kinds, so a row of one names its kind first.
    return [type(record).__name__, *found] if type(record).__name__ in _STEPS else found


def _rows(value: Any) -> Any:
    if isinstance(value, frozenset):
        return sorted(value)
    return [_row(item) if hasattr(item, "_fields") else _rows(item) for item in value] if isinstance(value, tuple) else value


def _reader(cls: Callable[..., T], **fields: Callable[[Any], Any]) -> Callable[[list[Any]], T]:
    """A function that makes a record of a row, the named fields of it converted."""
    order: tuple[str, ...] = cls._fields  # type: ignore[attr-defined]
    plan = [(order.index(name), convert) for name, convert in fields.items()]

    def read(row: list[Any]) -> T:
        for i, convert in plan:
            if i < len(row) and row[i] is not None:
                row[i] = convert(row[i])
        return cls(*row)

    return read


def _each(read: Callable[[Any], Any]) -> Callable[[list[Any]], tuple[Any, ...]]:
    return lambda rows: tuple([read(row) for row in rows])


_tensor = _reader(Tensor, shape=tuple, shard=Shard._make, experts=lambda row: Experts(*row), stored=tuple)
_state = _reader(State, shape=tuple)
_cache = _reader(Cache, states=_each(_state))
_STEPS: dict[str, Callable[[list[Any]], Any]] = {
    cls.__name__: _reader(cls) for cls in (Bare, Rotation, Scores, Routing, Clamped, Differential, Widened, Passes)
}


def _step(row: list[Any]) -> Any:
    return _STEPS[row[0]](row[1:])


_layer = _reader(Layer, caches=_each(_cache), attends=_each(_reader(Attend)), steps=_each(_step))
_stack = _reader(Stack, pattern=tuple)
_facts = _reader(Facts, position=_reader(Position), moe=Moe._make, more=_each(tuple))
_FIELDS: dict[str, Callable[[Any], Any]] = {
    "renames": _each(tuple),
    "unmodelled_keys": tuple,
    "notes": tuple,
    "facts": _facts,
    "rotary": _each(tuple),
    "encoders": _each(_reader(Encoder)),
    "text": _reader(TextModel),
    "classes": tuple,
    "autos": tuple,
    "steps": _each(_step),
    "uncounted": frozenset,
    "lengths": _reader(Lengths, keys=_each(tuple), ropes=_each(_reader(Rope))),
    "buffers": _each(_reader(Buffer, layers=tuple, tensor=_tensor)),
}
