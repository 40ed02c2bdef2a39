"""The vision tower of Idefics 3: SigLIP without its head.

Source: transformers 5.23, models/idefics3/modeling_idefics3.py (`Idefics3VisionTransformer`) and configuration_idefics3.py (defaults).
"""

from archcalc.arch import idefics2_vision
from archcalc.arch._schema import Size


class Schema(idefics2_vision.Schema):
    hidden_size: Size = 1152
    num_attention_heads: Size = 16
