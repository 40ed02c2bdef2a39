"""Hunyuan 3: grouped-query attention with QK-norm, one dense layer, fine-grained experts beside a shared one, MTP.

Source: transformers 5.23, models/hy_v3/modeling_hy_v3.py and configuration_hy_v3.py (defaults), conversion_mapping.py ("hy_v3");
vLLM 0.33, models/hy_v3_mtp.py.
"""

from pydantic import AliasChoices, Field

from archcalc.arch._alternating import sparse_layers
from archcalc.arch._computes import Computes
from archcalc.arch._decoder import DecoderSchema, decoder
from archcalc.arch._mtp import behind_decoder
from archcalc.arch._schema import Count, Flag, Layers, Size, Tokens
from archcalc.blocks._tensor import Block, make_layer
from archcalc.blocks.attention import GroupedQueryAttention
from archcalc.blocks.experts import MixtureOfExperts
from archcalc.blocks.feedforward import GatedFeedForward
from archcalc.blocks.norm import rms_norm
from archcalc.model import Architecture, Layer, Moe, Tensor

RENAMES = (
    (".mlp.gate.", ".mlp.router.gate."),
    (".mlp.e_score_correction_bias", ".mlp.expert_bias"),
    (".mlp.shared_experts.", ".mlp.shared_mlp."),
)


class Schema(DecoderSchema):
    inert_keys = (
        "enable_moe_fp32_combine", "enable_attention_fp32_softmax", "enable_lm_head_fp32", "first_k_dense_replace", "qk_norm",
        "route_norm", "router_scaling_factor", "moe_router_enable_expert_bias", "moe_router_use_sigmoid", "use_grouped_mm",
        "expert_hidden_dim",
    )  # fmt: skip

    vocab_size: Size = 120832
    hidden_size: Size = 4096
    intermediate_size: Size = 13312
    num_hidden_layers: Layers = 80
    num_attention_heads: Size = 64
    num_key_value_heads: Size = 8
    head_dim: Size = 128
    max_position_embeddings: Tokens = 131072
    attention_bias: Flag = False
    mlp_bias: Flag = False
    num_experts: Size = Field(192, validation_alias=AliasChoices("num_local_experts", "num_experts"))
    num_experts_per_tok: Size = 8
    num_shared_experts: Count = 1
    moe_intermediate_size: Size = 1536
    mlp_layer_types: list[str] | None = None
    num_nextn_predict_layers: Count = 0

    def computes(self) -> Computes:
        return super().computes()._replace(routing="wide")

    def layer(self, sparse: bool, extra: tuple[Tensor, ...] = ()) -> Layer:
        h, bias, width = self.hidden_size, self.attention_bias, self.moe_intermediate_size
        attention = GroupedQueryAttention(h, self.num_attention_heads, self.kv_heads, self.head_dim, bias, bias, qk_norm="head")
        ffn: Block = GatedFeedForward(h, self.intermediate_size, self.hidden_act, self.mlp_bias)
        if sparse:
            # Without shared experts, the reference implementation falls back on the dense width.
            shared = width * self.num_shared_experts or self.intermediate_size
            ffn = MixtureOfExperts(
                h, width, self.num_experts, self.num_experts_per_tok, self.hidden_act, max(self.num_shared_experts, 1), shared,
                shared_bias=self.mlp_bias, correction_bias="e_score_correction_bias",
            )  # fmt: skip
        return make_layer(attention, ffn, (rms_norm("input_layernorm", h), rms_norm("post_attention_layernorm", h)), extra=extra)

    def architecture(self, prefix: str) -> Architecture:
        n, h = self.num_hidden_layers, self.hidden_size
        kinds = sparse_layers(self.mlp_layer_types, [i > 0 for i in range(n)])
        built = {sparse: self.layer(sparse) for sparse in set(kinds)}
        moe = Moe(self.num_experts, self.num_experts_per_tok, self.num_shared_experts, sum(kinds), self.moe_intermediate_size)
        mtp = behind_decoder(
            lambda extra: self.layer(True, extra), self.num_nextn_predict_layers, prefix=prefix, start=n, hidden=h,
            vocab=self.vocab_size, copies=False, norm="final_layernorm",
        )  # fmt: skip
        facts = self.facts(moe=moe if moe.layers else None, more=(("QK-norm", "RMSNorm per head"),))
        layers, norm = [built[kind] for kind in kinds], [rms_norm("norm", h)]
        return decoder(layers, facts, computes=self.computes(), prefix=prefix, final_norm=norm, mtp=mtp, renames=RENAMES)
