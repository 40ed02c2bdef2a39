"""The audio tower of Inkling: an embedding of each frequency's level, quantized.

Source: transformers 5.23, models/inkling/modeling_inkling.py (`InklingAudioModel`) and configuration_inkling.py (defaults).
"""

from pydantic import AliasChoices, Field

from archcalc.arch._composite import Pieces
from archcalc.arch._decoder import group
from archcalc.arch._schema import Size, TowerSchema
from archcalc.blocks._tensor import prefixed
from archcalc.blocks.norm import rms_norm
from archcalc.blocks.vision import table


class Schema(TowerSchema):
    n_mel_bins: Size = Field(80, validation_alias=AliasChoices("num_codebooks", "n_mel_bins"))
    mel_vocab_size: Size = Field(256, validation_alias=AliasChoices("codebook_size", "mel_vocab_size"))
    # The text model's width, whatever the config says.
    text_hidden_size: Size = 6144

    def tower(self, prefix: str) -> Pieces:
        h = self.text_hidden_size
        tensors = (table("embed_audio_tokens.embed_audio_tokens", self.n_mel_bins * self.mel_vocab_size, h), rms_norm("norm", h))
        return [group("audio", prefixed(prefix, tensors))], []
