"""AMD Quark: FP8 per tensor or channel, and MXFP4, for every linear module that `exclude` does not list.

Source: Quark 0.10, export documentation (Hugging Face safetensors format); vLLM 0.11, quantization/quark/quark.py and
quark/schemes/.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from archcalc.errors import UnsupportedError, json_text
from archcalc.model import Architecture
from archcalc.quant._names import Names
from archcalc.quant._plan import FP8, Plan, Scheme, Stored, by_names, ceil_div, integer, is_linear_or_head, names, scalar, section


def _scheme(config: Mapping[str, Any]) -> Scheme | None:
    if isinstance(config.get("weight"), list):
        raise UnsupportedError("quark quantizes weights twice over: archcalc does not know how that is stored", "")
    weight = section(config, "weight")
    if not weight:
        return None
    dtype, strategy = str(weight.get("dtype", "")), str(weight.get("qscheme", "per_tensor"))
    group = integer(weight, "group_size", 32)
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
        f"quark stores weights as {json_text(dtype)} with {json_text(strategy)}: archcalc does not know how",
        "known are fp8 per tensor or channel, and fp4 per group",
    )


def plan(quantization: Mapping[str, Any], architecture: Architecture, dtype: str) -> Plan:
    own = section(quantization, "layer_quant_config")
    groups: list[tuple[Names | None, Scheme | None]] = [
        (Names([name], "layer_quant_config"), _scheme(section(own, name))) for name in own
    ]
    groups.append((None, _scheme(section(quantization, "global_quant_config"))))
    return Plan(by_names(groups, names(quantization, "exclude")), is_linear_or_head)
