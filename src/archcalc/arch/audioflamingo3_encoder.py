"""The audio tower of Audio Flamingo 3: Whisper's encoder.

Source: transformers 5.23, models/audioflamingo3/modeling_audioflamingo3.py (`AudioFlamingo3Encoder`) and
configuration_audioflamingo3.py (defaults).
"""

from archcalc.arch._whisper import WhisperTower as Schema

__all__ = ["Schema"]
