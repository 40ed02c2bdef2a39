"""Pix2Struct: an encoder of image patches and T5's decoder.

Source: transformers 5.23, models/pix2struct/modeling_pix2struct.py (`Pix2StructForConditionalGeneration`) and
configuration_pix2struct.py (defaults; the outer config's flag ties the head).
"""

from typing import Annotated

from archcalc.arch._composite import DEFAULT, CompositeSchema, Pieces
from archcalc.arch._decoder import join
from archcalc.arch._schema import ConfigSchema, TowerSchema, nested
from archcalc.model import Architecture


class Schema(CompositeSchema):
    prefix = "model"
    prefix = ""
    inert_keys = ("is_vqa",)

    text_config: Annotated[ConfigSchema, nested("pix2struct_text_model", fixed=True), DEFAULT]
    vision_config: Annotated[TowerSchema, nested("pix2struct_vision_model", fixed=True), DEFAULT]

    def text(self, prefix: str) -> Architecture:
        return self.text_config.architecture(join(prefix, "decoder"))

    def parts(self, prefix: str, text: Architecture) -> Pieces:
        return self.vision_config.tower(join(prefix, "encoder"))
