"""EETQ: int8 weights, turned, with a scale for each output; the head is spared.

Source: transformers 5.24, integrations/eetq.py `EetqLinear` and quantizers/quantizer_eetq.py.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from archcalc.model import Architecture
from archcalc.quant._plan import Plan, Stored, is_linear, is_linear_or_head, names, plan_of, scalar


def plan(quantization: Mapping[str, Any], architecture: Architecture, dtype: str) -> Plan:
    def scheme(out: int, width: int) -> tuple[Stored, ...]:
        return Stored("weight", (width, out), "I8"), scalar("weight_scales", "F16", (out,))

    skip = names(quantization, "modules_to_not_convert")
    return plan_of(scheme, skip, is_linear_or_head if skip else is_linear)
