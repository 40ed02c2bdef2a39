"""Autoformer: trend and season apart, each layer's trend added up; attention by how a series repeats itself.

Source: transformers 5.24, models/autoformer/modeling_autoformer.py (`AutoformerForPrediction`, `AutoformerDecoderLayer`) and
configuration_autoformer.py (defaults); Wu et al. 2021, arXiv:2106.13008.
"""

from collections.abc import Iterator

from archcalc.arch import time_series_transformer
from archcalc.blocks._tensor import linear
from archcalc.model import Tensor


class Schema(time_series_transformer.Schema):
    last_norm = "final_layer_norm.layernorm"

    def decoding(self) -> Iterator[Tensor]:
        yield Tensor("trend_projection.weight", (self.features(), self.d_model, 3), "other")

    def extras(self) -> Iterator[Tensor]:
        yield from linear("decoder.seasonality_projection", self.features(), self.d_model, "other", bias=True)

    def projected(self) -> int:
        return self.features()
