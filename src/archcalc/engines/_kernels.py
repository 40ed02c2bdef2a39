"""Whether a GPU has the kernels that a method of quantization is run by."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple


class Least(NamedTuple):
    """Ten times the least compute capability, from a release on."""

    since: tuple[int, ...]
    capability: int


def lacking(title: str, method: str, least: int | None, capability: tuple[int, int] | None) -> str | None:
    """Why an engine has no kernels for weights stored so on this GPU; None where it has, or where it is not known."""
    if capability is None or least is None or capability[0] * 10 + capability[1] >= least:
        return None
    return f"{title} runs {method} from compute capability {least / 10:g} on, and this GPU has {capability[0]}.{capability[1]}"


def marlin_alone(title: str, quantization: Mapping[str, Any]) -> str | None:
    """Why an engine whose kernels for GPTQ are Marlin's alone loads no weights of these bits; None where it does."""
    bits, symmetric = quantization.get("bits"), bool(quantization.get("sym", True))
    if bits in (4, 8) and symmetric:
        return None
    return f"{title} loads GPTQ of 4 or 8 bits, symmetric, and this checkpoint has bits {bits}, sym {str(symmetric).lower()}"
