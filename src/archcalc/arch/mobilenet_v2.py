"""MobileNet V2: blocks that widen, convolve each channel by itself, and narrow again.

Source: transformers 5.24, models/mobilenet_v2/modeling_mobilenet_v2.py (`MobileNetV2Model`, `MobileNetV2ForImageClassification`,
`MobileNetV2ForSemanticSegmentation`) and configuration_mobilenet_v2.py (defaults); Sandler et al. 2018, arXiv:1801.04381.
"""

from collections.abc import Iterable
from itertools import pairwise

from archcalc.arch._composite import Pieces
from archcalc.arch._decoder import group, join
from archcalc.arch._heads import labels_of
from archcalc.arch._schema import Flag, Size
from archcalc.arch._vit import below
from archcalc.arch._whisper import conv
from archcalc.arch.bit import divisible
from archcalc.arch.mobilenet_v1 import MobileSchema, convolved
from archcalc.model import Layer, Tensor, stack

# modeling_mobilenet_v2.py, `MobileNetV2Model` (`channels`): what goes into each block, and comes out of the last.
CHANNELS = (16, 24, 24, 32, 32, 32, 64, 64, 64, 64, 96, 96, 96, 160, 160, 160, 320)


class Schema(MobileSchema):
    root = "mobilenet_v2"

    depth_divisible_by: Size = 8
    expand_ratio: float = 6.0
    first_layer_is_expansion: Flag = True
    finegrained_output: Flag = True

    def divisible(self, value: int) -> int:
        return divisible(value, self.depth_divisible_by, self.min_depth)

    def scaled(self, channels: int) -> int:
        return self.divisible(round(channels * self.multiplier()))

    @property
    def hidden_size(self) -> int:
        return 1280 if self.finegrained_output and self.depth_multiplier < 1 else self.scaled(1280)

    def body(self, prefix: str, named: str) -> Pieces:
        widths, first = [self.scaled(one) for one in CHANNELS], self.scaled(32)
        stem = [
            *convolved("conv_stem.first_conv", first, self.num_channels, 3),
            *(() if self.first_layer_is_expansion else convolved("conv_stem.expand_1x1", first, first, 1)),
            *convolved("conv_stem.conv_3x3", first, first, 3, apart=True),
            *convolved("conv_stem.reduce_1x1", widths[0], first, 1),
            *convolved("conv_1x1", self.hidden_size, widths[-1], 1),
        ]
        layers = []
        for inner, outer in pairwise(widths):
            width = self.divisible(round(inner * self.expand_ratio))
            tensors = (
                *convolved("expand_1x1", width, inner, 1),
                *convolved("conv_3x3", width, width, 3, apart=True),
                *convolved("reduce_1x1", outer, width, 1),
            )
            layers.append(Layer(f"inverted residual, {outer}", "none", tensors, (), (), 0, width, 0))
        return [group("vision", below(prefix, stem))], [stack(join(prefix, "layer"), "vision", layers)]

    def head_of(self, name: str) -> Iterable[Tensor] | None:
        if name.endswith("ForSemanticSegmentation"):
            width, head = self.scaled(320), "segmentation_head"
            pooled = (t for part in ("conv_pool", "conv_aspp") for t in convolved(f"{head}.{part}", 256, width, 1))
            labels = conv(f"{head}.classifier.convolution", labels_of(self.model_extra or {}), 256, 1, 1, role="head")
            return (*pooled, *convolved(f"{head}.conv_projection", 256, 512, 1), *labels)
        return super().head_of(name)
