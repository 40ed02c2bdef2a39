"""GLM-4.7-Flash: MLA, one dense layer, then routed and shared experts, MTP.

Source: transformers 5.23, models/glm4_moe_lite/modeling_glm4_moe_lite.py and configuration_glm4_moe_lite.py (defaults,
`mlp_layer_types`).
"""

from archcalc.arch import deepseek_v3
from archcalc.arch._plain import named, sparse_layers
from archcalc.arch._schema import Count, Layers, Size, Tokens


class Schema(deepseek_v3.Schema):
    vocab_size: Size = 154880
    hidden_size: Size = 2048
    intermediate_size: Size = 10240
    moe_intermediate_size: Size = 1536
    num_hidden_layers: Layers = 47
    num_attention_heads: Size = 20
    num_key_value_heads: Size | None = 20
    n_routed_experts: Size | None = named(64, "num_local_experts", "n_routed_experts")
    q_lora_rank: Size | None = 768
    v_head_dim: Size = 256
    qk_nope_head_dim: Size = 192
    # The reference's `attribute_map`: the usual key goes before the type's own.
    qk_rope_head_dim: Size = named(64, "head_dim", "qk_rope_head_dim")
    num_experts_per_tok: Size | None = 4
    first_k_dense_replace: Count | None = 1
    max_position_embeddings: Tokens = 202752
    mlp_layer_types: list[str] | None = None

    def sparse(self) -> list[bool]:
        if self.mlp_layer_types is None:
            return super().sparse()
        return sparse_layers(self.mlp_layer_types, self.num_hidden_layers)
