"""Music Flamingo: Audio Flamingo 3 with positions in time. Source: transformers 5.23, models/musicflamingo/modeling_musicflamingo.py"""

from archcalc.arch.audioflamingo3 import Schema

__all__ = ["Schema"]
