"""UniSpeech: Wav2Vec 2.0's encoder.

Source: transformers 5.24, models/unispeech/modeling_unispeech.py (`UniSpeechModel`, `UniSpeechForCTC`) and
configuration_unispeech.py (defaults); Wang et al. 2021, arXiv:2101.07597.
"""

from archcalc.arch._wav2vec2 import Wav2Vec2Schema


class Schema(Wav2Vec2Schema):
    root = "unispeech"
