"""RoBERTa: BERT with positions that start at 2 and a head of its own make.

Source: transformers 5.23, models/roberta/modeling_roberta.py and configuration_roberta.py (defaults).
"""

from collections.abc import Iterable, Iterator

from archcalc.arch._bert import BertSchema
from archcalc.arch._schema import Layers, Size
from archcalc.blocks._tensor import linear
from archcalc.blocks.norm import layer_norm
from archcalc.blocks.vision import table
from archcalc.model import Shard, Tensor


class Schema(BertSchema):
    root = "roberta"
    offset = 2

    vocab_size: Size = 50265

    def head(self) -> Iterator[Tensor]:
        h, v = self.hidden_size, self.vocab_size
        yield Tensor("lm_head.bias", (v,), "head", Shard(0, v))
        yield from linear("lm_head.dense", h, h, "head", bias=True)
        yield from layer_norm("lm_head.layer_norm", h)
        yield from self.matrix("lm_head.decoder", h)


class Camembert(Schema):
    """CamemBERT: RoBERTa.
    Source: transformers 5.23, models/camembert/modeling_camembert.py and configuration_camembert.py (defaults)."""

    head_first = True

    vocab_size: Size = 30522


class Data2vecText(Schema):
    """data2vec, the text model: RoBERTa.
    Source: transformers 5.23, models/data2vec/modeling_data2vec_text.py and configuration_data2vec_text.py (defaults)."""

    name = "data2vec-text"
    root = "data2vec_text"

    vocab_size: Size = 30522


class Ibert(Schema):
    """I-BERT: RoBERTa, whose integer arithmetic changes no weight.
    Source: transformers 5.24, models/ibert/modeling_ibert.py (`IBertForMaskedLM`) and configuration_ibert.py (defaults)."""

    keeps_past = False
    reads_encoder = False
    inert_keys = (*Schema.inert_keys, "quant_mode", "force_dequant")
    root = "ibert"

    vocab_size: Size = 30522


class RobertaPrelayernorm(Schema):
    """RoBERTa with norms before attention and FFN.
    Source: transformers 5.23, models/roberta_prelayernorm/modeling_roberta_prelayernorm.py and configuration_roberta_prelayernorm.py.
    """

    name = "roberta-prelayernorm"
    root = "roberta_prelayernorm"
    attention_norm = "LayerNorm"
    ffn_norm = "intermediate.LayerNorm"
    norm_label = "LayerNorm (pre)"

    def extra_tensors(self) -> Iterable[Tensor]:
        return layer_norm("LayerNorm", self.hidden_size)


class XlmRoberta(Schema):
    """XLM-RoBERTa: RoBERTa.
    Source: transformers 5.23, models/xlm_roberta/modeling_xlm_roberta.py and configuration_xlm_roberta.py (defaults)."""

    name = "xlm-roberta"
    head_first = True

    vocab_size: Size = 30522


class Longformer(Schema):
    """Longformer: RoBERTa that sees a window, and a few tokens that see all through projections of their own.
    Source: transformers 5.23, models/longformer/modeling_longformer.py (`LongformerForMaskedLM`) and configuration_longformer.py
    (defaults); Beltagy et al. 2020, arXiv:2004.05150."""

    keeps_past = False
    reads_encoder = False
    inert_keys = (*Schema.inert_keys, "attention_window", "attention_mode", "ignore_attention_mask")
    root = "longformer"

    vocab_size: Size = 30522

    def extra(self) -> Iterable[Tensor]:
        h, rows = self.hidden_size, Shard(0, self.num_attention_heads)
        for name in ("query", "key", "value"):
            yield from linear(f"attention.self.{name}_global", h, h, "attention", bias=True, shard=rows)


class XlmRobertaXl(Schema):
    """XLM-RoBERTa XL and XXL: RoBERTa with norms before attention and FFN, and none behind the embedding.
    Source: transformers 5.23, models/xlm_roberta_xl/modeling_xlm_roberta_xl.py and configuration_xlm_roberta_xl.py (defaults).
    """

    name = "xlm-roberta-xl"
    attention_norm = "self_attn_layer_norm"
    ffn_norm = "LayerNorm"
    norm_label = "LayerNorm (pre)"

    vocab_size: Size = 250880
    hidden_size: Size = 2560
    num_hidden_layers: Layers = 36
    num_attention_heads: Size = 32
    intermediate_size: Size = 10240
    max_position_embeddings: Size = 514
    type_vocab_size: Size = 1

    def tables(self) -> Iterator[Tensor]:
        yield table("position_embeddings", self.max_position_embeddings, self.hidden_size)
        yield table("token_type_embeddings", self.type_vocab_size, self.hidden_size)

    def extra_tensors(self) -> Iterable[Tensor]:
        return layer_norm("encoder.LayerNorm", self.hidden_size)
