"""RoBERTa: BERT with positions that start at 2 and a head of its own make.

Source: transformers 5.23, models/roberta/modeling_roberta.py and configuration_roberta.py (defaults).
"""

from collections.abc import Iterator

from archcalc.arch._bert import BertSchema
from archcalc.arch._schema import Size
from archcalc.blocks._tensor import linear
from archcalc.blocks.norm import layer_norm
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
