"""What times the words of Nemotron 3.5 Transcribe: a few of its speech encoder's layers over frames made finer.

Source: transformers 5.23, models/nemotron3_5_transcribe/modeling_nemotron3_5_transcribe.py (`Nemotron3_5TranscribeWordTimestampModel`)
and configuration_nemotron3_5_transcribe.py (defaults).
"""

from collections.abc import Iterator

from archcalc.arch._schema import Layers, Size
from archcalc.arch._whisper import conv
from archcalc.arch.nemotron3_5_transcribe_asr_audio import Schema as Audio
from archcalc.model import Tensor


class Schema(Audio):
    inert_keys = (*Audio.inert_keys, "residual_scale")

    intermediate_size: Size = 640
    num_hidden_layers: Layers = 2
    num_attention_heads: Size = 16
    vocab_size: Size = 23863
    upsampling_factor: Size = 2

    def before(self) -> Iterator[Tensor]:
        return conv("upsampler", self.hidden_size, self.hidden_size, self.upsampling_factor)
