"""AQLM: a weight is a sum of vectors, each picked from a codebook of its matrix by a code.

Every linear module is stored so, but those that `linear_weights_not_to_quantize` names.

Source: aqlm 1.1.7, aqlm/inference.py `QuantizedLinear` and aqlm/utils.py `get_int_dtype`; transformers 5.24, integrations/aqlm.py;
Egiazarian et al. 2024, arXiv:2401.06118.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from archcalc.errors import UnsupportedError
from archcalc.model import Architecture
from archcalc.quant._names import Names
from archcalc.quant._plan import Plan, Stored, ceil_div, integer, is_linear, is_linear_or_head, plan_of, scalar, wrong


def plan(quantization: Mapping[str, Any], architecture: Architecture, dtype: str) -> Plan:
    # Defaults: transformers' `AqlmConfig`.
    rows, columns = integer(quantization, "out_group_size", 1), integer(quantization, "in_group_size", 8)
    books, bits = integer(quantization, "num_codebooks", 1), integer(quantization, "nbits_per_codebook", 16)
    if bits > 32:
        raise UnsupportedError(f"quantization_config.nbits_per_codebook is {bits}: AQLM's codes have up to 32 bits", "")
    code = next(kind for most, kind in ((8, "I8"), (16, "I16"), (32, "I32")) if bits <= most)

    def scheme(out: int, width: int) -> tuple[Stored, ...]:
        groups = ceil_div(out, rows)
        return (
            Stored("codes", (groups, ceil_div(width, columns), books), code),
            scalar("codebooks", dtype, (books, 2**bits, rows, columns)),
            scalar("scales", dtype, (groups, 1, 1, 1)),
        )

    spared = quantization.get("linear_weights_not_to_quantize")
    if spared is None:
        return plan_of(scheme, None, is_linear)
    if not isinstance(spared, (list, tuple)) or not all(isinstance(name, str) for name in spared):
        raise wrong("linear_weights_not_to_quantize", spared, "a list of names")
    skip = Names([name.removesuffix(".weight") for name in spared], "quantization_config.linear_weights_not_to_quantize")
    return plan_of(scheme, skip, is_linear_or_head)
