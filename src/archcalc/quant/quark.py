"""AMD Quark: FP8 per tensor or channel, and MXFP4, for every linear module that `exclude` does not list.

Source: Quark 0.10, export documentation (Hugging Face safetensors format); vLLM 0.11, quantization/quark/quark.py and
quark/schemes/.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from archcalc.errors import UnsupportedError
from archcalc.model import Architecture
from archcalc.quant._names import Names
from archcalc.quant._plan import FP8, Plan, Scheme, Stored, by_names, ceil_div, is_linear_or_head, scalar


def _scheme(config: Any) -> Scheme | None:
    weight = (config or {}).get("weight")
    if weight is None:
        return None
    if isinstance(weight, list):
        weight = weight[0]
    dtype, strategy = str(weight.get("dtype", "")), str(weight.get("qscheme", "per_tensor"))
    group = weight.get("group_size") or 32
    inputs = config.get("input_tensors")
    static = isinstance(inputs, Mapping) and not inputs.get("is_dynamic", False)

    def fp8(out: int, width: int) -> tuple[Stored, ...]:
        scale = scalar("weight_scale", "F32", (out,) if strategy == "per_channel" else ())
        pieces = (Stored("weight", (out, width), FP8), scale)
        return (*pieces, scalar("input_scale")) if static else pieces

    def fp4(out: int, width: int) -> tuple[Stored, ...]:
        return Stored("weight", (out, ceil_div(width, 2)), "U8"), scalar("weight_scale", "U8", (out, ceil_div(width, group)))

    if dtype.startswith("fp8") and strategy in ("per_tensor", "per_channel"):
        return fp8
    if dtype == "fp4" and strategy == "per_group":
        return fp4
    raise UnsupportedError(
        f"quark stores weights as {dtype!r} with {strategy!r}: archcalc does not know how",
        "known are fp8 per tensor or channel, and fp4 per group",
    )


def plan(quantization: Mapping[str, Any], architecture: Architecture, dtype: str) -> Plan:
    own = quantization.get("layer_quant_config") or {}
    groups: list[tuple[Names | None, Scheme | None]] = [
        (Names([name], "layer_quant_config"), _scheme(how)) for name, how in own.items()
    ]
    groups.append((None, _scheme(quantization.get("global_quant_config"))))
    return Plan(by_names(groups, Names(quantization.get("exclude") or [], "exclude")), is_linear_or_head)
