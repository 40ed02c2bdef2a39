"""LongCat-Flash: two latent attentions and two dense FFNs in each layer, beside a mixture some of whose experts do nothing.

Source: transformers 5.23, models/longcat_flash/modeling_longcat_flash.py and configuration_longcat_flash.py (defaults); the MTP layer,
dense and with an embedding of its own, by the names that vLLM, models/longcat_flash_mtp.py reads.
"""

from typing import ClassVar

from pydantic import AliasChoices, Field

from archcalc.arch._computes import Computes
from archcalc.arch._decoder import decoder
from archcalc.arch._mla import LatentSchema
from archcalc.arch._schema import Count, Flag, Layers, Size, Tokens, divided
from archcalc.blocks._tensor import linear, make_layer
from archcalc.blocks.experts import MixtureOfExperts, ZeroExperts
from archcalc.blocks.feedforward import GatedFeedForward
from archcalc.blocks.norm import rms_norm
from archcalc.blocks.together import MixersTogether, Together
from archcalc.model import Architecture, Group, Moe, Shard, Stack, Tensor, stack


class Schema(LatentSchema):
    core_keys: ClassVar[tuple[str, ...]] = ("hidden_size", "num_attention_heads", "vocab_size", "kv_lora_rank")
    inert_keys = (
        *LatentSchema.inert_keys, "mla_scale_kv_lora", "mla_scale_q_lora", "attention_method", "zero_expert_type",
    )  # fmt: skip

    vocab_size: Size = 131072
    hidden_size: Size = 6144
    intermediate_size: Size = Field(12288, validation_alias=AliasChoices("intermediate_size", "ffn_hidden_size"))
    # Each layer has two attentions, which the other key counts.
    num_layers: Layers = 28
    num_hidden_layers: Layers | None = None  # type: ignore[assignment]
    num_attention_heads: Size = 64
    max_position_embeddings: Tokens = 131072
    qk_head_dim: Size | None = None
    moe_topk: Size = Field(12, validation_alias=AliasChoices("num_experts_per_tok", "moe_topk"))
    n_routed_experts: Size = Field(512, validation_alias=AliasChoices("num_local_experts", "n_routed_experts"))
    zero_expert_num: Count | None = 256
    router_bias: Flag = False
    moe_intermediate_size: Size = Field(2048, validation_alias=AliasChoices("moe_intermediate_size", "expert_ffn_hidden_size"))

    # Checkpoints hold one whether or not their config says so.
    num_nextn_predict_layers: Count = 1

    def computes(self) -> Computes:
        return super().computes()._replace(routing="wide")

    def mtp(self, prefix: str) -> tuple[list[Stack], list[Group]]:
        """Layers with one attention and one dense FFN each."""
        h, n, rows = self.hidden_size, self.num_nextn_predict_layers, self.vocab_size
        if not n:
            return [], []
        others = [rms_norm(name, h) for name in ("input_layernorm", "post_attention_layernorm", "enorm.m", "hnorm.m")]
        others += linear("eh_proj", h, 2 * h, "other")
        dense = GatedFeedForward(h, self.intermediate_size, self.hidden_act)
        layer = make_layer(self.attention(), dense, others, ffn_name="transformer_layer.mlp")
        outside = (
            Tensor(f"{prefix}.mtp.embed_tokens.weight", (rows, h), "embedding", Shard(0, rows)),
            rms_norm(f"{prefix}.mtp.norm", h),
        )
        return [stack(f"{prefix}.mtp.layers", "mtp", [layer] * n)], [Group("mtp", outside)]

    def architecture(self, prefix: str) -> Architecture:
        h, zero = self.hidden_size, self.zero_expert_num or 0
        n = self.num_layers if self.num_hidden_layers is None else divided(self.num_hidden_layers, 2, "num_hidden_layers", "two")
        dense = GatedFeedForward(h, self.intermediate_size, self.hidden_act)
        moe = MixtureOfExperts(
            h, self.moe_intermediate_size, self.n_routed_experts, self.moe_topk, self.hidden_act, router="router.classifier",
            router_bias=self.router_bias, correction_bias="router.e_score_correction_bias",
        )  # fmt: skip
        # A stated width of queries and keys is the projection's, even where its parts do not add up to it.
        latent = self.attention().replace(query_dim=self.qk_head_dim)
        ffn = Together((("mlp", ZeroExperts(moe, zero)), ("mlps.0", dense), ("mlps.1", dense)))
        norms = [rms_norm(f"{name}_layernorm.{i}", h) for name in ("input", "post_attention") for i in range(2)]
        mixers = MixersTogether((("self_attn.0", latent), ("self_attn.1", latent)))
        layer = make_layer(mixers, ffn, norms, mixer_name="", ffn_name="")
        facts = self.facts(
            attention="MLA",
            moe=Moe(self.n_routed_experts, self.moe_topk, 0, n, self.moe_intermediate_size),
            more=(*self.more(), ("zero experts", f"{zero} that pass their input on"), ("attentions", "two a layer")),
        )
        note = f"the total holds projections of {zero} experts that do nothing, as the reference implementation does; checkpoints do not"
        norm, notes, (mtp, mtp_groups) = [rms_norm("norm", h)], (note,) if zero else (), self.mtp(prefix)
        return decoder(
            [layer] * n,
            facts,
            computes=self.computes(),
            prefix=prefix,
            final_norm=norm,
            notes=notes,
            mtp=mtp,
            mtp_groups=mtp_groups,
        )
