"""Whether a GPU has the kernels that a method of quantization is run by."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from archcalc.engines._once import once
from archcalc.errors import json_text
from archcalc.records import NamedTuple

if TYPE_CHECKING:
    from archcalc.model import Architecture


class Least(NamedTuple):
    """Ten times the least compute capability, from a release on."""

    since: tuple[int, ...]
    capability: int


def lacking(title: str, method: str, least: int | None, capability: tuple[int, int] | None) -> str | None:
    """Why an engine has no kernels for weights stored so on this GPU; None where it has, or where it is not known."""
    if capability is None or least is None or capability[0] * 10 + capability[1] >= least:
        return None
    return f"{title} runs {method} from compute capability {least / 10:g} on, and this GPU has {capability[0]}.{capability[1]}"


def quark_fp8(title: str, quantization: Mapping[str, Any] | None, capability: tuple[int, int] | None) -> str | None:
    """Why FP8 weights of Quark have no kernels on this GPU; None where they have, or where they are stored otherwise.

    vLLM 0.21 to 0.33 and SGLang 0.5.23, layers/quantization/quark/schemes/quark_w8a8_fp8.py `get_min_capability`: "lovelace and up"."""
    if not quantization or quantization.get("quant_method") != "quark":
        return None
    whole = quantization.get("global_quant_config")
    weight = whole.get("weight") if isinstance(whole, Mapping) else None
    if not isinstance(weight, Mapping) or not str(weight.get("dtype")).startswith("fp8"):
        return None
    return lacking(title, "FP8 of Quark", 89, capability)


@once
def experts_stored(architecture: Architecture) -> frozenset[str]:
    """The dtypes that weights of the decoder's routed experts are stored in, or made as they load, in safetensors' spelling."""
    from archcalc.figures.checkpoint import inventory

    return frozenset(
        entry.dtype
        for entry in inventory(architecture)
        if entry.part == "decoder" and entry.tensor.experts is not None and "scale" not in entry.name.rpartition(".")[2]
    )


FP8 = "F8_E4M3"


MARLIN_GROUPS = (-1, 32, 64, 128)
"""Groups of columns that share a scale: vLLM 0.33, quantization/utils/marlin_utils.py `MARLIN_SUPPORTED_GROUP_SIZES`, which
auto_gptq.py `AutoGPTQLinearMethod` verifies."""


def marlin_alone(title: str, quantization: Mapping[str, Any], groups: tuple[int, ...] = ()) -> str | None:
    """Why an engine whose kernels for GPTQ are Marlin's alone loads no weights of these bits, and none of other groups than
    `groups` where those are all; None where it does."""
    bits, symmetric = quantization.get("bits"), bool(quantization.get("sym", True))
    if bits not in (4, 8) or not symmetric:
        has = "states no bits" if bits is None else f"has bits {json_text(bits)}, sym {str(symmetric).lower()}"
        return f"{title} loads GPTQ of 4 or 8 bits, symmetric, and this checkpoint {has}"
    group = quantization.get("group_size", 128)
    if not groups or group in groups:
        return None
    sizes = ", ".join(str(n) for n in groups if n > 0)
    has = f"quantization_config.group_size is {json_text(group)}"
    return f"{title}'s kernels take groups of {sizes} or of a whole row, and this checkpoint's {has}"
