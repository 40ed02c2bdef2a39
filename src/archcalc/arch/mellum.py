"""Mellum 2: QK-norm, experts in every layer unless `mlp_layer_types` says otherwise, windows where `layer_types` has them.

Source: transformers 5.23, models/mellum/modeling_mellum.py and configuration_mellum.py (defaults); the MTP layer, which it
skips, as Qwen3-Next stores it.
"""

from collections.abc import Sequence

from archcalc.arch._alternating import FULL, SLIDING, sparse_layers
from archcalc.arch._decoder import attention_pattern
from archcalc.arch._mtp import apart
from archcalc.arch._plain import WindowedSchema, named
from archcalc.arch._schema import Count, Flag, Layers, Size, Tokens
from archcalc.blocks.experts import MixtureOfExperts
from archcalc.errors import UnsupportedError
from archcalc.model import Architecture


class Schema(WindowedSchema):
    whole_heads = False
    qk_norm = "head"

    vocab_size: Size = 98304
    hidden_size: Size = 2304
    intermediate_size: Size = 7168
    num_hidden_layers: Layers = 28
    num_attention_heads: Size = 32
    num_key_value_heads: Size = 4
    head_dim: Size = 128
    max_position_embeddings: Tokens = 131072
    attention_bias: Flag = False
    sliding_window: Tokens | None = 1024
    moe_intermediate_size: Size = 896
    num_experts_per_tok: Size = 8
    num_experts: Size = named(64, "num_local_experts", "num_experts")
    mlp_layer_types: list[str] | None = None
    num_mtp_layers: Count | None = named(None, "num_nextn_predict_layers", "num_mtp_layers")
    mtp_layer_types: list[str] | None = None
    mtp_mlp_layer_types: list[str] | None = None

    def biases(self) -> tuple[bool, bool]:
        return self.attention_bias, self.attention_bias

    def kinds(self) -> list[str]:
        return [FULL] * self.num_hidden_layers if self.layer_types is None else self.layer_types

    def sparse(self) -> Sequence[bool]:
        return sparse_layers(self.mlp_layer_types, [True] * self.num_hidden_layers)

    def experts(self) -> MixtureOfExperts:
        width, active = self.moe_intermediate_size, self.num_experts_per_tok
        return MixtureOfExperts(self.hidden_size, width, self.num_experts, active, self.hidden_act)

    def architecture(self, prefix: str) -> Architecture:
        a, number = super().architecture(prefix), self.num_mtp_layers or 0
        if number > 1:
            raise UnsupportedError(f"num_mtp_layers is {number}: the reference implementation knows one at most")
        kinds = self.mtp_layer_types or [SLIDING] * number
        windows = attention_pattern(kinds, number, self.sliding_window) if number else []
        sparse = sparse_layers(self.mtp_mlp_layer_types, [True] * number) if number else []
        layers = [self.layer(window, experts, 0) for window, experts in zip(windows, sparse, strict=True)]
        stacks, groups = apart(layers, self.hidden_size)
        return a._replace(stacks=(*a.stacks, *stacks), groups=(*a.groups, *groups))
