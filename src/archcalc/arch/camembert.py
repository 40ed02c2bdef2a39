"""CamemBERT: RoBERTa.

Source: transformers 5.23, models/camembert/modeling_camembert.py and configuration_camembert.py (defaults).
"""

from typing import ClassVar

from archcalc.arch import roberta
from archcalc.arch._schema import Size


class Schema(roberta.Schema):
    name: ClassVar[str] = "camembert"
    head_first: ClassVar[bool] = True

    vocab_size: Size = 30522
