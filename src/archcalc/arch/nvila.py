"""NVILA as converted: SigLIP, two by two patches joined, two linear layers, and Qwen 2.

Source: SGLang 0.5.23, srt/models/nvila.py (`NVILAMultiModalProjector`).
"""

from collections.abc import Iterable
from typing import Annotated, ClassVar

from archcalc.arch._composite import DEFAULT, VisionSchema
from archcalc.arch._encoder import pooled
from archcalc.arch._schema import ConfigSchema, Flag, TowerSchema, nested
from archcalc.blocks._tensor import linear
from archcalc.blocks.norm import layer_norm
from archcalc.blocks.vision import projector
from archcalc.model import Encoder, Tensor


class Schema(VisionSchema):
    core_keys = ("text_config", "vision_config")
    tower_name = "vision_tower.vision_model"
    projector_name = "mm_projector.layers"
    text_name = "llm.model"
    renames = (("lm_head.", "llm.lm_head."), ("model.", ""))
    ties = "outer or text"
    inert_keys = ("image_token_id", "video_token_id")
    side: ClassVar[int] = 2

    text_config: Annotated[ConfigSchema, nested("qwen2"), DEFAULT]
    vision_config: Annotated[TowerSchema, nested("siglip_vision_model"), DEFAULT]
    tie_word_embeddings: Flag | None = None

    def projection(self, width: int, hidden: int) -> Iterable[Tensor]:
        joined = width * self.side**2
        yield from layer_norm("1", joined)
        yield from projector(("2", "4"), (joined, hidden, hidden))

    def encoders(self) -> tuple[Encoder, ...]:
        return pooled(super().encoders(), self.side**2)


class NvilaLite(Schema):
    """NVILA Lite: three by three patches joined, and a third linear layer.
    Source: SGLang 0.5.23, srt/models/nvila_lite.py (`NVILALiteMultiModalProjector`)."""

    side = 3

    def projection(self, width: int, hidden: int) -> Iterable[Tensor]:
        joined, middle = width * self.side**2, 3 * width
        yield from layer_norm("1", joined)
        yield from linear("2", middle, joined, "other", bias=True)
        yield from layer_norm("4", middle)
        yield from projector(("5", "7"), (middle, hidden, hidden))
