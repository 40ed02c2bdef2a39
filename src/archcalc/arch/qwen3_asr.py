"""Qwen3-ASR: Qwen 3 with an audio tower and two linear layers between them.

Source: transformers 5.23, models/qwen3_asr/modeling_qwen3_asr.py and configuration_qwen3_asr.py (defaults; like the reference
implementation, a `thinker_config`, which the first configs have in place of both parts, is not read: convert it).
"""

from collections.abc import Iterable
from typing import Annotated

from archcalc.arch._composite import DEFAULT, AudioSchema, width_of
from archcalc.arch._schema import ConfigSchema, Flag, TowerSchema, nested
from archcalc.blocks.vision import projector
from archcalc.model import Architecture, Tensor

# What an absent text_config stands for.
TEXT = {
    "hidden_size": 2048, "intermediate_size": 6144, "num_hidden_layers": 28, "num_attention_heads": 16, "num_key_value_heads": 8,
    "head_dim": 128, "max_position_embeddings": 65536, "tie_word_embeddings": True,
}  # fmt: skip


class Schema(AudioSchema):
    inert_keys = ("support_languages", "thinker_config", "token_classification_bias")

    text_config: Annotated[ConfigSchema, nested("qwen3", absent=TEXT), DEFAULT]
    audio_config: Annotated[TowerSchema, nested("qwen3_asr_encoder"), DEFAULT]
    tie_word_embeddings: Flag | None = True

    def projection(self, hidden: int) -> Iterable[Tensor]:
        wide = width_of(self.audio_config)
        return projector(("linear_1", "linear_2"), (wide, wide, width_of(self.audio_config, "output_dim")))

    def architecture(self, prefix: str = "model") -> Architecture:
        architecture = super().architecture(prefix)
        if "thinker_config" not in (self.model_extra or {}):
            return architecture
        note = "thinker_config is not read, as by transformers: the figures are those of text_config and audio_config or their defaults"
        return architecture._replace(notes=(*architecture.notes, note))
