"""The encoder of Nemotron 3 Diarization: that of Nemotron 3.5 Transcribe without the norms of queries and keys.

Source: transformers 5.23, models/nemotron3_diarization/modeling_nemotron3_diarization.py (`Nemotron3DiarizationAudioModel`) and
configuration_nemotron3_diarization.py (defaults).
"""

from archcalc.arch._schema import Layers, Size
from archcalc.arch.nemotron3_5_transcribe_asr_audio import Schema as Audio


class Schema(Audio):
    qk_norms = False

    hidden_size: Size = 512
    intermediate_size: Size = 2048
    num_hidden_layers: Layers = 31
    num_attention_heads: Size = 8
