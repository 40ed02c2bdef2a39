"""Informer: attention to a few of the moments, and convolutions between the encoder's layers that halve their number.

Source: transformers 5.24, models/informer/modeling_informer.py (`InformerForPrediction`, `InformerConvLayer`) and
configuration_informer.py (defaults); Zhou et al. 2020, arXiv:2012.07436.
"""

from collections.abc import Iterator

from archcalc.arch import time_series_transformer
from archcalc.arch._schema import Flag
from archcalc.blocks.norm import layer_norm
from archcalc.model import Tensor


class Schema(time_series_transformer.Schema):
    distil: Flag = True

    def extras(self) -> Iterator[Tensor]:
        h = self.d_model
        for i in range(self.encoder_layers - 1 if self.distil else 0):
            yield Tensor(f"encoder.conv_layers.{i}.downConv.weight", (h, h, 3), "other")
            yield Tensor(f"encoder.conv_layers.{i}.downConv.bias", (h,), "other")
            yield from layer_norm(f"encoder.conv_layers.{i}.norm", h)
