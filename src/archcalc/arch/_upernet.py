"""Heads that name what each pixel shows.

Source: transformers 5.24, models/beit/modeling_beit.py (`BeitUperHead`, `BeitFCNHead`); Xiao et al. 2018, arXiv:1807.10221 (UPerNet).
"""

from collections.abc import Iterator, Sequence

from archcalc.arch._whisper import conv
from archcalc.blocks.norm import layer_norm
from archcalc.model import Tensor


def normed(name: str, outer: int, inner: int, kernel: int) -> Iterator[Tensor]:
    """A convolution without a bias, and a batch norm."""
    yield from conv(f"{name}.convolution", outer, inner, kernel, kernel, bias=False, role="head")
    yield from layer_norm(f"{name}.normalization", outer)


def upernet(hidden: int, labels: int, scales: Sequence[int], name: str = "decode_head") -> Iterator[Tensor]:
    """Four levels, each as wide as the model: the last one pooled at several scales, all of them joined."""
    yield from conv(f"{name}.classifier", labels, hidden, 1, 1, role="head")
    for i in range(len(scales)):
        yield from normed(f"{name}.psp_modules.blocks.{i}.conv", hidden, hidden, 1)
    yield from normed(f"{name}.psp_bottleneck", hidden, (1 + len(scales)) * hidden, 3)
    for i in range(3):
        yield from normed(f"{name}.lateral_convs.{i}", hidden, hidden, 1)
        yield from normed(f"{name}.fpn_convs.{i}", hidden, hidden, 3)
    yield from normed(f"{name}.fpn_bottleneck", hidden, 4 * hidden, 3)


def fcn(hidden: int, labels: int, width: int, convolutions: int, joined: bool, name: str = "auxiliary_head") -> Iterator[Tensor]:
    """A smaller head that helps the model to learn; `joined` puts its input beside what comes out of the convolutions."""
    for i in range(convolutions):
        yield from normed(f"{name}.convs.{i}", width, width if i else hidden, 3)
    if joined:
        yield from normed(f"{name}.conv_cat", width, hidden + width, 3)
    yield from conv(f"{name}.classifier", labels, width, 1, 1, role="head")
