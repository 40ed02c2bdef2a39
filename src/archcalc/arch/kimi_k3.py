"""Kimi K3.

Source: vLLM 0.33, models/kimi_k3/nvidia/model.py (`hf_to_vllm_mapper`: names) and transformers_utils/configs/kimi_k3.py.
"""

from collections.abc import Iterable
from typing import Annotated

from archcalc.arch._composite import DEFAULT, VisionSchema
from archcalc.arch._schema import ConfigSchema, nested
from archcalc.arch.kimi_k3_vision import Schema as Vision
from archcalc.model import Tensor


class Schema(VisionSchema):
    core_keys = ("text_config", "vision_config")
    inert_keys = ("ignore_index", "media_placeholder_token_id", "image_placeholder")
    projector_name = "mm_projector"
    renames = (
        ("lm_head.", "language_model.lm_head."), ("model.language_model.", "language_model.model."), ("model.", ""),
    )  # fmt: skip

    text_config: Annotated[ConfigSchema, nested("kimi_k3_text", fixed=True), DEFAULT]
    vision_config: Annotated[Vision, nested("kimi_k3_vision", fixed=True), DEFAULT]

    def projection(self, width: int, hidden: int) -> Iterable[Tensor]:
        return self.vision_config.merged(hidden)
