"""GLM-4.6V and its Flash: any of GLM's text models with GLM-4.1V's tower.

Source: transformers 5.23, models/glm46v/configuration_glm46v.py (defaults), models/glm46v/modeling_glm46v.py.
"""

from typing import Annotated

from archcalc.arch import glm4v
from archcalc.arch._composite import DEFAULT
from archcalc.arch._schema import ConfigSchema, TowerSchema, nested
from archcalc.model import Architecture


class Schema(glm4v.Schema):
    text_config: Annotated[ConfigSchema, nested("glm4v_text"), DEFAULT]
    vision_config: Annotated[TowerSchema, nested("glm4v_vision"), DEFAULT]

    def tied(self, text: Architecture) -> bool:
        return bool(self.tie_word_embeddings)
