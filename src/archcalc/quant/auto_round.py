"""AutoRound: weights rounded by its own rule, packed as AWQ or GPTQ pack theirs (`packing_format`).

`extra_config` gives single modules other bits; 16 and more leaves them alone.

Source: auto-round 0.8, auto_round/export/export_to_autoround/export.py and auto_round/inference/convert_model.py; auto-round 0.16.1,
auto_round/export/export_to_autoround/qlinear_fp.py (`mx_fp`, `nv_fp`); Cheng et al.
2023, arXiv:2309.05516.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from archcalc.errors import UnsupportedError, json_text
from archcalc.model import Architecture
from archcalc.quant import awq, compressed_tensors, gptq
from archcalc.quant._names import Names
from archcalc.quant._plan import Plan, Scheme, by_names, group_of, in_decoder, integer, section

# What auto-round's floats are in compressed-tensors: the same tensors under the same names.
_FLOATS = {(4, "mx"): "mxfp4-pack-quantized", (8, "mx"): "mxfp8-quantized", (4, "nv"): "nvfp4-pack-quantized"}


def plan(quantization: Mapping[str, Any], architecture: Architecture, dtype: str) -> Plan:
    packing = str(quantization.get("packing_format", "auto_round:auto_gptq")).removeprefix("auto_round:")
    kind = str(quantization.get("data_type", "int"))
    floats = kind.startswith(("mx_fp", "nv_fp"))
    if not floats and (kind != "int" or not ("gptq" in packing or "awq" in packing)):
        raise UnsupportedError(
            f"auto-round stores {kind} weights as {json_text(packing)}: archcalc does not know how",
            "known are int weights packed as GPTQ or AWQ pack them, and mx_fp and nv_fp",
        )
    bits, group_size = integer(quantization, "bits", 4), group_of(quantization)
    if floats and (bits, kind[:2]) not in _FLOATS:
        raise UnsupportedError(
            f"auto-round stores {kind} weights of {bits} bits: archcalc does not know how", "known are 4, and mx_fp of 8"
        )
    acts = quantization.get("act_bits", 16)
    inputs = {"input_activations": {"dynamic": False}} if isinstance(acts, int) and acts < 16 else {}

    def scheme(bits: int, group_size: int) -> Scheme | None:
        if bits >= 16:
            return None
        if floats:
            if (bits, kind[:2]) not in _FLOATS:
                raise UnsupportedError(f"auto-round stores {kind} weights of {bits} bits: archcalc does not know how", "")
            return compressed_tensors.FORMATS[_FLOATS[bits, kind[:2]]]({"weights": {"group_size": group_size}, **inputs}, dtype)
        return awq.gemm(bits, group_size) if "awq" in packing else gptq.packed(bits, group_size)

    groups: list[tuple[Names | None, Scheme | None]] = []
    by_bits: dict[tuple[int, int], list[str]] = {}
    extra = section(quantization, "extra_config")
    for name in extra:
        own = section(extra, name)
        by_bits.setdefault((integer(own, "bits", bits), group_of(own, default=group_size)), []).append(name)
    groups += [(Names(members, "quantization_config.extra_config"), scheme(*key)) for key, members in by_bits.items()]
    groups.append((None, scheme(bits, group_size)))
    return Plan(by_names(groups), in_decoder)
