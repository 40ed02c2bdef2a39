"""Maple: experts in every layer, QK-norm for each head, windows in the layers that turn, and none of both in the others.

Source: llama.cpp (llama-cpp-python 0.3.36), conversion/maple.py and src/models/maple.cpp.
"""

from __future__ import annotations

from collections.abc import Sequence

from archcalc.arch._plain import WindowedSchema
from archcalc.arch._schema import Count, Flag, Size, Tokens
from archcalc.blocks.experts import MixtureOfExperts
from archcalc.errors import UnsupportedError


class Schema(WindowedSchema):
    core_keys = (*WindowedSchema.core_keys, "num_experts", "moe_intermediate_size", "layer_types")
    bare = True
    qk_norm = "head"

    intermediate_size: Size | None = None  # type: ignore[assignment]
    moe_intermediate_size: Size
    num_experts: Size
    num_experts_per_tok: Size
    num_shared_experts: Count = 0
    nope_on_global_attention: Flag = True
    max_position_embeddings: Tokens = 32768

    @property
    def ffn_size(self) -> int:
        return self.moe_intermediate_size

    def sparse(self) -> Sequence[bool]:
        return [True] * self.num_hidden_layers

    def experts(self) -> MixtureOfExperts:
        if self.num_shared_experts or not self.nope_on_global_attention:
            raise UnsupportedError("num_shared_experts or nope_on_global_attention is not what the published Maple has")
        width = self.moe_intermediate_size
        return MixtureOfExperts(self.hidden_size, width, self.num_experts, self.num_experts_per_tok, self.hidden_act)
