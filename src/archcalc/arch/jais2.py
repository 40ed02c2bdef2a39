"""Jais 2: Llama's layer with LayerNorm, biases and a plain FFN of squared ReLU.

Source: transformers 5.23, models/jais2/modeling_jais2.py and configuration_jais2.py (defaults).
"""

from archcalc.arch import arcee
from archcalc.arch._schema import Flag, Layers, Size, Tokens


class Schema(arcee.Schema):
    layer_norms = True
    norm_label = "LayerNorm (pre)"

    vocab_size: Size = 150272
    hidden_size: Size = 3328
    intermediate_size: Size = 26624
    num_hidden_layers: Layers = 32
    num_attention_heads: Size = 26
    max_position_embeddings: Tokens = 8192
    attention_bias: Flag = True
    mlp_bias: Flag = True
