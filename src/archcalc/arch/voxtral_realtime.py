"""Voxtral Realtime: a Mistral-like model with a causal audio tower.

Source: transformers 5.23, models/voxtral_realtime/modeling_voxtral_realtime.py and configuration_voxtral_realtime.py (defaults),
conversion_mapping.py ("qwen2_audio").
"""

from collections.abc import Iterable
from typing import Annotated

from archcalc.arch import qwen2_audio
from archcalc.arch._composite import DEFAULT, AudioSchema, width_of
from archcalc.arch._schema import ConfigSchema, Flag, Size, TowerSchema, nested
from archcalc.blocks.vision import projector
from archcalc.model import Tensor

# What keys absent from text_config stand for.
TEXT = {
    "vocab_size": 131072, "hidden_size": 3072, "intermediate_size": 9216, "num_hidden_layers": 26, "num_attention_heads": 32,
    "num_key_value_heads": 8, "max_position_embeddings": 131072, "head_dim": 128, "tie_word_embeddings": True, "sliding_window": 8192,
}  # fmt: skip


class Schema(AudioSchema):
    inert_keys = ("projector_hidden_act", "audio_length_per_tok", "default_num_delay_tokens")
    renames = qwen2_audio.RENAMES

    text_config: Annotated[ConfigSchema, nested("voxtral_realtime_text", absent=TEXT, merged=True), DEFAULT]
    audio_config: Annotated[TowerSchema, nested("voxtral_realtime_encoder"), DEFAULT]
    downsample_factor: Size = 4
    tie_word_embeddings: Flag | None = True

    def projection(self, hidden: int) -> Iterable[Tensor]:
        widths = (width_of(self.audio_config) * self.downsample_factor, hidden, hidden)
        return projector(("linear_1", "linear_2"), widths, bias=False)
