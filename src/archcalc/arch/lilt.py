"""LiLT: BERT over words beside a narrow BERT over where they stand, each of which sees the other's scores.

Source: transformers 5.24, models/lilt/modeling_lilt.py (`LiltModel` and its classes) and configuration_lilt.py (defaults); Wang et al.
2022, arXiv:2202.13669.
"""

from collections.abc import Iterable, Iterator

from archcalc.arch._bert_keys import BertKeys
from archcalc.arch._composite import Pieces
from archcalc.arch._decoder import group, join
from archcalc.arch._heads import Sizes, deep, labels_of
from archcalc.arch._schema import Size, divided
from archcalc.arch._vit import AloneSchema, below, classifier
from archcalc.arch.layoutlmv3 import bert_layer
from archcalc.blocks._tensor import linear
from archcalc.blocks.norm import layer_norm
from archcalc.blocks.vision import table
from archcalc.model import Encoder, Layer, Tensor, stack

# What the narrow half of a layer is called, by the wide half's names.
_NARROW = (
    ("attention.self.", "attention.self.layout_"), ("attention.output.", "attention.layout_output."),
    ("intermediate.", "layout_intermediate."), ("output.", "layout_output."),
)  # fmt: skip


def narrow(name: str) -> str:
    return next(new + name.removeprefix(old) for old, new in _NARROW if name.startswith(old))


class Schema(BertKeys, AloneSchema):
    alone = "an encoder of pages: it keeps no cache"
    inert_keys = ("position_embedding_type",)
    root = "lilt"

    type_vocab_size: Size = 2
    channel_shrink_ratio: Size = 4
    max_2d_position_embeddings: Size = 1024

    def layer(self) -> Layer:
        n, shrink = self.num_attention_heads, self.channel_shrink_ratio
        width = bert_layer(self.hidden_size, n, self.intermediate_size, self.hidden_act)
        small = bert_layer(self.hidden_size // shrink, n, self.intermediate_size // shrink, self.hidden_act)
        return width._replace(tensors=(*width.tensors, *(t._replace(name=narrow(t.name)) for t in small.tensors)))

    def outside(self, named: str) -> Iterator[Tensor]:
        h = self.hidden_size
        small, axis = h // self.channel_shrink_ratio, divided(h, 6, "hidden_size", "its six coordinates")
        yield table("embeddings.word_embeddings", self.vocab_size, h)
        yield table("embeddings.position_embeddings", self.max_position_embeddings, h)
        yield table("embeddings.token_type_embeddings", self.type_vocab_size, h)
        yield from layer_norm("embeddings.LayerNorm", h)
        for name in "xyhw":
            yield table(f"layout_embeddings.{name}_position_embeddings", self.max_2d_position_embeddings, axis)
        yield table("layout_embeddings.box_position_embeddings", self.max_position_embeddings, small)
        yield from linear("layout_embeddings.box_linear_embeddings", small, h, "embedding", bias=True)
        yield from layer_norm("layout_embeddings.LayerNorm", small)
        if self.bare(named):
            yield from linear("pooler.dense", h, h, "other", bias=True)

    def body(self, prefix: str, named: str) -> Pieces:
        layers = stack(join(prefix, "encoder.layer"), "other", [self.layer()] * self.num_hidden_layers)
        return [group("other", below(prefix, self.outside(named)))], [layers]

    def head_of(self, name: str) -> Iterable[Tensor] | None:
        if name.endswith("ForSequenceClassification"):
            return deep("classifier")(Sizes(labels_of(self.model_extra or {}), self.hidden_size, {}))
        if name.endswith("ForTokenClassification"):
            return classifier(self, self.hidden_size)
        return classifier(self, self.hidden_size, "qa_outputs") if name.endswith("ForQuestionAnswering") else super().head_of(name)

    def encoders(self) -> tuple[Encoder, ...]:
        return ()
