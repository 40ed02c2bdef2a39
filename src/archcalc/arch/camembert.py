"""CamemBERT: RoBERTa.

Source: transformers 5.23, models/camembert/modeling_camembert.py and configuration_camembert.py (defaults).
"""

from archcalc.arch import roberta
from archcalc.arch._schema import Size


class Schema(roberta.Schema):
    head_first = True

    vocab_size: Size = 30522
