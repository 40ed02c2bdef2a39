"""AWQ: integer weights packed along the output, in groups along the input, with a scale and a zero point each.

The linear modules of the decoder's layers are quantized, nothing else. AutoAWQ saves a tied head all the same.

Source: AutoAWQ 0.2.9, awq/modules/linear/gemm.py `WQLinear_GEMM` and awq/quantize/quantizer.py; Lin et al. 2023, arXiv:2306.00978.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from archcalc.errors import ConfigError, UnsupportedError, json_text
from archcalc.model import Architecture
from archcalc.quant._plan import Plan, Scheme, Stored, ceil_div, group_of, in_decoder, integer, names, plan_of, scalar


def gemm(bits: int, group_size: int, key: str = "group_size") -> Scheme:
    """`group_size` 0 is one group for the whole input, which it divides: AutoAWQ's modules assert it."""
    if bits not in (2, 4, 8):
        raise UnsupportedError(f"quantization_config.bits is {bits}: AWQ packs 2, 4 or 8", "")
    per_int = 32 // bits

    def scheme(out: int, width: int) -> tuple[Stored, ...]:
        if group_size and width % group_size:
            raise ConfigError(
                f"quantization_config.{key} is {group_size}, and AWQ packs no {width:,} columns in groups of so many: they do not divide",
                "a checkpoint that is published in AWQ may be padded, or have other groups: give its own config.json, which says so",
                f"quantization_config.{key}",
            )
        groups = width // group_size if group_size else 1
        packed = ceil_div(out, per_int)
        return (
            Stored("qweight", (width, packed), "I32", width * packed * per_int),
            scalar("qzeros", "I32", (groups, packed)),
            scalar("scales", "F16", (groups, out)),
        )

    return scheme


def plan(quantization: Mapping[str, Any], architecture: Architecture, dtype: str) -> Plan:
    bits = integer(quantization, "bits" if "bits" in quantization else "w_bit", 4)
    version = str(quantization.get("version", "gemm")).lower()
    if version not in ("gemm", "exllama"):
        raise UnsupportedError(f"quantization_config.version is {json_text(version)}: archcalc knows AWQ's gemm packing", "")
    key = "group_size" if "group_size" in quantization else "q_group_size"
    skip = names(quantization, "modules_to_not_convert")
    return plan_of(gemm(bits, group_of(quantization, key), key), skip, in_decoder)._replace(stores_tied=True)
