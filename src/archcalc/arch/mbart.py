"""mBART: BART with norms before the blocks and one at the end.

Source: transformers 5.23, models/mbart/modeling_mbart.py and configuration_mbart.py (defaults).
"""

from typing import ClassVar

from archcalc.arch._bart import BartSchema


class Schema(BartSchema):
    name: ClassVar[str] = "mbart"
    last_norm: ClassVar[bool] = True
    norm_label: ClassVar[str] = "LayerNorm (pre)"
