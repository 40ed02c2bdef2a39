"""Jina's embeddings v2: BERT with ALiBi in place of a table of positions, and a gated FFN.

Configs state BERT's type and the class for masked words; the checkpoints hold the body and its pooler, and no head
(jinaai/jina-embeddings-v2-base-en: 137,368,320 elements).

Source: jinaai/jina-bert-implementation, modeling_bert.py (not opened: the count above is what this was compared
with); llama.cpp 0c1e57098, conversion/bert.py (`JinaBertV2Model`).
"""

from collections.abc import Iterator, Mapping
from typing import Any

from archcalc.arch._bert import NAMES, BertSchema
from archcalc.arch._schema import Size
from archcalc.blocks._tensor import linear
from archcalc.blocks.attention import GroupedQueryAttention
from archcalc.blocks.feedforward import GatedFeedForward, activation_name
from archcalc.blocks.norm import layer_norm
from archcalc.blocks.vision import encoder_layer, table
from archcalc.errors import UnsupportedError
from archcalc.model import ALIBI, Layer, Tensor


class Schema(BertSchema):
    root = "bert"
    inert_keys = (*BertSchema.inert_keys, "emb_pooler", "feed_forward_type")

    vocab_size: Size = 30528
    max_position_embeddings: Size = 8192

    @classmethod
    def newest(cls, config: dict[str, Any]) -> dict[str, Any]:
        kind, where = config.get("feed_forward_type", "original"), config.get("auto_map")
        if kind not in ("geglu", "reglu") or config.get("position_embedding_type") != "alibi":
            raise UnsupportedError(f"feed_forward_type is {kind!r}: geglu and reglu with ALiBi are known here")
        if isinstance(where, Mapping) and any("qk-post-norm" in str(value) for value in where.values()):
            raise UnsupportedError("auto_map names the form that normalizes queries and keys: only the first form is known here")
        return config

    def tables(self) -> Iterator[Tensor]:
        yield table("token_type_embeddings", self.type_vocab_size, self.embedding_width)
        yield from layer_norm("LayerNorm", self.embedding_width)

    def layer(self) -> Layer:
        h, heads, width = self.hidden_size, self.num_attention_heads, self.intermediate_size
        attention = GroupedQueryAttention(h, heads, heads, self.head_size, True, True, names=NAMES, rope=False)
        norms = (*layer_norm("attention.output.LayerNorm", h), *layer_norm("mlp.layernorm", h))
        layer = encoder_layer(attention, GatedFeedForward(h, width, self.hidden_act), norms, attention_name="attention")
        kept = tuple(t for t in layer.tensors if t.role != "mlp")
        ways = (*linear("mlp.gated_layers", 2 * width, h, "mlp"), *linear("mlp.wo", h, width, "mlp", bias=True))
        return layer._replace(tensors=(*kept, *ways))

    def more(self) -> dict[str, Any]:
        return {"position": ALIBI, "activation": activation_name(self.hidden_act, gated=True)}
