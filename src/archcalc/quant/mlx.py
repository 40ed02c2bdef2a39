"""MLX: integer weights packed along the input, in groups with a scale and a bias each; embeddings and heads too.

`mode: mxfp4`, `nvfp4` and `mxfp8` have byte-sized scales and no biases. Entries named after modules give those other bits, or
`false` to leave them alone. A tied head has no tensors of its own. MTP layers follow the same rule, rows that groups do not divide and
towers are left alone.

Source: mlx-lm 0.28, mlx_lm/utils.py `quantize_model`; mlx-vlm 0.7.10, mlx_vlm/convert.py `base_quant_predicate` and utils.py
`skip_multimodal_module`; mlx 0.29, python/mlx/nn/layers/quantized.py.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from archcalc.errors import UnsupportedError, json_text
from archcalc.model import Architecture, Part, Tensor
from archcalc.quant._names import Names
from archcalc.quant._plan import Module, Plan, Scheme, Stored, by_names, ceil_div, integer, is_linear_or_head

_GROUPS = {"mxfp4": 32, "nvfp4": 16, "mxfp8": 32}


def _scheme(bits: int, group: int, mode: str, dtype: str) -> Scheme:
    if mode != "affine" and mode not in _GROUPS:
        raise UnsupportedError(
            f"quantization mode is {json_text(mode)}: archcalc does not know it", "known are affine, mxfp4, nvfp4 and mxfp8"
        )

    def scheme(out: int, width: int) -> tuple[Stored, ...]:
        groups = (out, ceil_div(width, group))
        weight = Stored("weight", (out, ceil_div(width * bits, 32)), "U32")
        if mode == "affine":
            return weight, Stored("scales", groups, dtype), Stored("biases", groups, dtype)
        return weight, Stored("scales", groups, "U8")

    return scheme


def _linear(tensor: Tensor, part: Part) -> bool:
    if part in ("vision", "audio"):
        return False
    return is_linear_or_head(tensor, part) or (
        len(tensor.shape) == 2 and tensor.role in ("embedding", "router") and tensor.name.endswith(".weight")
    )


def _fused(scheme: Scheme) -> Any:
    def fused(module: Module, shape: tuple[int, int, int]) -> tuple[Stored, ...]:
        experts, out, width = shape
        return tuple(s._replace(name=f".{s.name}", shape=(experts, *s.shape)) for s in scheme(out, width))

    return fused


def plan(quantization: Mapping[str, Any], architecture: Architecture, dtype: str) -> Plan:
    mode = str(quantization.get("mode", "affine"))
    bits, group = integer(quantization, "bits", 4), integer(quantization, "group_size", _GROUPS.get(mode, 64))
    scheme = _scheme(bits, group, mode, dtype)
    groups: list[tuple[Names | None, Scheme | None]] = []
    for name, own in quantization.items():
        if own is False:
            groups.append((Names([name]), None))
        elif isinstance(own, Mapping):
            groups.append(
                (
                    Names([name]),
                    _scheme(integer(own, "bits", bits), integer(own, "group_size", group), str(own.get("mode", mode)), dtype),
                )
            )
    groups.append((None, scheme))
    return Plan(by_names(groups), lambda t, part: _linear(t, part) and t.shape[-1] % group == 0, fused=_fused(scheme))
