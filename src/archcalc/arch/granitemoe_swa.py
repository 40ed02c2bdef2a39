"""Granite with experts, sliding windows and attention sinks: one full layer, then three with a window.

Source: transformers 5.23, models/granitemoe_swa/modeling_granitemoe_swa.py and configuration_granitemoe_swa.py (defaults).
"""

from archcalc.arch import granitemoeshared
from archcalc.arch._alternating import FULL, SLIDING
from archcalc.arch._computes import Computes
from archcalc.arch._decoder import attention_pattern
from archcalc.arch._schema import Tokens


class Schema(granitemoeshared.Schema):
    sinks = True

    sliding_window: Tokens | None = 128
    layer_types: list[str] | None = None

    def computes(self) -> Computes:
        return super().computes()._replace(sinks="scale")

    def windows(self) -> list[int | None]:
        n = self.num_hidden_layers
        default = [SLIDING if i % 4 else FULL for i in range(n)]
        return attention_pattern(default if self.layer_types is None else self.layer_types, n, self.sliding_window)
