"""Arcee AFM: Llama's layer with a plain FFN of squared ReLU.

Source: transformers 5.23, models/arcee/modeling_arcee.py and configuration_arcee.py (defaults).
"""

from typing import Any

from archcalc.arch._computes import Computes
from archcalc.arch._plain import PlainSchema
from archcalc.arch._schema import Flag, Fraction, Layers, Size, Tokens, rope_label
from archcalc.blocks._tensor import Block
from archcalc.blocks.feedforward import FeedForward


class Schema(PlainSchema):
    gated = False

    vocab_size: Size = 32000
    hidden_size: Size = 2560
    intermediate_size: Size = 18432
    num_hidden_layers: Layers = 32
    num_attention_heads: Size = 32
    hidden_act: str = "relu2"
    max_position_embeddings: Tokens = 4096
    attention_bias: Flag = False
    mlp_bias: Flag = False

    def biases(self) -> tuple[bool, bool]:
        return self.attention_bias, self.attention_bias

    def dense(self) -> Block:
        return FeedForward(self.hidden_size, self.ffn_size, self.hidden_act, self.mlp_bias, ("up_proj", "down_proj"))


class Jais2(Schema):
    """Jais 2: Llama's layer with LayerNorm, biases and a plain FFN of squared ReLU.
    Source: transformers 5.23, models/jais2/modeling_jais2.py and configuration_jais2.py (defaults)."""

    layer_norms = True
    norm_label = "LayerNorm (pre)"

    vocab_size: Size = 150272
    hidden_size: Size = 3328
    intermediate_size: Size = 26624
    num_attention_heads: Size = 26
    max_position_embeddings: Tokens = 8192
    attention_bias: Flag = True
    mlp_bias: Flag = True


class Nemotron(Schema):
    """Nemotron-4 and Minitron: LayerNorm with a gain counted from one, a plain FFN of squared ReLU, half of each head turns.
    Source: transformers 5.23, models/nemotron/modeling_nemotron.py and configuration_nemotron.py (defaults)."""

    inert_keys = ("rope_percent", "rope_percentage")
    whole_heads = False
    layer_norms = True
    norm_label = "LayerNorm (pre)"

    vocab_size: Size = 256000
    hidden_size: Size = 6144
    intermediate_size: Size = 24576
    num_attention_heads: Size = 48
    partial_rotary_factor: Fraction = 0.5

    def computes(self) -> Computes:
        return super().computes()._replace(norm="layer-1p", joined=True)

    def more(self) -> dict[str, Any]:
        return {"position": rope_label(self.model_extra or {}, self.partial_rotary_factor)}
