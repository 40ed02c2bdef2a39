"""Audio Flamingo 3: Qwen 2 with Whisper's encoder and a projector of two layers.

Source: transformers 5.23, models/audioflamingo3/modeling_audioflamingo3.py and configuration_audioflamingo3.py (defaults),
conversion_mapping.py ("qwen2_audio").
"""

from collections.abc import Iterable
from typing import Annotated, ClassVar

from archcalc.arch import qwen2_audio
from archcalc.arch._composite import DEFAULT, width_of
from archcalc.arch._schema import Flag, TowerSchema, nested
from archcalc.blocks.vision import projector
from archcalc.model import Tensor


class Schema(qwen2_audio.Schema):
    inert_keys: ClassVar[tuple[str, ...]] = ("projector_hidden_act", "audio_frame_step")

    audio_config: Annotated[TowerSchema, nested("audioflamingo3_encoder", "musicflamingo_encoder"), DEFAULT]
    projector_bias: Flag = True

    def projection(self, hidden: int) -> Iterable[Tensor]:
        widths = (width_of(self.audio_config), hidden, hidden)
        return projector(("linear_1", "linear_2"), widths, bias=self.projector_bias)


class Musicflamingo(Schema):
    """Music Flamingo: Audio Flamingo 3 with positions in time, which have no weights.
    Source: transformers 5.24, models/musicflamingo/modeling_musicflamingo.py and configuration_musicflamingo.py (positions in
    time of its own, stated beside the text model's)."""

    inert_keys = (
        *Schema.inert_keys, "head_dim", "max_position_embeddings", "rope_parameters", "rope_theta", "partial_rotary_factor",
    )  # fmt: skip
