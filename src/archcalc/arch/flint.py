"""Flint: sinks and QK-norm in every layer, most of them with a window; dense layers first, then experts beside a shared one.

Source: transformers 5.23, models/flint/modeling_flint.py and configuration_flint.py (defaults), conversion_mapping.py ("flint").
"""

from collections.abc import Sequence
from typing import Any

from archcalc.arch._alternating import FULL, SLIDING
from archcalc.arch._computes import Computes
from archcalc.arch._plain import WindowedSchema
from archcalc.arch._schema import Count, Flag, Layers, Size, Tokens
from archcalc.blocks._tensor import Mixer
from archcalc.blocks.experts import MixtureOfExperts


class Schema(WindowedSchema):
    whole_heads = False

    vocab_size: Size = 150144
    hidden_size: Size = 2048
    intermediate_size: Size = 6144
    num_hidden_layers: Layers = 49
    num_attention_heads: Size = 32
    num_key_value_heads: Size = 4
    head_dim: Size = 128
    max_position_embeddings: Tokens = 262144
    attention_bias: Flag = False
    sliding_window: Tokens = 513
    decoder_sparse_step: Size = 1
    mlp_only_layers: list[int] | None = None
    moe_intermediate_size: Size = 512
    shared_expert_intermediate_size: Count = 1024
    num_experts_per_tok: Size = 6
    num_experts: Count = 256

    def computes(self) -> Computes:
        return super().computes()._replace(norm="rms-fp32", products="fp32", routing="wide")

    def kinds(self) -> list[str]:
        if self.layer_types is not None:
            return self.layer_types
        last = self.num_hidden_layers - 1
        return [FULL if i < 2 or i % 4 == 1 or i == last else SLIDING for i in range(last + 1)]

    def sparse(self) -> Sequence[bool]:
        dense, step = [0, 1] if self.mlp_only_layers is None else self.mlp_only_layers, self.decoder_sparse_step
        return [i not in dense and self.num_experts > 0 and (i + 1) % step == 0 for i in range(self.num_hidden_layers)]

    def attention(self, window: int | None, variant: int) -> Mixer:
        bias = self.attention_bias
        return self.gqa(bias=bias, output_bias=bias, window=window, qk_norm="head", sinks=True)

    def experts(self) -> MixtureOfExperts:
        shared, width = self.shared_expert_intermediate_size, self.moe_intermediate_size
        return MixtureOfExperts(
            self.hidden_size, width, self.num_experts, self.num_experts_per_tok, self.hidden_act,
            1, shared, shared_name="shared_expert",
        )  # fmt: skip

    def more(self) -> dict[str, Any]:
        return {**super().more(), "more": (("sinks", "one a head"),)}

    def decoder_options(self) -> dict[str, Any]:
        return {"renames": ((".self_attn.sinks", ".self_attn.softmax_offset"),)}
