"""Kimi Linear: three layers of Kimi Delta Attention to one of latent attention without positions, fine-grained experts.

Source: transformers 5.23, models/kimi_linear/modeling_kimi_linear.py and configuration_kimi_linear.py (defaults, `layer_types`),
conversion_mapping.py ("kimi_linear").
"""

from pydantic import AliasChoices, Field

from archcalc.arch._alternating import FULL, LINEAR
from archcalc.arch._computes import Computes
from archcalc.arch._kda import RENAMES, DeltaSchema
from archcalc.arch._schema import Count, Layers, Size, Tokens
from archcalc.blocks.kda import KimiDeltaAttention
from archcalc.errors import ConfigError


class Schema(DeltaSchema):
    rotary = False
    stored = ("w1", "w3", "w2")
    # Only the mixtures have a name of their own in checkpoints.
    renames = (
        *RENAMES, *((f".mlp.{name}.", f".block_sparse_moe.{name}.") for name in ("experts", "gate", "shared_experts")),
    )  # fmt: skip

    vocab_size: Size = 163840
    hidden_size: Size = 2304
    intermediate_size: Size = 9216
    num_hidden_layers: Layers = 27
    num_attention_heads: Size = 32
    num_key_value_heads: Size | None = 32
    q_lora_rank: Size | None = None
    max_position_embeddings: Tokens = Field(1048576, validation_alias=AliasChoices("model_max_length", "max_position_embeddings"))
    n_shared_experts: Count = Field(1, validation_alias=AliasChoices("num_shared_experts", "n_shared_experts"))
    num_local_experts: Size = Field(256, validation_alias=AliasChoices("num_experts", "num_local_experts"))
    num_experts_per_tok: Size = Field(8, validation_alias=AliasChoices("num_experts_per_token", "num_experts_per_tok"))
    first_k_dense_replace: Count = 1

    def computes(self) -> Computes:
        return super().computes()._replace(routing="grouped")

    def default_kinds(self) -> list[str]:
        n, given = self.num_hidden_layers, self.linear_attn_config
        if given.full_attn_layers is None or given.kda_layers is None:
            return [FULL if i and i % 4 == 0 else LINEAR for i in range(n)]
        kinds = dict.fromkeys(given.full_attn_layers, FULL) | dict.fromkeys(given.kda_layers, LINEAR)
        if kinds.keys() != set(range(1, n + 1)):
            why = "linear_attn_config: full_attn_layers and kda_layers do not name each layer from 1 on"
            raise ConfigError(why, f"name {n} layers", "linear_attn_config")
        return [kinds[i] for i in range(1, n + 1)]

    def default_sparse(self) -> list[bool]:
        return [i >= self.first_k_dense_replace for i in range(self.num_hidden_layers)]

    def routed(self) -> tuple[int, int, int]:
        return self.num_local_experts, self.num_experts_per_tok, self.n_shared_experts

    def delta(self) -> KimiDeltaAttention:
        given = self.linear_attn_config
        heads = given.num_heads or self.linear_num_heads or 32
        dim, kernel = (
            given.head_dim or self.linear_head_dim or 128,
            given.short_conv_kernel_size or self.linear_conv_kernel_dim or 4,
        )
        return KimiDeltaAttention(self.hidden_size, heads, dim, kernel, log_shape=(1, 1, heads, 1))
