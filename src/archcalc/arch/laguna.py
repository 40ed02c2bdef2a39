"""Laguna: gated attention with more heads where it slides, fine-grained experts beside a shared one.

Source: transformers 5.23, models/laguna/modeling_laguna.py and configuration_laguna.py (defaults), conversion_mapping.py ("laguna").
"""

from archcalc.arch._alternating import sparse_layers
from archcalc.arch._computes import Computes
from archcalc.arch._decoder import decoder
from archcalc.arch._gated import GatedSchema
from archcalc.arch._schema import Count, Layers, Size, Tokens, per_layer, rope_label
from archcalc.blocks._tensor import Block
from archcalc.blocks.experts import MixtureOfExperts
from archcalc.blocks.feedforward import GatedFeedForward
from archcalc.blocks.norm import rms_norm
from archcalc.errors import UnsupportedError
from archcalc.model import Architecture

_ROPE = {"full_attention": {"partial_rotary_factor": 0.5}, "sliding_attention": {"partial_rotary_factor": 1.0}}
RENAMES = (
    (".gate.e_score_correction_bias", ".experts.e_score_correction_bias"),
    (".shared_experts.", ".shared_expert."),
)


class Schema(GatedSchema):
    # `gating_types` repeats `gating`, `mlp_only_layers` the dense ones of `mlp_layer_types`.
    inert_keys = (
        "decoder_sparse_step", "gating_types", "mlp_only_layers", "moe_router_logit_softcapping", "moe_routed_scaling_factor",
        "use_bidirectional_attention",
    )  # fmt: skip

    vocab_size: Size = 100352
    hidden_size: Size = 2048
    intermediate_size: Size = 8192
    num_hidden_layers: Layers = 40
    num_attention_heads: Size = 48
    num_key_value_heads: Size = 8
    max_position_embeddings: Tokens = 131072
    sliding_window: Size | None = 512
    shared_expert_intermediate_size: Count = 512
    num_experts: Size = 256
    num_attention_heads_per_layer: list[Size] | None = None
    moe_apply_router_weight_on_input: bool = False

    def computes(self) -> Computes:
        return super().computes()._replace(joined=True, routing="normalized")

    def sparse(self) -> list[bool]:
        return sparse_layers(self.mlp_layer_types, [i > 0 for i in range(self.num_hidden_layers)])

    def heads(self) -> list[int]:
        n, key = self.num_hidden_layers, "num_attention_heads_per_layer"
        given = self.num_attention_heads_per_layer
        return [self.num_attention_heads] * n if given is None else list(per_layer(given, n, key))

    def dense(self) -> Block:
        return GatedFeedForward(self.hidden_size, self.intermediate_size, self.hidden_act)

    def experts(self) -> MixtureOfExperts:
        # The reference implementation holds the correction bias as a parameter that is not trained by gradients.
        return MixtureOfExperts(
            self.hidden_size, self.moe_intermediate_size, self.num_experts, self.num_experts_per_tok, self.hidden_act, 1,
            self.shared_expert_intermediate_size, correction_bias="gate.e_score_correction_bias", correction_kind="param",
        )  # fmt: skip

    def architecture(self, prefix: str) -> Architecture:
        if self.moe_apply_router_weight_on_input:
            raise UnsupportedError("moe_apply_router_weight_on_input is true: the reference implementation has no such router")
        layers = self.layers()
        facts = self.gated_facts(rope_label({"rope_parameters": _ROPE, **(self.model_extra or {})}))
        norm = [rms_norm("norm", self.hidden_size)]
        return decoder(layers, facts, computes=self.computes(), prefix=prefix, final_norm=norm, renames=RENAMES)
