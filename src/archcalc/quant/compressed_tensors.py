"""compressed-tensors, the format of llm-compressor: groups of modules, each with its number type, strategy and packing.

`config_groups` say which modules (by name, by `re:` pattern, or by class: `Linear` is every linear module) are stored how;
`ignore` spares some. What a module becomes depends on the format:

- `float-quantized`, `int-quantized`, `naive-quantized`: `weight` in one byte a value, `weight_scale`;
- `pack-quantized`: `weight_packed` in 32-bit integers, `weight_scale`, the true `weight_shape`, with `actorder: group` the order of
  columns;
- `nvfp4-pack-quantized`: `weight_packed` in bytes, FP8 `weight_scale` per 16, one `weight_global_scale`;
- `mxfp4-pack-quantized`: `weight_packed` in bytes, `weight_scale` per 32 as exponents;

and a `weight_zero_point` where it is not symmetric, an `input_scale` where activations are static.

Source: compressed-tensors 0.12, compressors/quantized_compressors/ (naive_quantized.py, pack_quantized.py, fp4_quantized.py),
quantization/quant_config.py and quantization/lifecycle/initialize.py (shapes of scales).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from archcalc.errors import ConfigError, UnsupportedError, json_text
from archcalc.model import Architecture, Part, Tensor
from archcalc.quant._names import Layers, Names
from archcalc.quant._plan import (
    FP8,
    Module,
    Plan,
    Scheme,
    Stored,
    block_of,
    by_names,
    ceil_div,
    integer,
    is_linear_or_head,
    names,
    scalar,
    section,
)  # fmt: skip


def _scale_shape(weights: Mapping[str, Any], out: int, width: int) -> tuple[int, ...]:
    strategy = weights.get("strategy")
    group = weights.get("group_size")
    if strategy is None:
        strategy = "channel" if group == -1 else "group" if group else "tensor"
    if strategy == "tensor":
        return (1,)
    if strategy == "channel":
        return (out, 1)
    if strategy in ("group", "tensor_group"):
        return (out, ceil_div(width, integer(weights, "group_size")))
    if strategy == "block":
        block = weights.get("block_structure")
        sizes = block_of(block.split("x") if isinstance(block, str) else block, "block_structure")
        return (ceil_div(out, sizes[0]), ceil_div(width, sizes[1]))
    raise UnsupportedError(
        f"the strategy of a config group is {json_text(strategy)}: archcalc does not know it",
        "known are tensor, channel, group and block",
    )


def _format(group: Mapping[str, Any], config: Mapping[str, Any]) -> str:
    """The group's format, or the one that its number type asks for."""
    stated = group.get("format") or config.get("format")
    if stated not in (None, "mixed-precision"):
        return str(stated)
    weights = group["weights"]
    bits, kind = weights.get("num_bits", 8), weights.get("type", "int")
    if kind == "float":
        if bits == 4:
            return "mxfp4-pack-quantized" if weights.get("group_size") == 32 else "nvfp4-pack-quantized"
        return "float-quantized"
    return "int-quantized" if bits == 8 and group.get("input_activations") else "pack-quantized"


def _inputs(group: Mapping[str, Any], dtype: str, name: str = "input_scale") -> tuple[Stored, ...]:
    """A static scale of the activations; dynamic ones are computed while running."""
    activations = group.get("input_activations")
    if not isinstance(activations, Mapping) or activations.get("dynamic") not in (False, None, "local"):
        return ()
    return (scalar(name, dtype, (1,)),)


def _bytes(group: Mapping[str, Any], dtype: str) -> Scheme:
    weights = group["weights"]
    stored = FP8 if weights.get("type", "int") == "float" else "I8"

    def scheme(out: int, width: int) -> tuple[Stored, ...]:
        shape = _scale_shape(weights, out, width)
        pieces = (Stored("weight", (out, width), stored), scalar("weight_scale", dtype, shape), *_inputs(group, dtype))
        return pieces if weights.get("symmetric", True) else (*pieces, scalar("weight_zero_point", stored, shape))

    return scheme


def _packed(group: Mapping[str, Any], dtype: str) -> Scheme:
    weights = group["weights"]
    bits = integer(weights, "num_bits", 4)

    def scheme(out: int, width: int) -> tuple[Stored, ...]:
        shape = _scale_shape(weights, out, width)
        columns = ceil_div(width * bits, 32)
        pieces = [
            Stored("weight_packed", (out, columns), "I32", round(out * columns * 32 / bits)),
            scalar("weight_scale", dtype, shape),
            scalar("weight_shape", "I64", (2,)),
        ]
        if not weights.get("symmetric", True):
            pieces.append(scalar("weight_zero_point", "I32", (ceil_div(shape[0] * bits, 32), shape[-1])))
        if str(weights.get("actorder") or "").lower() == "group":
            pieces.append(scalar("weight_g_idx", "I32", (width,)))
        return (*pieces, *_inputs(group, dtype))

    return scheme


