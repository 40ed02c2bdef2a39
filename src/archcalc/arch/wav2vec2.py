"""Wav2Vec 2.0.

Source: transformers 5.24, models/wav2vec2/modeling_wav2vec2.py (`Wav2Vec2Model` and its classes) and
configuration_wav2vec2.py (defaults); Baevski et al. 2020, arXiv:2006.11477.
"""

from collections.abc import Iterable

from archcalc.arch._wav2vec2 import Wav2Vec2Schema, contrastive
from archcalc.model import Tensor


class Schema(Wav2Vec2Schema):
    root = "wav2vec2"

    def pretraining(self) -> Iterable[Tensor]:
        return contrastive(self)
