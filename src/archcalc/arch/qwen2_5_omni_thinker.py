"""The thinker of Qwen2.5-Omni: Qwen 2.5 with an audio and a vision tower.

Source: transformers 5.23, models/qwen2_5_omni/modeling_qwen2_5_omni.py (`Qwen2_5OmniThinkerForConditionalGeneration`) and
configuration_qwen2_5_omni.py (defaults).
"""

from typing import Annotated

from archcalc.arch._composite import DEFAULT, CompositeSchema, Pieces
from archcalc.arch._schema import ConfigSchema, TowerSchema, nested
from archcalc.model import Architecture


class Schema(CompositeSchema):
    inert_keys = ("position_id_per_seconds", "seconds_per_chunk", "ignore_index")

    text_config: Annotated[ConfigSchema, nested("qwen2_5_omni_text", fixed=True), DEFAULT]
    vision_config: Annotated[TowerSchema, nested("qwen2_5_omni_vision_encoder", fixed=True), DEFAULT]
    audio_config: Annotated[TowerSchema, nested("qwen2_5_omni_audio_encoder", fixed=True), DEFAULT]

    def parts(self, prefix: str, text: Architecture) -> Pieces:
        audio, audio_layers = self.audio_config.tower(f"{prefix}.audio_tower")
        vision, vision_layers = self.vision_config.tower(f"{prefix}.visual")
        return audio + vision, audio_layers + vision_layers


class Qwen3OmniMoeThinker(Schema):
    """The thinker of Qwen3-Omni: Qwen 3 with experts, an audio and a vision tower.
    Source: transformers 5.23, models/qwen3_omni_moe/modeling_qwen3_omni_moe.py (`Qwen3OmniMoeThinkerForConditionalGeneration`) and
    configuration_qwen3_omni_moe.py (defaults)."""

    text_config: Annotated[ConfigSchema, nested("qwen3_omni_moe_text", fixed=True), DEFAULT]
    vision_config: Annotated[TowerSchema, nested("qwen3_omni_moe_vision_encoder", fixed=True), DEFAULT]
    audio_config: Annotated[TowerSchema, nested("qwen3_omni_moe_audio_encoder", fixed=True), DEFAULT]
