"""UniSpeech-SAT: Wav2Vec 2.0's encoder.

Source: transformers 5.24, models/unispeech_sat/modeling_unispeech_sat.py (`UniSpeechSatModel`, `UniSpeechSatForCTC`) and
configuration_unispeech_sat.py (defaults); Chen et al. 2021, arXiv:2110.05752.
"""

from archcalc.arch._wav2vec2 import Wav2Vec2Schema


class Schema(Wav2Vec2Schema):
    root = "unispeech_sat"
    always_masked = True
