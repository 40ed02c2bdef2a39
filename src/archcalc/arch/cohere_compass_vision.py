"""The vision tower of Cohere Compass: Qwen3-VL's.

Source: transformers 5.23, models/cohere_compass/modeling_cohere_compass.py (`CohereCompassVisionModel`).
"""

from archcalc.arch.qwen3_vl_vision import Schema

__all__ = ["Schema"]
