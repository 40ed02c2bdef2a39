"""The vision tower of DeepSeek-OCR 2: SAM's encoder, and layers in which learned queries read its output.

Source: transformers 5.23, models/deepseek_ocr2/modeling_deepseek_ocr2.py (`DeepseekOcr2VisionModel`, which fixes how many queries).
"""

from __future__ import annotations

from typing import Annotated, ClassVar

from archcalc.arch._composite import DEFAULT, Pieces
from archcalc.arch._decoder import group, join
from archcalc.arch._schema import TowerSchema, nested
from archcalc.arch.deepseek_ocr2_encoder import Schema as Encoder
from archcalc.arch.deepseek_ocr2_sam_vision_model import Schema as Sam
from archcalc.blocks.vision import table


class Schema(TowerSchema):
    inert_keys: ClassVar[tuple[str, ...]] = ("image_size", "mlp_ratio", "width", "model_name")

    sam_config: Annotated[Sam, nested("deepseek_ocr2_sam_vision_model", fixed=True), DEFAULT]
    encoder_config: Annotated[Encoder, nested("deepseek_ocr2_encoder", fixed=True), DEFAULT]

    @property
    def hidden_size(self) -> int:
        return self.encoder_config.hidden_size

    def tower(self, prefix: str) -> Pieces:
        groups, stacks = self.sam_config.tower(join(prefix, "sam_encoder"))
        more_groups, more_stacks = self.encoder_config.tower(join(prefix, "vision_encoder"))
        queries = (table(join(prefix, f"query_{side}_resolution"), n, self.hidden_size) for side, n in ((768, 144), (1024, 256)))
        return [*groups, *more_groups, group("vision", queries)], stacks + more_stacks
