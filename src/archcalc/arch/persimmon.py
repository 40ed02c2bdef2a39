"""Persimmon: fused projections with biases, QK-norm, LayerNorm, squared ReLU, half of each head turns.

Source: transformers 5.23, models/persimmon/modeling_persimmon.py and configuration_persimmon.py (defaults).
"""

from typing import Any

from archcalc.arch._computes import Computes
from archcalc.arch._plain import PlainSchema
from archcalc.arch._schema import Flag, Fraction, Layers, Size, Tokens, rope_label
from archcalc.blocks._tensor import Block, Mixer
from archcalc.blocks.feedforward import FeedForward


class Schema(PlainSchema):
    reads_head_dim = False
    layer_norms = True
    norm_label = "LayerNorm (pre)"
    last_norm = "final_layernorm"
    gated = False
    grouped = False

    vocab_size: Size = 262144
    hidden_size: Size = 4096
    intermediate_size: Size = 16384
    num_hidden_layers: Layers = 36
    num_attention_heads: Size = 64
    hidden_act: str = "relu2"
    max_position_embeddings: Tokens = 16384
    partial_rotary_factor: Fraction = 0.5
    qk_layernorm: Flag = True

    def computes(self) -> Computes:
        return super().computes()._replace(joined=True)

    def attention(self, window: int | None, variant: int) -> Mixer:
        return self.gqa(
            bias=True, output_bias=True, fused="query_key_value", names=("", "", "", "dense"),
            qk_norm="layernorm-head" if self.qk_layernorm else "none", norm_names=("q_layernorm", "k_layernorm"),
        )  # fmt: skip

    def dense(self) -> Block:
        return FeedForward(self.hidden_size, self.ffn_size, self.hidden_act, names=("dense_h_to_4h", "dense_4h_to_h"))

    def more(self) -> dict[str, Any]:
        return {"position": rope_label(self.model_extra or {}, self.partial_rotary_factor)}
