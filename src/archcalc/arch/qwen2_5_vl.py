"""Qwen2.5-VL: Qwen2-VL with another tower.

Source: transformers 5.23, models/qwen2_5_vl/modeling_qwen2_5_vl.py and configuration_qwen2_5_vl.py.
"""

from typing import Annotated

from pydantic import Field

from archcalc.arch import qwen2_vl
from archcalc.arch._schema import TowerSchema, nested


class Schema(qwen2_vl.Schema):
    vision_config: Annotated[TowerSchema, nested("qwen2_5_vl_vision", "qwen2_5_vl"), Field(default={}, validate_default=True)]
