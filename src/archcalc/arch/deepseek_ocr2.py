"""DeepSeek-OCR 2: a small mixture of experts with SAM's encoder and layers of Qwen 2, one behind the other.

Source: transformers 5.23, models/deepseek_ocr2/modeling_deepseek_ocr2.py and configuration_deepseek_ocr2.py (defaults).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, ClassVar

from archcalc.arch._composite import DEFAULT, VisionSchema
from archcalc.arch._schema import ConfigSchema, nested
from archcalc.arch.deepseek_ocr2_vision import Schema as Vision
from archcalc.blocks._tensor import linear
from archcalc.model import Tensor


class Schema(VisionSchema):
    name: ClassVar[str] = "deepseek_ocr2"

    text_config: Annotated[ConfigSchema, nested("deepseek_ocr2_text", fixed=True), DEFAULT]
    vision_config: Annotated[Vision, nested("deepseek_ocr2_vision", fixed=True), DEFAULT]

    def beside(self, hidden: int) -> Iterable[Tensor]:
        yield Tensor("view_separator", (hidden,), "embedding")
        yield from linear("multi_modal_projector", hidden, self.tower_width(), "other", bias=True)
