"""Granite Speech Plus: Granite Speech whose Q-Former may read several of the tower's layers at once.

Source: transformers 5.23, models/granite_speech_plus/modeling_granite_speech_plus.py and configuration_granite_speech_plus.py
(defaults).
"""

from typing import Annotated

from archcalc.arch import granite_speech
from archcalc.arch._composite import DEFAULT
from archcalc.arch._schema import TowerSchema, nested


class Schema(granite_speech.Schema):
    encoder_config: Annotated[TowerSchema, nested("granite_speech_plus_encoder", fixed=True), DEFAULT]
