"""The text model of Cosmos3 Edge: Llama's layer with a plain FFN.

Source: transformers 5.23, models/cosmos3_edge/modeling_cosmos3_edge.py (`Cosmos3EdgeTextModel`) and configuration_cosmos3_edge.py
(defaults).
"""

from archcalc.arch._plain import PlainSchema
from archcalc.arch._schema import Flag, Layers, Size, Tokens
from archcalc.blocks._tensor import Block
from archcalc.blocks.feedforward import FeedForward


class Schema(PlainSchema):
    gated = False

    vocab_size: Size = 131072
    hidden_size: Size = 2048
    intermediate_size: Size = 9216
    num_hidden_layers: Layers = 28
    num_attention_heads: Size = 16
    num_key_value_heads: Size | None = 8
    head_dim: Size | None = 128
    hidden_act: str = "relu2"
    max_position_embeddings: Tokens = 131072
    attention_bias: Flag = False
    mlp_bias: Flag = False

    def biases(self) -> tuple[bool, bool]:
        return self.attention_bias, self.attention_bias

    def dense(self) -> Block:
        return FeedForward(self.hidden_size, self.ffn_size, self.hidden_act, bias=self.mlp_bias)
