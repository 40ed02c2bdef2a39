"""Music Flamingo: Audio Flamingo 3 with positions in time, which have no weights.

Source: transformers 5.24, models/musicflamingo/modeling_musicflamingo.py and configuration_musicflamingo.py (positions in time of its own,
stated beside the text model's).
"""

from archcalc.arch import audioflamingo3


class Schema(audioflamingo3.Schema):
    name = "audioflamingo3"
    inert_keys = (
        *audioflamingo3.Schema.inert_keys, "head_dim", "max_position_embeddings", "rope_parameters", "rope_theta",
        "partial_rotary_factor",
    )  # fmt: skip
