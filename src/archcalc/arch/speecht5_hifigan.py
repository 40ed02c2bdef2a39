"""The vocoder of SpeechT5: HiFi-GAN, which turns spectrograms into sound.

Source: transformers 5.24, models/speecht5/modeling_speecht5.py (`SpeechT5HifiGan`) and configuration_speecht5.py (defaults); Kong et al.
2020, arXiv:2010.05646.
"""

from collections.abc import Iterable
from typing import Annotated

from pydantic import Field

from archcalc.arch._composite import Pieces
from archcalc.arch._decoder import group
from archcalc.arch._hifigan import hifigan
from archcalc.arch._schema import Size, TowerSchema
from archcalc.arch._vit import below
from archcalc.model import Encoder, Tensor

Sizes = Annotated[tuple[Size, ...], Field(min_length=1)]


class Schema(TowerSchema):
    alone = "a vocoder: it turns spectrograms into sound, and keeps no cache"
    inert_keys = ("sampling_rate", "leaky_relu_slope", "normalize_before")

    model_in_dim: Size = 80
    upsample_initial_channel: Size = 512
    upsample_rates: Sizes = (4, 4, 4, 4)
    upsample_kernel_sizes: Sizes = (8, 8, 8, 8)
    resblock_kernel_sizes: Sizes = (3, 7, 11)
    resblock_dilation_sizes: tuple[Sizes, ...] = ((1, 3, 5), (1, 3, 5), (1, 3, 5))

    @property
    def hidden_size(self) -> int:
        return self.upsample_initial_channel

    def tower(self, prefix: str) -> Pieces:
        return [group("audio", below(prefix, hifigan(self, self.model_in_dim)))], []

    def pieces(self, prefix: str, named: str) -> Pieces:
        return self.tower("")

    def head_of(self, name: str) -> Iterable[Tensor] | None:
        return () if name.endswith("HifiGan") else super().head_of(name)

    def encoders(self) -> tuple[Encoder, ...]:
        return ()


class Fastspeech2ConformerHifigan(Schema):
    """The vocoder of FastSpeech2 Conformer.
    Source: transformers 5.24, models/fastspeech2_conformer/modeling_fastspeech2_conformer.py (`FastSpeech2ConformerHifiGan`) and
    configuration_fastspeech2_conformer.py (defaults)."""

    upsample_rates: Sizes = (8, 8, 2, 2)
    upsample_kernel_sizes: Sizes = (16, 16, 4, 4)
