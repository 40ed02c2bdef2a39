"""GLM-ASR: Llama with an audio tower, of whose frames four make one token.

Source: transformers 5.23, models/glmasr/modeling_glmasr.py and configuration_glmasr.py (defaults), conversion_mapping.py
("qwen2_audio").
"""

from collections.abc import Iterable
from typing import Annotated

from archcalc.arch import qwen2_audio
from archcalc.arch._composite import DEFAULT, AudioSchema, width_of
from archcalc.arch._schema import ConfigSchema, Flag, TowerSchema, nested
from archcalc.blocks.vision import projector
from archcalc.model import Tensor

# What keys absent from text_config stand for.
TEXT = {
    "vocab_size": 59264, "hidden_size": 2048, "intermediate_size": 6144, "num_hidden_layers": 28, "num_attention_heads": 16,
    "num_key_value_heads": 4, "max_position_embeddings": 8192,
}  # fmt: skip


class Schema(AudioSchema):
    inert_keys = ("projector_hidden_act",)
    renames = qwen2_audio.RENAMES

    text_config: Annotated[ConfigSchema, nested("llama", absent=TEXT, merged=True), DEFAULT]
    audio_config: Annotated[TowerSchema, nested("glmasr_encoder"), DEFAULT]
    tie_word_embeddings: Flag | None = True

    def projection(self, hidden: int) -> Iterable[Tensor]:
        widths = (width_of(self.audio_config, "intermediate_size"), 2 * hidden, hidden)
        return projector(("linear_1", "linear_2"), widths)
