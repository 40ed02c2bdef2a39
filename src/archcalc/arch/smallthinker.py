"""SmallThinker: ReGLU experts in every layer, chosen before attention; windows and positions by their own layouts.

Source: llama.cpp (llama-cpp-python 0.3.36), conversion/smallthinker.py and src/models/smallthinker.cpp;
PowerInfer/SmallThinker-4BA0.6B-Instruct, config.json (keys).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from archcalc.arch._plain import PlainSchema, named, partly
from archcalc.arch._schema import Flag, Size, Tokens, per_layer, rope_label
from archcalc.blocks.experts import MixtureOfExperts
from archcalc.errors import ConfigError, UnsupportedError


class Schema(PlainSchema):
    core_keys = (*PlainSchema.core_keys, "moe_num_primary_experts", "moe_ffn_hidden_size")
    inert_keys = ("moe_primary_router_apply_softmax", "moe_enable_early_router")
    ffn_name = "block_sparse_moe"

    intermediate_size: Size = named(None, "moe_ffn_hidden_size", "intermediate_size")
    hidden_act: str = "relu"
    max_position_embeddings: Tokens = 32768
    moe_num_primary_experts: Size
    moe_num_active_primary_experts: Size
    moe_enable_secondary_experts: Flag = False
    moe_layer_layout: list[int] | None = None
    rope_layout: list[int] | None = None
    sliding_window_layout: list[int] | None = None
    sliding_window_size: Tokens | None = None

    def windows(self) -> Sequence[int | None]:
        n = self.num_hidden_layers
        slides = per_layer(self.sliding_window_layout or [0] * n, n, "sliding_window_layout")
        if any(slides) and self.sliding_window_size is None:
            raise ConfigError(
                "sliding_window_size is missing, and sliding_window_layout asks for windows", "give it", "sliding_window_size"
            )
        return [self.sliding_window_size if slide else None for slide in slides]

    def rotary_layers(self) -> list[bool]:
        n = self.num_hidden_layers
        return [bool(turn) for turn in per_layer(self.rope_layout or [1] * n, n, "rope_layout")]

    def variants(self) -> Sequence[int]:
        return [int(not turn) for turn in self.rotary_layers()]

    def sparse(self) -> Sequence[bool]:
        n = self.num_hidden_layers
        if self.moe_enable_secondary_experts or not all(per_layer(self.moe_layer_layout or [1] * n, n, "moe_layer_layout")):
            raise UnsupportedError(
                "moe_layer_layout or moe_enable_secondary_experts: archcalc knows primary experts in every layer alone"
            )
        return [True] * n

    def experts(self) -> MixtureOfExperts:
        return MixtureOfExperts(
            self.hidden_size, self.intermediate_size, self.moe_num_primary_experts, self.moe_num_active_primary_experts, self.hidden_act,
            router="primary_router", stored=("gate", "up", "down"),
        )  # fmt: skip

    def more(self) -> dict[str, Any]:
        return {"position": partly(rope_label(self.model_extra or {}), self.rotary_layers())}
