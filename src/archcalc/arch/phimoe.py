"""Phi-3.5-MoE and Phi-mini-MoE: LayerNorm, biases on attention and head as configured.

Source: transformers 5.23, models/phimoe/modeling_phimoe.py and configuration_phimoe.py (defaults), conversion_mapping.py
(published names: block_sparse_moe, gate, w1 gate, w3 up, w2 down).
"""

from pydantic import AliasChoices, Field

from archcalc.arch import mixtral
from archcalc.arch._decoder import decoder
from archcalc.arch._schema import Flag, Size
from archcalc.blocks._tensor import make_layer
from archcalc.blocks.norm import layer_norm
from archcalc.model import Architecture, Layer


class Schema(mixtral.Schema):
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


class Grinmoe(Schema):
    """GRIN-MoE: the layers of Phi-3.5-MoE.
    Source: microsoft/GRIN-MoE, modeling_grinmoe.py and configuration_grinmoe.py."""

    attention_bias: Flag = True
    lm_head_bias: Flag = True
