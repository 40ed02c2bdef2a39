"""Video-LLaVA: LLaVA with two towers of the same form, one for images and one for video.

Source: transformers 5.23, models/video_llava/modeling_video_llava.py and configuration_video_llava.py (defaults),
conversion_mapping.py ("video_llava").
"""

from typing import Annotated

from archcalc.arch import llava
from archcalc.arch._composite import DEFAULT, Pieces
from archcalc.arch._schema import TowerSchema, nested
from archcalc.model import Architecture

CLIP = {**llava.CLIP, "image_size": 224}


class Schema(llava.Schema):
    tower_name = "image_tower"
    renames = (
        ("lm_head.", "language_model.lm_head."),
        ("model.language_model.", "language_model.model."),
        ("model.image_tower.", "image_tower.vision_model."),
        ("model.video_tower.", "video_tower.vision_model."),
        ("model.", ""),
    )
    ties = "outer"

    vision_config: Annotated[TowerSchema, nested("clip_vision_model", absent=CLIP), DEFAULT]

    def parts(self, prefix: str, text: Architecture) -> Pieces:
        groups, stacks = super().parts(prefix, text)
        more_groups, more_stacks = self.vision_config.tower(f"{prefix}.video_tower")
        return groups + more_groups, stacks + more_stacks
