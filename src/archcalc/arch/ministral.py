"""Ministral 8B: Mistral's layer, a window in each layer unless `layer_types` says otherwise.

Source: transformers 5.23, models/ministral/modeling_ministral.py and configuration_ministral.py (defaults, `layer_types`).
"""

from archcalc.arch._alternating import FULL, SLIDING
from archcalc.arch._plain import WindowedSchema
from archcalc.arch._schema import Layers, Size, Tokens


class Schema(WindowedSchema):
    inert_keys = ("attention_bias", "mlp_bias")
    whole_heads = False

    vocab_size: Size = 32000
    hidden_size: Size = 4096
    intermediate_size: Size = 14336
    num_hidden_layers: Layers = 32
    num_attention_heads: Size = 32
    num_key_value_heads: Size = 8
    max_position_embeddings: Tokens = 131072
    sliding_window: Tokens | None = 4096

    def kinds(self) -> list[str]:
        return self.layer_types or [FULL if self.sliding_window is None else SLIDING] * self.num_hidden_layers
