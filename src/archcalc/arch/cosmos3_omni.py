"""Cosmos3 Omni, the reasoner: Qwen3-VL's form.

Source: transformers 5.23, models/cosmos3_omni/modeling_cosmos3_omni.py and configuration_cosmos3_omni.py (defaults).
"""

from typing import Annotated

from archcalc.arch._composite import DEFAULT, VisionSchema
from archcalc.arch._schema import ConfigSchema, TowerSchema, nested


class Schema(VisionSchema):
    tower_name = "visual"

    text_config: Annotated[ConfigSchema, nested("qwen3_vl_text"), DEFAULT]
    vision_config: Annotated[TowerSchema, nested("qwen3_vl_vision", fixed=True), DEFAULT]
