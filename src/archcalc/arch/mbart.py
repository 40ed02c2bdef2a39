"""mBART: BART with norms before the blocks and one at the end.

Source: transformers 5.23, models/mbart/modeling_mbart.py and configuration_mbart.py (defaults).
"""

from archcalc.arch._bart import BartSchema


class Schema(BartSchema):
    last_norm = True
    norm_label = "LayerNorm (pre)"
