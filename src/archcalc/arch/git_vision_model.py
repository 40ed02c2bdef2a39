"""The vision tower of GIT: CLIP's.

Source: transformers 5.23, models/git/modeling_git.py (`GitVisionModel`) and configuration_git.py (defaults).
"""

from archcalc.arch import clip_vision_model
from archcalc.arch._composite import Pieces
from archcalc.arch._schema import Size


class Schema(clip_vision_model.Schema):
    patch_size: Size = 16

    def tower(self, prefix: str) -> Pieces:
        return super().tower(f"{prefix}.vision_model")
