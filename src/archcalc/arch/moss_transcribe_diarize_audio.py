"""The audio tower of MOSS-Transcribe-Diarize: Whisper's encoder.

Source: transformers 5.23, models/moss_transcribe_diarize/configuration_moss_transcribe_diarize.py (defaults).
"""

from pydantic import AliasChoices, Field

from archcalc.arch._schema import Layers, Size
from archcalc.arch._whisper import WhisperTower


class Schema(WhisperTower):
    num_mel_bins: Size = 80
    d_model: Size = Field(1024, validation_alias=AliasChoices("hidden_size", "d_model"))
    encoder_layers: Layers = Field(24, validation_alias=AliasChoices("num_hidden_layers", "encoder_layers"))
    encoder_attention_heads: Size = Field(16, validation_alias=AliasChoices("num_attention_heads", "encoder_attention_heads"))
    encoder_ffn_dim: Size = Field(4096, validation_alias=AliasChoices("intermediate_size", "encoder_ffn_dim"))
