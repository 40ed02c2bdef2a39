"""GPT-SW3: GPT-2 with a tokenizer of its own.

Source: transformers 5.23, models/auto/configuration_auto.py ("gpt-sw3" is read by GPT2Config).
"""

from archcalc.arch.gpt2 import Schema

__all__ = ["Schema"]
