"""PaddleOCR-VL: ERNIE 4.5 with SigLIP, whose patches are merged. The published config is flat.

Source: transformers 5.23, models/paddleocr_vl/modeling_paddleocr_vl.py and configuration_paddleocr_vl.py (defaults; tied where either
config says so).
"""

from collections.abc import Iterable
from typing import Annotated

from archcalc.arch._composite import DEFAULT, VisionSchema, width_of
from archcalc.arch._schema import ConfigSchema, Flag, TowerSchema, nested
from archcalc.blocks.norm import layer_norm
from archcalc.blocks.vision import projector
from archcalc.model import Tensor


class Schema(VisionSchema):
    inert_keys = (
        "use_bias", "compression_ratio", "ignored_index", "rope_is_neox_style", "use_3d_rope", "use_flash_attention",
        "weight_share_add_bias", "use_rmsnorm", "vision_start_token_id",
    )  # fmt: skip
    tower_name = "visual"
    projector_name = "projector"
    ties = "either"

    text_config: Annotated[ConfigSchema, nested("paddleocr_vl_text", fixed=True), DEFAULT]
    vision_config: Annotated[TowerSchema, nested("paddleocr_vl_vision", fixed=True), DEFAULT]
    tie_word_embeddings: Flag | None = True

    def projection(self, width: int, hidden: int) -> Iterable[Tensor]:
        merged = width * width_of(self.vision_config, "spatial_merge_size") ** 2
        yield from layer_norm("pre_norm", width)
        yield from projector(("linear_1", "linear_2"), (merged, merged, hidden))
