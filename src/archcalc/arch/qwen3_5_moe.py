"""Qwen 3.5, 3.6 and 3.8 with experts and their vision tower.

Source: transformers 5.23, models/qwen3_5_moe/modeling_qwen3_5_moe.py and configuration_qwen3_5_moe.py.
"""

from typing import Annotated

from pydantic import Field

from archcalc.arch import qwen3_5
from archcalc.arch._schema import ConfigSchema, TowerSchema, nested


class Schema(qwen3_5.Schema):
    text_config: Annotated[ConfigSchema, nested("qwen3_5_moe_text"), Field(default={}, validate_default=True)]
    vision_config: Annotated[TowerSchema, nested("qwen3_5_moe_vision", "qwen3_5_moe"), Field(default={}, validate_default=True)]
