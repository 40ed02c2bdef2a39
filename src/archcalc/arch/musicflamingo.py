"""Music Flamingo: Audio Flamingo 3 with positions in time.

Source: transformers 5.24, models/musicflamingo/modeling_musicflamingo.py and configuration_musicflamingo.py (`head_dim` is of the
positions in time, which hold no parameters).
"""

from __future__ import annotations

from typing import ClassVar

from archcalc.arch import audioflamingo3


class Schema(audioflamingo3.Schema):
    inert_keys: ClassVar[tuple[str, ...]] = (*audioflamingo3.Schema.inert_keys, "head_dim")
