"""GPTQ: integer weights packed along the input, in groups along it, with a scale and a zero point each and an order of columns.

The linear modules of the decoder's layers are quantized, the head only with `lm_head: true`. `dynamic` overrides single
modules (`-:` leaves them alone, `+:` gives them other bits). AutoGPTQ before 0.8, which wrote `model_file_base_name` into its
configs, stored a bias for every module.

Sources: GPTQModel 4.2, nn_modules/qlinear/__init__.py `PackableQuantLinear` and quantization/config.py; AutoGPTQ 0.7.1,
auto_gptq/modeling/_utils.py `make_quant`; Frantar et al. 2022, arXiv:2210.17323.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from archcalc.errors import UnsupportedError
from archcalc.model import Architecture, Part, Tensor
from archcalc.quant._names import Names
from archcalc.quant._plan import Plan, Scheme, Stored, by_names, ceil_div, group_of, in_decoder, integer, names, scalar, section


def packed(bits: int, group_size: int) -> Scheme:
    """`group_size` 0 is one group for the whole input."""
    if bits not in (2, 3, 4, 8):
        raise UnsupportedError(f"quantization_config.bits is {bits}: GPTQ packs 2, 3, 4 or 8", "")

    def scheme(out: int, width: int) -> tuple[Stored, ...]:
        groups = ceil_div(width, group_size) if group_size else 1
        rows = ceil_div(width * bits, 32)
        return (
            # The Hub takes a whole number of weights per integer, also for 3 bits.
            Stored("qweight", (rows, out), "I32", rows * out * (32 // bits)),
            scalar("qzeros", "I32", (groups, ceil_div(out * bits, 32))),
            scalar("scales", "F16", (groups, out)),
            scalar("g_idx", "I32", (width,)),
        )

    return scheme


def plan(quantization: Mapping[str, Any], architecture: Architecture, dtype: str) -> Plan:
    bits, group_size = integer(quantization, "bits", 4), group_of(quantization)
    groups: list[tuple[Names | None, Scheme | None]] = []
    overrides = section(quantization, "dynamic")
    for pattern in overrides:
        names_it = Names([f"re:{pattern.removeprefix('-:').removeprefix('+:')}"], "quantization_config.dynamic")
        if pattern.startswith("-:"):
            groups.append((names_it, None))
        else:
            own = section(overrides, pattern)
            groups.append((names_it, packed(integer(own, "bits", bits), group_of(own, default=group_size))))
    groups.append((None, packed(bits, group_size)))
    head = bool(quantization.get("lm_head"))

    def linear(tensor: Tensor, part: Part) -> bool:
        return in_decoder(tensor, part) or (head and tensor.name == "lm_head.weight")

    skip = names(quantization, "modules_to_not_convert")
    return Plan(by_names(groups, skip), linear, adds_bias="F16" if quantization.get("model_file_base_name") else "")
