"""Jamba: Mamba layers with one of attention in eight, experts in every second.

Source: transformers 5.23, models/jamba/modeling_jamba.py and configuration_jamba.py (defaults, periods and offsets).
"""

from math import ceil
from typing import Literal

from pydantic import AliasChoices, Field

from archcalc.arch._alternating import FULL, LINEAR, hybrid_label
from archcalc.arch._decoder import DecoderSchema, decoder
from archcalc.arch._schema import Count, Flag, Layers, Size, Tokens
from archcalc.blocks._tensor import Block, make_layer
from archcalc.blocks.attention import GroupedQueryAttention, head_sharing
from archcalc.blocks.experts import MixtureOfExperts
from archcalc.blocks.feedforward import GatedFeedForward
from archcalc.blocks.mamba import Mamba
from archcalc.blocks.norm import rms_norm
from archcalc.errors import ConfigError
from archcalc.model import NOPE, Architecture, Layer, Moe


class Schema(DecoderSchema):
    whole_heads = False
    inert_keys = (
        "calc_logits_for_entire_prompt", "mamba_inner_layernorms", "num_logits_to_keep", "use_associative_scan", "use_mambapy",
    )  # fmt: skip

    vocab_size: Size = 65536
    hidden_size: Size = 4096
    intermediate_size: Size = 14336
    num_hidden_layers: Layers = 32
    num_attention_heads: Size = 32
    num_key_value_heads: Size | None = 8
    max_position_embeddings: Tokens = 262144
    num_experts_per_tok: Size = 2
    num_experts: Size = Field(16, validation_alias=AliasChoices("num_local_experts", "num_experts"))
    expert_layer_period: Size = 2
    expert_layer_offset: Count = 1
    attn_layer_period: Size = 8
    attn_layer_offset: Count = 4
    mamba_d_state: Size = 16
    mamba_d_conv: Size = 4
    mamba_expand: Size = 2
    mamba_dt_rank: Size | Literal["auto"] = "auto"
    mamba_conv_bias: Flag = True
    mamba_proj_bias: Flag = False

    def mamba(self) -> Mamba:
        h, rank = self.hidden_size, self.mamba_dt_rank
        return Mamba(
            h, self.mamba_expand * h, self.mamba_d_state, ceil(h / 16) if rank == "auto" else rank, self.mamba_d_conv,
            self.mamba_proj_bias, self.mamba_conv_bias, norms=True,
        )  # fmt: skip

    def layer(self, kind: str, sparse: bool) -> Layer:
        h, width = self.hidden_size, self.intermediate_size
        ffn: Block = GatedFeedForward(h, width, self.hidden_act)
        if sparse:
            ffn = MixtureOfExperts(h, width, self.num_experts, self.num_experts_per_tok, self.hidden_act, router="router")
        norms = (rms_norm("input_layernorm", h), rms_norm("pre_ff_layernorm", h))
        if kind == LINEAR:
            return make_layer(self.mamba(), ffn, norms, mixer_name="mamba", ffn_name="feed_forward")
        attention = GroupedQueryAttention(h, self.num_attention_heads, self.kv_heads, self.head_size, rope=False)
        return make_layer(attention, ffn, norms, ffn_name="feed_forward")

    def architecture(self, prefix: str) -> Architecture:
        n = self.num_hidden_layers
        for what in ("attn", "expert"):
            period, offset = getattr(self, f"{what}_layer_period"), getattr(self, f"{what}_layer_offset")
            if offset >= period:
                key = f"{what}_layer_offset"
                raise ConfigError(f"{key} is {offset}: it must be smaller than {what}_layer_period ({period})", "correct one", key)
        kinds = [FULL if i % self.attn_layer_period == self.attn_layer_offset else LINEAR for i in range(n)]
        sparse = [self.num_experts > 1 and i % self.expert_layer_period == self.expert_layer_offset for i in range(n)]
        pairs = list(zip(kinds, sparse, strict=True))
        built = {pair: self.layer(*pair) for pair in set(pairs)}
        mamba = self.mamba()
        facts = self.facts(
            attention=hybrid_label(kinds, "Mamba", head_sharing(self.num_attention_heads, self.kv_heads)),
            position=NOPE,
            moe=Moe(self.num_experts, self.num_experts_per_tok, 0, sum(sparse), self.intermediate_size) if any(sparse) else None,
            more=(("Mamba state", f"{mamba.inner} channels x {mamba.state}"), ("convolution", f"{mamba.kernel} tokens")),
        )
        norm = [rms_norm("final_layernorm", self.hidden_size)]
        return decoder([built[pair] for pair in pairs], facts, computes=self.computes(), prefix=prefix, final_norm=norm)
