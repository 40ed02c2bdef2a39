"""DeepSeek-V4.1-Flash: its text model and a vision tower.

Source: deepseek-ai/DeepSeek-V4.1-Flash, inference/model.py (`Transformer`) and config.json.
"""

from typing import Annotated

from archcalc.arch._decoder import with_tower
from archcalc.arch._schema import ConfigSchema, nested
from archcalc.arch.deepseek_v41_text import Schema as Text
from archcalc.arch.deepseek_v41_vision import Schema as Vision
from archcalc.model import Architecture


class Schema(ConfigSchema):
    prefix = ""
    core_keys = ("text_config",)

    text_config: Annotated[Text, nested("deepseek_v41_text")]
    vision_config: Vision | None = None

    def architecture(self, prefix: str) -> Architecture:
        text = self.text_config.architecture(prefix, sees=self.vision_config is not None)
        if self.vision_config is None:
            return text
        groups, stacks = self.vision_config.tower("vision")
        groups.append(self.vision_config.aligner(text.facts.hidden_size))
        return with_tower(text, groups, stacks)
