"""Qwen2-Audio: Qwen 2 with Whisper's encoder and one linear layer between them.

Source: transformers 5.23, models/qwen2_audio/modeling_qwen2_audio.py and configuration_qwen2_audio.py (defaults; the head is never
tied), conversion_mapping.py ("qwen2_audio").
"""

from collections.abc import Iterable
from typing import Annotated, ClassVar

from archcalc.arch._composite import DEFAULT, AudioSchema, width_of
from archcalc.arch._schema import ConfigSchema, TowerSchema, nested
from archcalc.blocks.vision import projector
from archcalc.model import Tensor

RENAMES = (
    ("lm_head.", "language_model.lm_head."),
    ("model.language_model.", "language_model.model."),
    ("model.", ""),
)


class Schema(AudioSchema):
    ties = "never"

    inert_keys: ClassVar[tuple[str, ...]] = ("ignore_index",)
    renames = RENAMES

    text_config: Annotated[ConfigSchema, nested("qwen2"), DEFAULT]
    audio_config: Annotated[TowerSchema, nested("qwen2_audio_encoder"), DEFAULT]

    def projection(self, hidden: int) -> Iterable[Tensor]:
        return projector(("linear",), (width_of(self.audio_config), hidden))
