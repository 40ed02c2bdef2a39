"""Normalization: RMSNorm (Zhang and Sennrich 2019, arXiv:1910.07467) and LayerNorm (Ba et al. 2016, arXiv:1607.06450)."""

from __future__ import annotations

from collections.abc import Iterator

from archcalc.model import Tensor


def rms_norm(name: str, dim: int) -> Tensor:
    """A gain per channel, no bias."""
    return Tensor(f"{name}.weight", (dim,), "norm")


def layer_norm(name: str, dim: int, *, bias: bool = True) -> Iterator[Tensor]:
    """A gain and, unless switched off, a bias per channel."""
    yield Tensor(f"{name}.weight", (dim,), "norm")
    if bias:
        yield Tensor(f"{name}.bias", (dim,), "norm")
