"""RoBERTa with norms before attention and FFN.

Source: transformers 5.23, models/roberta_prelayernorm/modeling_roberta_prelayernorm.py and configuration_roberta_prelayernorm.py.
"""

from collections.abc import Iterable

from archcalc.arch import roberta
from archcalc.blocks.norm import layer_norm
from archcalc.model import Tensor


class Schema(roberta.Schema):
    name = "roberta-prelayernorm"
    root = "roberta_prelayernorm"
    attention_norm = "LayerNorm"
    ffn_norm = "intermediate.LayerNorm"
    norm_label = "LayerNorm (pre)"

    def beside(self) -> Iterable[Tensor]:
        return layer_norm("LayerNorm", self.hidden_size)
