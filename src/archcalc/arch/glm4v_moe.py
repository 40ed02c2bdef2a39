"""GLM-4.5V and 4.6V: GLM-4.1V with GLM-4.5's experts.

Source: transformers 5.23, models/glm4v_moe/configuration_glm4v_moe.py (defaults).
"""

from typing import Annotated

from archcalc.arch import glm4v
from archcalc.arch._composite import DEFAULT
from archcalc.arch._schema import ConfigSchema, TowerSchema, nested


class Schema(glm4v.Schema):
    text_config: Annotated[ConfigSchema, nested("glm4v_moe_text", fixed=True), DEFAULT]
    vision_config: Annotated[TowerSchema, nested("glm4v_moe_vision", fixed=True), DEFAULT]
