"""dots3 note with its vision and audio towers.

Source: transformers 5.23, models/dots3_note/modeling_dots3_note.py and configuration_dots3_note.py (defaults).
"""

from typing import Annotated

from pydantic import Field

from archcalc.arch._decoder import with_tower
from archcalc.arch._schema import ConfigSchema, Flag, TowerSchema, nested
from archcalc.model import Architecture


class Schema(ConfigSchema):
    core_keys = ("text_config",)

    text_config: Annotated[ConfigSchema, nested("dots3_note_text"), Field(default={}, validate_default=True)]
    vision_config: Annotated[TowerSchema, nested("dots3_note_vision_encoder"), Field(default={}, validate_default=True)]
    audio_config: Annotated[TowerSchema, nested("dots3_note_audio_encoder"), Field(default={}, validate_default=True)]
    tie_word_embeddings: Flag = False

    def architecture(self, prefix: str) -> Architecture:
        text = self.text_config.architecture(f"{prefix}.language_model")
        vision, vision_stacks = self.vision_config.tower(f"{prefix}.vision_tower")
        audio, audio_stacks = self.audio_config.tower(f"{prefix}.audio_tower")
        stacks = [*vision_stacks, *audio_stacks]
        return with_tower(text, [*vision, *audio], stacks, tied=self.tie_word_embeddings)
