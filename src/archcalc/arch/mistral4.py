"""Mistral Small 4: DeepSeek-V3's structure without a correction bias, YaRN unless the config says otherwise.

Source: transformers 5.23, models/mistral4/modeling_mistral4.py and configuration_mistral4.py (defaults).
"""

from pydantic import AliasChoices, Field

from archcalc.arch import deepseek_v3
from archcalc.arch._computes import Computes
from archcalc.arch._schema import Count, Layers, Size, Tokens
from archcalc.model import ROPE, Architecture


class Schema(deepseek_v3.Schema):
    correction_bias = ""

    vocab_size: Size = 131072
    hidden_size: Size = 4096
    intermediate_size: Size = 12288
    num_hidden_layers: Layers = 36
    num_attention_heads: Size = 32
    num_key_value_heads: Size | None = 32
    n_routed_experts: Size | None = Field(128, validation_alias=AliasChoices("num_local_experts", "n_routed_experts"))
    kv_lora_rank: Size = 256
    q_lora_rank: Size | None = 1024
    qk_nope_head_dim: Size = 64
    num_experts_per_tok: Size | None = 4
    first_k_dense_replace: Count | None = 0
    max_position_embeddings: Tokens = 1048576

    def computes(self) -> Computes:
        # Its groups are of experts weighed in the model's own dtype.
        return super().computes()._replace(routing="softmax")

    def architecture(self, prefix: str) -> Architecture:
        text = super().architecture(prefix)
        extra = self.model_extra or {}
        if not (extra.get("rope_parameters") or extra.get("rope_scaling")):
            text = text._replace(facts=text.facts._replace(position=ROPE._replace(said="RoPE (YaRN)")))
        return text
