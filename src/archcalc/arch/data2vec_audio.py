"""data2vec for audio: Wav2Vec 2.0's encoder with several short convolutions for positions, and a norm behind each of the first.

Source: transformers 5.24, models/data2vec/modeling_data2vec_audio.py (`Data2VecAudioModel`, `Data2VecAudioForCTC`) and
configuration_data2vec_audio.py (defaults); Baevski et al. 2022, arXiv:2202.03555.
"""

from collections.abc import Iterator

from archcalc.arch._schema import Layers, Size, divided
from archcalc.arch._wav2vec2 import Wav2Vec2Schema
from archcalc.arch._whisper import conv
from archcalc.model import Tensor


class Schema(Wav2Vec2Schema):
    root = "data2vec_audio"

    num_conv_pos_embeddings: Layers = 5
    conv_pos_kernel_size: Size = 19

    def normed(self, index: int) -> bool:
        return True

    def positions(self) -> Iterator[Tensor]:
        inner = divided(self.hidden_size, self.num_conv_pos_embedding_groups, "hidden_size", "num_conv_pos_embedding_groups")
        for i in range(self.num_conv_pos_embeddings):
            yield from conv(f"layers.{i}.conv", self.hidden_size, inner, self.conv_pos_kernel_size)
