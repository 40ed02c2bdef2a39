"""The keys that both generations of Inkling share, and the mixture whose shared experts stand in the router.

Source: transformers 5.23, models/inkling/modeling_inkling.py and configuration_inkling.py (`InklingTextConfig`).
"""

from collections.abc import Iterator
from typing import ClassVar

from pydantic import AliasChoices, Field

from archcalc.arch._alternating import HYBRID, mixed_label
from archcalc.arch._decoder import DecoderSchema
from archcalc.arch._schema import Size, Tokens, divided, per_layer
from archcalc.blocks.attention import head_sharing
from archcalc.blocks.experts import MixtureOfExperts
from archcalc.blocks.relative import RelativeAttention
from archcalc.errors import UnsupportedError
from archcalc.model import Facts, Moe, Position, Shard, Step, Tensor
from archcalc.records import Frozen

HYBRID_SLIDING = "hybrid_sliding"
# What both generations' checkpoints call a layer's parts.
RENAMES = (
    ("lm_head.", "model.llm.unembed."),
    ("model.mtp.", "model.mtp."),
    ("model.embed_tokens.embed_norm.", "model.llm.embed_norm."),
    ("model.embed_tokens.", "model.llm.embed."),
    ("model.", "model.llm."),
    (".self_attn.q_proj.", ".attn.wq_du."),
    (".self_attn.k_proj.", ".attn.wk_dv."),
    (".self_attn.v_proj.", ".attn.wv_dv."),
    (".self_attn.r_proj.", ".attn.wr_du."),
    (".self_attn.o_proj.", ".attn.wo_ud."),
    (".self_attn.", ".attn."),
    (".experts.gate_up_proj", ".experts.w13_weight"),
    (".experts.down_proj", ".experts.w2_weight"),
    (".gate.e_score_correction_bias", ".gate.bias"),
    (".mlp.gate_proj.", ".mlp.w13_dn."),
    (".mlp.up_proj.", ".mlp.w13_dn."),
    (".mlp.down_proj.", ".mlp.w2_md."),
    (".input_layernorm.", ".attn_norm."),
    (".post_attention_layernorm.", ".mlp_norm."),
    *((f".{name}_sconv.conv1d.", f".{name}_sconv.") for name in ("k", "v", "attn", "mlp")),
)


class SinkExperts(Frozen):
    """Experts among which the router weighs the shared ones too, with a learned scale."""

    moe: MixtureOfExperts

    def tensors(self) -> Iterator[Tensor]:
        h, i, shared = self.moe.hidden, self.moe.intermediate, self.moe.shared
        for t in self.moe.tensors():
            yield t._replace(shape=(self.moe.experts + shared, h)) if t.name == "gate.weight" else t
        yield Tensor("gate.global_scale", (1,), "router")
        for name, shape, axis in (("gate_proj", (i, h), 1), ("up_proj", (i, h), 1), ("down_proj", (h, i), 2)):
            yield Tensor(f"shared_experts.{name}", (shared, *shape), "shared_experts", Shard(axis, i))

    def steps(self) -> Iterator[Step]:
        return self.moe.steps()

    def width(self) -> int:
        return self.moe.width() + 3 * self.moe.shared * self.moe.intermediate

    def label(self) -> str:
        return self.moe.label()


class RelativeSchema(DecoderSchema):
    """Sliding and full layers with heads of their own and relative positions."""

    inert_keys: ClassVar[tuple[str, ...]] = (
        "base_config_key", "log_scaling_alpha", "log_scaling_n_floor", "route_scale", "unpadded_vocab_size",
    )  # fmt: skip
    clipped: ClassVar[bool] = False

    head_dim: Size = 128
    swa_num_attention_heads: Size
    swa_num_key_value_heads: Size
    swa_head_dim: Size = 128
    sliding_window_size: Tokens = Field(512, validation_alias=AliasChoices("sliding_window", "sliding_window_size"))
    max_position_embeddings: Tokens = Field(131072, validation_alias=AliasChoices("model_max_length", "max_position_embeddings"))
    d_rel: Size = 16
    rel_extent: Size = 1024
    conv_kernel_size: Size = Field(4, validation_alias=AliasChoices("sconv_kernel_size", "conv_kernel_size"))
    layer_types: list[str] | None = None
    moe_intermediate_size: Size = 3072
    n_routed_experts: Size = Field(256, validation_alias=AliasChoices("num_local_experts", "n_routed_experts"))
    num_experts_per_tok: Size = 6

    def known(self, default: list[str]) -> list[str]:
        kinds = list(per_layer(default if self.layer_types is None else self.layer_types, self.num_hidden_layers, "layer_types"))
        if unknown := set(kinds) - {HYBRID, HYBRID_SLIDING}:
            raise UnsupportedError(f'layer_types holds "{min(unknown)}": only {HYBRID} and {HYBRID_SLIDING} are known here')
        return kinds

    def attention(self, kind: str) -> RelativeAttention:
        h, kernel = self.hidden_size, self.conv_kernel_size
        if kind == HYBRID_SLIDING:
            heads, kv_heads, window = self.swa_num_attention_heads, self.swa_num_key_value_heads, self.sliding_window_size
            divided(heads, kv_heads, "swa_num_attention_heads", "swa_num_key_value_heads")
            return RelativeAttention(h, heads, kv_heads, self.swa_head_dim, self.d_rel, window, kernel, window, self.clipped)
        return RelativeAttention(
            h, self.num_attention_heads, self.kv_heads, self.head_dim, self.d_rel, self.rel_extent, kernel, None, self.clipped,
            self.clipped,
        )  # fmt: skip

    def relative_facts(self, kinds: list[str], moe: Moe | None) -> Facts:
        names = ["full_attention" if kind == HYBRID else "sliding_attention" for kind in kinds]
        return self.facts(
            attention=mixed_label(names, head_sharing(self.num_attention_heads, self.kv_heads)),
            position=Position("relative", f"relative logits ({self.rel_extent} tokens), from {self.d_rel} numbers a head"),
            sliding_window=self.sliding_window_size if HYBRID_SLIDING in kinds else None,
            tied_embeddings=False,
            moe=moe,
            more=(("short convolutions", f"{self.conv_kernel_size} tokens, on keys, values and the outputs of both blocks"),),
        )
