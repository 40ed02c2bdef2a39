"""Qwen 3.5, 3.6 and 3.8, dense, with their vision tower. MTP keeps its name `mtp.*` beside both.

Source: transformers 5.23, models/qwen3_5/modeling_qwen3_5.py and configuration_qwen3_5.py (defaults).
"""

from typing import Annotated, ClassVar

from pydantic import Field

from archcalc.arch._decoder import with_tower
from archcalc.arch._schema import ConfigSchema, Flag, TowerSchema, nested
from archcalc.model import Architecture


class Schema(ConfigSchema):
    core_keys: ClassVar[tuple[str, ...]] = ("text_config", "vision_config")

    text_config: Annotated[ConfigSchema, nested("qwen3_5_text"), Field(default={}, validate_default=True)]
    vision_config: Annotated[TowerSchema, nested("qwen3_5_vision", "qwen3_5"), Field(default={}, validate_default=True)]
    tie_word_embeddings: Flag = False

    def architecture(self, prefix: str = "model") -> Architecture:
        text = self.text_config.architecture(f"{prefix}.language_model")
        groups, stacks = self.vision_config.tower(f"{prefix}.visual")
        return with_tower(text, self.name, groups, stacks, tied=self.tie_word_embeddings)
