"""DPR: BERT that makes a vector of a question or a passage, or reads an answer out of one.

Source: transformers 5.24, models/dpr/modeling_dpr.py (`DPRQuestionEncoder`, `DPRContextEncoder`, `DPRReader`) and configuration_dpr.py
(defaults); Karpukhin et al. 2020, arXiv:2004.04906.
"""

from collections.abc import Iterable, Iterator

from archcalc.arch._bert_keys import BertKeys
from archcalc.arch._composite import Pieces
from archcalc.arch._decoder import group, join
from archcalc.arch._schema import Count, Size
from archcalc.arch._vit import AloneSchema
from archcalc.arch.layoutlmv3 import bert_layer
from archcalc.blocks._tensor import linear, prefixed
from archcalc.blocks.norm import layer_norm
from archcalc.blocks.vision import table
from archcalc.model import Architecture, Encoder, Tensor, stack

_ROOTS = {"DPRQuestionEncoder": "question_encoder", "DPRContextEncoder": "ctx_encoder", "DPRReader": "span_predictor.encoder"}


class Schema(BertKeys, AloneSchema):
    alone = "an encoder of text: it keeps no cache"
    inert_keys = ("position_embedding_type",)
    root = "question_encoder"

    type_vocab_size: Size = 2
    projection_dim: Count = 0

    def tables(self) -> Iterator[Tensor]:
        h = self.hidden_size
        yield table("word_embeddings", self.vocab_size, h)
        yield table("position_embeddings", self.max_position_embeddings, h)
        yield table("token_type_embeddings", self.type_vocab_size, h)
        yield from layer_norm("LayerNorm", h)

    def body(self, prefix: str, named: str) -> Pieces:
        outside = list(prefixed(join(prefix, "bert_model.embeddings"), self.tables()))
        if self.projection_dim:
            outside += linear(join(prefix, "encode_proj"), self.projection_dim, self.hidden_size, "other", bias=True)
        layer = bert_layer(self.hidden_size, self.num_attention_heads, self.intermediate_size, self.hidden_act)
        layers = stack(join(prefix, "bert_model.encoder.layer"), "other", [layer] * self.num_hidden_layers)
        return [group("other", outside)], [layers]

    def head_of(self, name: str) -> Iterable[Tensor] | None:
        if name != "DPRReader":
            return () if not name or name in _ROOTS else None
        width = self.projection_dim or self.hidden_size
        answers = linear("span_predictor.qa_outputs", 2, width, "head", bias=True)
        return (*answers, *linear("span_predictor.qa_classifier", 1, width, "head", bias=True))

    def bare(self, named: str) -> bool:
        return False

    def architecture(self, prefix: str) -> Architecture:
        return super(AloneSchema, self).architecture(_ROOTS.get(self.class_name(), self.root))

    def encoders(self) -> tuple[Encoder, ...]:
        return ()
