"""BERT.

Source: transformers 5.23, models/bert/modeling_bert.py and configuration_bert.py (defaults).
"""

from archcalc.arch._bert import BertSchema


class Schema(BertSchema):
    root = "bert"
