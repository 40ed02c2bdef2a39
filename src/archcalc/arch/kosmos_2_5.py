"""Kosmos-2.5: Kosmos-2 with Pix2Struct's tower, for pages of text.

Source: transformers 5.23, models/kosmos2_5/modeling_kosmos2_5.py (`Kosmos2_5ForConditionalGeneration`) and configuration_kosmos2_5.py
(defaults).
"""

from typing import Annotated

from archcalc.arch import kosmos_2
from archcalc.arch._composite import DEFAULT
from archcalc.arch._schema import Size, TowerSchema, nested
from archcalc.arch.kosmos_2_text_model import Kosmos25TextModel as Text
from archcalc.model import Architecture


class Schema(kosmos_2.Schema):
    text_config: Annotated[Text, nested("kosmos_2_5_text_model", fixed=True), DEFAULT]
    vision_config: Annotated[TowerSchema, nested("kosmos_2_5_vision_model", fixed=True), DEFAULT]
    latent_query_num: Size = 2048

    def tied(self, text: Architecture) -> bool:
        # The text model has its own say: the whole names no tie.
        return text.facts.tied_embeddings
