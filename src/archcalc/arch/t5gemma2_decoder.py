"""The decoder of T5Gemma 2: one attention over the text so far and the encoder's output together.

Source: transformers 5.23, models/t5gemma2/modeling_t5gemma2.py (`T5Gemma2Decoder`) and configuration_t5gemma2.py (defaults).
"""

from archcalc.arch.gemma3_text import T5gemma2Text as Schema

__all__ = ["Schema"]
