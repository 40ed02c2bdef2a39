"""Cohere Compass, with vision: its text model and Qwen3-VL's tower.

Source: transformers 5.23, models/cohere_compass/modeling_cohere_compass.py and configuration_cohere_compass.py (defaults).
"""

from __future__ import annotations

from typing import Annotated, ClassVar

from pydantic import Field

from archcalc.arch import qwen3_5
from archcalc.arch._schema import ConfigSchema, TowerSchema, nested


class Schema(qwen3_5.Schema):
    core_keys: ClassVar[tuple[str, ...]] = ()
    name: ClassVar[str] = "cohere_compass"

    text_config: Annotated[ConfigSchema, nested("cohere_compass_text"), Field(default={}, validate_default=True)]
    vision_config: Annotated[
        TowerSchema, nested("cohere_compass_vision", "cohere_compass"), Field(default={}, validate_default=True)
    ]
