"""FastVLM: Qwen 2 with FastViT, whose few tokens an MLP projects.

Source: transformers 5.24, models/fast_vlm/modeling_fast_vlm.py and configuration_fast_vlm.py (defaults).
"""

from collections.abc import Iterable
from typing import Annotated

from archcalc.arch._composite import DEFAULT, VisionSchema
from archcalc.arch._schema import ConfigSchema, Flag, TowerSchema, nested
from archcalc.blocks.vision import projector
from archcalc.model import Tensor

TOWER = {"architecture": "fastvit_mci3", "model_args": {"inference_mode": True}}
TEXT = {
    "hidden_size": 3584, "vocab_size": 152128, "intermediate_size": 18944, "num_attention_heads": 28, "num_key_value_heads": 4,
    "num_hidden_layers": 28,
}  # fmt: skip


class Schema(VisionSchema):
    inert_keys = ("projector_hidden_act", "vision_feature_select_strategy", "image_seq_length", "vision_feature_layer")
    ties = "either"

    text_config: Annotated[ConfigSchema, nested("qwen2", absent=TEXT), DEFAULT]
    vision_config: Annotated[TowerSchema, nested("timm_wrapper", absent=TOWER), DEFAULT]
    multimodal_projector_bias: Flag = True

    def projection(self, width: int, hidden: int) -> Iterable[Tensor]:
        return projector(("linear_1", "linear_2"), (width, hidden, hidden), bias=self.multimodal_projector_bias)
