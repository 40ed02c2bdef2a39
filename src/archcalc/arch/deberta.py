"""DeBERTa: BERT whose attention also weighs words against distances; with `talking_head` heads mix before and after the softmax.

Source: transformers 5.23, models/deberta/modeling_deberta.py (`DebertaForMaskedLM`) and configuration_deberta.py (defaults);
He et al. 2020, arXiv:2006.03654.
"""

from collections.abc import Iterable, Iterator
from typing import Annotated, Any, ClassVar

from pydantic import BeforeValidator

from archcalc.arch._bert import BertSchema
from archcalc.arch._plain import Derived
from archcalc.arch._schema import Count, Flag, Size
from archcalc.blocks._tensor import linear, prefixed
from archcalc.blocks.norm import layer_norm
from archcalc.blocks.vision import table
from archcalc.model import Layer, Position, PositionKind, Shard, Tensor

Kinds = Annotated[
    tuple[str, ...], BeforeValidator(lambda v: [x.strip() for x in v.lower().split("|")] if isinstance(v, str) else v or ())
]


class Schema(BertSchema):
    keeps_past = False
    reads_encoder = False
    inert_keys: ClassVar[tuple[str, ...]] = (*BertSchema.inert_keys, "pooler_hidden_size", "pooler_hidden_act", "padding_idx")
    pooler = ""
    root = "deberta"

    vocab_size: Size = 50265
    embedding_size: Derived = 0
    type_vocab_size: Count = 0
    relative_attention: Flag = False
    max_relative_positions: int = -1
    position_biased_input: Flag = True
    pos_att_type: Kinds = ()
    talking_head: Flag = False
    legacy: Flag = True

    @property
    def embedding_width(self) -> int:
        return self.embedding_size or self.hidden_size

    def tables(self) -> Iterator[Tensor]:
        width = self.embedding_width
        if self.position_biased_input:
            yield table("position_embeddings", self.max_position_embeddings, width)
        if self.type_vocab_size:
            yield table("token_type_embeddings", self.type_vocab_size, width)
        if width != self.hidden_size:
            yield from linear("embed_proj", self.hidden_size, width, "other")
        yield from layer_norm("LayerNorm", self.hidden_size)

    def distances(self) -> int:
        """How far apart, either way, two words are told."""
        return self.max_relative_positions if self.max_relative_positions > 0 else self.max_position_embeddings

    def extra_tensors(self) -> Iterable[Tensor]:
        if self.relative_attention:
            yield table("encoder.rel_embeddings", 2 * self.distances(), self.hidden_size)

    def projections(self) -> Iterator[Tensor]:
        """The attention's tensors but for its output."""
        h, n, rows = self.hidden_size, self.num_attention_heads, Shard(0, self.num_attention_heads)
        for name in ("q_bias", "v_bias"):
            yield Tensor(name, (h,), "attention", rows, acts="adds")
        yield from linear("in_proj", 3 * h, h, "attention", shard=rows)
        if self.talking_head:
            yield from linear("head_logits_proj", n, n, "attention")
            yield from linear("head_weights_proj", n, n, "attention")
        if self.relative_attention and "c2p" in self.pos_att_type:
            yield from linear("pos_proj", h, h, "attention", shard=rows)
        if self.relative_attention and "p2c" in self.pos_att_type:
            yield from linear("pos_q_proj", h, h, "attention", bias=True, shard=rows)

    def layer(self) -> Layer:
        layer = super().layer()
        own = prefixed("attention.self", self.projections())
        return layer._replace(tensors=(*own, *(t for t in layer.tensors if not t.name.startswith("attention.self."))))

    def head(self) -> Iterator[Tensor]:
        h, v = self.hidden_size, self.vocab_size
        if self.legacy:
            yield from super().head()
            return
        # The words' own table gives the logits.
        yield Tensor("lm_predictions.lm_head.bias", (v,), "head", Shard(0, v))
        yield from linear("lm_predictions.lm_head.dense", h, h, "head", bias=True)
        yield from layer_norm("lm_predictions.lm_head.LayerNorm", h)

    def more(self) -> dict[str, Any]:
        position = (["learned"] if self.position_biased_input else []) + (
            ["disentangled relative"] if self.relative_attention else []
        )
        kind: PositionKind = "learned" if self.position_biased_input else "relative" if self.relative_attention else "none"
        return {"position": Position(kind, " + ".join(position) or "none")}
