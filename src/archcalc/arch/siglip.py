"""SigLIP: two towers whose vectors are compared pair by pair, with a learned scale and offset.

Source: transformers 5.23, models/siglip/modeling_siglip.py (`SiglipModel`) and configuration_siglip.py (defaults); Zhai et al. 2023,
arXiv:2303.15343.
"""

from collections.abc import Iterator
from typing import Annotated, Any

from archcalc.arch._composite import DEFAULT
from archcalc.arch._dual import DualSchema, TextTower
from archcalc.arch._schema import TowerSchema, nested
from archcalc.model import Tensor


class Schema(DualSchema):
    text_config: Annotated[TextTower, nested("siglip_text_model", fixed=True), DEFAULT]
    vision_config: Annotated[TowerSchema, nested("siglip_vision_model", fixed=True), DEFAULT]

    def extra_tensors(self, text: Any, vision: Any) -> Iterator[Tensor]:
        for name in ("logit_scale", "logit_bias"):
            yield Tensor(name, (1,), "other")


class Siglip2(Schema):
    """SigLIP 2 for images of any shape.
    Source: transformers 5.23, models/siglip2/modeling_siglip2.py (`Siglip2Model`) and configuration_siglip2.py (defaults)."""

    text_config: Annotated[TextTower, nested("siglip2_text_model", fixed=True), DEFAULT]
    vision_config: Annotated[TowerSchema, nested("siglip2_vision_model", fixed=True), DEFAULT]
