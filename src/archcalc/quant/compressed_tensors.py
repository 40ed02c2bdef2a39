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

from collections.abc import Mapping
from typing import Any

from archcalc.errors import ConfigError, UnsupportedError
from archcalc.model import Architecture, Part, Tensor
from archcalc.quant._names import Names
from archcalc.quant._plan import FP8, Plan, Scheme, Stored, by_names, ceil_div, integer, is_linear_or_head, scalar


def _scale_shape(weights: Mapping[str, Any], out: int, width: int) -> tuple[int, ...]:
    strategy = weights.get("strategy")
    group = weights.get("group_size")
    if strategy is None:
        strategy = "group" if group and group > 0 else "channel" if group == -1 else "tensor"
    if strategy == "tensor":
        return (1,)
    if strategy == "channel":
        return (out, 1)
    if strategy in ("group", "tensor_group"):
        return (out, ceil_div(width, integer(weights, "group_size")))
    if strategy == "block":
        block = weights.get("block_structure")
        if isinstance(block, str):
            block = [int(b) for b in block.split("x")]
        if not isinstance(block, (list, tuple)) or len(block) != 2:
            raise ConfigError(
                f"block_structure is {block!r}: two sizes were expected", "correct it", "quantization_config.config_groups"
            )
        return (ceil_div(out, block[0]), ceil_div(width, block[1]))
    raise UnsupportedError(
        f"the strategy of a config group is {strategy!r}: archcalc does not know it", "known are tensor, channel, group and block"
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


_FORMATS = {
    "float-quantized": _bytes, "int-quantized": _bytes, "naive-quantized": _bytes, "pack-quantized": _packed,
    "nvfp4-pack-quantized": _nvfp4, "mxfp4-pack-quantized": _mxfp4, "mxfp8-quantized": _mxfp8, "mxfp8-pack-quantized": _mxfp8,
}  # fmt: skip


def plan(quantization: Mapping[str, Any], architecture: Architecture, dtype: str) -> Plan:
    named = quantization.get("config_groups")
    if not isinstance(named, Mapping) or not named:
        raise ConfigError("quantization_config.config_groups is missing or empty", "add it", "quantization_config.config_groups")
    groups: list[tuple[Names | None, Scheme | None]] = []
    by_class: list[tuple[Names | None, Scheme | None]] = []
    embeddings = False
    for label, group in named.items():
        if not isinstance(group, Mapping):
            raise ConfigError(
                f"config_groups.{label} is {group!r}: an object was expected",
                "correct it",
                f"quantization_config.config_groups.{label}",
            )
        if not isinstance(group.get("weights"), Mapping):
            continue  # activations alone change nothing that is stored
        stored_as = _format(group, quantization)
        make = _FORMATS.get(stored_as)
        if stored_as == "dense":
            continue
        if make is None:
            raise UnsupportedError(
                f"the format of {label} is {stored_as!r}: archcalc does not know it", f"known are {', '.join(_FORMATS)}"
            )
        targets = Names(group.get("targets") or ["Linear"], f"quantization_config.config_groups.{label}.targets")
        embeddings = embeddings or targets.has_class("Embedding")
        # Names go before classes, so that a group for one module is not shadowed by a group for all.
        (by_class if targets.has_class("Linear", "Embedding") else groups).append(
            (None if targets.has_class("Linear", "Embedding") else targets, make(group, dtype))
        )

    def linear(tensor: Tensor, part: Part) -> bool:
        return is_linear_or_head(tensor, part) or (embeddings and tensor.role == "embedding" and len(tensor.shape) == 2)

    cache = quantization.get("kv_cache_scheme")
    scales = (("k_proj", scalar("../k_scale", dtype, (1,))), ("v_proj", scalar("../v_scale", dtype, (1,)))) if cache else ()
    ignored = Names(quantization.get("ignore") or [], "quantization_config.ignore")
    return Plan(by_names([*groups, *by_class], ignored), linear, cache_scales=scales)
