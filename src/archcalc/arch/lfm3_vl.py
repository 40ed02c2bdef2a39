"""LFM3-VL: LFM3 with a convolutional vision tower.

Source: transformers 5.23, models/lfm3_vl/modeling_lfm3_vl.py and configuration_lfm3_vl.py (defaults).
"""

from collections.abc import Iterable
from typing import Annotated

from archcalc.arch._composite import DEFAULT, VisionSchema
from archcalc.arch._schema import ConfigSchema, Flag, Size, nested
from archcalc.arch.lfm3_vl_vision import Schema as Vision
from archcalc.blocks.norm import layer_norm
from archcalc.blocks.vision import projector
from archcalc.model import Tensor


class Schema(VisionSchema):
    inert_keys = ("projector_hidden_act",)

    text_config: Annotated[ConfigSchema, nested("lfm3"), DEFAULT]
    vision_config: Annotated[Vision, nested("lfm3_vl_vision", fixed=True), DEFAULT]
    projector_hidden_size: Size = 4096
    projector_bias: Flag = True
    tie_word_embeddings: Flag | None = True

    def projection(self, width: int, hidden: int) -> Iterable[Tensor]:
        merged = width * self.vision_config.spatial_merge_size**2
        yield from layer_norm("layer_norm", width)
        yield from projector(("linear_1", "linear_2"), (merged, self.projector_hidden_size, hidden), bias=self.projector_bias)
