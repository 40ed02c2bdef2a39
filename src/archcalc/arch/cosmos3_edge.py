"""Cosmos3 Edge: a small text model with SigLIP 2, whose patches are merged. The head is never tied.

Source: transformers 5.23, models/cosmos3_edge/modeling_cosmos3_edge.py and configuration_cosmos3_edge.py (defaults),
conversion_mapping.py ("cosmos3_edge").
"""

from collections.abc import Iterable
from typing import Annotated

from archcalc.arch._composite import DEFAULT, VisionSchema
from archcalc.arch._schema import ConfigSchema, Size, nested
from archcalc.arch.siglip2_vision_model import Cosmos3EdgeVision as Vision
from archcalc.blocks.norm import layer_norm
from archcalc.blocks.vision import projector
from archcalc.model import Tensor

RENAMES = (
    ("model.language_model.", ""),
    *((f".self_attn.{name}_proj.", f".self_attn.to_{name}.") for name in "qkv"),
    (".self_attn.o_proj.", ".self_attn.to_out."),
)


class Schema(VisionSchema):
    tower_name = "visual"
    projector_name = "projector"
    renames = RENAMES
    ties = "never"

    text_config: Annotated[ConfigSchema, nested("cosmos3_edge_text", fixed=True), DEFAULT]
    vision_config: Annotated[Vision, nested("cosmos3_edge_vision", fixed=True), DEFAULT]
    projector_hidden_size: Size = 11520

    def projection(self, width: int, hidden: int) -> Iterable[Tensor]:
        merged = width * self.vision_config.spatial_merge_size**2
        yield from layer_norm("norm", width)
        yield from projector(("linear_fc1", "linear_fc2"), (merged, self.projector_hidden_size, hidden))
