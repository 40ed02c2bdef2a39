"""Qwen4, experimental, with its vision tower.

Source: transformers 5.23, models/qwen4_exp/modeling_qwen4_exp.py and configuration_qwen4_exp.py.
"""

from typing import Annotated

from pydantic import Field

from archcalc.arch import qwen3_5
from archcalc.arch._schema import ConfigSchema, TowerSchema, nested


class Schema(qwen3_5.Schema):
    text_config: Annotated[ConfigSchema, nested("qwen4_exp_text"), Field(default={}, validate_default=True)]
    vision_config: Annotated[TowerSchema, nested("qwen4_exp_vision", "qwen4_exp"), Field(default={}, validate_default=True)]
