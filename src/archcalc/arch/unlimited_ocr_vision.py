"""The vision tower of Unlimited-OCR: SAM's encoder, whose output CLIP reads.

Source: transformers 5.23, models/unlimited_ocr/modeling_unlimited_ocr.py (`UnlimitedOcrVisionModel`).
"""

from typing import Annotated

from archcalc.arch._composite import DEFAULT, Pieces
from archcalc.arch._encoder import encoder
from archcalc.arch._schema import TowerSchema, nested
from archcalc.arch.unlimited_ocr_sam_vision_model import Schema as Sam
from archcalc.arch.unlimited_ocr_vision_encoder import Schema as Clip
from archcalc.model import Encoder


class Schema(TowerSchema):
    inert_keys = ("image_size", "mlp_ratio", "width", "model_name")

    sam_config: Annotated[Sam, nested("unlimited_ocr_sam_vision_model", fixed=True), DEFAULT]
    encoder_config: Annotated[Clip, nested("unlimited_ocr_vision_encoder", fixed=True), DEFAULT]

    def tower(self, prefix: str) -> Pieces:
        groups, stacks = self.sam_config.tower(f"{prefix}.sam_encoder")
        more_groups, more_stacks = self.encoder_config.tower(f"{prefix}.vision_encoder")
        return groups + more_groups, stacks + more_stacks

    def encoders(self) -> tuple[Encoder, ...]:
        """The whole image at 1,024 pixels and 32 crops at 640, through SAM and then, 16 patches merged, through CLIP."""
        source = "transformers 5.24, models/unlimited_ocr/image_processing_unlimited_ocr.py `max_patches`, `tile_size`"
        whole, crop, sam = 64**2, 40**2, self.sam_config
        rows, tokens = whole + 32 * crop, (whole + 32 * crop) // 16
        seen = encoder(sam, rows, tokens, sam.num_channels * sam.patch_size**2, source)
        seen = seen._replace(chunk=32 * crop, bias=sam.num_attention_heads * max(whole**2, 32 * crop**2))
        return seen, encoder(self.encoder_config, tokens, tokens, 0, source)
