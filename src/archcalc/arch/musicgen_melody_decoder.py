"""The decoder of MusicGen Melody: MusicGen's, which reads what conditions it before the codes in place of attending to it.

Source: transformers 5.24, models/musicgen_melody/modeling_musicgen_melody.py (`MusicgenMelodyForCausalLM`) and
configuration_musicgen_melody.py (`MusicgenMelodyDecoderConfig`, defaults).
"""

from archcalc.arch import musicgen_decoder


class Schema(musicgen_decoder.Schema):
    crosses = False
