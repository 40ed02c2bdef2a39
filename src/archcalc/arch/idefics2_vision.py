"""The vision tower of Idefics 2: SigLIP without its head.

Source: transformers 5.23, models/idefics2/modeling_idefics2.py (`Idefics2VisionTransformer`) and configuration_idefics2.py (defaults).
"""

from typing import ClassVar

from archcalc.arch import siglip_vision_model
from archcalc.arch._composite import Sides


class Schema(siglip_vision_model.Schema):
    # Published configs copy SigLIP's.
    inert_keys: ClassVar[tuple[str, ...]] = ("projection_dim", "vision_use_head", "size", "max_image_size", "use_base_siglip")

    patch_size: Sides = 32

    def pooled(self) -> bool:
        return False
