"""Whether a GPU has the kernels that a method of quantization is run by."""

from __future__ import annotations

from typing import NamedTuple


class Least(NamedTuple):
    """Ten times the least compute capability, from a release on."""

    since: tuple[int, ...]
    capability: int


def lacking(title: str, method: str, least: int | None, capability: tuple[int, int] | None) -> str | None:
    """Why an engine has no kernels for weights stored so on this GPU; None where it has, or where it is not known."""
    if capability is None or least is None or capability[0] * 10 + capability[1] >= least:
        return None
    return f"{title} runs {method} from compute capability {least / 10:g} on, and this GPU has {capability[0]}.{capability[1]}"
