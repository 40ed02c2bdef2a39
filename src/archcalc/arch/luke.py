"""LUKE: RoBERTa with a table of entities beside that of words, and queries for each pair of kinds.

Source: transformers 5.24, models/luke/modeling_luke.py (`LukeForMaskedLM`) and configuration_luke.py (defaults); Yamada et al. 2020,
arXiv:2010.01057.
"""

from collections.abc import Iterable, Iterator

from archcalc.arch import roberta
from archcalc.arch._schema import Flag, Size
from archcalc.blocks._tensor import linear, prefixed
from archcalc.blocks.norm import layer_norm
from archcalc.blocks.vision import table
from archcalc.model import Shard, Tensor


class Schema(roberta.Schema):
    keeps_past = False
    reads_encoder = False
    inert_keys = (*roberta.Schema.inert_keys, "cls_entity_prediction")
    root = "luke"

    vocab_size: Size = 50267
    entity_vocab_size: Size = 500000
    entity_emb_size: Size = 256
    use_entity_aware_attention: Flag = True

    def entities(self) -> Iterator[Tensor]:
        h, width = self.hidden_size, self.entity_emb_size
        yield table("entity_embeddings", self.entity_vocab_size, width)._replace(rows_read=1)
        if width != h:
            yield from linear("entity_embedding_dense", h, width, "embedding")
        yield table("position_embeddings", self.max_position_embeddings, h)
        yield table("token_type_embeddings", self.type_vocab_size, h)
        yield from layer_norm("LayerNorm", h)

    def extra_tensors(self) -> Iterable[Tensor]:
        return prefixed("entity_embeddings", self.entities())

    def extra(self) -> Iterable[Tensor]:
        if self.use_entity_aware_attention:
            rows = Shard(0, self.num_attention_heads)
            for name in ("w2e", "e2w", "e2e"):
                yield from linear(
                    f"attention.self.{name}_query", self.hidden_size, self.hidden_size, "attention", bias=True, shard=rows
                )

    def matrix(self, name: str, width: int) -> Iterator[Tensor]:
        """The words' matrix, which this class leaves untied; its bias is that of the head."""
        rows = Shard(0, self.vocab_size)
        yield Tensor(f"{name}.weight", (self.vocab_size, width), "head", rows)
        yield Tensor(f"{name}.bias", (self.vocab_size,), "head", rows, kind=self.tied())

    def head(self) -> Iterator[Tensor]:
        v, width = self.entity_vocab_size, self.entity_emb_size
        yield from super().head()
        yield Tensor("entity_predictions.bias", (v,), "head", Shard(0, v))
        yield from linear("entity_predictions.transform.dense", width, self.hidden_size, "head", bias=True)
        yield from layer_norm("entity_predictions.transform.LayerNorm", width)
        yield Tensor("entity_predictions.decoder.weight", (v, width), "head", Shard(0, v), kind=self.tied())
