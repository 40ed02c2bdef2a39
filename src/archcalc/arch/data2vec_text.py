"""data2vec, the text model: RoBERTa.

Source: transformers 5.23, models/data2vec/modeling_data2vec_text.py and configuration_data2vec_text.py (defaults).
"""

from archcalc.arch import roberta
from archcalc.arch._schema import Size


class Schema(roberta.Schema):
    name = "data2vec-text"
    root = "data2vec_text"

    vocab_size: Size = 30522
