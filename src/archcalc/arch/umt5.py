"""UMT5: mT5 with relative positions in each layer.

Source: transformers 5.23, models/umt5/modeling_umt5.py and configuration_umt5.py (defaults).
"""

from archcalc.arch.mt5 import Schema as Mt5Schema


class Schema(Mt5Schema):
    positions_everywhere = True
