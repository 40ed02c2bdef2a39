"""Qianfan-OCR: InternVL's form with Qwen 3.

Source: transformers 5.23, models/qianfan_ocr/modeling_qianfan_ocr.py and configuration_qianfan_ocr.py (defaults).
"""

from typing import Annotated

from archcalc.arch import internvl
from archcalc.arch._composite import DEFAULT
from archcalc.arch._schema import ConfigSchema, Flag, TowerSchema, nested


class Schema(internvl.Schema):
    renames = ()

    text_config: Annotated[ConfigSchema, nested("qwen3"), DEFAULT]
    vision_config: Annotated[TowerSchema, nested("qianfan_ocr_vision", fixed=True), DEFAULT]
    tie_word_embeddings: Flag | None = False
