"""Swin 2: scores by cosine, positions from a small network, norms behind the blocks.

Source: transformers 5.24, models/swinv2/modeling_swinv2.py (`Swinv2Model` and its classes) and configuration_swinv2.py (defaults);
Liu et al. 2021, arXiv:2111.09883.
"""

from collections.abc import Iterator

from archcalc.arch._swin import SELF, SwinSchema
from archcalc.arch._vit import BERT_FFN, without
from archcalc.blocks._tensor import linear
from archcalc.model import Layer, Tensor


class Schema(SwinSchema):
    root = "swinv2"
    inert_keys = (*SwinSchema.inert_keys, "pretrained_window_sizes")
    names = SELF
    ffn_names = BERT_FFN
    merged_first = True
    spare = 1

    def positions(self, heads: int) -> Iterator[Tensor]:
        yield Tensor("attention.self.logit_scale", (heads, 1, 1), "attention")
        yield from linear("attention.self.continuous_position_bias_mlp.0", 512, 2, "attention", bias=True)
        yield from linear("attention.self.continuous_position_bias_mlp.2", heads, 512, "attention")

    def layer(self, h: int, heads: int) -> Layer:
        return without(super().layer(h, heads), "key.bias")

    def behind(self, named: str) -> Iterator[Tensor]:
        if not named.endswith("Backbone"):
            yield from super().behind(named)

    def asked_norms(self, named: str) -> Iterator[Tensor]:
        return iter(())

    def bare(self, named: str) -> bool:
        return super().bare(named) or named.endswith("Backbone")
