"""Normalization: RMSNorm (Zhang and Sennrich 2019, arXiv:1910.07467) and LayerNorm (Ba et al. 2016, arXiv:1607.06450)."""

from __future__ import annotations

from collections.abc import Iterator

from archcalc.model import NormKind, Tensor


def rms_norm(name: str, dim: int) -> Tensor:
    """A gain per channel, no bias."""
    return gain(f"{name}.weight", (dim,))


def gain(name: str, shape: tuple[int, ...], kind: NormKind = "rms") -> Tensor:
    """The gain of a norm, under its complete name."""
    return Tensor(name, shape, "norm", norm=kind)


def layer_norm(name: str, dim: int, *, bias: bool = True) -> Iterator[Tensor]:
    """A gain and, unless switched off, a bias per channel."""
    yield gain(f"{name}.weight", (dim,), "layer")
    if bias:
        yield Tensor(f"{name}.bias", (dim,), "norm")
