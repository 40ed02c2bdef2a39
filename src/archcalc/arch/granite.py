"""Granite 3, dense: Llama's structure with multipliers on embedding, attention, residual and logits.

Source: transformers 5.23, models/granite/modeling_granite.py and configuration_granite.py (defaults: Llama's).
"""

from archcalc.arch import llama
from archcalc.arch._schema import Flag, Layers, Size, Tokens


class Schema(llama.Schema):
    whole_heads = False


class GraniteDoclingText(Schema):
    """The text model of Granite Docling: Granite's.
    Source: transformers 5.23, models/granite_docling/configuration_granite_docling.py (`GraniteDoclingTextConfig`, defaults).
    """

    vocab_size: Size = 133800
    hidden_size: Size = 1024
    intermediate_size: Size = 2048
    num_hidden_layers: Layers = 28
    num_attention_heads: Size = 16
    num_key_value_heads: Size | None = 4
    max_position_embeddings: Tokens = 32768
    tie_word_embeddings: Flag = True
