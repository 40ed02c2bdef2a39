"""mT5: T5 1.1 with a larger vocabulary.

Source: transformers 5.23, models/mt5/modeling_mt5.py and configuration_mt5.py (defaults).
"""

from archcalc.arch._plain import named
from archcalc.arch._schema import Layers, Size
from archcalc.arch.t5 import Schema as T5Schema


class Schema(T5Schema):
    vocab_size: Size = 250112
    d_ff: Size = 1024
    num_layers: Layers = named(8, "num_layers", "num_hidden_layers")
    num_heads: Size = named(6, "num_heads", "num_attention_heads")
    feed_forward_proj: str = "gated-gelu"
