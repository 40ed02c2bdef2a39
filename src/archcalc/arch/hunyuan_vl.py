"""Hunyuan-OCR: Hunyuan's dense decoder with a ViT of its own.

Source: transformers 5.23, models/hunyuan_vl/modeling_hunyuan_vl.py and configuration_hunyuan_vl.py (defaults, flat configs),
conversion_mapping.py ("hunyuan_vl").
"""

from collections.abc import Iterable
from typing import Annotated

from archcalc.arch._composite import DEFAULT, VisionSchema
from archcalc.arch._schema import ConfigSchema, Flag, nested
from archcalc.arch.hunyuan_v1_dense import Schema as Dense
from archcalc.arch.hunyuan_vl_vision import Schema as Vision
from archcalc.model import Tensor


class Schema(VisionSchema):
    inert_keys = (*Dense.inert_keys, "im_start_id", "im_end_id", "im_newline_id", "image_start_id", "image_newline_id")
    projector_name = "vision_tower.patch_merger"
    renames = (
        ("model.language_model.", "model."),
        ("model.vision_tower.patch_merger.proj_conv.", "vit.perceive.proj.0."),
        ("model.vision_tower.patch_merger.proj_out.", "vit.perceive.proj.2."),
        ("model.vision_tower.patch_merger.", "vit.perceive."),
        ("model.vision_tower.", "vit."),
        (".mlp.fc1", ".mlp.dense_h_to_4h"),
        (".mlp.fc2", ".mlp.dense_4h_to_h"),
        (".layer_norm1", ".input_layernorm"),
        (".layer_norm2", ".post_attention_layernorm"),
    )
    ties = "either"

    text_config: Annotated[ConfigSchema, nested("hunyuan_vl_text"), DEFAULT]
    vision_config: Annotated[Vision, nested("hunyuan_vl_vision", fixed=True), DEFAULT]
    tie_word_embeddings: Flag | None = True

    def projection(self, width: int, hidden: int) -> Iterable[Tensor]:
        return self.vision_config.merger(hidden)
