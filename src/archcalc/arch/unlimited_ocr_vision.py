"""The vision tower of Unlimited-OCR: SAM's encoder, whose output CLIP reads.

Source: transformers 5.23, models/unlimited_ocr/modeling_unlimited_ocr.py (`UnlimitedOcrVisionModel`).
"""

from __future__ import annotations

from typing import Annotated, ClassVar

from archcalc.arch._composite import DEFAULT, Pieces
from archcalc.arch._schema import TowerSchema, nested
from archcalc.arch.unlimited_ocr_sam_vision_model import Schema as Sam
from archcalc.arch.unlimited_ocr_vision_encoder import Schema as Clip


class Schema(TowerSchema):
    inert_keys: ClassVar[tuple[str, ...]] = ("image_size", "mlp_ratio", "width", "model_name")

    sam_config: Annotated[Sam, nested("unlimited_ocr_sam_vision_model", fixed=True), DEFAULT]
    encoder_config: Annotated[Clip, nested("unlimited_ocr_vision_encoder", fixed=True), DEFAULT]

    def tower(self, prefix: str) -> Pieces:
        groups, stacks = self.sam_config.tower(f"{prefix}.sam_encoder")
        more_groups, more_stacks = self.encoder_config.tower(f"{prefix}.vision_encoder")
        return groups + more_groups, stacks + more_stacks
