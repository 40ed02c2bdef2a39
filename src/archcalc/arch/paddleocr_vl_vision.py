"""The vision tower of PaddleOCR-VL: SigLIP without its head, with rotary positions besides the learned ones.

Source: transformers 5.23, models/paddleocr_vl/modeling_paddleocr_vl.py (`PaddleOCRVisionModel`) and configuration_paddleocr_vl.py
(defaults).
"""

from archcalc.arch import idefics2_vision
from archcalc.arch._composite import Pieces, Sides, both
from archcalc.arch._encoder import area, within
from archcalc.arch._schema import Layers, Size
from archcalc.model import Encoder


class Schema(idefics2_vision.Schema):
    inert_keys = (*idefics2_vision.Schema.inert_keys, "tokens_per_second", "temporal_patch_size")

    hidden_size: Size = 1152
    intermediate_size: Size = 4304
    num_hidden_layers: Layers = 27
    num_attention_heads: Size = 16
    image_size: Sides = 384
    patch_size: Sides = 14
    spatial_merge_size: Size = 2

    def tower(self, prefix: str) -> Pieces:
        return super().tower(f"{prefix}.vision_model")

    def encoders(self) -> tuple[Encoder, ...]:
        """An image as large as the processor leaves it."""
        most = area(1536**2, both(self.patch_size)[0], self.spatial_merge_size)
        source = "transformers 5.24, models/paddleocr_vl/image_processing_paddleocr_vl.py `size`"
        return within(self, most, self.spatial_merge_size, source, rotated=True)
