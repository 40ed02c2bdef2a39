"""GLM-4 9B and GLM-Edge: gate and up projection fused, biases on queries, keys and values, half of each head turns.

Source: transformers 5.23, models/glm/modeling_glm.py and configuration_glm.py (defaults).
"""

from typing import Any

from archcalc.arch._computes import Computes
from archcalc.arch._plain import PlainSchema
from archcalc.arch._schema import Flag, Fraction, Layers, Size, Tokens, rope_label
from archcalc.blocks._tensor import Block
from archcalc.blocks.feedforward import GatedFeedForward


class Schema(PlainSchema):
    vocab_size: Size = 151552
    hidden_size: Size = 4096
    intermediate_size: Size = 13696
    num_hidden_layers: Layers = 40
    num_attention_heads: Size = 32
    num_key_value_heads: Size | None = 2
    head_dim: Size | None = 128
    max_position_embeddings: Tokens = 131072
    partial_rotary_factor: Fraction = 0.5
    attention_bias: Flag = True

    def computes(self) -> Computes:
        return super().computes()._replace(joined=True)

    def biases(self) -> tuple[bool, bool]:
        return self.attention_bias, False

    def dense(self) -> Block:
        return GatedFeedForward(self.hidden_size, self.intermediate_size, self.hidden_act, fused="gate_up_proj")

    def more(self) -> dict[str, Any]:
        return {"position": rope_label(self.model_extra or {}, self.partial_rotary_factor)}


class Glm4(Schema):
    """GLM-4-0414 and GLM-Z1: GLM's layer with norms also behind attention and FFN.
    Source: transformers 5.23, models/glm4/modeling_glm4.py and configuration_glm4.py (defaults: GLM's)."""

    norms = (
        "input_layernorm", "post_attention_layernorm", "post_self_attn_layernorm", "post_mlp_layernorm",
    )  # fmt: skip
    norm_label = "RMSNorm (pre + post)"
