"""EXAONE 4: norms behind attention and FFN, QK-norm; three layers with a window, then one that sees all, without positions.

Source: transformers 5.23, models/exaone4/modeling_exaone4.py and configuration_exaone4.py (defaults, `layer_types`).
"""

from collections.abc import Sequence
from typing import ClassVar

from archcalc.arch._computes import Computes
from archcalc.arch._mtp import apart
from archcalc.arch._plain import WindowedSchema, sparse_layers
from archcalc.arch._schema import Count, Layers, Size, Tokens
from archcalc.blocks.experts import MixtureOfExperts
from archcalc.errors import ConfigError
from archcalc.model import Architecture


class Schema(WindowedSchema):
    whole_heads = False
    bare = True
    qk_norm = "head"
    norms: ClassVar[tuple[str, ...]] = ("post_attention_layernorm", "post_feedforward_layernorm")
    norm_label = "RMSNorm (post, inside the residual)"

    vocab_size: Size = 102400
    hidden_size: Size = 4096
    intermediate_size: Size = 16384
    num_hidden_layers: Layers = 32
    num_attention_heads: Size = 32
    num_key_value_heads: Size = 32
    max_position_embeddings: Tokens = 2048
    sliding_window: Tokens | None = 4096
    sliding_window_pattern: str | int | None = 4

    def period(self) -> int:
        if self.sliding_window is None or not isinstance(self.sliding_window_pattern, int) or self.sliding_window_pattern < 1:
            raise ConfigError(
                "layer_types is missing, and sliding_window_pattern with sliding_window does not say which layers see all",
                "give layer_types, as published configs do",
                "layer_types",
            )
        return self.sliding_window_pattern

    def rotary_layers(self) -> list[bool]:
        return [True] * self.num_hidden_layers if self.sliding_window is None else super().rotary_layers()


class ExaoneMoe(Schema):
    """K-EXAONE: EXAONE 4's attention with norms before each block, leading dense layers, routed and shared experts, MTP.
    Source: transformers 5.23, models/exaone_moe/modeling_exaone_moe.py and configuration_exaone_moe.py (defaults,
    `layer_types`, `mlp_layer_types`); the MTP layer, a dense one, as vLLM 0.33, models/exaone_moe_mtp.py reads it."""

    norms = ("input_layernorm", "post_attention_layernorm")
    norm_label = "RMSNorm (pre)"

    mlp_layer_types: list[str] | None = None
    first_k_dense_replace: Count = 1
    moe_intermediate_size: Size = 1024
    num_experts: Size = 64
    num_experts_per_tok: Size = 8
    num_shared_experts: Count = 1
    num_nextn_predict_layers: Count = 0

    def computes(self) -> Computes:
        return super().computes()._replace(routing="grouped")

    def sparse(self) -> Sequence[bool]:
        if self.mlp_layer_types is None:
            return [i >= self.first_k_dense_replace for i in range(self.num_hidden_layers)]
        return sparse_layers(self.mlp_layer_types, self.num_hidden_layers)

    def experts(self) -> MixtureOfExperts:
        width, shared = self.moe_intermediate_size, self.num_shared_experts
        return MixtureOfExperts(
            self.hidden_size, width, self.num_experts, self.num_experts_per_tok, self.hidden_act, shared, shared * width,
            correction_bias="gate.e_score_correction_bias",
        )  # fmt: skip

    def architecture(self, prefix: str) -> Architecture:
        a = super().architecture(prefix)
        mtp = [self.layer(None, False, 0)] * self.num_nextn_predict_layers
        stacks, groups = apart(mtp, self.hidden_size)
        return a._replace(stacks=(*a.stacks, *stacks), groups=(*a.groups, *groups))
