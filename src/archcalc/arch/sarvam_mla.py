"""Sarvam 105B: DeepSeek-V3's structure under other names, queries at full rank.

Source: transformers 5.24, models/sarvam_mla/configuration_sarvam_mla.py (defaults, `attribute_map`; `head_dim` is what the first
configs wrote for the latent's width).
"""

from archcalc.arch import deepseek_v3
from archcalc.arch._plain import named
from archcalc.arch._schema import Count, Layers, Size


class Schema(deepseek_v3.Schema):
    inert_keys = (
        *deepseek_v3.Schema.inert_keys, "q_head_dim", "score_function", "moe_router_enable_expert_bias",
        "moe_shared_expert_intermediate_size",
    )  # fmt: skip
    mtp_copies = False

    vocab_size: Size = 262144
    hidden_size: Size = 4096
    intermediate_size: Size = 16384
    num_hidden_layers: Layers = 32
    num_attention_heads: Size = 64
    num_key_value_heads: Size | None = None
    q_lora_rank: Size | None = None
    n_shared_experts: Count | None = named(1, "num_shared_experts", "n_shared_experts")
    n_routed_experts: Size | None = named(128, "num_local_experts", "num_experts", "n_routed_experts")
    first_k_dense_replace: Count | None = 1
