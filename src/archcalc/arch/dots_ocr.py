"""dots.ocr: Qwen 2 with a ViT of its own, the text model's keys beside the tower's.

Source: rednote-hilab/dots.ocr, modeling_dots_ocr.py and configuration_dots.py; vLLM 0.33, models/dots_ocr.py.
"""

from typing import Annotated, Any

from archcalc.arch._composite import DEFAULT, VisionSchema
from archcalc.arch._schema import ConfigSchema, Flag, nested
from archcalc.arch._vlm import flat
from archcalc.arch.dots_vit import Schema as Vision

_OWN = ("model_type", "architectures", "vision_config", "image_token_id", "video_token_id", "dtype", "torch_dtype", "auto_map")


class Schema(VisionSchema):
    core_keys = ("vision_config",)
    renames = (("model.language_model.", "model."), ("model.vision_tower.", "vision_tower."))
    ties = "outer or text"

    text_config: Annotated[ConfigSchema, nested("qwen2", "dots_ocr"), DEFAULT]
    vision_config: Annotated[Vision, nested("dots_vit", fixed=True), DEFAULT]
    tie_word_embeddings: Flag | None = None

    @classmethod
    def newest(cls, config: dict[str, Any]) -> dict[str, Any]:
        return flat(config, _OWN)


class DotsVlm(Schema):
    """dots.vlm: DeepSeek-V3 with dots.ocr's ViT.
    Source: SGLang 0.5.23, srt/models/dots_vlm.py (`DotsVLMForCausalLM`) and srt/configs/dots_vlm.py (the text model's keys stand flat)."""

    text_config: Annotated[ConfigSchema, nested("deepseek_v3", "dots_vlm"), DEFAULT]
