"""BERT.

Source: transformers 5.23, models/bert/modeling_bert.py and configuration_bert.py (defaults).
"""

from typing import ClassVar

from archcalc.arch._bert import BertSchema


class Schema(BertSchema):
    name: ClassVar[str] = "bert"
    root: ClassVar[str] = "bert"
