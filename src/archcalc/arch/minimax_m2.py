"""MiniMax-M2 to M2.7: GQA in every layer, QK-norm over all heads of a layer, fine-grained experts with a correction bias.

Source: transformers 5.23, models/minimax_m2/modeling_minimax_m2.py and configuration_minimax_m2.py (defaults),
conversion_mapping.py ("minimax_m2"). Configs announce MTP modules (`use_mtp`, `num_mtp_modules`), published checkpoints hold none.
"""

from collections.abc import Sequence
from typing import Any

from archcalc.arch._computes import Computes
from archcalc.arch._plain import PlainSchema, named
from archcalc.arch._schema import Fraction, Layers, Size, Tokens, rope_label
from archcalc.blocks.experts import MixtureOfExperts


class Schema(PlainSchema):
    qk_norm = "full"
    inert_keys = (
        "attn_type_list", "layernorm_full_attention_beta", "layernorm_linear_attention_beta", "layernorm_mlp_beta",
        "mlp_intermediate_size", "mtp_transformer_layers", "num_mtp_modules", "qk_norm_type", "shared_intermediate_size",
        "shared_moe_mode", "sliding_window", "use_qk_norm", "use_routing_bias",
    )  # fmt: skip

    vocab_size: Size = 200064
    hidden_size: Size = 3072
    intermediate_size: Size = 1536
    num_hidden_layers: Layers = 62
    num_attention_heads: Size = 48
    num_key_value_heads: Size | None = 8
    head_dim: Size | None = 128
    max_position_embeddings: Tokens = 196608
    rotary_dim: Size | None = None
    partial_rotary_factor: Fraction | None = None
    num_experts_per_tok: Size = 8
    num_local_experts: Size = named(256, "num_experts", "num_local_experts")

    def computes(self) -> Computes:
        return super().computes()._replace(joined=True, routing="normalized")

    def sparse(self) -> Sequence[bool]:
        return [True] * self.num_hidden_layers

    def experts(self) -> MixtureOfExperts:
        return MixtureOfExperts(
            self.hidden_size, self.intermediate_size, self.num_local_experts, self.num_experts_per_tok, self.hidden_act,
            correction_bias="e_score_correction_bias", stored=("w1", "w3", "w2"),
        )  # fmt: skip

    def normalized(self) -> tuple[tuple[str, str], ...]:
        return (("QK-norm", "RMSNorm over all heads of a layer"),)

    def more(self) -> dict[str, Any]:
        partial = self.partial_rotary_factor
        if partial is None and self.rotary_dim is not None:
            partial = self.rotary_dim / self.head_size
        return {"position": rope_label(self.model_extra or {}, partial)}

    def decoder_options(self) -> dict[str, Any]:
        return {"renames": ((".mlp.", ".block_sparse_moe."),)}
