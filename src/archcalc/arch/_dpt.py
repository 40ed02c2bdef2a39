"""What brings a ViT's layers to maps of several sizes, adds those up, and labels them.

Source: transformers 5.24, models/dpt/modeling_dpt.py (`DPTReassembleLayer`, `DPTPreActResidualLayer`, `DPTSemanticSegmentationHead`).
"""

from collections.abc import Iterator

from archcalc.arch._whisper import conv
from archcalc.blocks._tensor import linear
from archcalc.blocks.norm import layer_norm
from archcalc.model import Tensor


def residual(name: str, width: int, bias: bool | None, *, normed: bool) -> Iterator[Tensor]:
    """Two convolutions with an activation before each."""
    for i in (1, 2):
        yield from conv(f"{name}.convolution{i}", width, width, 3, 3, bias=not normed if bias is None else bias, role="other")
        if normed:
            yield from layer_norm(f"{name}.batch_norm{i}", width)


def reassembled(name: str, at: int, size: int, inner: int, factor: float, *, readout: bool) -> Iterator[Tensor]:
    """A layer's tokens as a map of another size: transposed where it grows, 3 x 3 where it shrinks."""
    yield from conv(f"{name}.layers.{at}.projection", size, inner, 1, 1, role="other")
    if factor != 1:
        side = int(factor) if factor > 1 else 3
        yield from conv(f"{name}.layers.{at}.resize", size, size, side, side, role="other")
    if readout:
        yield from linear(f"{name}.readout_projects.{at}.0", inner, 2 * inner, "other", bias=True)


def labelling(name: str, width: int, labels: int) -> Iterator[Tensor]:
    """A label for each pixel."""
    yield from conv(f"{name}.0", width, width, 3, 3, bias=False, role="head")
    yield from layer_norm(f"{name}.1", width)
    yield from conv(f"{name}.4", labels, width, 1, 1, role="head")
