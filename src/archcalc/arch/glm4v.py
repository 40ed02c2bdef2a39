"""GLM-4.1V. Its first configs are flat: the text model's keys stand beside `vision_config`.

Source: transformers 5.23, models/glm4v/modeling_glm4v.py and configuration_glm4v.py (defaults; tied where either config says so).
"""

from typing import Annotated

from archcalc.arch._composite import DEFAULT, VisionSchema
from archcalc.arch._schema import ConfigSchema, TowerSchema, nested
from archcalc.model import Architecture


class Schema(VisionSchema):
    tower_name = "visual"

    text_config: Annotated[ConfigSchema, nested("glm4v_text", fixed=True), DEFAULT]
    vision_config: Annotated[TowerSchema, nested("glm4v_vision", fixed=True), DEFAULT]

    def tied(self, text: Architecture) -> bool:
        return bool(self.tie_word_embeddings) or text.facts.tied_embeddings
