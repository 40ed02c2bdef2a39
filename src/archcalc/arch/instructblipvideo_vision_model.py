"""The vision tower of instructblipvideo. Source: transformers 5.23, models/instructblipvideo/ (the same as blip_2's)."""

from archcalc.arch.blip_vision_model import Blip2VisionModel as Schema

__all__ = ["Schema"]
