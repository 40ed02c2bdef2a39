"""The vision tower of Qwen4, experimental: Qwen 3.5's.

Source: transformers 5.23, models/qwen4_exp/modeling_qwen4_exp.py (`Qwen4ExpVisionModel`) and configuration_qwen4_exp.py (defaults).
"""

from archcalc.arch.qwen3_vl_vision import Qwen35Vision as Schema

__all__ = ["Schema"]
