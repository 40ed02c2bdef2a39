"""data2vec for images: BEiT.

Source: transformers 5.24, models/data2vec/modeling_data2vec_vision.py (`Data2VecVisionModel` and its classes) and
configuration_data2vec_vision.py (defaults); Baevski et al. 2022, arXiv:2202.03555.
"""

from archcalc.arch._vit import bert_named, without
from archcalc.arch.beit import Schema as Beit
from archcalc.model import Layer


class Schema(Beit):
    root = "data2vec_vision"
    layers_name = "encoder.layer"
    own_biases = "attention.attention.relative_position_bias"
    shared_biases = "encoder.relative_position_bias"
    pooled = ("ForImageClassification",)
    pyramid = ("fpn1.0", "fpn1.1", "fpn1.3", "fpn2.0")

    def layer(self) -> Layer:
        return without(self.scaled(bert_named(self)), "key.bias")
