"""XLM-RoBERTa: RoBERTa.

Source: transformers 5.23, models/xlm_roberta/modeling_xlm_roberta.py and configuration_xlm_roberta.py (defaults).
"""

from archcalc.arch import roberta
from archcalc.arch._schema import Size


class Schema(roberta.Schema):
    name = "xlm-roberta"
    head_first = True

    vocab_size: Size = 30522
