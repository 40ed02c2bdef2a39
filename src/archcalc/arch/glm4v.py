"""GLM-4.1V. Its first configs are flat: the text model's keys stand beside `vision_config`.

Source: transformers 5.23, models/glm4v/modeling_glm4v.py and configuration_glm4v.py (defaults; tied where either config says so).
"""

from typing import Annotated, ClassVar

from archcalc.arch._composite import DEFAULT, Ties, VisionSchema
from archcalc.arch._schema import ConfigSchema, TowerSchema, nested


class Schema(VisionSchema):
    tower_name = "visual"
    ties: ClassVar[Ties] = "either"

    text_config: Annotated[ConfigSchema, nested("glm4v_text", fixed=True), DEFAULT]
    vision_config: Annotated[TowerSchema, nested("glm4v_vision", fixed=True), DEFAULT]


class Glm46v(Schema):
    """GLM-4.6V and its Flash: any of GLM's text models with GLM-4.1V's tower.
    Source: transformers 5.23, models/glm46v/configuration_glm46v.py (defaults), models/glm46v/modeling_glm46v.py."""

    ties = "outer"

    text_config: Annotated[ConfigSchema, nested("glm4v_text"), DEFAULT]
    vision_config: Annotated[TowerSchema, nested("glm4v_vision"), DEFAULT]


class Glm4vMoe(Schema):
    """GLM-4.5V and 4.6V: GLM-4.1V with GLM-4.5's experts.
    Source: transformers 5.23, models/glm4v_moe/configuration_glm4v_moe.py (defaults)."""

    text_config: Annotated[ConfigSchema, nested("glm4v_moe_text", fixed=True), DEFAULT]
    vision_config: Annotated[TowerSchema, nested("glm4v_moe_vision", fixed=True), DEFAULT]


class GlmOcr(Schema):
    """GLM-OCR: GLM-4.1V's form, small.
    Source: transformers 5.23, models/glm_ocr/configuration_glm_ocr.py (defaults)."""

    text_config: Annotated[ConfigSchema, nested("glm_ocr_text", fixed=True), DEFAULT]
    vision_config: Annotated[TowerSchema, nested("glm_ocr_vision", fixed=True), DEFAULT]


class Glmga(Glm46v):
    """GLM-GA: GLM-4.6V's implementation under another name. Source: transformers 5.23, models/glmga/configuration_glmga.py."""
