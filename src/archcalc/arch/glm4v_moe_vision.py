"""The vision tower of GLM-4.5V. Source: transformers 5.23, models/glm4v_moe/ (the same as glm4v's)."""

from archcalc.arch.glm4v_vision import Schema

__all__ = ["Schema"]
