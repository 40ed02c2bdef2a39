"""Granite with experts and a gated FFN beside them for every token.

Source: transformers 5.23, models/granitemoeshared/modeling_granitemoeshared.py and configuration_granitemoeshared.py (defaults).
"""

from archcalc.arch import granitemoe
from archcalc.arch._schema import Count


class Schema(granitemoe.Schema):
    shared_intermediate_size: Count = 0

    def shared(self) -> int:
        return self.shared_intermediate_size
