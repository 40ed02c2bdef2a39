"""MXFP4 experts of gpt-oss: two E2M1 values in a byte, 32 values of a row share one power of two.

Only the experts are stored so. Their fused weights, [experts, in, out] in the reference implementation, become
`{name}_blocks` [experts, out, in / 32, 16] and `{name}_scales` [experts, out, in / 32], both U8.

Sources: OCP Microscaling Formats 1.0, section 5.3; transformers 5.23, integrations/mxfp4.py `Mxfp4GptOssExperts`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from archcalc.model import Architecture
from archcalc.quant._plan import Module, Plan, Stored, ceil_div, is_linear, names, plan_of, scalar


def _fused(module: Module, shape: tuple[int, int, int]) -> tuple[Stored, ...]:
    experts, out, width = shape
    groups = ceil_div(width, 32)
    return Stored("_blocks", (experts, out, groups, 16), "U8", experts * out * groups * 32), scalar(
        "_scales", "U8", (experts, out, groups)
    )


def _each(out: int, width: int) -> tuple[Stored, ...]:
    groups = ceil_div(width, 32)
    return Stored("weight_blocks", (out, groups, 16), "U8", out * groups * 32), scalar("weight_scales", "U8", (out, groups))


def plan(quantization: Mapping[str, Any], architecture: Architecture, dtype: str) -> Plan:
    def experts_only(tensor: Any, part: Any) -> bool:
        return tensor.role == "experts" and is_linear(tensor, part)

    return plan_of(_each, names(quantization, "modules_to_not_convert"), experts_only)._replace(fused=_fused)
