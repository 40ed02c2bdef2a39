"""Ling and Ring 1, 1.5 and 2: GQA with one fused projection, leading dense layers, fine-grained experts beside shared ones, MTP.

Source: inclusionAI/Ling-lite, modeling_bailing_moe.py and inclusionAI/Ling-mini-2.0, modeling_bailing_moe_v2.py (names, QK-norm,
`BailingMoeV2MTPLayer`); vLLM 0.33, models/bailing_moe.py and models/bailing_moe_mtp.py.
"""

from collections.abc import Sequence
from typing import Any, ClassVar

from archcalc.arch._both_ways import IN_BLOCKS
from archcalc.arch._mtp import behind_decoder
from archcalc.arch._plain import PlainSchema, named
from archcalc.arch._schema import Count, Flag, Fraction, Size, rope_label
from archcalc.blocks._tensor import Block, Mixer, make_layer
from archcalc.blocks.experts import MixtureOfExperts
from archcalc.blocks.feedforward import GatedFeedForward
from archcalc.model import Architecture, Layer, Tensor


class Schema(PlainSchema):
    core_keys: ClassVar[tuple[str, ...]] = (*PlainSchema.core_keys, "num_experts", "num_experts_per_tok", "moe_intermediate_size")
    inert_keys: ClassVar[tuple[str, ...]] = (
        "norm_head", "norm_softmax", "multi_gate", "score_function", "router_dtype", "use_rmsnorm",
        "moe_router_topk_scaling_factor", "max_window_layers", "use_sliding_window", "rotary_dim",
        "moe_router_enable_routed_scaling", "moe_router_enable_shared_expert", "using_split_qkv_in_self_attention",
    )  # fmt: skip
    mixer_name = "attention"

    use_bias: Flag = False
    use_qkv_bias: Flag = False
    use_qk_norm: Flag = False
    partial_rotary_factor: Fraction = 1.0
    # The first configs have the names of DeepSeek's.
    num_experts: Size = named(0, "num_experts", "n_routed_experts")
    num_experts_per_tok: Size
    num_shared_experts: Count = named(0, "num_shared_experts", "n_shared_experts")
    moe_intermediate_size: Size
    moe_shared_expert_intermediate_size: Size | None = None
    moe_router_enable_expert_bias: Flag = False
    first_k_dense_replace: Count = 0
    num_nextn_predict_layers: Count = 0

    def attention(self, window: int | None, variant: int) -> Mixer:
        return self.gqa(
            bias=self.use_bias or self.use_qkv_bias, output_bias=self.use_bias, qk_norm="head" if self.use_qk_norm else "none",
            fused="query_key_value", names=("", "", "", "dense"), norm_names=("query_layernorm", "key_layernorm"),
        )  # fmt: skip

    def dense(self) -> Block:
        return GatedFeedForward(self.hidden_size, self.intermediate_size, self.hidden_act, self.use_bias)

    def experts(self) -> MixtureOfExperts:
        shared, width = self.num_shared_experts, self.moe_shared_expert_intermediate_size or self.moe_intermediate_size
        return MixtureOfExperts(
            self.hidden_size, self.moe_intermediate_size, self.num_experts, self.num_experts_per_tok, self.hidden_act, shared,
            shared * width, shared_bias=self.use_bias, correction_bias="gate.expert_bias" if self.moe_router_enable_expert_bias else "",
        )  # fmt: skip

    def sparse(self) -> Sequence[bool]:
        return [i >= self.first_k_dense_replace for i in range(self.num_hidden_layers)]

    def more(self) -> dict[str, Any]:
        return {"position": rope_label(self.model_extra or {}, self.partial_rotary_factor)}

    def decoder_options(self) -> dict[str, Any]:
        return {"embed": "word_embeddings"}

    def predicting(self, extra: tuple[Tensor, ...]) -> Layer:
        norms = [t for name in self.norm_names() for t in self.norm(name)]
        return make_layer(self.attention(None, 0), self.experts(), norms, mixer_name=self.mixer_name, extra=extra)

    def architecture(self, prefix: str) -> Architecture:
        a = super().architecture(prefix)
        mtp = behind_decoder(
            self.predicting, self.num_nextn_predict_layers, prefix=prefix, start=self.num_hidden_layers, hidden=self.hidden_size,
            vocab=self.vocab_size, copies=False, norm="final_layernorm",
        )  # fmt: skip
        return a._replace(stacks=(*a.stacks, *mtp))


class Param2moe(Schema):
    """Param 2: Ling 2's structure: GQA with QK-norm, leading dense layers, fine-grained experts beside shared ones.
    Source: vLLM 0.33, models/param2moe.py (names are those that it maps from)."""

    num_shared_experts: Count = 1
    moe_router_enable_expert_bias: Flag = True
    first_k_dense_replace: Count = 1


class Llada2Moe(Schema):
    """LLaDA 2: Ling 2's layers, which see both ways inside a block of tokens and fill it over several passes.
    Source: inclusionAI/LLaDA2.0-mini, modeling_llada2_moe.py (the layers of BailingMoeV2); SGLang 0.5, srt/models/llada2.py and
    srt/dllm/ (keys and values of finished blocks are cached)."""

    inert_keys = (*Schema.inert_keys, "block_size")

    def architecture(self, prefix: str) -> Architecture:
        a = super().architecture(prefix)
        return a._replace(notes=(*a.notes, IN_BLOCKS))
