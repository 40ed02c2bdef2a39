"""The vision tower of SmolVLM. Source: transformers 5.23, models/smolvlm/ (the same as idefics3's)."""

from archcalc.arch.idefics3_vision import Schema

__all__ = ["Schema"]
