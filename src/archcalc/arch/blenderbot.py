"""Blenderbot: two layers of encoder, many of decoder, norms before the blocks.

Source: transformers 5.23, models/blenderbot/modeling_blenderbot.py and configuration_blenderbot.py (defaults).
"""

from archcalc.arch._bart import BartSchema
from archcalc.arch._schema import Layers, Size


class Schema(BartSchema):
    offset = 0
    embedding_norm = False
    last_norm = True
    norm_label = "LayerNorm (pre)"

    vocab_size: Size = 8008
    max_position_embeddings: Size = 128
    d_model: Size = 2560
    encoder_layers: Layers = 2
    encoder_ffn_dim: Size = 10240
    encoder_attention_heads: Size = 32
    decoder_layers: Layers = 24
    decoder_ffn_dim: Size = 10240
    decoder_attention_heads: Size = 32
