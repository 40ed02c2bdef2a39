"""Qwen3-VL with experts.

Source: transformers 5.23, models/qwen3_vl_moe/modeling_qwen3_vl_moe.py and configuration_qwen3_vl_moe.py.
"""

from typing import Annotated

from pydantic import Field

from archcalc.arch import qwen3_5
from archcalc.arch._schema import ConfigSchema, TowerSchema, nested


class Schema(qwen3_5.Schema):
    text_config: Annotated[ConfigSchema, nested("qwen3_vl_moe_text"), Field(default={}, validate_default=True)]
    vision_config: Annotated[TowerSchema, nested("qwen3_vl_moe_vision", "qwen3_vl_moe"), Field(default={}, validate_default=True)]
