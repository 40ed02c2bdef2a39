"""BERT's layers under other tables and other heads than BERT's own: encoders of text and what stands beside it, which keep no cache.

Source: transformers 5.24, models/bert/modeling_bert.py; relatives override what differs.
"""

from collections.abc import Iterable, Iterator
from typing import ClassVar

from archcalc.arch._bert_keys import BertKeys
from archcalc.arch._composite import Pieces
from archcalc.arch._decoder import group, join
from archcalc.arch._schema import Size
from archcalc.arch._vit import AloneSchema, below, classifier
from archcalc.arch.layoutlmv3 import bert_layer
from archcalc.blocks._tensor import linear
from archcalc.blocks.norm import layer_norm
from archcalc.blocks.vision import table
from archcalc.model import Encoder, Shard, Tensor, stack


class BertAlone(BertKeys, AloneSchema):
    """An encoder as its hooks say."""

    alone = "an encoder of text: it writes nothing and keeps no cache"
    inert_keys: ClassVar[tuple[str, ...]] = ("position_embedding_type",)

    type_vocab_size: Size = 2

    def tables(self) -> Iterator[Tensor]:
        """The tables of the embedding, and its norm."""
        h = self.hidden_size
        yield table("word_embeddings", self.vocab_size, h)._replace(shard=Shard(0, self.vocab_size))
        yield table("position_embeddings", self.max_position_embeddings, h)
        yield table("token_type_embeddings", self.type_vocab_size, h)
        yield from layer_norm("LayerNorm", h)

    def extras(self) -> Iterable[Tensor]:
        """Further tensors of the model, outside its layers."""
        return ()

    def pooled(self, named: str) -> bool:
        """Whether a class of this name has a pooler."""
        return self.bare(named)

    def body(self, prefix: str, named: str) -> Pieces:
        h = self.hidden_size
        pooler = linear("pooler.dense", h, h, "other", bias=True) if self.pooled(named) else ()
        words = group("embedding", below(join(prefix, "embeddings"), self.tables()))
        layer = bert_layer(h, self.num_attention_heads, self.intermediate_size, self.hidden_act)
        layers = stack(join(prefix, "encoder.layer"), "other", [layer] * self.num_hidden_layers)
        return [words, group("other", below(prefix, (*self.extras(), *pooler)))], [layers]

    def head_of(self, name: str) -> Iterable[Tensor] | None:
        if name.endswith(("ForTokenClassification", "ForSequenceClassification")):
            return classifier(self, self.hidden_size)
        if name.endswith("ForQuestionAnswering"):
            return linear("qa_outputs", 2, self.hidden_size, "head", bias=True)
        return super().head_of(name)

    def encoders(self) -> tuple[Encoder, ...]:
        return ()
