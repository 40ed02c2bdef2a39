"""SigLIP 2 for images of any shape.

Source: transformers 5.23, models/siglip2/modeling_siglip2.py (`Siglip2Model`) and configuration_siglip2.py (defaults).
"""

from typing import Annotated

from archcalc.arch import siglip
from archcalc.arch._composite import DEFAULT
from archcalc.arch._dual import TextTower
from archcalc.arch._schema import TowerSchema, nested


class Schema(siglip.Schema):
    text_config: Annotated[TextTower, nested("siglip2_text_model", fixed=True), DEFAULT]
    vision_config: Annotated[TowerSchema, nested("siglip2_vision_model", fixed=True), DEFAULT]
