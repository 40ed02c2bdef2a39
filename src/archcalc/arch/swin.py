"""Swin: attention in windows that move from layer to layer, in stages that merge patches by four.

Source: transformers 5.24, models/swin/modeling_swin.py (`SwinModel` and its classes) and configuration_swin.py (defaults); Liu et al. 2021,
arXiv:2103.14030.
"""

from collections.abc import Iterator

from archcalc.arch._swin import SELF, SwinSchema
from archcalc.arch._vit import BERT_FFN
from archcalc.blocks.norm import layer_norm
from archcalc.model import Tensor


class Schema(SwinSchema):
    root = "swin"


class DonutSwin(SwinSchema):
    """Donut's encoder: Swin without a norm behind its last stage.
    Source: transformers 5.24, models/donut/modeling_donut_swin.py (`DonutSwinModel`, `DonutSwinForImageClassification`) and
    configuration_donut_swin.py (defaults); Kim et al. 2021, arXiv:2111.15664."""

    root = "donut"
    names = SELF
    ffn_names = BERT_FFN
    biases = "attention.self.relative_position_bias_table"
    spare = 1

    def behind(self, named: str) -> Iterator[Tensor]:
        return iter(())


class MaskformerSwin(SwinSchema):
    """MaskFormer's Swin.
    Source: transformers 5.24, models/maskformer/modeling_maskformer_swin.py (`MaskFormerSwinModel`, `MaskFormerSwinBackbone`) and
    configuration_maskformer_swin.py (defaults)."""

    root = "model"
    names = SELF
    ffn_names = BERT_FFN
    biases = "attention.self.relative_position_bias_table"
    spare = 1

    def asked_norms(self, named: str) -> Iterator[Tensor]:
        for i, h in enumerate(self.widths() if named.endswith("Backbone") else ()):
            yield from layer_norm(f"hidden_states_norms.{i}", h)
