"""Longformer: RoBERTa that sees a window, and a few tokens that see all through projections of their own.

Source: transformers 5.23, models/longformer/modeling_longformer.py (`LongformerForMaskedLM`) and configuration_longformer.py
(defaults); Beltagy et al. 2020, arXiv:2004.05150.
"""

from collections.abc import Iterable

from archcalc.arch import roberta
from archcalc.arch._schema import Size
from archcalc.blocks._tensor import linear
from archcalc.model import Shard, Tensor


class Schema(roberta.Schema):
    inert_keys = (*roberta.Schema.inert_keys, "attention_window", "attention_mode", "ignore_attention_mask")
    root = "longformer"

    vocab_size: Size = 30522

    def extra(self) -> Iterable[Tensor]:
        h, rows = self.hidden_size, Shard(0, self.num_attention_heads)
        for name in ("query", "key", "value"):
            yield from linear(f"attention.self.{name}_global", h, h, "attention", bias=True, shard=rows)
