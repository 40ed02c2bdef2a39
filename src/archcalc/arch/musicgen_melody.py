"""MusicGen Melody: MusicGen that also follows a melody, by its strength in each of so many notes.

Source: transformers 5.24, models/musicgen_melody/modeling_musicgen_melody.py (`MusicgenMelodyForConditionalGeneration`) and
configuration_musicgen_melody.py (defaults).
"""

from collections.abc import Iterator
from typing import Annotated

from archcalc.arch import musicgen
from archcalc.arch._decoder import join
from archcalc.arch._schema import Size, nested
from archcalc.arch.musicgen_decoder import MusicgenMelodyDecoder as Decoder
from archcalc.blocks._tensor import linear
from archcalc.model import Tensor


class Schema(musicgen.Schema):
    inert_keys = (*musicgen.Schema.inert_keys, "chroma_length")

    decoder: Annotated[Decoder, nested("musicgen_melody_decoder", fixed=True)]
    num_chroma: Size = 12

    def between(self, prefix: str, width: int, hidden: int) -> Iterator[Tensor]:
        yield from super().between(prefix, width, hidden)
        if self.num_chroma != hidden:
            yield from linear(join(prefix, "audio_enc_to_dec_proj"), hidden, self.num_chroma, "other", bias=True)
