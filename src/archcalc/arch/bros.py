"""BROS: BERT whose attention also sees how the boxes of two words stand to each other.

Source: transformers 5.24, models/bros/modeling_bros.py (`BrosModel` and its classes) and configuration_bros.py (defaults); Hong et al.
2021, arXiv:2108.04539.
"""

from collections.abc import Iterable
from typing import Any

from archcalc.arch._bert_alone import BertAlone
from archcalc.arch._schema import Size
from archcalc.blocks._tensor import linear
from archcalc.errors import UnsupportedError
from archcalc.model import Tensor


class Schema(BertAlone):
    root = "bros"
    inert_keys = (
        *BertAlone.inert_keys, "bbox_scale", "dim_bbox_sinusoid_emb_1d", "dim_bbox", "n_relations",
    )  # fmt: skip

    dim_bbox_sinusoid_emb_2d: Size | None = None
    dim_bbox_projection: Size | None = None

    def pooled(self, named: str) -> bool:
        return True

    def extras(self) -> Iterable[Tensor]:
        width = self.dim_bbox_sinusoid_emb_2d or self.hidden_size // 4
        out = self.dim_bbox_projection or self.hidden_size // self.num_attention_heads
        return linear("bbox_embeddings.bbox_projection", out, width, "embedding")

    def architecture(self, prefix: str) -> Any:
        extra = self.model_extra or {}
        if extra.get("is_decoder") or extra.get("add_cross_attention"):
            raise UnsupportedError("is_decoder or add_cross_attention is true: BROS is known as an encoder alone")
        return super().architecture(prefix)

    def head_of(self, name: str) -> Iterable[Tensor] | None:
        return None if "Spade" in name else super().head_of(name)
