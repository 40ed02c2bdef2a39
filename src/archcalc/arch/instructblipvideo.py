"""InstructBLIP for video: the same weights, run on each frame.

Source: transformers 5.23, models/instructblipvideo/modeling_instructblipvideo.py and configuration_instructblipvideo.py (defaults).
"""

from typing import Annotated

from archcalc.arch import blip_2
from archcalc.arch._composite import DEFAULT
from archcalc.arch._schema import nested
from archcalc.arch.blip_2_vision_model import Schema as Vision
from archcalc.arch.instructblip_qformer import Schema as QFormer


class Schema(blip_2.Schema):
    fp32_modules = ("query_tokens",)

    vision_config: Annotated[Vision, nested("instructblipvideo_vision_model", fixed=True), DEFAULT]
    qformer_config: Annotated[QFormer, nested("instructblipvideo_qformer", fixed=True), DEFAULT]
