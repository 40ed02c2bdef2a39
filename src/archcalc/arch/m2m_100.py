"""M2M-100 and NLLB: sinusoidal positions that are not stored, norms before the blocks.

Source: transformers 5.23, models/m2m_100/modeling_m2m_100.py and configuration_m2m_100.py (defaults).
"""

from collections.abc import Iterator

from archcalc.arch._bart import BartSchema
from archcalc.arch._schema import Size
from archcalc.blocks.norm import layer_norm
from archcalc.model import SINUSOIDAL, Tensor


class Schema(BartSchema):
    logits_bias = False
    norm_label = "LayerNorm (pre)"
    position = SINUSOIDAL

    vocab_size: Size = 128112
    activation_function: str = "relu"

    def outside(self, *, decodes: bool) -> Iterator[Tensor]:
        return layer_norm("layer_norm", self.d_model)
