"""The vision tower of VideoLLaMA 3: SigLIP's layers with rotary positions alone.

Source: transformers 5.23, models/video_llama_3/modeling_video_llama_3.py (`VideoLlama3VisionModel`) and
configuration_video_llama_3.py (defaults).
"""

from __future__ import annotations

from typing import ClassVar

from archcalc.arch import idefics2_vision
from archcalc.arch._composite import Pieces, Sides
from archcalc.model import Group


class Schema(idefics2_vision.Schema):
    inert_keys: ClassVar[tuple[str, ...]] = (*idefics2_vision.Schema.inert_keys, "image_size")

    patch_size: Sides = 16

    def tower(self, prefix: str) -> Pieces:
        groups, stacks = super().tower(prefix)
        kept = [Group(g.part, tuple(t for t in g.tensors if not t.name.endswith(".position_embedding.weight"))) for g in groups]
        return kept, stacks
