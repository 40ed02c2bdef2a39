"""The text model of Qwen2.5-VL. Source: transformers 5.23, models/qwen2_5_vl/ (the same as qwen2_vl's)."""

from archcalc.arch.qwen2_vl_text import Schema

__all__ = ["Schema"]
