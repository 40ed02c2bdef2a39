"""How a quantization method says what it stores in place of each weight."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from archcalc.errors import ConfigError, json_text
from archcalc.model import Architecture, Kind, Part, Role, Tensor
from archcalc.quant._names import Layers, Names
from archcalc.records import NamedTuple

FP8 = "F8_E4M3"


class Stored(NamedTuple):
    """One tensor of a checkpoint: its name below the module it belongs to, shape, and dtype in safetensors' spelling.

    A name that starts with `_` is joined to the module's without a dot. `parameters` is what the Hub counts the tensor as,
    where that is not its number of elements: packed weights count unpacked, scales not at all.
    """

    name: str
    shape: tuple[int, ...]
    dtype: str
    parameters: int | None = None

    @property
    def elements(self) -> int:
        n = 1
        for size in self.shape:
            n *= size
        return n


class Module(NamedTuple):
    """A linear module: layer `i` holds `{prefix}{i}.{name}`; outside the layers `prefix` is empty. An expert's number is `{}`."""

    prefix: str
    name: str
    role: Role
    part: Part


Scheme = Callable[[int, int], tuple[Stored, ...]]
"""What stands in the checkpoint for one weight of [out, in]."""
Split = Callable[[Module, Layers], Iterable[tuple[Scheme | None, Layers]]]
"""Which layers store a module by which scheme; None is as it is."""
Fused = Callable[[Module, tuple[int, int, int]], tuple[Stored, ...] | None]
"""What stands in the checkpoint for fused experts of [experts, out, in], or None where they stay as they are."""
Whole = Callable[[Tensor, Part, Layers], Iterable[tuple[tuple[Stored, ...], Layers]]]
"""What stands in the file for any tensor, for formats that leave nothing as it was."""


class Plan(NamedTuple):
    """What one quantization config does to the weights of one architecture.

    `linear` says which tensors are weights of linear modules in the method's sight. Experts that the publisher's own files fuse are
    stored one by one, unless `fused` says how. `cache_scales` are stored beside the module whose name ends so, in every decoder
    layer; `adds_bias` is the dtype of a bias stored for each quantized module that has none. `scheme` is the one that `split` gives
    to every module of a plan that spares none. `stores_tied` is for tools that store a tied head all the same, `drops` the parts
    that they leave out of the checkpoint. `uncounted` are kinds of tensors that are stored and that the tool's own total leaves out.
    `notes` say what the config leaves open. `widens` is true of a tool that stores in float32 what the model's class keeps so.
    """

    split: Split
    linear: Callable[[Tensor, Part], bool]
    fused: Fused | None = None
    cache_scales: tuple[tuple[str, Stored], ...] = ()
    adds_bias: str = ""
    whole: Whole | None = None
    scheme: Scheme | None = None
    stores_tied: bool = False
    drops: frozenset[Part] = frozenset()
    uncounted: frozenset[Kind] = frozenset()
    notes: tuple[str, ...] = ()
    widens: bool = False


_LINEAR_ROLES = frozenset(("attention", "mlp", "experts", "shared_experts", "other"))


def is_linear(tensor: Tensor, part: Part) -> bool:
    """The weight of a linear module that methods quantize unless told otherwise.

    What an architecture stores in a type of its own, or its class keeps in float32, is stored so whatever the method.
    Embeddings, norms, routers and heads are left alone, and so is the projection at the entry of an MTP layer: no method touches
    it, because the reference implementations run it outside of their quantized linear modules.
    """
    return (
        len(tensor.shape) == 2
        and tensor.role in _LINEAR_ROLES
        and tensor.name.endswith(".weight")
        and tensor.dtype is None
        and not tensor.fp32
        and not (part == "mtp" and tensor.role == "other")
    )


def is_linear_or_head(tensor: Tensor, part: Part) -> bool:
    """As `is_linear`, for methods that convert all that their list does not spare, heads and MTP projections among them."""
    return (
        len(tensor.shape) == 2
        and (tensor.role in _LINEAR_ROLES or (tensor.role == "head" and part != "mtp"))
        and tensor.name.endswith(".weight")
        and tensor.dtype is None
        and not tensor.fp32
    )


def in_decoder(tensor: Tensor, part: Part) -> bool:
    """The linear modules of the decoder's layers only."""
    return part == "decoder" and is_linear(tensor, part)


def plan_of(scheme: Scheme, skip: Names | None, linear: Callable[[Tensor, Part], bool]) -> Plan:
    """One scheme for every linear module that `skip` does not name."""
    return Plan(by_names(((None, scheme),), skip), linear, scheme=None if skip else scheme)


def by_names(groups: Sequence[tuple[Names | None, Scheme | None]], skip: Names | None = None) -> Split:
    """The first group that names a module stores it (None names every module), unless `skip` does."""
    rules = [(skip, None), *groups] if skip else list(groups)

    def split(module: Module, layers: Layers) -> Iterable[tuple[Scheme | None, Layers]]:
        rest = layers
        for names, scheme in rules:
            hits = rest if names is None else names.match(module.prefix, module.name, rest)
            if hits:
                yield scheme, hits
                if len(hits) == len(rest):
                    return
                taken = set(hits)
                rest = [i for i in rest if i not in taken]
        yield None, rest

    return split


def ceil_div(n: int, by: int) -> int:
    return -(-n // by)


def scalar(name: str, dtype: str = "F32", shape: tuple[int, ...] = ()) -> Stored:
    """A scale of its own, which counts as no parameter."""
    return Stored(name, shape, dtype, 0)


def wrong(config: str, value: object, expected: str) -> ConfigError:
    """The error for a key of a quantization config that holds what it cannot."""
    key = f"quantization_config.{config}"
    said = "missing or null" if value is None else json_text(value)
    return ConfigError(f"{key} is {said}: {expected} was expected", f"correct {key}", key)


def integer(config: Mapping[str, Any], key: str, default: int | None = None) -> int:
    """A positive number of a quantization config."""
    value = config.get(key)
    value = default if value is None else value
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise wrong(key, value, "a positive integer")
    return value


def group_of(config: Mapping[str, Any], key: str = "group_size", default: int = 128) -> int:
    """How many values share a scale; 0 is all of a row, which configs write -1 too."""
    value = config.get(key)
    value = default if value is None else value
    if not isinstance(value, int) or isinstance(value, bool) or value == 0:
        raise wrong(key, value, "a positive integer, or -1 for all of a row")
    return max(value, 0)


def block_of(value: object, key: str) -> tuple[int, int]:
    """Rows and columns that share a scale."""
    sizes = [int(v) if isinstance(v, str) and v.isdigit() else v for v in value] if isinstance(value, (list, tuple)) else []
    if len(sizes) != 2 or not all(isinstance(v, int) and not isinstance(v, bool) and v > 0 for v in sizes):
        raise wrong(key, value, "two positive integers")
    return sizes[0], sizes[1]


def section(config: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    """A part of a quantization config; nothing where it is not there."""
    value = config.get(key)
    if value is None:
        return {}
    if not isinstance(value, Mapping):
        raise wrong(key, value, "an object")
    return value


def names(config: Mapping[str, Any], *keys: str) -> Names | None:
    """The modules that the first of these keys lists, or None where none is there."""
    for key in keys:
        value = config.get(key)
        if value is not None:
            if not isinstance(value, (list, tuple)):
                raise wrong(key, value, "a list")
            return Names(value, f"quantization_config.{key}")
    return None


Reader = Callable[[Any, Architecture, str], Plan]
"""`plan(quantization, architecture, dtype)` of each method's module."""
