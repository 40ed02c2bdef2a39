"""VideoLLaMA 3: Qwen 2 with SigLIP for images and video of any size.

Source: transformers 5.23, models/video_llama_3/modeling_video_llama_3.py and configuration_video_llama_3.py (defaults; tied where
either config says so).
"""

from collections.abc import Iterable
from typing import Annotated

from archcalc.arch._composite import DEFAULT, VisionSchema
from archcalc.arch._schema import ConfigSchema, TowerSchema, nested
from archcalc.blocks.vision import projector
from archcalc.model import Tensor


class Schema(VisionSchema):
    tower_name = "vision_model"
    projector_name = "projector"
    ties = "either"

    text_config: Annotated[ConfigSchema, nested("qwen2"), DEFAULT]
    vision_config: Annotated[TowerSchema, nested("video_llama_3_vision", fixed=True), DEFAULT]

    def projection(self, width: int, hidden: int) -> Iterable[Tensor]:
        return projector(("readout.0", "readout.2"), (width, hidden, hidden))
