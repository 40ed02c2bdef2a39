"""The text model of Qwen2.5-Omni's thinker: Qwen 2.5's.

Source: transformers 5.23, models/qwen2_5_omni/configuration_qwen2_5_omni.py (`Qwen2_5OmniTextConfig`, defaults).
"""

from archcalc.arch import qwen2
from archcalc.arch._schema import Layers, Size


class Schema(qwen2.Schema):
    whole_heads = False

    vocab_size: Size = 152064
    hidden_size: Size = 3584
    intermediate_size: Size = 18944
    num_hidden_layers: Layers = 28
    num_attention_heads: Size = 28
    num_key_value_heads: Size | None = 4
    sliding_window: Size | None = 32768
