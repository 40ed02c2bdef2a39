"""MobileNet's blocks: inverted residuals, fused or with depthwise convolutions where wanted, and multi-query attention over pixels.

Sources: Qin et al. 2024, arXiv:2404.10518 (MobileNetV4: the universal inverted bottleneck and mobile MQA); pytorch-image-models
(timm) 1.0, timm/models/_efficientnet_blocks.py (names).
"""

from __future__ import annotations

from collections.abc import Iterator

from archcalc.blocks.norm import rms_norm
from archcalc.model import Attend, Layer, Role, Tensor
from archcalc.records import Frozen


def conv(name: str, outer: int, inner: int, kernel: int = 1, role: Role = "mlp") -> Tensor:
    """A convolution without bias; a depthwise one has one input channel."""
    return Tensor(f"{name}.weight", (outer, inner, kernel, kernel), role)


def _conv_norm(name: str, outer: int, inner: int, kernel: int = 1) -> Iterator[Tensor]:
    yield conv(f"{name}.conv", outer, inner, kernel)
    yield rms_norm(f"{name}.bn", outer)


class FusedInverted(Frozen):
    """One full convolution widens the channels `expand` times, a pointwise one narrows them again."""

    kernel: int
    expand: int
    channels: int

    def layer(self, inner: int) -> Layer:
        width = inner * self.expand
        tensors = (
            conv("conv_exp", width, inner, self.kernel),
            rms_norm("bn1", width),
            conv("conv_pwl", self.channels, width),
            rms_norm("bn2", self.channels),
        )
        return Layer("none", f"fused inverted residual {width}", tensors, ffn_width=2 * width)


class Inverted(Frozen):
    """Pointwise widening and narrowing, with a depthwise convolution before, between, both or neither (kernel 0: none)."""

    start: int
    middle: int
    expand: int
    channels: int

    def tensors(self, inner: int) -> Iterator[Tensor]:
        width = inner * self.expand
        if self.start:
            yield from _conv_norm("dw_start", inner, 1, self.start)
        yield from _conv_norm("pw_exp", width, inner)
        if self.middle:
            yield from _conv_norm("dw_mid", width, 1, self.middle)
        yield from _conv_norm("pw_proj", self.channels, width)

    def layer(self, inner: int) -> Layer:
        width = inner * self.expand
        tensors = (*self.tensors(inner), Tensor("layer_scale.gamma", (self.channels,), "other"))
        return Layer("none", f"inverted residual {width}", tensors, ffn_width=2 * width)


class MobileAttention(Frozen):
    """Multi-query attention over pixels; `kernel` thins out keys and values by a strided depthwise convolution first."""

    heads: int
    dim: int
    kernel: int
    channels: int

    def tensors(self) -> Iterator[Tensor]:
        yield rms_norm("norm", self.channels)
        yield conv("attn.query.proj", self.heads * self.dim, self.channels, role="attention")
        for name in ("attn.key", "attn.value"):
            if self.kernel:
                yield conv(f"{name}.down_conv", self.channels, 1, self.kernel, "attention")
                yield rms_norm(f"{name}.norm", self.channels)
            yield conv(f"{name}.proj", self.dim, self.channels, role="attention")
        yield conv("attn.output.proj", self.channels, self.heads * self.dim, role="attention")
        yield Tensor("layer_scale.gamma", (self.channels,), "other")

    def layer(self, inner: int) -> Layer:
        attend = Attend(self.heads, self.dim, self.dim)
        width = 2 * (self.heads + 1) * self.dim
        return Layer(f"MQA ({self.heads}/1 x {self.dim})", "none", tuple(self.tensors()), attends=(attend,), mixer_width=width)
