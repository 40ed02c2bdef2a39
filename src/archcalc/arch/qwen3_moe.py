"""Qwen 3, mixture of experts (30B-A3B, 235B-A22B, Coder): no shared expert, QK-norm.

Source: transformers 5.23, models/qwen3_moe/modeling_qwen3_moe.py and configuration_qwen3_moe.py (defaults).
"""

from __future__ import annotations

from typing import Any, ClassVar

from pydantic import AliasChoices, Field

from archcalc.arch import qwen2_moe
from archcalc.arch._both_ways import IN_BLOCKS, uncached
from archcalc.arch._computes import Computes
from archcalc.arch._schema import Count, Flag, Size, Tokens
from archcalc.arch.qwen3 import OWN, QK_NORM
from archcalc.blocks.attention import GroupedQueryAttention
from archcalc.blocks.experts import MixtureOfExperts
from archcalc.model import Architecture


class Schema(qwen2_moe.Schema):
    inert_keys: ClassVar[tuple[str, ...]] = ("use_qk_norm",)

    intermediate_size: Size = 6144
    num_attention_heads: Size = 32
    num_key_value_heads: Size | None = 4
    attention_bias: Flag = False
    moe_intermediate_size: Size = 768
    num_experts_per_tok: Size = 8
    num_experts: Count = Field(128, validation_alias=AliasChoices("num_local_experts", "num_experts"))

    def kinds(self) -> list[str]:
        """`layer_types`; without them a window is every layer's."""
        kind = "full_attention" if self.window is None else "sliding_attention"
        return self.layer_types if self.layer_types is not None else [kind] * self.num_hidden_layers

    def attention(self, window: int | None) -> GroupedQueryAttention:
        return GroupedQueryAttention(
            self.hidden_size, self.num_attention_heads, self.kv_heads, self.head_size,
            self.attention_bias, self.attention_bias, window, qk_norm="head",
        )  # fmt: skip

    def experts(self) -> MixtureOfExperts:
        return MixtureOfExperts(
            self.hidden_size, self.moe_intermediate_size, self.num_experts, self.num_experts_per_tok, self.hidden_act
        )

    def more(self) -> dict[str, Any]:
        return QK_NORM


class Rnd1(Schema):
    """RND1: Qwen 3's mixture of experts, made to see both ways.
    Source: llama.cpp (llama-cpp-python 0.3.36), conversion/qwen.py `RND1Model` and src/models/rnd1.cpp;
    radicalnumerics/RND1-Base-0910."""

    def architecture(self, prefix: str) -> Architecture:
        return uncached(super().architecture(prefix))


class SdarMoe(Schema):
    """SDAR with experts: Qwen 3's mixture, block by block as SDAR.
    Source: SGLang 0.5, srt/models/sdar_moe.py (`SDARMoeForCausalLM`)."""

    inert_keys = (*Schema.inert_keys, *OWN)

    def architecture(self, prefix: str) -> Architecture:
        a = super().architecture(prefix)
        return a._replace(notes=(*a.notes, IN_BLOCKS))


class Qwen3VlMoeText(Schema):
    """The text model of Qwen3-VL with experts: Qwen 3's; published checkpoints hold the fused experts transposed.
    Source: transformers 5.23, models/qwen3_vl_moe/modeling_qwen3_vl_moe.py and configuration_qwen3_vl_moe.py (defaults),
    conversion_mapping.py ("qwen3_vl_moe")."""

    intermediate_size: Size = 5632
    num_attention_heads: Size = 16
    num_key_value_heads: Size | None = 16
    max_position_embeddings: Tokens = 128000
    tie_word_embeddings: Flag = True
    moe_intermediate_size: Size = 1408
    num_experts_per_tok: Size = 4
    num_experts: Count = Field(60, validation_alias=AliasChoices("num_local_experts", "num_experts"))

    def computes(self) -> Computes:
        return super().computes()._replace(routing="normalized")

    def experts(self) -> MixtureOfExperts:
        return MixtureOfExperts(
            self.hidden_size,
            self.moe_intermediate_size,
            self.num_experts,
            self.num_experts_per_tok,
            self.hidden_act,
            transposed_on_disk=True,
        )
