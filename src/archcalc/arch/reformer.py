"""Reformer: attention to a neighbourhood and attention to tokens of like hashes in turn, positions made of two axes, reversible layers.

Each layer keeps the hidden states of past tokens, from which it makes keys and values anew.

Source: transformers 5.24, models/reformer/modeling_reformer.py (`ReformerModelWithLMHead`, `ReformerForMaskedLM`, `ReformerDynamicCache`)
and configuration_reformer.py (defaults); Kitaev et al. 2020, arXiv:2001.04451.
"""

from collections.abc import Iterator

from archcalc.arch._computes import computed
from archcalc.arch._decoder import group
from archcalc.arch._schema import ConfigSchema, Count, Flag, Size
from archcalc.blocks._tensor import linear, prefixed
from archcalc.blocks.feedforward import FeedForward, activation_name
from archcalc.blocks.norm import layer_norm
from archcalc.blocks.vision import table
from archcalc.errors import ConfigError, UnsupportedError
from archcalc.model import LEARNED, Architecture, Attend, Cache, Facts, Layer, Shard, Tensor, stack


class Schema(ConfigSchema):
    prefix = ""
    core_keys = ("hidden_size", "attn_layers", "vocab_size")
    inert_keys = (
        "chunk_size_lm_head", "hash_seed", "num_buckets", "num_hashes", "num_hidden_layers", "num_chunks_after",
        "num_chunks_before", "sinusoidal_pos_embds", "max_embeddings", "feed_forward_chunk_size",
    )  # fmt: skip

    vocab_size: Size = 320
    hidden_size: Size = 256
    attn_layers: tuple[str, ...] = ("local", "lsh") * 3
    num_attention_heads: Size = 12
    attention_head_size: Size = 64
    feed_forward_size: Size = 512
    hidden_act: str = "relu"
    axial_pos_embds: Flag = True
    axial_pos_shape: tuple[Size, ...] = (64, 64)
    axial_pos_embds_dim: tuple[Size, ...] = (64, 192)
    max_position_embeddings: Size = 4096
    local_attn_chunk_length: Size = 64
    local_num_chunks_before: Count = 1
    local_num_chunks_after: Count = 0
    lsh_attn_chunk_length: Size | None = 64
    lsh_num_chunks_before: Count | None = 1
    lsh_num_chunks_after: Count | None = 0
    is_decoder: Flag = False
    tie_word_embeddings: Flag = False

    def seen(self, kind: str) -> int:
        """How many tokens a query of such a layer sees: its chunk and those around it."""
        if kind == "local":
            return self.local_attn_chunk_length * (1 + self.local_num_chunks_before + self.local_num_chunks_after)
        if kind == "lsh":
            return (self.lsh_attn_chunk_length or 64) * (1 + (self.lsh_num_chunks_before or 0) + (self.lsh_num_chunks_after or 0))
        raise UnsupportedError(f'attn_layers holds "{kind}": only "local" and "lsh" are known here')

    def layer(self, kind: str) -> Layer:
        h, heads, dim, window = self.hidden_size, self.num_attention_heads, self.attention_head_size, self.seen(kind)
        ffn = FeedForward(h, self.feed_forward_size, self.hidden_act, names=("dense.dense", "output.dense"))

        def tensors() -> Iterator[Tensor]:
            for name in ("query", "key", "value") if kind == "local" else ("query_key", "value"):
                yield from linear(f"attention.self_attention.{name}", heads * dim, h, "attention", shard=Shard(0, heads))
            yield from linear("attention.output.dense", h, heads * dim, "attention", shard=Shard(1, heads))
            yield from prefixed("feed_forward", ffn.tensors())
            yield from layer_norm("attention.layer_norm", h)
            yield from layer_norm("feed_forward.layer_norm", h)

        return Layer(
            f"{'local' if kind == 'local' else 'LSH'} MHA ({heads}/{heads} x {dim}), {window} tokens", ffn.label(), tuple(tensors()),
            (Cache("full", 1, h, 0),) if self.is_decoder else (), (Attend(heads, dim, dim, window),),
            mixer_width=4 * heads * dim, ffn_width=ffn.width(), activation=self.hidden_act if self.hidden_act == "relu" else "",
        )  # fmt: skip

    def positions(self) -> Iterator[Tensor]:
        if not self.axial_pos_embds:
            yield table("position_embeddings.embedding", self.max_position_embeddings, self.hidden_size)
            return
        if len(self.axial_pos_shape) != len(self.axial_pos_embds_dim) or sum(self.axial_pos_embds_dim) != self.hidden_size:
            raise ConfigError(
                f"axial_pos_embds_dim {list(self.axial_pos_embds_dim)} does not add up to hidden_size ({self.hidden_size})",
                "give a width for each axis of axial_pos_shape",
                "axial_pos_embds_dim",
            )
        for i, (rows, width) in enumerate(zip(self.axial_pos_shape, self.axial_pos_embds_dim, strict=True)):
            shape = tuple(rows if axis == i else 1 for axis in range(len(self.axial_pos_shape)))
            yield Tensor(f"position_embeddings.weights.{i}", (*shape, width), "embedding")

    def architecture(self, prefix: str) -> Architecture:
        h, v, heads = self.hidden_size, self.vocab_size, self.num_attention_heads
        rows = Shard(0, v)
        words = Tensor("word_embeddings.weight", (v, h), "embedding", rows)
        # Two streams come out of the reversible layers, side by side.
        head = (Tensor("lm_head.bias", (v,), "head", rows), *linear("lm_head.decoder", v, 2 * h, "head", bias=True, shard=rows))
        kinds = {kind: self.layer(kind) for kind in dict.fromkeys(self.attn_layers)}
        facts = Facts(
            h, v, self.max_position_embeddings, "MHA, local and LSH", heads, heads, self.attention_head_size, "LayerNorm (pre)",
            activation_name(self.hidden_act, gated=False), LEARNED, self.feed_forward_size,
        )  # fmt: skip
        groups = (
            group("embedding", prefixed("reformer.embeddings", (words, *self.positions()))),
            group("decoder", prefixed("reformer.encoder", layer_norm("layer_norm", 2 * h))),
            group("head", head),
        )
        layers = stack("reformer.encoder.layers", "decoder", [kinds[kind] for kind in self.attn_layers])
        notes = ("its layers are reversible: what training keeps of them can be made anew, and is counted as if it were kept",)
        return computed(Architecture("reformer", groups, (layers,), facts, notes=notes), self.computes())