def _nvfp4(group: Mapping[str, Any], dtype: str) -> Scheme:
    size = integer(group["weights"], "group_size", 16)
    inputs = _inputs(
        {"input_activations": {"dynamic": False}} if group.get("input_activations") else {}, "F32", "input_global_scale"
    )

    def scheme(out: int, width: int) -> tuple[Stored, ...]:
        return (
            Stored("weight_packed", (out, ceil_div(width, 2)), "U8", out * ceil_div(width, 2) * 2),
            scalar("weight_scale", FP8, (out, ceil_div(width, size))),
            scalar("weight_global_scale", "F32", (1,)),
            *inputs,
        )

    return scheme


def _mxfp4(group: Mapping[str, Any], dtype: str) -> Scheme:
    size = integer(group["weights"], "group_size", 32)

    def scheme(out: int, width: int) -> tuple[Stored, ...]:
        return (
            Stored("weight_packed", (out, ceil_div(width, 2)), "U8", out * ceil_div(width, 2) * 2),
            scalar("weight_scale", "U8", (out, ceil_div(width, size))),
        )

    return scheme


def _mxfp8(group: Mapping[str, Any], dtype: str) -> Scheme:
    size = integer(group["weights"], "group_size", 32)
    return lambda out, width: (Stored("weight", (out, width), FP8), scalar("weight_scale", "U8", (out, ceil_div(width, size))))


FORMATS = {
    "float-quantized": _bytes, "int-quantized": _bytes, "naive-quantized": _bytes, "pack-quantized": _packed,
    "nvfp4-pack-quantized": _nvfp4, "mxfp4-pack-quantized": _mxfp4, "mxfp8-quantized": _mxfp8, "mxfp8-pack-quantized": _mxfp8,
}  # fmt: skip


def plan(quantization: Mapping[str, Any], architecture: Architecture, dtype: str) -> Plan:
    sparsity = section(quantization, "sparsity_config").get("format", "dense")
    if sparsity != "dense":
        raise UnsupportedError(f"sparsity_config.format is {json_text(sparsity)}: archcalc knows dense weights only", "")
    named = section(quantization, "config_groups")
    if not named:
        raise ConfigError("quantization_config.config_groups is missing or empty", "add it", "quantization_config.config_groups")
    # Names go before classes, so that a group for one module is not shadowed by a group for all.
    by_name: list[tuple[Names | None, Scheme | None]] = []
    linears: list[tuple[Names | None, Scheme | None]] = []
    embeddings: list[tuple[Names | None, Scheme | None]] = []
    for label in named:
        if named[label] is None:
            key = f"quantization_config.config_groups.{label}"
            raise ConfigError(f"{key} is null: an object was expected", f"correct {key}", key)
        group = section(named, label)
        stored_as = _format(group, quantization) if section(group, "weights") else "dense"
        if stored_as == "dense":
            continue  # activations alone change nothing that is stored
        if stored_as not in FORMATS:
            raise UnsupportedError(
                f"the format of {label} is {json_text(stored_as)}: archcalc does not know it", f"known are {', '.join(FORMATS)}"
            )
        targets = names(group, "targets") or Names(["Linear"])
        scheme = FORMATS[stored_as](group, dtype)
        by_name.append((targets, scheme))
        if targets.has_class("Linear"):
            linears.append((None, scheme))
        if targets.has_class("Embedding"):
            embeddings.append((None, scheme))
    ignored = names(quantization, "ignore")
    of_linears, of_embeddings = by_names([*by_name, *linears], ignored), by_names([*by_name, *embeddings], ignored)

    def split(module: Module, layers: Layers) -> Iterable[tuple[Scheme | None, Layers]]:
        return of_embeddings(module, layers) if module.role == "embedding" else of_linears(module, layers)

    cache = quantization.get("kv_cache_scheme")
    scales = (("k_proj", scalar("../k_scale", dtype, (1,))), ("v_proj", scalar("../v_scale", dtype, (1,)))) if cache else ()
    # An engine whose experts are one parameter has nowhere to put their scales (`_loaders`).
    return Plan(split, _apart if quantization.get("loader") else _linear, cache_scales=scales)


def _apart(tensor: Tensor, part: Part) -> bool:
    return tensor.experts is None and _linear(tensor, part)


def _linear(tensor: Tensor, part: Part) -> bool:
    return is_linear_or_head(tensor, part) or (
        tensor.role == "embedding" and len(tensor.shape) == 2 and tensor.name.endswith(".weight")
    )
