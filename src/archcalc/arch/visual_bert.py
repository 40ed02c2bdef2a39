"""VisualBERT: BERT that reads what a detector saw in an image beside the text.

Source: transformers 5.24, models/visual_bert/modeling_visual_bert.py (`VisualBertModel` and its classes) and configuration_visual_bert.py
(defaults); Li et al. 2019, arXiv:1908.03557.
"""

from collections.abc import Iterable, Iterator

from archcalc.arch._bert_alone import BertAlone
from archcalc.arch._schema import Flag, Size
from archcalc.arch._vit import classifier
from archcalc.blocks._tensor import linear
from archcalc.blocks.norm import layer_norm
from archcalc.blocks.vision import table
from archcalc.model import Kind, Shard, Tensor


class Schema(BertAlone):
    alone = "a model of images and text that writes nothing: it keeps no cache"
    root = "visual_bert"
    inert_keys = (*BertAlone.inert_keys, "special_visual_initialize")

    visual_embedding_dim: Size = 512
    bypass_transformer: Flag = False
    tie_word_embeddings: Flag = True

    def pooled(self, named: str) -> bool:
        return True

    def tables(self) -> Iterator[Tensor]:
        yield from super().tables()
        yield table("visual_token_type_embeddings", self.type_vocab_size, self.hidden_size)
        yield table("visual_position_embeddings", self.max_position_embeddings, self.hidden_size)
        yield from linear("visual_projection", self.hidden_size, self.visual_embedding_dim, "embedding", bias=True)

    def extras(self) -> Iterable[Tensor]:
        """With it, one layer more joins what was seen."""
        from archcalc.arch.layoutlmv3 import bert_layer

        if not self.bypass_transformer:
            return ()
        layer = bert_layer(self.hidden_size, self.num_attention_heads, self.intermediate_size, self.hidden_act)
        return (t._replace(name=f"additional_layer.{t.name}") for t in layer.tensors)

    def head_of(self, name: str) -> Iterable[Tensor] | None:
        h, rows = self.hidden_size, self.vocab_size
        if name.endswith("ForPreTraining"):
            kind: Kind = "tied" if self.tie_word_embeddings else "param"
            return (
                Tensor("cls.predictions.bias", (rows,), "head", Shard(0, rows)),
                *linear("cls.predictions.transform.dense", h, h, "head", bias=True),
                *layer_norm("cls.predictions.transform.LayerNorm", h),
                Tensor("cls.predictions.decoder.weight", (rows, h), "head", Shard(0, rows), kind=kind),
                Tensor("cls.predictions.decoder.bias", (rows,), "head", Shard(0, rows), kind=kind),
                *linear("cls.seq_relationship", 2, h, "head", bias=True),
            )
        if name.endswith(("ForQuestionAnswering", "ForVisualReasoning")):
            return classifier(self, h, "cls")
        if name.endswith("ForMultipleChoice"):
            return linear("cls", 1, h, "head", bias=True)
        return super().head_of(name)
