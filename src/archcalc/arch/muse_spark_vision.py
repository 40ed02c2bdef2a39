"""The vision tower of Muse Spark. Source: transformers 5.23, models/muse_spark/ (the same as muse_glimmer's)."""

from archcalc.arch.muse_glimmer_vision import Schema

__all__ = ["Schema"]
