"""The text model of Granite Docling: Granite's.

Source: transformers 5.23, models/granite_docling/configuration_granite_docling.py (`GraniteDoclingTextConfig`, defaults).
"""

from archcalc.arch import granite
from archcalc.arch._schema import Flag, Layers, Size, Tokens


class Schema(granite.Schema):
    vocab_size: Size = 133800
    hidden_size: Size = 1024
    intermediate_size: Size = 2048
    num_hidden_layers: Layers = 28
    num_attention_heads: Size = 16
    num_key_value_heads: Size | None = 4
    max_position_embeddings: Tokens = 32768
    tie_word_embeddings: Flag = True
