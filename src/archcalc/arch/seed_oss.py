"""Seed-OSS: Llama's layer with biases on queries, keys and values, and heads wider than the model.

Source: transformers 5.23, models/seed_oss/modeling_seed_oss.py and configuration_seed_oss.py (defaults).
"""

from archcalc.arch._plain import PlainSchema
from archcalc.arch._schema import Flag, Layers, Size, Tokens


class Schema(PlainSchema):
    vocab_size: Size = 155136
    hidden_size: Size = 4096
    intermediate_size: Size = 27648
    num_hidden_layers: Layers = 64
    num_attention_heads: Size = 80
    num_key_value_heads: Size | None = 8
    head_dim: Size | None = 128
    max_position_embeddings: Tokens = 524288
    attention_bias: Flag = True
    attention_out_bias: Flag = False
    mlp_bias: Flag = False

    def biases(self) -> tuple[bool, bool]:
        return self.attention_bias, self.attention_out_bias

    def ffn_bias(self) -> bool:
        return self.mlp_bias
