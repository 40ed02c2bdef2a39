"""What MiniMax-M3's text config states: the keys, which layers choose what they see, and which hold experts.

Source: transformers 5.23, models/minimax_m3_vl/configuration_minimax_m3_vl.py (defaults, `layer_types`).
"""

from typing import ClassVar

from pydantic import AliasChoices, Field

from archcalc.arch._alternating import FULL, known_kinds, sparse_layers
from archcalc.arch._decoder import DecoderSchema
from archcalc.arch._schema import ConfigSchema, Count, Layers, Size, Tokens, per_layer

SPARSE = "minimax_m3_sparse"


class Sparse(ConfigSchema):
    """The older names of the index's keys, in a config of their own."""

    inert_keys = ("sparse_disable_index_value", "sparse_score_type", "use_sparse_attention")

    sparse_attention_freq: list[Count] | None = None
    sparse_num_index_heads: Size | None = None
    sparse_index_dim: Size | None = None
    sparse_block_size: Size | None = None
    sparse_topk_blocks: Size | None = None
    sparse_local_block: Count | None = None


class BlockSparseSchema(DecoderSchema):
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
    sparse_attention_config: Sparse | None = None
    index_n_heads: Size = 4
    index_head_dim: Size = 128
    index_block_size: Size = 128
    index_topk_blocks: Size = 16
    index_local_blocks: Count = 1

    def index(self) -> tuple[int, int, int]:
        """Heads, their width, and how many tokens they choose: blocks of the highest score and the query's own."""
        given = self.sparse_attention_config or Sparse()

        def either(stated: int | None, own: int) -> int:
            return own if stated is None else stated

        heads, dim = either(given.sparse_num_index_heads, self.index_n_heads), either(given.sparse_index_dim, self.index_head_dim)
        blocks = either(given.sparse_topk_blocks, self.index_topk_blocks) + either(
            given.sparse_local_block, self.index_local_blocks
        )
        return heads, dim, either(given.sparse_block_size, self.index_block_size) * blocks

    def kinds(self) -> list[tuple[str, bool]]:
        n, kinds = self.num_hidden_layers, self.layer_types
        freq = None if self.sparse_attention_config is None else self.sparse_attention_config.sparse_attention_freq
        if kinds is None:
            kinds = [FULL] * n if freq is None else [SPARSE if f else FULL for f in freq]
        default = (
            [True] * n if self.moe_layer_freq is None else [f > 0 for f in per_layer(self.moe_layer_freq, n, "moe_layer_freq")]
        )
        kinds = known_kinds(per_layer(kinds, n, "layer_types"), "layer_types", FULL, SPARSE)
        return list(zip(kinds, sparse_layers(self.mlp_layer_types, default), strict=True))
