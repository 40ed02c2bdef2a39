"""LLaDA-MoE: experts in every layer, QK-norm for each head, both ways.

Source: llama.cpp (llama-cpp-python 0.3.36), conversion/llada.py `LLaDAMoEModel` and src/models/llada-moe.cpp (no cache);
inclusionAI/LLaDA-MoE-7B-A1B-Instruct, config.json (keys).
"""

from __future__ import annotations

from typing import Any

from archcalc.arch._both_ways import uncached
from archcalc.arch._plain import PlainSchema, named
from archcalc.arch._schema import Size, Tokens
from archcalc.arch.qwen3 import QK_NORM
from archcalc.blocks.experts import MixtureOfExperts
from archcalc.errors import UnsupportedError
from archcalc.model import Architecture


class Schema(PlainSchema):
    inert_keys = ("clip_qkv", "moe_layer_freq", "moe_router_score_function", "qk_layernorm")
    qk_norm = "head"

    intermediate_size: Size = named(8192, "dense_intermediate_size", "intermediate_size")
    expert_intermediate_size: Size
    num_experts: Size
    num_experts_per_tok: Size
    shared_expert_intermediate_size: Size | None = None
    max_position_embeddings: Tokens = 8192

    def sparse(self) -> list[bool]:
        return [True] * self.num_hidden_layers

    def experts(self) -> MixtureOfExperts:
        if self.shared_expert_intermediate_size:
            raise UnsupportedError(
                "shared_expert_intermediate_size: no published LLaDA-MoE has shared experts, and archcalc knows none"
            )
        width = self.expert_intermediate_size
        return MixtureOfExperts(self.hidden_size, width, self.num_experts, self.num_experts_per_tok, self.hidden_act)

    def more(self) -> dict[str, Any]:
        return QK_NORM

    def architecture(self, prefix: str) -> Architecture:
        return uncached(super().architecture(prefix))
