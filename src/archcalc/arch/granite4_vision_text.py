"""The text model of Granite 4 Vision: Granite 3's, dense.

Source: transformers 5.23, models/granite4_vision/modeling_granite4_vision.py (`Granite4VisionTextModel`; defaults: Llama's).
"""

from archcalc.arch.llama import Granite as Schema

__all__ = ["Schema"]
