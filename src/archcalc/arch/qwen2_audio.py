"""Qwen2-Audio: Qwen 2 with Whisper's encoder and one linear layer between them.

Source: transformers 5.23, models/qwen2_audio/modeling_qwen2_audio.py and configuration_qwen2_audio.py (defaults; the head is never
tied), conversion_mapping.py ("qwen2_audio").
"""

from collections.abc import Iterable
from typing import Annotated, ClassVar

from archcalc.arch._composite import DEFAULT, AudioSchema, width_of
from archcalc.arch._schema import ConfigSchema, TowerSchema, nested
from archcalc.blocks.vision import projector
from archcalc.model import Encoder, Tensor

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


# What keys absent from text_config stand for.
TEXT = {
    "vocab_size": 131072, "hidden_size": 3072, "intermediate_size": 8192, "num_hidden_layers": 30, "num_key_value_heads": 8,
    "max_position_embeddings": 131072, "head_dim": 128,
}  # fmt: skip


class Voxtral(Schema):
    """Voxtral: Llama with Whisper's encoder, of whose frames four make one token.
    Source: transformers 5.23, models/voxtral/modeling_voxtral.py and configuration_voxtral.py (defaults; the head is never
    tied), conversion_mapping.py ("qwen2_audio")."""

    inert_keys = ("projector_hidden_act",)

    text_config: Annotated[ConfigSchema, nested("llama", absent=TEXT, merged=True), DEFAULT]
    audio_config: Annotated[TowerSchema, nested("voxtral_encoder"), DEFAULT]

    def projection(self, hidden: int) -> Iterable[Tensor]:
        # The frames that make a token fill the tower's FFN width.
        widths = (width_of(self.audio_config, "intermediate_size"), hidden, hidden)
        return projector(("linear_1", "linear_2"), widths, bias=False)

    def encoders(self) -> tuple[Encoder, ...]:
        """Half a minute of sound, four rows a token."""
        # The projector joins four rows.
        return tuple(e._replace(tokens=max(e.patches // 4, 1)) for e in super().encoders())
