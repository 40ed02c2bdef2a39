"""Code World Model: Llama 3's layer; every fourth layer sees all, the others a window.

Source: transformers 5.23, models/cwm/modeling_cwm.py and configuration_cwm.py (defaults, `layer_types`).
"""

from archcalc.arch._alternating import FULL, SLIDING
from archcalc.arch._plain import WindowedSchema
from archcalc.arch._schema import Flag, Layers, Size, Tokens


class Schema(WindowedSchema):
    inert_keys = ("attention_bias",)

    vocab_size: Size = 128256
    hidden_size: Size = 6144
    intermediate_size: Size = 21504
    num_hidden_layers: Layers = 64
    num_attention_heads: Size = 48
    num_key_value_heads: Size | None = 8
    head_dim: Size | None = 128
    max_position_embeddings: Tokens = 131072
    mlp_bias: Flag = False
    sliding_window: Tokens | None = 8192

    def kinds(self) -> list[str]:
        return self.layer_types or [SLIDING if i % 4 else FULL for i in range(self.num_hidden_layers)]

    def ffn_bias(self) -> bool:
        return self.mlp_bias
