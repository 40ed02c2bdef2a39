"""Mixtral 8x7B and 8x22B.

Source: transformers 5.23, models/mixtral/modeling_mixtral.py and configuration_mixtral.py (defaults), conversion_mapping.py
(published names: block_sparse_moe, w1 gate, w3 up, w2 down).
"""

from typing import Any

from pydantic import AliasChoices, Field

from archcalc.arch._computes import Computes
from archcalc.arch._decoder import DecoderSchema, decoder
from archcalc.arch._schema import Flag, Layers, Size, Tokens
from archcalc.blocks._tensor import make_layer
from archcalc.blocks.attention import GroupedQueryAttention
from archcalc.blocks.experts import MixtureOfExperts
from archcalc.blocks.norm import layer_norm, rms_norm
from archcalc.model import Architecture, Layer, Moe


class Schema(DecoderSchema):
    whole_heads = False

    vocab_size: Size = 32000
    hidden_size: Size = 4096
    intermediate_size: Size = 14336
    num_hidden_layers: Layers = 32
    num_attention_heads: Size = 32
    num_key_value_heads: Size | None = 8
    max_position_embeddings: Tokens = 131072
    sliding_window: Size | None = None
    num_experts_per_tok: Size = 2
    num_local_experts: Size = Field(8, validation_alias=AliasChoices("num_local_experts", "num_experts"))

    def computes(self) -> Computes:
        return super().computes()._replace(routing="normalized")

    def experts(self, **options: Any) -> MixtureOfExperts:
        return MixtureOfExperts(
            self.hidden_size, self.intermediate_size, self.num_local_experts, self.num_experts_per_tok, self.hidden_act,
            stored=("w1", "w3", "w2"), **options,
        )  # fmt: skip

    def attention(self, **options: Any) -> GroupedQueryAttention:
        heads, window = self.num_attention_heads, self.sliding_window
        return GroupedQueryAttention(self.hidden_size, heads, self.kv_heads, self.head_size, window=window, **options)

    def layer(self) -> Layer:
        h = self.hidden_size
        return make_layer(
            self.attention(), self.experts(), (rms_norm("input_layernorm", h), rms_norm("post_attention_layernorm", h))
        )

    def moe(self) -> Moe:
        return Moe(self.num_local_experts, self.num_experts_per_tok, 0, self.num_hidden_layers, self.intermediate_size)

    def architecture(self, prefix: str) -> Architecture:
        facts = self.facts(sliding_window=self.sliding_window, moe=self.moe())
        norm = [rms_norm("norm", self.hidden_size)]
        return decoder(
            [self.layer()] * self.num_hidden_layers, facts, computes=self.computes(), prefix=prefix, final_norm=norm,
            renames=((".mlp.", ".block_sparse_moe."),),
        )  # fmt: skip


class Phimoe(Schema):
    """Phi-3.5-MoE and Phi-mini-MoE: LayerNorm, biases on attention and head as configured.
    Source: transformers 5.23, models/phimoe/modeling_phimoe.py and configuration_phimoe.py (defaults), conversion_mapping.py
    (published names: block_sparse_moe, gate, w1 gate, w3 up, w2 down)."""

    vocab_size: Size = 32064
    intermediate_size: Size = 6400
    num_local_experts: Size = Field(16, validation_alias=AliasChoices("num_local_experts", "num_experts"))
    attention_bias: Flag = False
    lm_head_bias: Flag = False

    def layer(self) -> Layer:
        h, bias = self.hidden_size, self.attention_bias
        norms = (*layer_norm("input_layernorm", h), *layer_norm("post_attention_layernorm", h))
        return make_layer(self.attention(bias=bias, output_bias=bias), self.experts(router="router"), norms)

    def architecture(self, prefix: str) -> Architecture:
        facts = self.facts(norm="LayerNorm (pre)", sliding_window=self.sliding_window, moe=self.moe())
        norm = layer_norm("norm", self.hidden_size)
        return decoder(
            [self.layer()] * self.num_hidden_layers, facts, computes=self.computes(), prefix=prefix, final_norm=norm,
            head_bias=self.lm_head_bias, renames=((".mlp.router.", ".block_sparse_moe.gate."), (".mlp.", ".block_sparse_moe.")),
        )  # fmt: skip


class Grinmoe(Phimoe):
    """GRIN-MoE: the layers of Phi-3.5-MoE.
    Source: microsoft/GRIN-MoE, modeling_grinmoe.py and configuration_grinmoe.py."""

    attention_bias: Flag = True
    lm_head_bias: Flag = True
