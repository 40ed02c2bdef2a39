"""Aya Vision: Cohere 2 (or Command R) with SigLIP, whose patches are merged and pass a norm and a gated projector.

Source: transformers 5.23, models/aya_vision/modeling_aya_vision.py and configuration_aya_vision.py (defaults), conversion_mapping.py
("llava").
"""

from collections.abc import Iterable
from typing import Annotated

from archcalc.arch._composite import DEFAULT, LLAVA, VisionSchema
from archcalc.arch._encoder import pooled, tiled
from archcalc.arch._plain import Derived
from archcalc.arch._schema import ConfigSchema, Flag, Size, TowerSchema, nested
from archcalc.blocks._tensor import linear
from archcalc.blocks.norm import layer_norm
from archcalc.model import Encoder, Tensor

SIGLIP = {
    "hidden_size": 1152, "intermediate_size": 4304, "image_size": 384, "patch_size": 14, "num_hidden_layers": 26,
    "num_attention_heads": 14, "vision_use_head": False,
}  # fmt: skip


class Schema(VisionSchema):
    inert_keys = ("vision_feature_select_strategy", "vision_feature_layer", "max_splits_per_img")
    renames = LLAVA

    text_config: Annotated[ConfigSchema, nested("cohere2"), DEFAULT]
    vision_config: Annotated[TowerSchema, nested("siglip_vision_model", absent=SIGLIP), DEFAULT]
    downsample_factor: Size = 2
    alignment_intermediate_size: Derived = 0
    tie_word_embeddings: Flag | None = True

    def projection(self, width: int, hidden: int) -> Iterable[Tensor]:
        inner, merged = self.alignment_intermediate_size or hidden, width * self.downsample_factor**2
        yield from layer_norm("layernorm", merged)
        yield from linear("linear_1", inner, merged, "other", bias=True)
        # Half of it gates the other half.
        yield from linear("linear_2", hidden, inner // 2, "other", bias=True)

    def encoders(self) -> tuple[Encoder, ...]:
        """Twelve tiles and the whole image."""
        source = "transformers 5.24, models/got_ocr2/image_processing_got_ocr2.py `max_patches`, and the overview"
        return tiled(pooled(super().encoders(), self.downsample_factor**2), 13, None, source)
