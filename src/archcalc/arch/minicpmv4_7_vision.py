"""The vision tower of minicpmv4_7. Source: transformers 5.23, models/minicpmv4_7/ (the same as minicpmv4_6's)."""

from archcalc.arch.siglip_vision_model import Minicpmv46Vision as Schema

__all__ = ["Schema"]
