"""The text model of Cohere Compass: Cohere 2's layers, all of which see everything unless `layer_types` says otherwise.

Source: transformers 5.23, models/cohere_compass/modeling_cohere_compass.py and configuration_cohere_compass.py (defaults).
"""

from archcalc.arch import cohere2
from archcalc.arch._alternating import FULL


class Schema(cohere2.Schema):
    inert_keys = (*cohere2.Schema.inert_keys, "pooling", "sliding_window_pattern")
    bare = False

    def kinds(self) -> list[str]:
        return self.layer_types or [FULL] * self.num_hidden_layers
