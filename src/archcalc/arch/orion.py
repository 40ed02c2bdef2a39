"""Orion-14B: Llama's layer with LayerNorm.

Source: OrionStarAI/Orion-14B-Base, modeling_orion.py and configuration_orion.py (defaults).
"""

from archcalc.arch._plain import PlainSchema
from archcalc.arch._schema import Layers, Size, Tokens


class Schema(PlainSchema):
    inert_keys = ("attention_bias", "bf16", "fp16")
    layer_norms = True
    norm_label = "LayerNorm (pre)"

    vocab_size: Size = 84608
    hidden_size: Size = 4096
    intermediate_size: Size = 15360
    num_hidden_layers: Layers = 40
    num_attention_heads: Size = 40
    num_key_value_heads: Size | None = 40
    max_position_embeddings: Tokens = 4096
