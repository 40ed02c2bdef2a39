"""The vision tower of IDEFICS: CLIP's, at other sizes.

Source: transformers 5.23, models/idefics/vision.py (`IdeficsVisionTransformer`) and configuration_idefics.py (defaults).
"""

from archcalc.arch._plain import named
from archcalc.arch._schema import Layers, Size
from archcalc.arch.clip_vision_model import Schema as Clip


class Schema(Clip):
    hidden_size: Size = named(768, "embed_dim", "hidden_size")
    intermediate_size: Size = 5120
    num_hidden_layers: Layers = 32
    num_attention_heads: Size = 16
    patch_size: Size = 14
    hidden_act: str = "gelu"
