"""A.X-K1: DeepSeek-V3's structure with a norm behind each mixture of experts.

Source: transformers 5.23, models/axk1/modeling_axk1.py and configuration_axk1.py (defaults), conversion_mapping.py ("axk1").
"""

from pydantic import AliasChoices, Field

from archcalc.arch import deepseek_v3
from archcalc.arch._alternating import sparse_layers
from archcalc.arch._schema import Count, Size, Tokens
from archcalc.blocks.norm import rms_norm
from archcalc.model import Architecture, Layer, Tensor


class Schema(deepseek_v3.Schema):
    vocab_size: Size = 163840
    num_attention_heads: Size = 64
    num_key_value_heads: Size | None = 64
    q_lora_rank: Size = 1536
    n_routed_experts: Size = Field(192, validation_alias=AliasChoices("num_local_experts", "n_routed_experts"))
    num_experts_per_tok: Size = 8
    first_k_dense_replace: Count = 1
    moe_layer_freq: Size = 1
    mlp_layer_types: list[str] | None = None
    max_position_embeddings: Tokens = 32768

    def sparse(self) -> list[bool]:
        default = [i >= self.first_k_dense_replace and i % self.moe_layer_freq == 0 for i in range(self.num_hidden_layers)]
        return sparse_layers(self.mlp_layer_types, default)

    def layer(self, sparse: bool, indexed: bool, extra: tuple[Tensor, ...] = ()) -> Layer:
        norm = (rms_norm("mlp.post_mlp_layernorm", self.hidden_size),) if sparse else ()
        return super().layer(sparse, indexed, (*extra, *norm))

    def architecture(self, prefix: str) -> Architecture:
        return super().architecture(prefix)._replace(renames=((".mlp.post_mlp_layernorm.", ".post_mlp_layernorm."),))
