"""MiniMax-M3 with its vision tower: patches are projected, then merged and projected again.

Source: transformers 5.23, models/minimax_m3_vl/modeling_minimax_m3_vl.py and configuration_minimax_m3_vl.py (defaults; tied where
either config says so), conversion_mapping.py ("minimax_m3_vl").
"""

from collections.abc import Iterable
from typing import Annotated

from archcalc.arch._composite import DEFAULT, VisionSchema
from archcalc.arch._schema import ConfigSchema, Size, nested
from archcalc.arch.minimax_m3_vl_text import RENAMES
from archcalc.arch.minimax_m3_vl_vision import Schema as Vision
from archcalc.blocks.vision import projector
from archcalc.model import Tensor


class Schema(VisionSchema):
    inert_keys = (
        "merged_hidden_size", "projector_hidden_act", "multimodal_projector_bias", "img_token_compression_config",
        "image_grid_pinpoints", "image_seq_length", "process_image_mode", "vision_feature_layer", "vision_feature_select_strategy",
    )  # fmt: skip
    renames = (
        ("lm_head.", "language_model.lm_head."),
        ("model.language_model.", "language_model.model."),
        ("model.vision_tower.embeddings.proj.", "vision_tower.vision_model.embeddings.patch_embedding."),
        ("model.vision_tower.layers.", "vision_tower.vision_model.encoder.layers."),
        ("model.vision_tower.", "vision_tower.vision_model."),
        ("model.multi_modal_projector.merge_", "patch_merge_mlp."),
        ("model.", ""),
        *RENAMES,
    )
    ties = "either"

    text_config: Annotated[ConfigSchema, nested("minimax_m3_vl_text", fixed=True), DEFAULT]
    vision_config: Annotated[Vision, nested("minimax_m3_vl_vision", fixed=True), DEFAULT]
    projector_hidden_size: Size = 6144

    def projection(self, width: int, hidden: int) -> Iterable[Tensor]:
        inner, merged = self.projector_hidden_size, hidden * self.vision_config.spatial_merge_size**2
        yield from projector(("linear_1", "linear_2"), (width, inner, hidden))
        yield from projector(("merge_linear_1", "merge_linear_2"), (merged, inner, hidden))
