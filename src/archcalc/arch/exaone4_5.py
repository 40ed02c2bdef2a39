"""EXAONE 4.5: EXAONE 4 with a vision tower of Qwen2.5-VL's kind, and MTP.

Source: transformers 5.23, models/exaone4_5/modeling_exaone4_5.py and configuration_exaone4_5.py (defaults); vLLM 0.33,
models/exaone4_5_mtp.py (`num_nextn_predict_layers` of the outer config: layers like the text model's, stored as `mtp.*`).
"""

from typing import Annotated

from archcalc.arch import exaone4
from archcalc.arch._composite import DEFAULT, VisionSchema
from archcalc.arch._mtp import apart
from archcalc.arch._schema import Count, TowerSchema, nested
from archcalc.model import Architecture


class Schema(VisionSchema):
    tower_name = "visual"

    text_config: Annotated[exaone4.Schema, nested("exaone4", "exaone4_5_text"), DEFAULT]
    vision_config: Annotated[TowerSchema, nested("exaone4_5_vision", fixed=True), DEFAULT]
    num_nextn_predict_layers: Count = 0

    def architecture(self, prefix: str) -> Architecture:
        a, text = super().architecture(prefix), self.text_config
        stacks, groups = apart([text.layer(None, False, 0)] * self.num_nextn_predict_layers, text.hidden_size)
        return a._replace(stacks=(*a.stacks, *stacks), groups=(*a.groups, *groups))
