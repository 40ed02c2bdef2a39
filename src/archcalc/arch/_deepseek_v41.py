"""DeepSeek-V4.1's keys and its engram: tables of n-gram vectors beside a layer, from which hashes of the last tokens choose rows.

Source: deepseek-ai/DeepSeek-V4.1-Flash, inference/model.py (`Engram`, `ParallelEngramEmbedding`) and config.json.
"""

from collections.abc import Iterator

from archcalc.arch._decoder import DecoderSchema
from archcalc.arch._plain import named
from archcalc.arch._schema import Count, Size, Tokens, per_layer
from archcalc.blocks._tensor import linear, prefixed
from archcalc.blocks.shared_latent import SharedLatentAttention
from archcalc.model import Shard, Tensor


class SharedSchema(DecoderSchema):
    """A decoder whose layers share compressed rows."""

    inert_keys = (
        "attention_bias", "hc_sinkhorn_iters", "n_shared_experts", "candidate_topk_blocks", "candidate_block_size",
        "candidate_source_layer_id", "engram_vocab_size", "engram_compressed_vocab_size", "dspark_block_size", "gate_temp",
    )  # fmt: skip

    intermediate_size: Size = named(2304, "moe_intermediate_size")
    num_key_value_heads: Size | None = 1
    head_dim: Size = 512
    max_position_embeddings: Tokens = 1048576
    q_lora_rank: Size = 1280
    qk_rope_head_dim: Size = 64
    o_groups: Size = 8
    o_lora_rank: Size = 1024
    n_routed_experts: Size = 384
    num_experts_per_tok: Size = 6
    sliding_window: Tokens = 128
    compress_ratios: list[Count]
    kv_source_layer_ids: tuple[int, ...] = ()
    index_source_layer_ids: tuple[int, ...] = ()
    index_n_heads: Size = 32
    index_head_dim: Size = 128
    index_topk: Size = 512
    hc_mult: Size = 4
    engram_layer_ids: tuple[int, ...] = ()
    engram_num_embeddings: tuple[int, ...] = ()
    engram_max_ngram_size: Size = 4
    engram_n_heads: Size = 8
    engram_head_dim: Size = 256
    num_nextn_predict_layers: Count = 0
    dspark_target_layer_ids: tuple[int, ...] = ()
    dspark_markov_rank: Size = 256
    dspark_n_routed_experts: Count = 0
    dspark_num_experts_per_tok: Count = 0

    def attention(self, index: int) -> SharedLatentAttention:
        """A layer's attention; layers from the decoder's last on are the draft's, which see their window alone."""
        ratio = self.compress_ratios[index] if index < self.num_hidden_layers else 0
        return SharedLatentAttention(
            self.hidden_size, self.num_attention_heads, self.head_dim, self.q_lora_rank, self.o_groups, self.o_lora_rank,
            self.sliding_window, ratio, ratio > 0 and index in self.kv_source_layer_ids,
            ratio > 0 and index in self.index_source_layer_ids, self.index_n_heads, self.index_head_dim, self.index_topk,
        )  # fmt: skip

    def engram(self, index: int) -> Iterator[Tensor]:
        """The tables of one layer: stored as FP8 with a scale for every 32 of a row, whatever the rest is."""
        rows = per_layer(self.engram_num_embeddings, len(self.engram_layer_ids), "engram_num_embeddings", "engram_layer_ids")
        h, dim, streams = self.hidden_size, self.engram_head_dim, self.hc_mult
        table = rows[self.engram_layer_ids.index(index)]
        # A row for each head and length of n-gram.
        read = (self.engram_max_ngram_size - 1) * self.engram_n_heads
        tensors = (
            Tensor("embed.weight", (table, dim), "embedding", Shard(0, table), dtype="F8_E4M3", rows_read=read),
            Tensor("embed.scale", (table, dim // 32), "embedding", Shard(0, table), kind="copy", dtype="F8_E8M0"),
            *linear("wkv", h * (streams + 1), read * dim, "other"),
            Tensor("q_weight", (streams, h), "other"),
            Tensor("k_weight", (streams, h), "other"),
        )
        return prefixed("engram", tensors)
