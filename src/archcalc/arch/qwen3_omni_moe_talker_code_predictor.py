"""What writes the further codes of a sound in Qwen3-Omni: Qwen 3's layers.

Source: transformers 5.23, models/qwen3_omni_moe/modeling_qwen3_omni_moe.py (`Qwen3OmniMoeTalkerCodePredictorModel`) and
configuration_qwen3_omni_moe.py (defaults, `layer_types`).
"""

from archcalc.arch import qwen3
from archcalc.arch._schema import Layers, Size


class Schema(qwen3.Schema):
    inert_keys = ("use_sliding_window",)

    vocab_size: Size = 2048
    hidden_size: Size = 1024
    intermediate_size: Size = 3072
    num_hidden_layers: Layers = 5
    num_attention_heads: Size = 16
    num_key_value_heads: Size | None = 8
    sliding_window: Size | None = None
    num_code_groups: Size = 32
