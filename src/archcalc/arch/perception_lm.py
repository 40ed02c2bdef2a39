"""PerceptionLM: Llama with a Perception Encoder, whose patches an MLP projects.

Source: transformers 5.24, models/perception_lm/modeling_perception_lm.py (`PerceptionLMMultiModalProjector`) and
configuration_perception_lm.py (defaults).
"""

from collections.abc import Iterable
from typing import Annotated

from archcalc.arch._composite import DEFAULT, VisionSchema
from archcalc.arch._encoder import pooled
from archcalc.arch._schema import Flag, Size, TowerSchema, nested
from archcalc.blocks.vision import projector
from archcalc.model import Architecture, Encoder, Tensor


class Schema(VisionSchema):
    core_keys = ("vision_config",)
    inert_keys = ("vision_use_cls_token",)

    vision_config: Annotated[TowerSchema, nested("timm_wrapper"), DEFAULT]
    projector_pooling_ratio: Size = 1
    tie_word_embeddings: Flag | None = None

    def tied(self, text: Architecture) -> bool:
        return text.facts.tied_embeddings if self.tie_word_embeddings is None else self.tie_word_embeddings

    def projection(self, width: int, hidden: int) -> Iterable[Tensor]:
        return projector(("linear_1", "linear_2"), (width, hidden, hidden))

    def encoders(self) -> tuple[Encoder, ...]:
        return pooled(super().encoders(), self.projector_pooling_ratio**2)
