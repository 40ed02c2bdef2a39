"""I-BERT: RoBERTa, whose integer arithmetic changes no weight.

Source: transformers 5.24, models/ibert/modeling_ibert.py (`IBertForMaskedLM`) and configuration_ibert.py (defaults).
"""

from archcalc.arch import roberta
from archcalc.arch._schema import Size


class Schema(roberta.Schema):
    inert_keys = (*roberta.Schema.inert_keys, "quant_mode", "force_dequant")
    root = "ibert"

    vocab_size: Size = 30522
