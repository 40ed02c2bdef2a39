"""GLM-OCR: GLM-4.1V's form, small.

Source: transformers 5.23, models/glm_ocr/configuration_glm_ocr.py (defaults).
"""

from typing import Annotated

from archcalc.arch import glm4v
from archcalc.arch._composite import DEFAULT
from archcalc.arch._schema import ConfigSchema, TowerSchema, nested


class Schema(glm4v.Schema):
    text_config: Annotated[ConfigSchema, nested("glm_ocr_text", fixed=True), DEFAULT]
    vision_config: Annotated[TowerSchema, nested("glm_ocr_vision", fixed=True), DEFAULT]
