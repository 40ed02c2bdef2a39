"""PP-FormulaNet: SAM's encoder and mBART's decoder. The head is never tied.

Source: transformers 5.23, models/pp_formulanet/modeling_pp_formulanet.py and configuration_pp_formulanet.py (defaults).
"""

from typing import Annotated

from archcalc.arch._composite import DEFAULT, CompositeSchema, Pieces
from archcalc.arch._decoder import join
from archcalc.arch._schema import ConfigSchema, TowerSchema, nested
from archcalc.model import Architecture


class Schema(CompositeSchema):
    prefix = "model"
    prefix = ""
    ties = "never"

    text_config: Annotated[ConfigSchema, nested("pp_formulanet_text", fixed=True), DEFAULT]
    vision_config: Annotated[TowerSchema, nested("pp_formulanet_vision", fixed=True), DEFAULT]

    def text(self, prefix: str) -> Architecture:
        return self.text_config.architecture(prefix)

    def parts(self, prefix: str, text: Architecture) -> Pieces:
        return self.vision_config.tower(join(prefix, "model.encoder"))
