"""LLaVA-NeXT (1.6): LLaVA with a learned end of each row of patches.

Source: transformers 5.23, models/llava_next/modeling_llava_next.py and configuration_llava_next.py (defaults).
"""

from collections.abc import Iterable
from typing import ClassVar, Literal

from archcalc.arch import llava
from archcalc.arch._composite import Ties
from archcalc.arch._encoder import pinpoints, tiled
from archcalc.arch._schema import Size
from archcalc.blocks.vision import patch_conv
from archcalc.model import Encoder, Tensor


class Schema(llava.Schema):
    ties: ClassVar[Ties] = "outer"

    def extra_tensors(self, hidden: int) -> Iterable[Tensor]:
        yield Tensor("image_newline", (hidden,), "embedding")

    def encoders(self) -> tuple[Encoder, ...]:
        """Tiles of the largest shape of the config's list, and the whole image."""
        tiles = pinpoints(self, 336, 672 * 672)
        return tiled(super().encoders(), tiles + 1, None, "the config's image_grid_pinpoints, and the overview")


class LlavaNextVideo(Schema):
    """LLaVA-NeXT-Video: LLaVA-NeXT whose video frames are pooled, with weights where the pooling is a convolution.
    Source: transformers 5.23, models/llava_next_video/modeling_llava_next_video.py and configuration_llava_next_video.py (defaults).
    """

    ties = "either"

    spatial_pool_mode: Literal["average", "max", "conv"] = "average"
    spatial_pool_stride: Size = 2
    spatial_pool_out_channels: Size | None = None

    def extra_tensors(self, hidden: int) -> Iterable[Tensor]:
        yield from super().extra_tensors(hidden)
        if self.spatial_pool_mode == "conv":
            width, stride = self.tower_width(), self.spatial_pool_stride
            yield from patch_conv("vision_resampler.pool", self.spatial_pool_out_channels or width, width, stride, stride)
