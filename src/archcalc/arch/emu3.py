"""Emu3: Llama that reads and writes images and video as tokens, and the tokenizer that makes them.

Source: transformers 5.23, models/emu3/modeling_emu3.py and configuration_emu3.py (defaults), conversion_mapping.py ("emu3").
"""

from typing import Annotated

from archcalc.arch._composite import DEFAULT, CompositeSchema, Pieces
from archcalc.arch._schema import ConfigSchema, nested
from archcalc.arch.emu3_vqgan import Schema as Tokenizer
from archcalc.model import Architecture


class Schema(CompositeSchema):
    inert_keys = ("vocabulary_map",)
    text_name = "text_model"
    renames = (
        ("lm_head.", "text_model.lm_head."),
        ("model.text_model.", "text_model.model."),
        ("model.vqmodel.", "vqmodel."),
    )

    text_config: Annotated[ConfigSchema, nested("emu3_text_model"), DEFAULT]
    vq_config: Annotated[Tokenizer, nested("emu3_vqgan", fixed=True), DEFAULT]

    def parts(self, prefix: str, text: Architecture) -> Pieces:
        return self.vq_config.tower(f"{prefix}.vqmodel")
