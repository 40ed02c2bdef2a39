"""torchao: weights as flattened tensor subclasses, `{weight}_qdata` beside its scales and zero points.

Source: torchao 0.14, prototype/safetensors/safetensors_support.py `flatten_tensor_state_dict`, quantization/quant_api.py;
transformers 5.23, quantizers/quantizer_torchao.py (every linear module but the head, or but those listed).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from archcalc.errors import UnsupportedError, json_text
from archcalc.model import Architecture
from archcalc.quant._plan import (
    FP8,
    Plan,
    Scheme,
    Stored,
    ceil_div,
    integer,
    is_linear,
    is_linear_or_head,
    names,
    plan_of,
    scalar,
    section,
)


def _int8(dtype: str) -> Scheme:
    def scheme(out: int, width: int) -> tuple[Stored, ...]:
        return Stored("_weight_qdata", (out, width), "I8"), scalar("_weight_scale", dtype, (out, 1))

    return scheme


def _float8(out: int, width: int) -> tuple[Stored, ...]:
    return Stored("_weight_qdata", (out, width), FP8), scalar("_weight_scale", "F32", (out, 1))


def _int4(dtype: str, group: int) -> Scheme:
    def scheme(out: int, width: int) -> tuple[Stored, ...]:
        groups = (ceil_div(width, group), out)
        return (
            Stored("_weight_qdata", (out, ceil_div(width, 2)), "I8", out * width),
            scalar("_weight_scale", dtype, groups),
            scalar("_weight_zero_point", dtype, groups),
        )

    return scheme


def plan(quantization: Mapping[str, Any], architecture: Architecture, dtype: str) -> Plan:
    kind: Any = quantization.get("quant_type")
    kind = kind.get("default", kind) if isinstance(kind, Mapping) else kind
    if isinstance(kind, Mapping):
        name, data = str(kind.get("_type", "")), section(kind, "_data")
    else:
        name, data = str(kind), section(quantization, "quant_type_kwargs")
    name = name.replace("_", "").lower().removesuffix("config")
    if name.startswith("int8"):
        scheme = _int8(dtype)
    elif name.startswith("float8"):
        scheme = _float8
    elif name == "int4weightonly":
        scheme = _int4(dtype, integer(data, "group_size", 128))
    else:
        raise UnsupportedError(
            f"torchao's quant_type is {json_text(kind)}: archcalc does not know how it is stored",
            "known are int4, int8 and float8 weights",
        )
    skip = names(quantization, "modules_to_not_convert")
    # Flattened names stand beside the module's other tensors: `q_proj._weight_qdata`.
    dotted: Scheme = lambda out, width: tuple(s._replace(name=f".{s.name}") for s in scheme(out, width))  # noqa: E731
    return plan_of(dotted, skip, is_linear_or_head if skip else is_linear)
