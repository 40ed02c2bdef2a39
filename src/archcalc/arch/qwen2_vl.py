"""Qwen2-VL. Published configs are flat: the text model's keys stand beside `vision_config`.

Source: transformers 5.23, models/qwen2_vl/modeling_qwen2_vl.py and configuration_qwen2_vl.py, conversion_mapping.py
("Qwen2VLForConditionalGeneration": published checkpoints name the parts `model.*` and `visual.*`).
"""

from typing import Annotated

from pydantic import Field

from archcalc.arch._decoder import with_tower
from archcalc.arch._schema import ConfigSchema, Flag, TowerSchema, nested
from archcalc.model import Architecture


class Schema(ConfigSchema):
    core_keys = ("vision_config",)

    text_config: Annotated[ConfigSchema, nested("qwen2_vl_text", fixed=True), Field(default={}, validate_default=True)]
    vision_config: Annotated[TowerSchema, nested("qwen2_vl_vision", "qwen2_vl"), Field(default={}, validate_default=True)]
    tie_word_embeddings: Flag = False

    def architecture(self, prefix: str) -> Architecture:
        language = f"{prefix}.language_model"
        text = self.text_config.architecture(language)
        groups, stacks = self.vision_config.tower(f"{prefix}.visual")
        renames = ((f"{language}.", f"{prefix}."), (f"{prefix}.visual.", "visual."))
        # Either config may state the tying.
        tied = self.tie_word_embeddings or text.facts.tied_embeddings
        return with_tower(text, groups, stacks, renames=renames, tied=tied)


class Qwen25Vl(Schema):
    """Qwen2.5-VL: Qwen2-VL with another tower.
    Source: transformers 5.23, models/qwen2_5_vl/modeling_qwen2_5_vl.py and configuration_qwen2_5_vl.py."""

    vision_config: Annotated[TowerSchema, nested("qwen2_5_vl_vision", "qwen2_5_vl"), Field(default={}, validate_default=True)]
