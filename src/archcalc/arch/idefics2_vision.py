"""The vision tower of Idefics 2: SigLIP without its head.

Source: transformers 5.23, models/idefics2/modeling_idefics2.py (`Idefics2VisionTransformer`) and configuration_idefics2.py (defaults).
"""

from typing import ClassVar

from archcalc.arch import siglip_vision_model
from archcalc.arch._composite import Pieces, Sides, both
from archcalc.arch._encoder import area, within
from archcalc.model import Encoder, Group


class Schema(siglip_vision_model.Schema):
    # Published configs copy SigLIP's.
    inert_keys: ClassVar[tuple[str, ...]] = ("projection_dim", "size", "max_image_size", "use_base_siglip")

    patch_size: Sides = 32

    def pooled(self) -> bool:
        return False


class VideoLlama3Vision(Schema):
    """The vision tower of VideoLLaMA 3: SigLIP's layers with rotary positions alone.
    Source: transformers 5.23, models/video_llama_3/modeling_video_llama_3.py (`VideoLlama3VisionModel`) and
    configuration_video_llama_3.py (defaults)."""

    patch_size: Sides = 16

    def tower(self, prefix: str) -> Pieces:
        groups, stacks = super().tower(prefix)
        kept = [Group(g.part, tuple(t for t in g.tensors if not t.name.endswith(".position_embedding.weight"))) for g in groups]
        return kept, stacks

    def encoders(self) -> tuple[Encoder, ...]:
        """An image as large as the processor leaves it; only those of videos are merged."""
        source = "transformers 5.24, models/video_llama_3/image_processing_video_llama_3.py `size`, `merge_size`"
        return within(self, area(28**2 * 1280, both(self.patch_size)[0], 1), 1, source, rotated=True)
