"""Sarvam 30B: GLM-4.5's structure under other names; rotary positions over the whole head, QK-norm always.

Source: transformers 5.24, models/sarvam_moe/configuration_sarvam_moe.py (defaults, `attribute_map`), conversion_mapping.py
("sarvam_moe": checkpoints fuse queries, keys and values, and call the decoder's parts otherwise).
"""

from archcalc.arch import glm4_moe
from archcalc.arch._plain import named
from archcalc.arch._schema import Count, Flag, Fraction, Layers, Size
from archcalc.model import Architecture

RENAMES = (
    ("model.embed_tokens.", "model.word_embeddings."),
    (".self_attn.o_proj.", ".attention.dense."),
    *((f".self_attn.{name}_proj.", ".attention.query_key_value.") for name in "qkv"),
    (".self_attn.q_norm.", ".attention.query_layernorm."),
    (".self_attn.k_norm.", ".attention.key_layernorm."),
    (".gate.e_score_correction_bias", ".gate.expert_bias"),
)


class Schema(glm4_moe.Schema):
    inert_keys = (
        "score_function", "moe_router_enable_expert_bias", "moe_shared_expert_intermediate_size",
        "moe_router_enable_routed_scaling",
    )  # fmt: skip

    vocab_size: Size = 262144
    intermediate_size: Size = 8192
    num_hidden_layers: Layers = 19
    num_attention_heads: Size = 64
    num_key_value_heads: Size | None = 4
    head_dim: Size | None = 64
    partial_rotary_factor: Fraction = 1.0
    attention_bias: Flag = named(False, "use_qkv_bias", "attention_bias")
    use_qk_norm: Flag = True
    moe_intermediate_size: Size = 1024
    num_experts_per_tok: Size = 6
    n_shared_experts: Count = named(1, "num_shared_experts", "n_shared_experts")
    n_routed_experts: Size = named(128, "num_local_experts", "num_experts", "n_routed_experts")

    def architecture(self, prefix: str) -> Architecture:
        return super().architecture(prefix)._replace(renames=RENAMES)
