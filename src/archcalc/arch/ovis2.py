"""Ovis 2: Qwen 2 with AIMv2, whose patches are words of a visual vocabulary with embeddings of their own.

Source: transformers 5.23, models/ovis2/modeling_ovis2.py and configuration_ovis2.py (defaults; the head and the visual embeddings go by
the outer config's sizes).
"""

from collections.abc import Iterable
from typing import Annotated

from archcalc.arch._composite import DEFAULT, VisionSchema, width_of
from archcalc.arch._encoder import pooled, tiled
from archcalc.arch._schema import ConfigSchema, Flag, Size, TowerSchema, nested
from archcalc.blocks.vision import table
from archcalc.model import Architecture, Encoder, Group, Shard, Tensor


class Schema(VisionSchema):
    inert_keys = ("visual_indicator_token_ids",)

    text_config: Annotated[ConfigSchema, nested("qwen2"), DEFAULT]
    vision_config: Annotated[TowerSchema, nested("ovis2_vision", fixed=True), DEFAULT]
    vocab_size: Size = 151643
    hidden_size: Size = 1536
    tie_word_embeddings: Flag | None = True

    def extra_tensors(self, hidden: int) -> Iterable[Tensor]:
        yield table("visual_embeddings_table", width_of(self.vision_config, "vocab_size"), self.hidden_size)

    def text(self, prefix: str) -> Architecture:
        text = super().text(prefix)
        if self.tie_word_embeddings:
            return text
        head = Tensor("lm_head.weight", (self.vocab_size, self.hidden_size), "head", Shard(0, self.vocab_size))
        groups = tuple(Group("head", (head,)) if g.part == "head" else g for g in text.groups)
        return text._replace(groups=groups)

    def encoders(self) -> tuple[Encoder, ...]:
        """Twelve tiles and the whole image."""
        stride = getattr(self.vision_config, "hidden_stride", 1)
        source = "transformers 5.24, models/ovis2/image_processing_ovis2.py `max_patches`, and the overview"
        return tiled(pooled(super().encoders(), stride**2), 13, None, source)
