"""Ling 3 with vision: the hybrid text model, without its MTP layer, and a ViT.

Source: vLLM 0.33, models/bailing_moe_v3_vl.py and transformers_utils/configs/bailing_moe_v3_vl.py (defaults).
"""

from collections.abc import Iterable
from typing import Annotated

from archcalc.arch._composite import DEFAULT, VisionSchema
from archcalc.arch._schema import ConfigSchema, nested
from archcalc.arch.qwen3_vl_vision import Qwen3MoeVit as Vision
from archcalc.model import Tensor


class Schema(VisionSchema):
    core_keys = ("text_config",)
    tower_name = "visual"
    projector_name = "linear_proj"
    inert_keys = ("mrope_section",)

    text_config: Annotated[ConfigSchema, nested("bailing_hybrid"), DEFAULT]
    vision_config: Annotated[Vision, nested("qwen3_moe_vit", fixed=True), DEFAULT]

    def projection(self, width: int, hidden: int) -> Iterable[Tensor]:
        return self.vision_config.projection(hidden)
