"""The vision tower of SmolVLM. Source: transformers 5.23, models/smolvlm/ (the same as idefics3's)."""

from archcalc.arch.idefics2_vision import Idefics3Vision as Schema

__all__ = ["Schema"]
