"""Solar Open: routed and shared experts in every layer, a router with a correction bias.

Source: transformers 5.23, models/solar_open/modeling_solar_open.py and configuration_solar_open.py (defaults).
"""

from collections.abc import Sequence

from archcalc.arch._computes import Computes
from archcalc.arch._plain import Derived, PlainSchema, named
from archcalc.arch._schema import Count, Flag, Layers, Size, Tokens
from archcalc.blocks.experts import MixtureOfExperts


class Schema(PlainSchema):
    inert_keys = ("first_k_dense_replace", "use_qk_norm")

    vocab_size: Size = 196608
    hidden_size: Size = 4096
    intermediate_size: Derived = 0  # of dense layers, of which there are none
    num_hidden_layers: Layers = 48
    num_attention_heads: Size = 64
    num_key_value_heads: Size = 8
    head_dim: Size = 128
    max_position_embeddings: Tokens = 131072
    attention_bias: Flag = False
    moe_intermediate_size: Size = 1280
    num_experts_per_tok: Size = 8
    n_shared_experts: Count = 1
    n_routed_experts: Size = named(128, "num_local_experts", "n_routed_experts")

    def computes(self) -> Computes:
        return super().computes()._replace(routing="grouped")

    @property
    def ffn_size(self) -> int:
        return self.moe_intermediate_size

    def biases(self) -> tuple[bool, bool]:
        return self.attention_bias, False

    def sparse(self) -> Sequence[bool]:
        return [True] * self.num_hidden_layers

    def experts(self) -> MixtureOfExperts:
        width, shared = self.moe_intermediate_size, self.n_shared_experts
        return MixtureOfExperts(
            self.hidden_size, width, self.n_routed_experts, self.num_experts_per_tok, self.hidden_act, shared, shared * width,
            correction_bias="gate.e_score_correction_bias",
        )  # fmt: skip
