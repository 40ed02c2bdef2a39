"""Nemotron-4 and Minitron: LayerNorm with a gain counted from one, a plain FFN of squared ReLU, half of each head turns.

Source: transformers 5.23, models/nemotron/modeling_nemotron.py and configuration_nemotron.py (defaults).
"""

from typing import Any

from archcalc.arch import arcee
from archcalc.arch._computes import Computes
from archcalc.arch._schema import Fraction, Size, rope_label


class Schema(arcee.Schema):
    inert_keys = ("rope_percent", "rope_percentage")
    whole_heads = False
    layer_norms = True
    norm_label = "LayerNorm (pre)"

    vocab_size: Size = 256000
    hidden_size: Size = 6144
    intermediate_size: Size = 24576
    num_attention_heads: Size = 48
    partial_rotary_factor: Fraction = 0.5

    def computes(self) -> Computes:
        return super().computes()._replace(norm="layer-1p", joined=True)

    def more(self) -> dict[str, Any]:
        return {"position": rope_label(self.model_extra or {}, self.partial_rotary_factor)}
