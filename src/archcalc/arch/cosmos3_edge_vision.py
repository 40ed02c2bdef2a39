"""The vision tower of Cosmos3 Edge: SigLIP 2 without its head.

Source: transformers 5.23, models/cosmos3_edge/modeling_cosmos3_edge.py (`Cosmos3EdgeVisionModel`) and configuration_cosmos3_edge.py
(defaults).
"""

from archcalc.arch import siglip2_vision_model
from archcalc.arch._composite import both
from archcalc.arch._encoder import area, within
from archcalc.arch._schema import Layers, Size
from archcalc.model import Encoder


class Schema(siglip2_vision_model.Schema):
    hidden_size: Size = 1152
    intermediate_size: Size = 4304
    num_hidden_layers: Layers = 27
    num_attention_heads: Size = 16
    spatial_merge_size: Size = 2

    def pooled(self) -> bool:
        return False

    def encoders(self) -> tuple[Encoder, ...]:
        """An image as large as the processor leaves it."""
        most = area(4096**2, both(self.patch_size)[0], self.spatial_merge_size)
        source = "transformers 5.24, models/cosmos3_edge/image_processing_cosmos3_edge.py `size`"
        return within(self, most, self.spatial_merge_size, source)
