"""The vision tower of instructblip. Source: transformers 5.23, models/instructblip/ (the same as blip_2's)."""

from archcalc.arch.blip_vision_model import Blip2VisionModel as Schema

__all__ = ["Schema"]
