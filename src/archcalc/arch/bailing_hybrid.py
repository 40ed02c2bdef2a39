"""Ling and Ring 3, hybrid: five layers of Kimi Delta Attention to one of gated latent attention, fine-grained experts, MTP.

Source: transformers 5.23, models/bailing_hybrid/modeling_bailing_hybrid.py and configuration_bailing_hybrid.py (defaults,
`layer_types`), conversion_mapping.py; inclusionAI/Ling-mini-2.0, modeling_bailing_moe_v2.py (`BailingMoeV2MTPLayer`).
"""

from pydantic import AliasChoices, Field

from archcalc.arch._alternating import FULL, LINEAR
from archcalc.arch._computes import Computes
from archcalc.arch._kda import RENAMES, DeltaSchema
from archcalc.arch._mtp import behind_decoder
from archcalc.arch._schema import Count, Layers, Size, Tokens
from archcalc.blocks._tensor import linear
from archcalc.blocks.kda import KimiDeltaAttention
from archcalc.model import Shard, Stack, Tensor


class Schema(DeltaSchema):
    renames = (
        *RENAMES, ("model.embed_tokens.", "model.word_embeddings."), (".self_attn.o_proj.", ".attention.dense."),
        (".self_attn.", ".attention."), (".gate.e_score_correction_bias", ".gate.expert_bias"),
    )  # fmt: skip
    inert_keys = (*DeltaSchema.inert_keys, "kda_lower_bound", "kda_safe_gate", "num_kv_heads_for_linear_attn")

    vocab_size: Size = 157184
    hidden_size: Size = 2560
    intermediate_size: Size = 6144
    moe_intermediate_size: Size = 768
    num_hidden_layers: Layers = 42
    num_attention_heads: Size = 32
    num_key_value_heads: Size | None = 32
    q_lora_rank: Size | None = None
    head_dim: Size = 128
    max_position_embeddings: Tokens = Field(262144, validation_alias=AliasChoices("model_max_length", "max_position_embeddings"))
    n_shared_experts: Count = Field(1, validation_alias=AliasChoices("num_shared_experts", "n_shared_experts"))
    num_local_experts: Size = Field(512, validation_alias=AliasChoices("num_experts", "num_local_experts"))
    num_experts_per_tok: Size = Field(8, validation_alias=AliasChoices("num_experts_per_token", "num_experts_per_tok"))
    first_k_dense_replace: Count = 2
    short_conv_kernel_size: Size = 4
    layer_group_size: Size = 6
    # Absent in configs of checkpoints without MTP, so the absence means none, whatever the class's default.
    num_mtp_layers: Count = Field(0, validation_alias=AliasChoices("num_nextn_predict_layers", "num_mtp_layers"))

    def computes(self) -> Computes:
        return super().computes()._replace(routing="grouped")

    def default_kinds(self) -> list[str]:
        return [LINEAR if (i + 1) % self.layer_group_size else FULL for i in range(self.num_hidden_layers)]

    def default_sparse(self) -> list[bool]:
        return [i >= self.first_k_dense_replace for i in range(self.num_hidden_layers)]

    def routed(self) -> tuple[int, int, int]:
        return self.num_local_experts, self.num_experts_per_tok, self.n_shared_experts

    def delta(self) -> KimiDeltaAttention:
        heads, dim = self.linear_num_heads or self.num_attention_heads, self.linear_head_dim or self.head_dim
        kernel = self.linear_conv_kernel_dim or self.short_conv_kernel_size
        return KimiDeltaAttention(self.hidden_size, heads, dim, kernel, low_rank=False)

    def extra_tensors(self, kind: str) -> list[Tensor]:
        """Latent layers gate each head's output."""
        heads = self.num_attention_heads
        gate = [] if kind == LINEAR else linear("self_attn.g_proj", heads, self.hidden_size, "attention", shard=Shard(0, heads))
        return [*super().extra_tensors(kind), *gate]

    def mtp(self, prefix: str) -> list[Stack]:
        h, n = self.hidden_size, self.num_hidden_layers
        return behind_decoder(
            lambda extra: self.layer(self.latent(n), True, extra), self.num_mtp_layers, prefix=prefix, start=n, hidden=h,
            vocab=self.vocab_size, copies=False, norm="final_layernorm",
        )  # fmt: skip
