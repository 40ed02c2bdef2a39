"""Command A and Command R7B: three layers with a window and rotary positions, then one that sees all and has no positions.

Source: transformers 5.23, models/cohere2/modeling_cohere2.py and configuration_cohere2.py (defaults, `layer_types`).
"""

from collections.abc import Sequence
from typing import Any, ClassVar

from archcalc.arch._alternating import FULL, SLIDING
from archcalc.arch._cohere import CohereSchema
from archcalc.arch._computes import Computes
from archcalc.arch._plain import WindowedSchema, sparse_layers
from archcalc.arch._schema import Count, Size, Tokens
from archcalc.blocks._tensor import Block
from archcalc.blocks.experts import MixtureOfExperts
from archcalc.blocks.feedforward import GatedFeedForward


class Schema(CohereSchema, WindowedSchema):
    inert_keys: ClassVar[tuple[str, ...]] = (
        "layer_switch", "order_of_interleaved_layers", "position_embedding_type", "rotary_pct", "use_embedding_sharing",
        "use_gated_activation", "use_parallel_block", "use_parallel_embedding", "use_qk_norm",
    )  # fmt: skip
    bare = True

    sliding_window: Tokens | None = 4096
    sliding_window_pattern: Size = 4

    def period(self) -> int:
        return self.sliding_window_pattern


class CohereCompassText(Schema):
    """The text model of Cohere Compass: Cohere 2's layers, all of which see everything unless `layer_types` says otherwise.
    Source: transformers 5.23, models/cohere_compass/modeling_cohere_compass.py and configuration_cohere_compass.py (defaults).
    """

    inert_keys = (*Schema.inert_keys, "pooling")
    bare = False

    def kinds(self) -> list[str]:
        return self.layer_types or [FULL] * self.num_hidden_layers


class Cohere2Moe(Schema):
    """Command A with experts: Cohere 2's layers, dense ones first, then routed experts of the FFN's own width.
    Source: transformers 5.23, models/cohere2_moe/modeling_cohere2_moe.py and configuration_cohere2_moe.py (defaults,
    `layer_types`, `mlp_layer_types`)."""

    inert_keys = (*Schema.inert_keys, "shared_expert_combination_strategy", "expert_selection_fn")

    head_dim: Size = 128
    num_experts_per_tok: Size = 2
    num_experts: Size = 8
    num_shared_experts: Count = 0
    first_k_dense_replace: Count = 0
    prefix_dense_sliding_window_pattern: Size = 1
    prefix_dense_intermediate_size: Size | None = None
    mlp_layer_types: list[str] | None = None
    rms_norm_eps: float | None = None

    def computes(self) -> Computes:
        return super().computes()._replace(norm="layer-fp32" if self.rms_norm_eps is None else "rms", routing="chosen")

    def kinds(self) -> list[str]:
        if self.layer_types is not None:
            return self.layer_types
        first, step, rest = self.first_k_dense_replace, self.prefix_dense_sliding_window_pattern, self.sliding_window_pattern
        periods = [(i, step) for i in range(first)] + [(i, rest) for i in range(self.num_hidden_layers - first)]
        return [SLIDING if (i + 1) % period else FULL for i, period in periods]

    def sparse(self) -> Sequence[bool]:
        if self.mlp_layer_types is None:
            return [i >= self.first_k_dense_replace for i in range(self.num_hidden_layers)]
        return sparse_layers(self.mlp_layer_types, self.num_hidden_layers)

    def rotary_layers(self) -> list[bool]:
        dense_too = self.prefix_dense_sliding_window_pattern == 1
        pairs = zip(self.windows(), self.sparse(), strict=True)
        return [window is not None or (dense_too and not sparse) for window, sparse in pairs]

    def dense(self) -> Block:
        return GatedFeedForward(self.hidden_size, self.prefix_dense_intermediate_size or self.intermediate_size, self.hidden_act)

    def experts(self) -> MixtureOfExperts:
        width, shared = self.intermediate_size, self.num_shared_experts
        return MixtureOfExperts(
            self.hidden_size, width, self.num_experts, self.num_experts_per_tok, self.hidden_act, shared, shared * width
        )

    def more(self) -> dict[str, Any]:
        kind = "LayerNorm" if self.rms_norm_eps is None else "RMSNorm"
        return {**super().more(), "norm": f"{kind} (pre, one for attention and FFN in parallel)"}
