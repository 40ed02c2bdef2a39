"""MiniMax-M2 to M2.7: GQA in every layer, QK-norm over all heads of a layer, fine-grained experts with a correction bias.

Source: transformers 5.23, models/minimax_m2/modeling_minimax_m2.py and configuration_minimax_m2.py (defaults),
conversion_mapping.py ("minimax_m2"). Configs announce MTP modules (`use_mtp`, `num_mtp_modules`), published checkpoints hold none.
"""

from pydantic import AliasChoices, Field

from archcalc.arch._computes import Computes
from archcalc.arch._decoder import DecoderSchema, decoder
from archcalc.arch._schema import Fraction, Layers, Size, Tokens, rope_label
from archcalc.blocks._tensor import make_layer
from archcalc.blocks.attention import GroupedQueryAttention
from archcalc.blocks.experts import MixtureOfExperts
from archcalc.blocks.norm import rms_norm
from archcalc.model import Architecture, Moe


class Schema(DecoderSchema):
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
    num_local_experts: Size = Field(256, validation_alias=AliasChoices("num_experts", "num_local_experts"))

    def computes(self) -> Computes:
        return super().computes()._replace(joined=True, routing="normalized")

    def architecture(self, prefix: str) -> Architecture:
        h, n, routed, active = self.hidden_size, self.num_hidden_layers, self.num_local_experts, self.num_experts_per_tok
        experts = MixtureOfExperts(
            h, self.intermediate_size, routed, active, self.hidden_act,
            correction_bias="e_score_correction_bias", stored=("w1", "w3", "w2"),
        )  # fmt: skip
        attention = GroupedQueryAttention(h, self.num_attention_heads, self.kv_heads, self.head_size, qk_norm="full")
        layer = make_layer(attention, experts, (rms_norm("input_layernorm", h), rms_norm("post_attention_layernorm", h)))
        partial = self.partial_rotary_factor
        if partial is None and self.rotary_dim is not None:
            partial = self.rotary_dim / self.head_size
        facts = self.facts(
            position=rope_label(self.model_extra or {}, partial),
            moe=Moe(routed, active, 0, n, self.intermediate_size),
            more=(("QK-norm", "RMSNorm over all heads of a layer"),),
        )
        return decoder(
            [layer] * n, facts, computes=self.computes(), prefix=prefix, final_norm=[rms_norm("norm", h)],
            renames=((".mlp.", ".block_sparse_moe."),),
        )  # fmt: skip
