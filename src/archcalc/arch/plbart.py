"""PLBart: a small BART.

Source: transformers 5.23, models/plbart/modeling_plbart.py and configuration_plbart.py (defaults).
"""

from archcalc.arch._bart import BartSchema
from archcalc.arch._schema import Layers, Size


class Schema(BartSchema):
    vocab_size: Size = 50005
    d_model: Size = 768
    encoder_layers: Layers = 6
    encoder_ffn_dim: Size = 3072
    encoder_attention_heads: Size = 12
    decoder_layers: Layers = 6
    decoder_ffn_dim: Size = 3072
    decoder_attention_heads: Size = 12
