"""ViP-LLaVA: LLaVA whose projector reads five layers of the tower, through a norm.

Source: transformers 5.23, models/vipllava/modeling_vipllava.py and configuration_vipllava.py (defaults).
"""

from collections.abc import Iterable

from pydantic import AliasChoices, Field

from archcalc.arch import llava
from archcalc.blocks.norm import layer_norm
from archcalc.model import Tensor


class Schema(llava.Schema):
    ties = "outer"
    inert_keys = (*llava.Schema.inert_keys, "multimodal_projector_bias")

    vision_feature_layer: int | list[int] = Field(
        [-2, -5, -8, -11, 6], validation_alias=AliasChoices("vision_feature_layers", "vision_feature_layer")
    )

    def projector_bias(self) -> bool:
        return True

    def projection(self, width: int, hidden: int) -> Iterable[Tensor]:
        yield from layer_norm("projector_layernorm", width * self.features())
        yield from super().projection(width, hidden)
