"""Qwen2.5-Omni: the thinker, and, unless audio output is off, the talker and what makes sound of its tokens.

Source: transformers 5.23, models/qwen2_5_omni/modeling_qwen2_5_omni.py (`Qwen2_5OmniForConditionalGeneration`) and
configuration_qwen2_5_omni.py (defaults).
"""

from typing import Annotated

from archcalc.arch._composite import DEFAULT
from archcalc.arch._omni import OmniSchema
from archcalc.arch._schema import ConfigSchema, TowerSchema, nested
from archcalc.arch.qwen2_5_omni_talker import Schema as Talker


class Schema(OmniSchema):
    wave = "token2wav"

    thinker_config: Annotated[ConfigSchema, nested("qwen2_5_omni_thinker", fixed=True), DEFAULT]
    talker_config: Annotated[Talker, nested("qwen2_5_omni_talker", fixed=True), DEFAULT]
    token2wav_config: Annotated[TowerSchema, nested("qwen2_5_omni_token2wav", fixed=True), DEFAULT]
