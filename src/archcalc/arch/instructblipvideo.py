"""InstructBLIP for video: the same weights, run on each frame.

Source: transformers 5.23, models/instructblipvideo/modeling_instructblipvideo.py and configuration_instructblipvideo.py (defaults).
"""

from typing import Annotated

from archcalc.arch import blip_2
from archcalc.arch._composite import DEFAULT
from archcalc.arch._schema import nested
from archcalc.arch.blip_2_qformer import InstructblipQformer as QFormer
from archcalc.arch.blip_vision_model import Blip2VisionModel as Vision


class Schema(blip_2.Schema):
    fp32_modules = ("query_tokens",)

    vision_config: Annotated[Vision, nested("instructblipvideo_vision_model", fixed=True), DEFAULT]
    qformer_config: Annotated[QFormer, nested("instructblipvideo_qformer", fixed=True), DEFAULT]
