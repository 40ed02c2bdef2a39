"""LFM2: gated short convolutions, with attention in the layers that `layer_types` names.

Source: transformers 5.23, models/lfm2/modeling_lfm2.py and configuration_lfm2.py (defaults; the FFN's width is adjusted).
"""

from pydantic import AliasChoices, Field

from archcalc.arch._alternating import FULL, LINEAR, hybrid_label, known_kinds
from archcalc.arch._decoder import DecoderSchema, decoder
from archcalc.arch._heads import unrooted
from archcalc.arch._schema import Count, Flag, Layers, Size, Tokens, per_layer
from archcalc.blocks._tensor import Block, make_layer
from archcalc.blocks.attention import GroupedQueryAttention, head_sharing
from archcalc.blocks.feedforward import GatedFeedForward
from archcalc.blocks.norm import rms_norm
from archcalc.blocks.recurrent import ShortConvolution
from archcalc.model import Architecture, Layer, both_ways

CONV = "conv"


class Schema(DecoderSchema):
    whole_heads = False
    # Published configs repeat widths and counts under the names of the first implementation, which is not read any more.
    inert_keys = ("block_dim", "block_use_swiglu", "conv_dim", "conv_dim_out", "num_heads", "theta", "use_pos_enc")

    vocab_size: Size = 65536
    hidden_size: Size = 2560
    intermediate_size: Size = Field(12288, validation_alias=AliasChoices("block_ff_dim", "intermediate_size"))
    num_hidden_layers: Layers = 32
    num_attention_heads: Size = 32
    num_key_value_heads: Size = 8
    max_position_embeddings: Tokens = 128000
    tie_word_embeddings: Flag = Field(True, validation_alias=AliasChoices("tie_embedding", "tie_word_embeddings"))
    conv_bias: Flag = False
    conv_tokens: Size = Field(3, validation_alias="conv_L_cache")
    block_multiple_of: Size = 256
    block_ffn_dim_multiplier: float | None = 1.0
    block_auto_adjust_ff_dim: Flag = True
    full_attn_idxs: list[Count] | None = None
    layer_types: list[str] | None = None

    def kinds(self) -> list[str]:
        n, full = self.num_hidden_layers, self.full_attn_idxs
        if self.layer_types is not None:
            return known_kinds(per_layer(self.layer_types, n, "layer_types"), "layer_types", CONV, FULL)
        return [FULL if full is None or i in full else CONV for i in range(n)]

    def ffn_width(self) -> int:
        width, multiple = self.intermediate_size, self.block_multiple_of
        if not self.block_auto_adjust_ff_dim:
            return width
        width = int(2 * width / 3)
        if self.block_ffn_dim_multiplier is None:
            return width
        width = int(self.block_ffn_dim_multiplier * width)
        return multiple * ((width + multiple - 1) // multiple)

    def attention(self, kind: str) -> GroupedQueryAttention:
        return GroupedQueryAttention(
            self.hidden_size, self.num_attention_heads, self.kv_heads, self.head_size, qk_norm="head",
            names=("q_proj", "k_proj", "v_proj", "out_proj"), norm_names=("q_layernorm", "k_layernorm"),
        )  # fmt: skip

    def norms(self) -> tuple[str, ...]:
        return "operator_norm", "ffn_norm"

    def layer(self, kind: str, ffn: Block | None = None) -> Layer:
        h = self.hidden_size
        ffn = ffn or GatedFeedForward(h, self.ffn_width(), self.hidden_act, names=("w1", "w3", "w2"))
        norms = [rms_norm(name, h) for name in self.norms()]
        if kind != CONV:
            return make_layer(self.attention(kind), ffn, norms, ffn_name="feed_forward")
        conv = ShortConvolution(h, self.conv_tokens, self.conv_bias)
        return make_layer(conv, ffn, norms, mixer_name="conv", ffn_name="feed_forward")

    def architecture(self, prefix: str) -> Architecture:
        kinds = self.kinds()
        built = {kind: self.layer(kind) for kind in set(kinds)}
        names = [LINEAR if kind == CONV else kind for kind in kinds]
        facts = self.facts(
            attention=hybrid_label(names, "short convolution", head_sharing(self.num_attention_heads, self.kv_heads)),
            intermediate_size=self.ffn_width(),
            norm="RMSNorm (pre)" if len(self.norms()) == 2 else "RMSNorm (pre + post)",
            more=(("QK-norm", "RMSNorm per head"), ("convolution", f"{self.conv_tokens} tokens")),
        )
        norm = [rms_norm("embedding_norm", self.hidden_size)]
        return decoder([built[kind] for kind in kinds], facts, computes=self.computes(), prefix=prefix, final_norm=norm)


class Lfm2Bidirec(Schema):
    """LFM2 that sees both ways, as an embedding model: it has no head and caches nothing.
    Source: vLLM 0.33, models/lfm2.py (`Lfm2BidirectionalModel`, `Lfm2BidirectionalShortConv`)."""

    own_heads = True

    def architecture(self, prefix: str) -> Architecture:
        a = super().architecture(prefix)
        stacks = tuple(s._replace(kinds=tuple(both_ways(layer)._replace(caches=()) for layer in s.kinds)) for s in a.stacks)
        facts = a.facts._replace(attention=f"{a.facts.attention}, bidirectional", tied_embeddings=False)
        groups = tuple(g for g in a.groups if g.part != "head")
        return unrooted(a._replace(groups=groups, stacks=stacks, facts=facts))
