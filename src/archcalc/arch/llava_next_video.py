"""LLaVA-NeXT-Video: LLaVA-NeXT whose video frames are pooled, with weights where the pooling is a convolution.

Source: transformers 5.23, models/llava_next_video/modeling_llava_next_video.py and configuration_llava_next_video.py (defaults).
"""

from collections.abc import Iterable
from typing import Literal

from archcalc.arch import llava_next
from archcalc.arch._schema import Size
from archcalc.blocks.vision import patch_conv
from archcalc.model import Tensor


class Schema(llava_next.Schema):
    ties = "either"

    spatial_pool_mode: Literal["average", "max", "conv"] = "average"
    spatial_pool_stride: Size = 2
    spatial_pool_out_channels: Size | None = None

    def extra_tensors(self, hidden: int) -> Iterable[Tensor]:
        yield from super().extra_tensors(hidden)
        if self.spatial_pool_mode == "conv":
            wide, stride = self.tower_width(), self.spatial_pool_stride
            yield from patch_conv("vision_resampler.pool", self.spatial_pool_out_channels or wide, wide, stride, stride)
