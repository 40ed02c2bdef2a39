"""The vision tower of minicpm_ocr. Source: transformers 5.23, models/minicpm_ocr/ (the same as minicpmv4_6's)."""

from archcalc.arch.siglip_vision_model import Minicpmv46Vision as Schema

__all__ = ["Schema"]
