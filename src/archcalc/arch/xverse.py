"""XVERSE: Llama's layer.

Source: xverse/XVERSE-7B, modeling_xverse.py and configuration_xverse.py (defaults).
"""

from archcalc.arch._plain import PlainSchema
from archcalc.arch._schema import Layers, Size, Tokens


class Schema(PlainSchema):
    inert_keys = ("max_tokenizer_truncation",)

    vocab_size: Size = 100278
    hidden_size: Size = 5120
    intermediate_size: Size = 13824
    num_hidden_layers: Layers = 40
    num_attention_heads: Size = 40
    max_position_embeddings: Tokens = 8192
