"""The vision tower of PaddleOCR-VL: SigLIP without its head, with rotary positions besides the learned ones.

Source: transformers 5.23, models/paddleocr_vl/modeling_paddleocr_vl.py (`PaddleOCRVisionModel`) and configuration_paddleocr_vl.py
(defaults).
"""

from __future__ import annotations

from typing import ClassVar

from archcalc.arch import idefics2_vision
from archcalc.arch._composite import Pieces, Sides
from archcalc.arch._schema import Layers, Size


class Schema(idefics2_vision.Schema):
    inert_keys: ClassVar[tuple[str, ...]] = (
        *idefics2_vision.Schema.inert_keys, "pad_token_id", "tokens_per_second", "temporal_patch_size",
    )  # fmt: skip

    hidden_size: Size = 1152
    intermediate_size: Size = 4304
    num_hidden_layers: Layers = 27
    num_attention_heads: Size = 16
    image_size: Sides = 384
    patch_size: Sides = 14
    spatial_merge_size: Size = 2

    def tower(self, prefix: str) -> Pieces:
        return super().tower(f"{prefix}.vision_model")
