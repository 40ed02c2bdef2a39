"""The vision tower of BLIP-2: EVA-CLIP's ViT-g, in BLIP's form.

Source: transformers 5.23, models/blip_2/modeling_blip_2.py (`Blip2VisionModel`) and configuration_blip_2.py (defaults).
"""

from archcalc.arch import blip_vision_model
from archcalc.arch._schema import Flag, Layers, Size


class Schema(blip_vision_model.Schema):
    hidden_size: Size = 1408
    intermediate_size: Size = 6144
    num_hidden_layers: Layers = 39
    num_attention_heads: Size = 16
    image_size: Size = 224
    patch_size: Size = 14
    qkv_bias: Flag = True

    def biased(self) -> bool:
        return self.qkv_bias
