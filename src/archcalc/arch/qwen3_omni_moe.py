"""Qwen3-Omni: the thinker, and, unless audio output is off, the talker and what makes sound of its codes.

Source: transformers 5.23, models/qwen3_omni_moe/modeling_qwen3_omni_moe.py (`Qwen3OmniMoeForConditionalGeneration`) and
configuration_qwen3_omni_moe.py (defaults).
"""

from typing import Annotated

from archcalc.arch._composite import DEFAULT
from archcalc.arch._omni import OmniSchema
from archcalc.arch._schema import ConfigSchema, TowerSchema, nested
from archcalc.arch.qwen3_omni_moe_talker import Schema as Talker


class Schema(OmniSchema):
    wave = "code2wav"
    inert_keys = (*OmniSchema.inert_keys, "assistant_token_id", "im_end_token_id", "im_start_token_id")

    thinker_config: Annotated[ConfigSchema, nested("qwen3_omni_moe_thinker", fixed=True), DEFAULT]
    talker_config: Annotated[Talker, nested("qwen3_omni_moe_talker", fixed=True), DEFAULT]
    code2wav_config: Annotated[TowerSchema, nested("qwen3_omni_moe_code2wav", fixed=True), DEFAULT]
