"""Qwen3-VL, dense.

Source: transformers 5.23, models/qwen3_vl/modeling_qwen3_vl.py and configuration_qwen3_vl.py.
"""

from typing import Annotated

from pydantic import Field

from archcalc.arch import qwen3_5
from archcalc.arch._schema import ConfigSchema, TowerSchema, nested


class Schema(qwen3_5.Schema):
    text_config: Annotated[ConfigSchema, nested("qwen3_vl_text"), Field(default={}, validate_default=True)]
    vision_config: Annotated[TowerSchema, nested("qwen3_vl_vision", "qwen3_vl"), Field(default={}, validate_default=True)]
