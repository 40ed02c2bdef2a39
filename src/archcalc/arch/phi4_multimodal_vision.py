"""The vision tower of Phi-4-multimodal: SigLIP with its head.

Source: transformers 5.23, models/phi4_multimodal/modeling_phi4_multimodal.py (`Phi4MultimodalVisionModel`) and
configuration_phi4_multimodal.py (defaults).
"""

from archcalc.arch import siglip_vision_model
from archcalc.arch._composite import Sides
from archcalc.arch._schema import Layers, Size


class Schema(siglip_vision_model.Schema):
    inert_keys = ("crop_size", "feature_layer")

    hidden_size: Size = 1152
    intermediate_size: Size = 4304
    num_hidden_layers: Layers = 27
    num_attention_heads: Size = 16
    image_size: Sides = 448
    patch_size: Sides = 14

    def pooled(self) -> bool:
        return True
