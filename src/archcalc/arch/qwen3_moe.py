"""Qwen 3, mixture of experts (30B-A3B, 235B-A22B, Coder): no shared expert, QK-norm.

Source: transformers 5.23, models/qwen3_moe/modeling_qwen3_moe.py and configuration_qwen3_moe.py (defaults).
"""

from typing import Any, ClassVar

from pydantic import AliasChoices, Field

from archcalc.arch import qwen2_moe
from archcalc.arch._schema import Count, Flag, Size
from archcalc.arch.qwen3 import QK_NORM
from archcalc.blocks.attention import GroupedQueryAttention
from archcalc.blocks.experts import MixtureOfExperts


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
