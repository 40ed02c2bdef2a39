"""ALBERT: BERT with an embedding narrower than the layers, and layers that share their weights.

Source: transformers 5.23, models/albert/modeling_albert.py (`AlbertForMaskedLM`) and configuration_albert.py (defaults);
Lan et al. 2019, arXiv:1909.11942.
"""

from collections.abc import Iterable, Iterator
from typing import Any

from archcalc.arch._bert import BertSchema
from archcalc.arch._schema import Layers, Size
from archcalc.blocks._tensor import linear, prefixed
from archcalc.blocks.attention import GroupedQueryAttention
from archcalc.blocks.feedforward import FeedForward
from archcalc.blocks.norm import layer_norm
from archcalc.blocks.vision import encoder_layer
from archcalc.model import Architecture, Layer, Shard, Tensor, stack


class Schema(BertSchema):
    keeps_past = False
    reads_encoder = False
    inert_keys = (*BertSchema.inert_keys, "down_scale_factor", "gap_size", "net_structure_type", "num_memory_blocks")
    pooler = "pooler"
    root = "albert"

    vocab_size: Size = 30000
    embedding_size: Size = 128
    hidden_size: Size = 4096
    num_attention_heads: Size = 64
    intermediate_size: Size = 16384
    hidden_act: str = "gelu_new"
    num_hidden_groups: Layers = 1
    inner_group_num: Layers = 1

    @property
    def embedding_width(self) -> int:
        return self.embedding_size

    def extra_tensors(self) -> Iterable[Tensor]:
        return linear("encoder.embedding_hidden_mapping_in", self.hidden_size, self.embedding_size, "other", bias=True)

    def layer(self) -> Layer:
        """A group: `inner_group_num` layers in order."""
        h, heads, names = self.hidden_size, self.num_attention_heads, ("query", "key", "value", "dense")
        attention = GroupedQueryAttention(h, heads, heads, self.head_size, True, True, rope=False, names=names)
        ffn = FeedForward(h, self.intermediate_size, self.hidden_act, names=("ffn", "ffn_output"))
        norms = (*layer_norm("full_layer_layer_norm", h), *layer_norm("attention.LayerNorm", h))
        distances = tuple(self.distance_tables("attention"))
        one, n = encoder_layer(attention, ffn, norms, attention_name="attention", ffn_name=""), self.inner_group_num
        tensors = (t for i in range(n) for t in prefixed(f"albert_layers.{i}", (*one.tensors, *distances)))
        return one._replace(tensors=tuple(tensors), attends=one.attends * n)

    def head(self) -> Iterator[Tensor]:
        width, v = self.embedding_size, self.vocab_size
        yield Tensor("predictions.bias", (v,), "head", Shard(0, v))
        yield from layer_norm("predictions.LayerNorm", width)
        yield from linear("predictions.dense", width, self.hidden_size, "head", bias=True)
        yield from self.matrix("predictions.decoder", width)

    def more(self) -> dict[str, Any]:
        inner = f" of {self.inner_group_num}" if self.inner_group_num > 1 else ""
        return {"more": (("shared layers", f"{self.num_hidden_layers} steps through {self.num_hidden_groups}{inner}"),)}

    def architecture(self, prefix: str) -> Architecture:
        a, groups, steps = super().architecture(prefix), self.num_hidden_groups, self.num_hidden_layers
        layers = stack(f"{a.stacks[0].prefix.removesuffix('layer')}albert_layer_groups", "decoder", [self.layer()] * groups)
        note = f"{groups} distinct layers, which {steps} steps go through: listed, and their FLOPs counted, once each"
        return a._replace(stacks=(layers,), notes=(*a.notes, note) if steps != groups else a.notes)
