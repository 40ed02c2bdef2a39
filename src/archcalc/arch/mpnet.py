"""MPNet: RoBERTa without token types, with relative positions that all layers share.

Source: transformers 5.23, models/mpnet/modeling_mpnet.py (`MPNetForMaskedLM`) and configuration_mpnet.py (defaults).
"""

from collections.abc import Iterable, Iterator
from typing import Any

from archcalc.arch import roberta
from archcalc.arch._schema import Size
from archcalc.blocks.attention import GroupedQueryAttention
from archcalc.blocks.feedforward import FeedForward
from archcalc.blocks.norm import layer_norm
from archcalc.blocks.vision import encoder_layer, table
from archcalc.model import LEARNED, Layer, Shard, Tensor


class Schema(roberta.Schema):
    keeps_past = False
    reads_encoder = False
    root = "mpnet"

    vocab_size: Size = 30527
    relative_attention_num_buckets: Size = 32

    def tables(self) -> Iterator[Tensor]:
        yield table("position_embeddings", self.max_position_embeddings, self.hidden_size)
        yield from layer_norm("LayerNorm", self.hidden_size)

    def extra_tensors(self) -> Iterable[Tensor]:
        heads = self.num_attention_heads
        shape = (self.relative_attention_num_buckets, heads)
        yield Tensor("encoder.relative_attention_bias.weight", shape, "attention", Shard(1, heads))

    def layer(self) -> Layer:
        h, heads = self.hidden_size, self.num_attention_heads
        attention = GroupedQueryAttention(h, heads, heads, self.head_size, True, True, rope=False, names=("q", "k", "v", "o"))
        ffn = FeedForward(h, self.intermediate_size, self.hidden_act, names=("intermediate.dense", "output.dense"))
        norms = (*layer_norm("attention.LayerNorm", h), *layer_norm("output.LayerNorm", h))
        return encoder_layer(attention, ffn, norms, attention_name="attention.attn", ffn_name="")

    def more(self) -> dict[str, Any]:
        return {"position": LEARNED.also(" + relative")}
