"""The text model of Inkling: five sliding layers to one full one, relative positions, short convolutions, experts.

Source: transformers 5.23, models/inkling/modeling_inkling.py and configuration_inkling.py (defaults, `layer_types`),
conversion_mapping.py ("inkling_mm_model"); the MTP layers, all dense (`mtp_layer_types`), by the names that vLLM's `InklingMTP` reads.
"""

from archcalc.arch._alternating import HYBRID, sparse_layers
from archcalc.arch._computes import Computes
from archcalc.arch._decoder import decoder
from archcalc.arch._inkling import HYBRID_SLIDING, RENAMES, RelativeSchema, SinkExperts
from archcalc.arch._schema import Count, Flag, Layers, Size
from archcalc.blocks._tensor import Block, linear, make_layer, prefixed
from archcalc.blocks.experts import MixtureOfExperts
from archcalc.blocks.feedforward import GatedFeedForward
from archcalc.blocks.linear import causal_conv
from archcalc.blocks.norm import rms_norm
from archcalc.model import Architecture, Group, Layer, Moe, Stack, Tensor, stack


class Schema(RelativeSchema):
    inert_keys = (
        *RelativeSchema.inert_keys, "logits_mup_width_multiplier", "mtp_hidden_states_first", "mtp_layer_types",
        "mtp_mlp_layer_types", "number_of_conv_states", "rms_norm_eps_moe_gate", "shared_expert_sink",
    )  # fmt: skip

    vocab_size: Size = 201024
    hidden_size: Size = 6144
    intermediate_size: Size = 24576
    num_hidden_layers: Layers = 66
    num_attention_heads: Size = 64
    num_key_value_heads: Size = 8
    swa_num_attention_heads: Size = 64
    swa_num_key_value_heads: Size = 16
    local_layer_ids: list[Count] | None = None
    n_shared_experts: Count = 2
    mlp_layer_types: list[str] | None = None
    dense_mlp_idx: Count = 0
    # Where it is stated, `intermediate_size` is the experts'.
    dense_intermediate_size: Size | None = None
    num_mtp_layers: Count | None = None
    mtp_local_layer_ids: list[Count] | None = None
    chain_hidden_post_norm: Flag = False

    def computes(self) -> Computes:
        return super().computes()._replace(routing="wide")

    def ffn(self, sparse: bool) -> Block:
        h, expert = self.hidden_size, self.moe_intermediate_size if self.dense_intermediate_size is None else self.intermediate_size
        if not sparse:
            return GatedFeedForward(h, self.dense_intermediate_size or self.intermediate_size, self.hidden_act)
        shared, act = self.n_shared_experts, self.hidden_act
        return SinkExperts(
            MixtureOfExperts(
                h, expert, self.n_routed_experts, self.num_experts_per_tok, act, shared, correction_bias="gate.e_score_correction_bias",
                stored=(),
            )
        )  # fmt: skip

    def layer(self, kind: str, sparse: bool) -> Layer:
        h, units = self.hidden_size, self.hidden_size
        others: list[Tensor] = [rms_norm("input_layernorm", h), rms_norm("post_attention_layernorm", h)]
        for name in ("attn_sconv", "mlp_sconv"):
            others += causal_conv(f"{name}.conv1d", h, self.conv_kernel_size, units=units)
        if not sparse:
            others.append(Tensor("mlp.global_scale", (1,), "mlp"))
        return make_layer(self.attention(kind), self.ffn(sparse), others)

    def mtp(self, prefix: str) -> tuple[list[Stack], list[Group]]:
        h, n, local = self.hidden_size, self.num_mtp_layers or 0, self.mtp_local_layer_ids or ()
        kinds = [HYBRID_SLIDING if i in local else HYBRID for i in range(n)]
        built = {}
        for kind in dict.fromkeys(kinds):
            layer = self.layer(kind, False)
            outside = (rms_norm("embed_norm", h), rms_norm("hidden_norm", h), *linear("input_proj", h, 2 * h, "other"))
            built[kind] = layer._replace(tensors=(*prefixed("transformer_block", layer.tensors), *outside))
        chain = [Group("mtp", (rms_norm(f"{prefix}.mtp.chain_norm", h),))] if n and self.chain_hidden_post_norm else []
        return [stack(f"{prefix}.mtp.layers", "mtp", [built[kind] for kind in kinds])] if n else [], chain

    def architecture(self, prefix: str) -> Architecture:
        n, local = self.num_hidden_layers, self.local_layer_ids
        sliding = [(i + 1) % 6 > 0 if local is None else i in local for i in range(n)]
        kinds = self.known([HYBRID_SLIDING if slides else HYBRID for slides in sliding])
        sparse = sparse_layers(self.mlp_layer_types, [i >= self.dense_mlp_idx for i in range(n)])
        order = list(zip(kinds, sparse, strict=True))
        built = {what: self.layer(*what) for what in dict.fromkeys(order)}
        expert = self.moe_intermediate_size if self.dense_intermediate_size is None else self.intermediate_size
        moe = (
            Moe(self.n_routed_experts, self.num_experts_per_tok, self.n_shared_experts, sum(sparse), expert)
            if any(sparse)
            else None
        )
        embed_norm, (mtp, mtp_groups) = [rms_norm("embed_tokens.embed_norm", self.hidden_size)], self.mtp(prefix)
        facts = self.relative_facts(kinds, moe)
        facts = facts._replace(more=(("QK-norm", "RMSNorm per head"), *facts.more))
        return decoder(
            [built[what] for what in order], facts, computes=self.computes(), prefix=prefix,
            final_norm=[rms_norm("norm", self.hidden_size)], extra_embedding=embed_norm, renames=RENAMES,
            mtp=mtp, mtp_groups=mtp_groups,
        )  # fmt: skip
