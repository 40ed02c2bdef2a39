"""Phi-3.5-MoE and Phi-mini-MoE: LayerNorm, biases on attention and head as configured.

Source: transformers 5.23, models/phimoe/modeling_phimoe.py and configuration_phimoe.py (defaults), conversion_mapping.py
(published names: block_sparse_moe, gate, w1 gate, w3 up, w2 down).
"""

from __future__ import annotations

from pydantic import AliasChoices, Field

from archcalc.arch._decoder import DecoderSchema, decoder
from archcalc.arch._schema import Flag, Layers, Size, Tokens
from archcalc.blocks._tensor import make_layer
from archcalc.blocks.attention import GroupedQueryAttention
from archcalc.blocks.experts import MixtureOfExperts
from archcalc.blocks.norm import layer_norm
from archcalc.model import Architecture, Moe


class Schema(DecoderSchema):
    vocab_size: Size = 32064
    hidden_size: Size = 4096
    intermediate_size: Size = 6400
    num_hidden_layers: Layers = 32
    num_attention_heads: Size = 32
    num_key_value_heads: Size | None = 8
    max_position_embeddings: Tokens = 131072
    sliding_window: Size | None = None
    num_experts_per_tok: Size = 2
    num_local_experts: Size = Field(16, validation_alias=AliasChoices("num_local_experts", "num_experts"))
    attention_bias: Flag = False
    lm_head_bias: Flag = False

    def architecture(self, prefix: str = "model") -> Architecture:
        h, n, bias = self.hidden_size, self.num_hidden_layers, self.attention_bias
        attention = GroupedQueryAttention(
            h, self.num_attention_heads, self.kv_heads, self.head_size, bias=bias, output_bias=bias, window=self.sliding_window
        )
        experts = MixtureOfExperts(
            h, self.intermediate_size, self.num_local_experts, self.num_experts_per_tok, self.hidden_act,
            router="router", stored=("w1", "w3", "w2"),
        )  # fmt: skip
        norms = (*layer_norm("input_layernorm", h), *layer_norm("post_attention_layernorm", h))
        facts = self.facts(
            norm="LayerNorm (pre)",
            sliding_window=self.sliding_window,
            moe=Moe(self.num_local_experts, self.num_experts_per_tok, 0, n, self.intermediate_size),
        )
        return decoder(
            "phimoe", [make_layer(attention, experts, norms)] * n, facts, prefix=prefix, final_norm=layer_norm("norm", h),
            head_bias=self.lm_head_bias, renames=((".mlp.router.", ".block_sparse_moe.gate."), (".mlp.", ".block_sparse_moe.")),
        )  # fmt: skip
