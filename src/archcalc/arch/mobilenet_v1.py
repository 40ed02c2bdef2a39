"""MobileNet V1: convolutions of one channel each, and of one pixel, in turn.

Source: transformers 5.24, models/mobilenet_v1/modeling_mobilenet_v1.py (`MobileNetV1Model`, `MobileNetV1ForImageClassification`) and
configuration_mobilenet_v1.py (defaults); Howard et al. 2017, arXiv:1704.04861.
"""

from collections.abc import Iterator
from itertools import pairwise

from archcalc.arch._composite import Pieces
from archcalc.arch._decoder import group, join
from archcalc.arch._schema import Size
from archcalc.arch._upernet import normed
from archcalc.arch._vit import ImageSchema, below
from archcalc.errors import ConfigError
from archcalc.model import Encoder, Layer, Tensor, stack

# Blocks whose output is twice as wide: the first, and those that halve the image (modeling_mobilenet_v1.py, `strides`).
DOUBLES = (0, 1, 3, 5, 11)


def convolved(name: str, outer: int, inner: int, kernel: int, *, apart: bool = False) -> Iterator[Tensor]:
    """A convolution and its batch norm; `apart`, each channel by itself."""
    for t in normed(name, outer, 1 if apart else inner, kernel):
        yield t._replace(role="other") if t.role == "head" else t


class MobileSchema(ImageSchema):
    """What both versions share."""

    num_channels: Size = 3
    depth_multiplier: float = 1.0
    min_depth: Size = 8

    inert_keys = ("image_size", "tf_padding", "output_stride")

    def bare(self, named: str) -> bool:
        return not named.endswith(("ForImageClassification", "ForSemanticSegmentation"))

    def multiplier(self) -> float:
        if self.depth_multiplier <= 0:
            raise ConfigError(f"depth_multiplier is {self.depth_multiplier}: it is more than 0", "correct it", "depth_multiplier")
        return self.depth_multiplier

    def encoders(self) -> tuple[Encoder, ...]:
        return ()


class Schema(MobileSchema):
    root = "mobilenet_v1"

    def depths(self) -> list[int]:
        """The width of what goes into each block, and what comes out of the last."""
        found, depth = [32], 32
        for i in range(13):
            depth *= 2 if i in DOUBLES else 1
            found.append(depth)
        return [max(int(depth * self.multiplier()), self.min_depth) for depth in found]

    @property
    def hidden_size(self) -> int:
        return self.depths()[-1]

    def body(self, prefix: str, named: str) -> Pieces:
        depths, layers = self.depths(), []
        for inner, outer in pairwise(depths):
            for kernel, out, apart in ((3, inner, True), (1, outer, False)):
                tensors = (t._replace(name=t.name[1:]) for t in convolved("", out, inner, kernel, apart=apart))
                layers.append(Layer(f"convolution {kernel} x {kernel}, {out}", "none", tuple(tensors), (), (), 0, out, 0))
        stem = below(prefix, convolved("conv_stem", depths[0], self.num_channels, 3))
        return [group("vision", stem)], [stack(join(prefix, "layer"), "vision", layers)]
