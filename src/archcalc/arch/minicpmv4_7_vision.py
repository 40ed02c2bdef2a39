"""The vision tower of minicpmv4_7. Source: transformers 5.23, models/minicpmv4_7/ (the same as minicpmv4_6's)."""

from archcalc.arch.minicpmv4_6_vision import Schema

__all__ = ["Schema"]
