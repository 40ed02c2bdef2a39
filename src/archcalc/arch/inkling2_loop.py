"""Inkling 2 Mini with Inkling 2's vision tower.

Source: transformers 5.24, models/inkling2_loop/modeling_inkling2_loop.py and configuration_inkling2_loop.py (defaults).
"""

from typing import Annotated

from archcalc.arch import inkling2, inkling2_loop_text
from archcalc.arch._composite import DEFAULT
from archcalc.arch._schema import ConfigSchema, nested
from archcalc.arch.inkling2_vision import Schema as Vision


class Schema(inkling2.Schema):
    renames = (*inkling2_loop_text.RENAMES[:4], *inkling2.CHECKPOINT)

    text_config: Annotated[ConfigSchema, nested("inkling2_loop_text", fixed=True), DEFAULT]
    vision_config: Annotated[Vision, nested("inkling2_vision", fixed=True, absent={"text_hidden_size": 2304}, merged=True), DEFAULT]
