"""Hunyuan 4 with its vision tower.

Source: transformers 5.24, models/hy_v4_vl/modeling_hy_v4_vl.py and configuration_hy_v4_vl.py (defaults), conversion_mapping.py
("hy_v4_vl").
"""

from typing import Annotated

from archcalc.arch import hunyuan_vl, hy_v4
from archcalc.arch._composite import DEFAULT, VisionSchema, moved
from archcalc.arch._schema import ConfigSchema, nested
from archcalc.arch.hunyuan_vl_vision import HyV4VlVision as Vision
from archcalc.errors import ConfigError
from archcalc.model import Architecture


class Schema(VisionSchema):
    renames = (*hunyuan_vl.Schema.renames, *moved(hy_v4.RENAMES))

    text_config: Annotated[ConfigSchema, nested("hy_v4_vl_text", "hy_v4"), DEFAULT]
    vision_config: Annotated[Vision, nested("hy_v4_vl_vision", fixed=True), DEFAULT]

    def architecture(self, prefix: str) -> Architecture:
        a = super().architecture(prefix)
        if self.vision_config.out_hidden_size != a.facts.hidden_size:
            key = "vision_config.out_hidden_size"
            raise ConfigError(f"{key} is not text_config.hidden_size ({a.facts.hidden_size})", "make them equal", key)
        return a
