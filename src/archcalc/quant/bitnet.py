"""BitNet: ternary weights, four to a byte along the output, one scale for the tensor.

Source: transformers 5.23, integrations/bitnet.py `BitLinear`; Ma et al. 2024, arXiv:2402.17764.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from archcalc.model import Architecture
from archcalc.quant._plan import Plan, Stored, ceil_div, is_linear, names, plan_of, scalar


def plan(quantization: Mapping[str, Any], architecture: Architecture, dtype: str) -> Plan:
    def scheme(out: int, width: int) -> tuple[Stored, ...]:
        return Stored("weight", (ceil_div(out, 4), width), "U8"), scalar("weight_scale", dtype, (1,))

    return plan_of(scheme, names(quantization, "modules_to_not_convert"), is_linear)
