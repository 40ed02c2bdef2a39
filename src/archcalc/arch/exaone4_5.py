"""EXAONE 4.5: EXAONE 4 with a vision tower of Qwen2.5-VL's kind.

Source: transformers 5.23, models/exaone4_5/modeling_exaone4_5.py and configuration_exaone4_5.py (defaults).
"""

from __future__ import annotations

from typing import Annotated, ClassVar

from archcalc.arch._composite import DEFAULT, VisionSchema
from archcalc.arch._schema import ConfigSchema, TowerSchema, nested


class Schema(VisionSchema):
    name: ClassVar[str] = "exaone4_5"
    tower_name: ClassVar[str] = "visual"

    text_config: Annotated[ConfigSchema, nested("exaone4", "exaone4_5_text"), DEFAULT]
    vision_config: Annotated[TowerSchema, nested("exaone4_5_vision", fixed=True), DEFAULT]
