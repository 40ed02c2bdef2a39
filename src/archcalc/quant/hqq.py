"""HQQ: integers in groups along a row or a column, packed into bytes (3 bits: ten to an int32), with a scale and a zero point each.

Beside them stand some fifteen numbers that repeat the settings of each module, 69 bytes in all; they are left out here. Scales are of
the compute type, which is the model's.

Source: hqq 0.2.8, hqq/core/quantize.py `Quantizer.quantize`, `HQQLinear.state_dict` and hqq/core/bitpack.py; transformers 5.24,
integrations/hqq.py `prepare_for_hqq_linear` and utils/quantization_config.py `HqqConfig`; Badri and Shaji 2023,
mobiusml.github.io/hqq_blog.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from archcalc.errors import UnsupportedError, json_text
from archcalc.model import Architecture
from archcalc.quant._names import Names
from archcalc.quant._plan import (
    Plan,
    Scheme,
    Stored,
    by_names,
    ceil_div,
    is_linear,
    is_linear_or_head,
    names,
    scalar,
    section,
    wrong,
)

# Integers of each width that one stored element holds.
_HELD = {8: 1, 6: 1, 5: 1, 4: 2, 3: 10, 2: 4, 1.58: 4, 1: 8}


def _scheme(config: Mapping[str, Any], dtype: str, key: str) -> Scheme:
    bits, group, axis = config.get("nbits", 4), config.get("group_size", 64), config.get("axis", 1)
    if isinstance(bits, bool) or not isinstance(bits, (int, float)) or bits not in _HELD:
        raise UnsupportedError(f"{key}.nbits is {json_text(bits)}: HQQ packs {', '.join(map(str, _HELD))}", f"correct {key}.nbits")
    if axis not in (0, 1) or isinstance(axis, bool):
        raise wrong("quant_config.axis", axis, "0 or 1")
    if group is not None and (not isinstance(group, int) or isinstance(group, bool) or group < 1):
        raise wrong("quant_config.group_size", group, "a positive integer")
    held, kind = _HELD[bits], "I32" if bits == 3 else "U8"

    def scheme(out: int, width: int) -> tuple[Stored, ...]:
        if group is None:
            rows, columns = out, width
            groups = (out, 1) if axis == 1 else (1, width)
        else:
            count = ceil_div(out * width, group)
            rows, columns = (count, group) if axis == 1 else (group, count)
            groups = (count, 1) if axis == 1 else (1, count)
        packed = ceil_div(rows, held)
        return (
            Stored("W_q", (packed, columns), kind),
            scalar("scale", dtype, groups),
            scalar("zero", dtype, groups),
        )

    return scheme


def plan(quantization: Mapping[str, Any], architecture: Architecture, dtype: str) -> Plan:
    where = "quantization_config.quant_config"
    config = section(quantization, "quant_config")
    if not config:
        raise UnsupportedError(
            f"{where} is missing: how HQQ stores weights is not known", 'give it, as HqqConfig writes it ("weight_quant_params")'
        )
    skip = names(quantization, "skip_modules") or Names(["lm_head"])
    linear = is_linear_or_head if quantization.get("skip_modules") is not None else is_linear
    if "weight_quant_params" in config:
        if config.get("scale_quant_params") or config.get("zero_quant_params"):
            raise UnsupportedError(f"{where} quantizes scales or zero points: HQQ stores no such model", "")
        scheme = _scheme(section(config, "weight_quant_params"), dtype, f"{where}.weight_quant_params")
        return Plan(by_names(((None, scheme),), skip), linear)
    # Settings by kind of module (`self_attn.q_proj`): others stay as they are.
    groups: list[tuple[Names | None, Scheme | None]] = []
    for name in config:
        own = section(section(config, name), "weight_quant_params") or section(config, name)
        # The tag of an expert's module leaves its number out.
        experts = [f"re:.*{re.escape(name).replace('experts', 'experts(.[0-9]+)?', 1)}$"] if "experts." in name else [name]
        groups.append((Names(experts, where), _scheme(own, dtype, f"{where}.{name}")))
    return Plan(by_names(groups, skip), linear)
