"""DeepSeek-V3, V3.1 and R1: MLA, leading dense layers, fine-grained experts, MTP.

Source: transformers 5.23, models/deepseek_v3/modeling_deepseek_v3.py and configuration_deepseek_v3.py (defaults); the MTP layer as
stored by deepseek-ai/DeepSeek-V3 (README_WEIGHTS.md: it follows the decoder's layers, with its own embedding, projection and head).
"""

from __future__ import annotations

from typing import ClassVar

from pydantic import AliasChoices, Field

from archcalc.arch._decoder import decoder
from archcalc.arch._schema import ConfigSchema, Count, Flag, Layers, Size, Tokens, rope_label
from archcalc.blocks._tensor import linear, make_layer
from archcalc.blocks.experts import MixtureOfExperts
from archcalc.blocks.feedforward import GatedFeedForward, activation_name
from archcalc.blocks.latent import Indexer, LatentAttention
from archcalc.blocks.norm import rms_norm
from archcalc.model import Architecture, Facts, Layer, Moe, Shard, Stack, Tensor, stack


class Schema(ConfigSchema):
    core_keys: ClassVar[tuple[str, ...]] = ("hidden_size", "num_hidden_layers", "num_attention_heads", "vocab_size", "kv_lora_rank")
    inert_keys: ClassVar[tuple[str, ...]] = ("head_dim", "qk_head_dim")

    vocab_size: Size = 129280
    hidden_size: Size = 7168
    intermediate_size: Size = 18432
    moe_intermediate_size: Size = 2048
    num_hidden_layers: Layers = 61
    num_attention_heads: Size = 128
    num_key_value_heads: Size | None = 128
    n_shared_experts: Count | None = 1
    n_routed_experts: Size | None = 256
    kv_lora_rank: Size = 512
    q_lora_rank: Size | None = 1536
    qk_rope_head_dim: Size = 64
    v_head_dim: Size = 128
    qk_nope_head_dim: Size = 128
    num_experts_per_tok: Size = 8
    first_k_dense_replace: Count = 3
    moe_layer_freq: Size = 1
    hidden_act: str = "silu"
    max_position_embeddings: Tokens = 4096
    tie_word_embeddings: Flag = False
    attention_bias: Flag = False
    # Absent in configs of checkpoints without MTP, so the absence means none, whatever the class's default.
    mtp_layers: Count = Field(0, validation_alias=AliasChoices("num_nextn_predict_layers", "num_mtp_layers"))

    def indexer(self) -> Indexer | None:
        return None

    def layer(self, index: int, extra: tuple[Tensor, ...] = ()) -> Layer:
        h = self.hidden_size
        attention = LatentAttention(
            h, self.num_attention_heads, self.kv_lora_rank, self.qk_nope_head_dim, self.qk_rope_head_dim, self.v_head_dim,
            self.q_lora_rank, self.attention_bias, self.indexer(),
        )  # fmt: skip
        norms = (rms_norm("input_layernorm", h), rms_norm("post_attention_layernorm", h))
        if self.n_routed_experts is None or index < self.first_k_dense_replace:
            return make_layer(attention, GatedFeedForward(h, self.intermediate_size, self.hidden_act), norms, extra=extra)
        shared = self.n_shared_experts or 0
        experts = MixtureOfExperts(
            h, self.moe_intermediate_size, self.n_routed_experts, self.num_experts_per_tok, self.hidden_act,
            shared, shared * self.moe_intermediate_size, correction_bias="gate.e_score_correction_bias",
        )  # fmt: skip
        return make_layer(attention, experts, norms, extra=extra)

    def mtp(self, prefix: str) -> Stack | None:
        """Each MTP layer: a projection of the hidden state beside the next token's embedding, a decoder layer, and a norm for the
        head; embedding and head are stored again."""
        if not self.mtp_layers:
            return None
        h, rows = self.hidden_size, Shard(0, self.vocab_size)
        extra = (
            Tensor("embed_tokens.weight", (self.vocab_size, h), "embedding", rows, kind="copy"),
            rms_norm("enorm", h),
            rms_norm("hnorm", h),
            *linear("eh_proj", h, 2 * h, "other"),
            rms_norm("shared_head.norm", h),
            Tensor("shared_head.head.weight", (self.vocab_size, h), "head", rows, kind="copy"),
        )
        layer = self.layer(self.num_hidden_layers, extra)
        return stack(f"{prefix}.layers", "mtp", [layer] * self.mtp_layers, start=self.num_hidden_layers)

    def architecture(self, prefix: str = "model") -> Architecture:
        h, n = self.hidden_size, self.num_hidden_layers
        dense = min(self.first_k_dense_replace, n) if self.n_routed_experts else n
        layers = [self.layer(0)] * dense
        if dense < n:
            layers += [self.layer(dense)] * (n - dense)
        facts = Facts(
            hidden_size=h,
            vocab_size=self.vocab_size,
            context_tokens=self.max_position_embeddings,
            attention="MLA",
            heads=self.num_attention_heads,
            kv_heads=self.num_key_value_heads or self.num_attention_heads,
            head_dim=self.v_head_dim,
            norm="RMSNorm (pre)",
            activation=activation_name(self.hidden_act, gated=True),
            position=rope_label(self.model_extra or {}),
            intermediate_size=self.intermediate_size,
            tied_embeddings=self.tie_word_embeddings,
            moe=Moe(
                self.n_routed_experts or 0,
                self.num_experts_per_tok,
                self.n_shared_experts or 0,
                n - dense,
                self.moe_intermediate_size,
            )
            if dense < n
            else None,
            more=(
                ("latent", f"KV rank {self.kv_lora_rank} + rotary key {self.qk_rope_head_dim}"),
                ("query rank", str(self.q_lora_rank) if self.q_lora_rank else "full"),
                ("query/key head", f"{self.qk_nope_head_dim} + {self.qk_rope_head_dim} rotary"),
            ),
        )
        mtp = self.mtp(prefix)
        return decoder("deepseek_v3", layers, facts, prefix=prefix, final_norm=[rms_norm("norm", h)], mtp=[mtp] if mtp else [])
