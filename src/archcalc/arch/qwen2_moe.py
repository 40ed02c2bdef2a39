"""Qwen 1.5 MoE and Qwen 2 57B: fine-grained experts beside a gated shared one.

Source: transformers 5.23, models/qwen2_moe/modeling_qwen2_moe.py and configuration_qwen2_moe.py (defaults, `layer_types`).
"""

from pydantic import AliasChoices, Field

from archcalc.arch import qwen2
from archcalc.arch._schema import Count, Flag, Layers, Size
from archcalc.blocks.attention import GroupedQueryAttention
from archcalc.blocks.experts import MixtureOfExperts


class Schema(qwen2.Schema):
    hidden_size: Size = 2048
    intermediate_size: Size = 5632
    num_hidden_layers: Layers = 24
    num_attention_heads: Size = 16
    num_key_value_heads: Size | None = 16
    sliding_window: Count | None = 4096  # written 0 where `use_sliding_window` is off
    qkv_bias: Flag = True
    decoder_sparse_step: Size = 1
    moe_intermediate_size: Size = 1408
    shared_expert_intermediate_size: Count = 5632
    num_experts_per_tok: Size = 4
    num_experts: Count = Field(60, validation_alias=AliasChoices("num_local_experts", "num_experts"))
    mlp_only_layers: list[int] | None = None

    def kinds(self) -> list[str]:
        """`layer_types`, or by default a window on every other layer below `max_window_layers`."""
        if self.layer_types is not None:
            return self.layer_types
        last = (self.max_window_layers or 0) if self.window is not None else 0
        return ["sliding_attention" if i < last and i % 2 == 0 else "full_attention" for i in range(self.num_hidden_layers)]

    def attention(self, window: int | None) -> GroupedQueryAttention:
        return GroupedQueryAttention(
            self.hidden_size, self.num_attention_heads, self.kv_heads, self.head_size, bias=self.qkv_bias, window=window
        )

    def sparse(self, index: int) -> bool:
        dense = index in (self.mlp_only_layers or ()) or self.num_experts == 0
        return not dense and (index + 1) % self.decoder_sparse_step == 0

    def experts(self) -> MixtureOfExperts:
        shared, width = self.shared_expert_intermediate_size, self.moe_intermediate_size
        # One wide FFN stands for several experts where its width says so: Qwen1.5-MoE's 5632 for 4 of 1408.
        count = shared // width if shared % width == 0 else 1
        return MixtureOfExperts(
            self.hidden_size, width, self.num_experts, self.num_experts_per_tok, self.hidden_act,
            count, shared, shared_name="shared_expert", shared_gate="shared_expert_gate",
        )  # fmt: skip
