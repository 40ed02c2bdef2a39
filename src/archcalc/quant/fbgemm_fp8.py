"""FP8 weights with a scale per row, as Meta publishes Llama 3.1 405B and Llama 4 Maverick.

Source: transformers 5.23, integrations/fbgemm_fp8.py `FbgemmFp8Linear` and `FbgemmFp8Llama4TextExperts` (fused experts keep
their [in, out] order, with scales [experts, 1, out] and [experts, out, 1]).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from archcalc.model import Architecture
from archcalc.quant._plan import FP8, Module, Plan, Stored, is_linear, is_linear_or_head, names, plan_of, scalar


def _per_row(out: int, width: int) -> tuple[Stored, ...]:
    return Stored("weight", (out, width), FP8), scalar("weight_scale", "F32", (out, 1))


def _fused(module: Module, shape: tuple[int, int, int]) -> tuple[Stored, ...]:
    experts, out, width = shape
    scale = (experts, 1, out) if "gate_up" in module.name else (experts, out, 1)
    return Stored("", (experts, width, out), FP8), scalar("_scale", "F32", scale)


def plan(quantization: Mapping[str, Any], architecture: Architecture, dtype: str) -> Plan:
    skip = names(quantization, "modules_to_not_convert")
    return plan_of(_per_row, skip, is_linear_or_head if skip else is_linear)._replace(fused=_fused)
