"""Blenderbot-small: a small BART.

Source: transformers 5.23, models/blenderbot_small/modeling_blenderbot_small.py and configuration_blenderbot_small.py (defaults).
"""

from archcalc.arch._bart import BartSchema
from archcalc.arch._schema import Layers, Size


class Schema(BartSchema):
    name = "blenderbot-small"
    offset = 0

    max_position_embeddings: Size = 512
    d_model: Size = 512
    encoder_layers: Layers = 8
    encoder_ffn_dim: Size = 2048
    decoder_layers: Layers = 8
    decoder_ffn_dim: Size = 2048
