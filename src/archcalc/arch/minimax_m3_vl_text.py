"""The text model of MiniMax-M3: grouped-query attention to the blocks of tokens that small heads choose, experts beside a shared FFN.

Source: transformers 5.23, models/minimax_m3_vl/modeling_minimax_m3_vl.py and configuration_minimax_m3_vl.py (defaults, `layer_types`),
conversion_mapping.py ("minimax_m3_vl").
"""

from __future__ import annotations

from typing import Any, ClassVar

from pydantic import AliasChoices, Field

from archcalc.arch._alternating import FULL, known_kinds, sparse_layers
from archcalc.arch._decoder import DecoderSchema, decoder
from archcalc.arch._schema import Count, Layers, Size, Tokens, per_layer, rope_label
from archcalc.blocks._tensor import Block, make_layer
from archcalc.blocks.attention import GroupedQueryAttention, KeyIndex, head_sharing
from archcalc.blocks.experts import MixtureOfExperts
from archcalc.blocks.feedforward import GatedFeedForward
from archcalc.blocks.norm import rms_norm
from archcalc.blocks.together import MixersTogether, Together
from archcalc.model import Architecture, Layer, Moe

SPARSE = "minimax_m3_sparse"
RENAMES = (
    *((f".mlp.{name}.", f".block_sparse_moe.{name}.") for name in ("experts", "shared_experts")),
    (".mlp.gate.e_score_correction_bias", ".block_sparse_moe.e_score_correction_bias"),
    (".mlp.gate.", ".block_sparse_moe.gate."),
    (".self_attn.indexer.", ".self_attn.index_"),
)


class Schema(DecoderSchema):
    inert_keys: ClassVar[tuple[str, ...]] = ("rotary_dim", "base_config_key")

    vocab_size: Size = 200064
    hidden_size: Size = 6144
    intermediate_size: Size = 3072
    num_hidden_layers: Layers = 60
    num_attention_heads: Size = 64
    num_key_value_heads: Size = 4
    head_dim: Size = 128
    max_position_embeddings: Tokens = 524288
    num_experts_per_tok: Size = 4
    num_local_experts: Size = Field(128, validation_alias=AliasChoices("num_experts", "num_local_experts"))
    dense_intermediate_size: Size = 12288
    shared_intermediate_size: Size = 3072
    mlp_layer_types: list[str] | None = None
    moe_layer_freq: list[Count] | None = None
    layer_types: list[str] | None = None
    sparse_attention_config: dict[str, Any] | None = None
    index_n_heads: Size = 4
    index_head_dim: Size = 128
    index_block_size: Size = 128
    index_topk_blocks: Size = 16
    index_local_blocks: Count = 1

    def index(self) -> tuple[int, int, int]:
        """Heads, their width, and how many tokens they choose: blocks of the highest score and the query's own."""
        given = self.sparse_attention_config or {}
        heads, dim = given.get("sparse_num_index_heads", self.index_n_heads), given.get("sparse_index_dim", self.index_head_dim)
        block = given.get("sparse_block_size", self.index_block_size)
        blocks = given.get("sparse_topk_blocks", self.index_topk_blocks) + given.get("sparse_local_block", self.index_local_blocks)
        return heads, dim, block * blocks

    def kinds(self) -> list[tuple[str, bool]]:
        n, kinds = self.num_hidden_layers, self.layer_types
        freq = (self.sparse_attention_config or {}).get("sparse_attention_freq")
        if kinds is None:
            kinds = [FULL] * n if freq is None else [SPARSE if f else FULL for f in freq]
        default = (
            [True] * n if self.moe_layer_freq is None else [f > 0 for f in per_layer(self.moe_layer_freq, n, "moe_layer_freq")]
        )
        kinds = known_kinds(per_layer(kinds, n, "layer_types"), "layer_types", FULL, SPARSE)
        return list(zip(kinds, sparse_layers(self.mlp_layer_types, default), strict=True))

    def layer(self, kind: str, sparse: bool) -> Layer:
        h, heads, kv_heads, dim = self.hidden_size, self.num_attention_heads, self.kv_heads, self.head_dim
        norms = (rms_norm("input_layernorm", h), rms_norm("post_attention_layernorm", h))
        act = "swigluoai"
        ffn: Block = GatedFeedForward(h, self.dense_intermediate_size, act, fused="gate_up_proj", apart=True)
        if sparse:
            moe = MixtureOfExperts(
                h, self.intermediate_size, self.num_local_experts, self.num_experts_per_tok, act, 1,
                correction_bias="gate.e_score_correction_bias", stored=("w1", "w3", "w2"),
            )  # fmt: skip
            wide = self.shared_intermediate_size
            shared = GatedFeedForward(h, wide, act, fused="gate_up_proj", apart=True, role="shared_experts")
            ffn = Together((("", moe), ("shared_experts", shared)), moe.label())
        if kind == FULL:
            return make_layer(GroupedQueryAttention(h, heads, kv_heads, dim, qk_norm="head"), ffn, norms)
        index_heads, index_dim, topk = self.index()
        attention = GroupedQueryAttention(h, heads, kv_heads, dim, qk_norm="head", topk=topk)
        return make_layer(MixersTogether((("", attention), ("indexer", KeyIndex(h, index_heads, index_dim)))), ffn, norms)

    def architecture(self, prefix: str = "model") -> Architecture:
        order = self.kinds()
        built = {what: self.layer(*what) for what in dict.fromkeys(order)}
        chosen, sparse = sum(kind == SPARSE for kind, _ in order), sum(sparse for _, sparse in order)
        sharing, (heads, dim, topk) = head_sharing(self.num_attention_heads, self.kv_heads), self.index()
        facts = self.facts(
            attention=f"sparse + full {sharing} ({chosen}:{len(order) - chosen})" if chosen else sharing,
            activation="SwiGLU (clamped)",
            position=rope_label(self.model_extra or {}, 0.5),
            moe=Moe(self.num_local_experts, self.num_experts_per_tok, 1, sparse, self.intermediate_size) if sparse else None,
            more=(("sparse attention index", f"{heads} heads x {dim}, {topk} tokens"),) if chosen else (),
        )
        norm = [rms_norm("norm", self.hidden_size)]
        return decoder(
            "minimax_m3_vl_text", [built[what] for what in order], facts, prefix=prefix, final_norm=norm, renames=RENAMES
        )
