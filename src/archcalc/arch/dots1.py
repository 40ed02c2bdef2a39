"""dots.llm1: MHA with QK-norm, leading dense layers, routed and shared experts with a correction bias, windows on the last layers.

Source: transformers 5.23, models/dots1/modeling_dots1.py and configuration_dots1.py (defaults, `layer_types`).
"""

from collections.abc import Sequence

from archcalc.arch._alternating import FULL, SLIDING
from archcalc.arch._computes import Computes
from archcalc.arch._plain import WindowedSchema, named
from archcalc.arch._schema import Count, Flag, Layers, Size, Tokens
from archcalc.blocks.experts import MixtureOfExperts
from archcalc.errors import ConfigError


class Schema(WindowedSchema):
    inert_keys = ("moe_layer_freq",)
    whole_heads = False
    qk_norm = "head"

    vocab_size: Size = 152064
    hidden_size: Size = 4608
    intermediate_size: Size = 10944
    moe_intermediate_size: Size = 1408
    num_hidden_layers: Layers = 62
    num_attention_heads: Size = 32
    num_key_value_heads: Size | None = 32
    n_shared_experts: Count | None = None
    n_routed_experts: Size | None = named(None, "num_local_experts", "n_routed_experts")
    num_experts_per_tok: Size | None = None
    first_k_dense_replace: Count = 0
    max_position_embeddings: Tokens = 2048
    attention_bias: Flag = False
    sliding_window: Tokens | None = 4096
    max_window_layers: Count = 62

    def computes(self) -> Computes:
        return super().computes()._replace(routing="grouped")

    def kinds(self) -> list[str]:
        last = self.num_hidden_layers if self.sliding_window is None else self.max_window_layers
        return self.layer_types or [SLIDING if i >= last else FULL for i in range(self.num_hidden_layers)]

    def biases(self) -> tuple[bool, bool]:
        return self.attention_bias, self.attention_bias

    def sparse(self) -> Sequence[bool]:
        return [i >= self.first_k_dense_replace for i in range(self.num_hidden_layers)]

    def experts(self) -> MixtureOfExperts:
        routed, active, shared, width = (
            self.n_routed_experts, self.num_experts_per_tok, self.n_shared_experts, self.moe_intermediate_size,
        )  # fmt: skip
        if routed is None or active is None or shared is None:
            raise ConfigError(
                "n_routed_experts, num_experts_per_tok or n_shared_experts is missing, and layers hold experts",
                "give all three",
                "n_routed_experts",
            )
        return MixtureOfExperts(
            self.hidden_size, width, routed, active, self.hidden_act, shared, shared * width,
            correction_bias="gate.e_score_correction_bias",
        )  # fmt: skip
