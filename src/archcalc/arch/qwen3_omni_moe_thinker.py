"""The thinker of Qwen3-Omni: Qwen 3 with experts, an audio and a vision tower.

Source: transformers 5.23, models/qwen3_omni_moe/modeling_qwen3_omni_moe.py (`Qwen3OmniMoeThinkerForConditionalGeneration`) and
configuration_qwen3_omni_moe.py (defaults).
"""

from typing import Annotated

from archcalc.arch import qwen2_5_omni_thinker
from archcalc.arch._composite import DEFAULT
from archcalc.arch._schema import ConfigSchema, TowerSchema, nested


class Schema(qwen2_5_omni_thinker.Schema):
    text_config: Annotated[ConfigSchema, nested("qwen3_omni_moe_text", fixed=True), DEFAULT]
    vision_config: Annotated[TowerSchema, nested("qwen3_omni_moe_vision_encoder", fixed=True), DEFAULT]
    audio_config: Annotated[TowerSchema, nested("qwen3_omni_moe_audio_encoder", fixed=True), DEFAULT]
