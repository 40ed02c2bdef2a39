"""MOSS-Transcribe-Diarize: Qwen 3 with Whisper's encoder, whose frames are merged, projected and normed.

Source: transformers 5.23, models/moss_transcribe_diarize/modeling_moss_transcribe_diarize.py and
configuration_moss_transcribe_diarize.py (defaults).
"""

from collections.abc import Iterable
from typing import Annotated

from archcalc.arch._composite import DEFAULT, AudioSchema, width_of
from archcalc.arch._schema import ConfigSchema, Flag, Size, TowerSchema, nested
from archcalc.blocks.norm import layer_norm
from archcalc.blocks.vision import projector
from archcalc.model import Encoder, Tensor

# What an absent text_config stands for.
TEXT = {
    "hidden_size": 1024, "intermediate_size": 3072, "num_hidden_layers": 28, "num_attention_heads": 16, "num_key_value_heads": 8,
    "max_position_embeddings": 131072,
}  # fmt: skip


class Schema(AudioSchema):
    inert_keys = ("projector_hidden_act", "audio_chunk_size")

    text_config: Annotated[ConfigSchema, nested("qwen3", absent=TEXT), DEFAULT]
    audio_config: Annotated[TowerSchema, nested("moss_transcribe_diarize_audio", fixed=True), DEFAULT]
    projector_bias: Flag = True
    audio_merge_size: Size = 4
    tie_word_embeddings: Flag | None = True

    def projection(self, hidden: int) -> Iterable[Tensor]:
        widths = (width_of(self.audio_config) * self.audio_merge_size, hidden, hidden)
        yield from projector(("linear_1", "linear_2"), widths, bias=self.projector_bias)
        yield from layer_norm("norm", hidden)

    def encoders(self) -> tuple[Encoder, ...]:
        """Half a minute of sound, its rows merged."""
        return tuple(e._replace(tokens=max(e.patches // self.audio_merge_size, 1)) for e in super().encoders())
