"""BART.

Source: transformers 5.23, models/bart/modeling_bart.py and configuration_bart.py (defaults).
"""

from archcalc.arch._bart import BartSchema


class Schema(BartSchema):
    pass
