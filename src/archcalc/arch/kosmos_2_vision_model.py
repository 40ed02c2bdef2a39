"""The vision tower of Kosmos-2: CLIP's.

Source: transformers 5.23, models/kosmos2/modeling_kosmos2.py (`Kosmos2VisionModel`) and configuration_kosmos2.py (defaults).
"""

from archcalc.arch import clip_vision_model
from archcalc.arch._composite import Pieces
from archcalc.arch._schema import Layers, Size


class Schema(clip_vision_model.Schema):
    hidden_size: Size = 1024
    intermediate_size: Size = 4096
    num_hidden_layers: Layers = 24
    num_attention_heads: Size = 16
    patch_size: Size = 14

    def tower(self, prefix: str) -> Pieces:
        return super().tower(f"{prefix}.model")
