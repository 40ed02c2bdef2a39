"""GLM-5.3-Flash with its vision tower.

Source: transformers 5.23, models/glm5_next/modeling_glm5_next.py and configuration_glm5_next.py (defaults).
"""

from typing import Annotated

from pydantic import Field

from archcalc.arch._decoder import with_tower
from archcalc.arch._schema import ConfigSchema, Flag, TowerSchema, nested
from archcalc.model import Architecture


class Schema(ConfigSchema):
    core_keys = ("text_config", "vision_config")

    text_config: Annotated[ConfigSchema, nested("glm5_next_text"), Field(default={}, validate_default=True)]
    vision_config: Annotated[TowerSchema, nested("glm5_next_vision"), Field(default={}, validate_default=True)]
    tie_word_embeddings: Flag = False

    def architecture(self, prefix: str) -> Architecture:
        text = self.text_config.architecture(f"{prefix}.language_model")
        groups, stacks = self.vision_config.tower(f"{prefix}.visual")
        return with_tower(text, groups, stacks, tied=self.tie_word_embeddings)
