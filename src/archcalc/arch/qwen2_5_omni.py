"""Qwen2.5-Omni: the thinker, and, unless audio output is off, the talker and what makes sound of its tokens.

Source: transformers 5.23, models/qwen2_5_omni/modeling_qwen2_5_omni.py (`Qwen2_5OmniForConditionalGeneration`) and
configuration_qwen2_5_omni.py (defaults).
"""

from __future__ import annotations

from typing import Annotated, ClassVar

from archcalc.arch._composite import DEFAULT, head_below
from archcalc.arch._decoder import join, with_tower
from archcalc.arch._schema import ConfigSchema, Flag, TowerSchema, nested
from archcalc.arch.qwen2_5_omni_talker import Schema as Talker
from archcalc.model import Architecture


class Schema(ConfigSchema):
    core_keys: ClassVar[tuple[str, ...]] = ()
    inert_keys: ClassVar[tuple[str, ...]] = ("enable_talker", "enable_audio_output_", "tie_word_embeddings")
    name: ClassVar[str] = "qwen2_5_omni"

    thinker_config: Annotated[ConfigSchema, nested("qwen2_5_omni_thinker", fixed=True), DEFAULT]
    talker_config: Annotated[Talker, nested("qwen2_5_omni_talker", fixed=True), DEFAULT]
    token2wav_config: Annotated[TowerSchema, nested("qwen2_5_omni_token2wav", fixed=True), DEFAULT]
    enable_audio_output: Flag = True

    def architecture(self, prefix: str = "") -> Architecture:
        # The head stands beside the model, and so below the thinker too.
        thinker = head_below(self.thinker_config.architecture(join(prefix, "thinker.model")), join(prefix, "thinker"))
        if not self.enable_audio_output:
            return thinker._replace(model_type=self.name)
        talker, talker_layers = self.talker_config.tower(join(prefix, "talker"))
        wave, wave_layers = self.token2wav_config.tower(join(prefix, "token2wav"))
        return with_tower(thinker, self.name, talker + wave, talker_layers + wave_layers)
