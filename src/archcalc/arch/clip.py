"""CLIP: two towers and a projection of each into one space.

Source: transformers 5.23, models/clip/modeling_clip.py (`CLIPModel`) and configuration_clip.py (defaults); Radford et al. 2021,
arXiv:2103.00020.
"""

from collections.abc import Iterator
from typing import Annotated, Any

from archcalc.arch._composite import DEFAULT
from archcalc.arch._dual import DualSchema
from archcalc.arch._schema import Size, nested
from archcalc.arch.clip_text_model import Schema as Text
from archcalc.arch.clip_vision_model import Schema as Vision
from archcalc.blocks._tensor import linear
from archcalc.model import Tensor


def shared(out: int, text: int, vision: int) -> Iterator[Tensor]:
    """What brings both towers' vectors into one space, and the scale of their products."""
    yield Tensor("logit_scale", (), "other")
    yield from linear("visual_projection", out, vision, "other")
    yield from linear("text_projection", out, text, "other")


class Schema(DualSchema):
    text_config: Annotated[Text, nested("clip_text_model", fixed=True), DEFAULT]
    vision_config: Annotated[Vision, nested("clip_vision_model", fixed=True), DEFAULT]
    projection_dim: Size = 512

    def extra_tensors(self, text: Any, vision: Any) -> Iterator[Tensor]:
        return shared(self.projection_dim, text.hidden_size, vision.hidden_size)


class Metaclip2(Schema):
    """MetaCLIP 2: CLIP for many languages.
    Source: transformers 5.24, models/metaclip_2/modeling_metaclip_2.py (`MetaClip2Model`, `MetaClip2ForImageClassification`) and
    configuration_metaclip_2.py (defaults); Chuang et al. 2025, arXiv:2507.22062."""
