"""The vision tower of Qwen3-VL with experts. Source: transformers 5.23, models/qwen3_vl_moe/ (the same as qwen3_vl's)."""

from archcalc.arch.qwen3_vl_vision import Schema

__all__ = ["Schema"]
