"""UniSpeech: Wav2Vec 2.0's encoder.

Source: transformers 5.24, models/unispeech/modeling_unispeech.py (`UniSpeechModel` and its classes) and
configuration_unispeech.py (defaults); Wang et al. 2021, arXiv:2101.07597.
"""

from collections.abc import Iterator

from archcalc.arch._schema import Size
from archcalc.arch._wav2vec2 import Wav2Vec2Schema
from archcalc.blocks._tensor import linear
from archcalc.model import Tensor


class Schema(Wav2Vec2Schema):
    root = "unispeech"

    num_ctc_classes: Size = 80

    def pretraining(self) -> Iterator[Tensor]:
        yield from self.quantizer(self.conv_dim[-1])
        yield from linear("project_hid", self.hidden_size, self.proj_codevector_dim, "head", bias=True)
        yield from linear("ctc_proj", self.num_ctc_classes, self.hidden_size, "head", bias=True)
