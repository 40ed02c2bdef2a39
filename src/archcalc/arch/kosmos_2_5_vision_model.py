"""The vision tower of Kosmos-2.5: Pix2Struct's.

Source: transformers 5.23, models/kosmos2_5/modeling_kosmos2_5.py (`Kosmos2_5VisionModel`) and configuration_kosmos2_5.py (defaults).
"""

from archcalc.arch import pix2struct_vision_model
from archcalc.arch._plain import named
from archcalc.arch._schema import Layers, Size


class Schema(pix2struct_vision_model.Schema):
    hidden_size: Size = 1536
    d_ff: Size = named(3968, "intermediate_size")
    d_kv: Size = named(64, "head_dim")
    num_hidden_layers: Layers = 18
    num_attention_heads: Size = 24
    seq_len: Size = named(4096, "max_num_patches")
