"""Cohere Compass, with vision: its text model and Qwen3-VL's tower.

Source: transformers 5.23, models/cohere_compass/modeling_cohere_compass.py and configuration_cohere_compass.py (defaults).
"""

from typing import Annotated

from pydantic import Field

from archcalc.arch import qwen3_5
from archcalc.arch._schema import ConfigSchema, TowerSchema, nested
from archcalc.model import Encoder


class Schema(qwen3_5.Schema):
    core_keys = ()

    text_config: Annotated[ConfigSchema, nested("cohere_compass_text"), Field(default={}, validate_default=True)]
    vision_config: Annotated[
        TowerSchema, nested("cohere_compass_vision", "cohere_compass"), Field(default={}, validate_default=True)
    ]

    def encoders(self) -> tuple[Encoder, ...]:
        """An image as large as the processor leaves it."""
        source = "transformers 5.24, models/cohere_compass/image_processing_cohere_compass.py `size`"
        # The frames of a patch hold the same pixels.
        most = (28**2 * 1280 * 6 // e.pixels // 4 for e in super().encoders())
        return tuple(e._replace(patches=4 * n, tokens=n, source=source) for e, n in zip(super().encoders(), most, strict=True))
