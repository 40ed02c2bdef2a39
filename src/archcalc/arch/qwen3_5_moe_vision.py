"""The vision tower of Qwen 3.5 with experts. Source: transformers 5.23, models/qwen3_5_moe/ (the same as qwen3_5's)."""

from archcalc.arch.qwen3_vl_vision import Qwen35Vision as Schema

__all__ = ["Schema"]
