"""The keys that BERT's config and those of its relatives have alike.

Source: transformers 5.24, models/bert/configuration_bert.py (defaults).
"""

from archcalc.arch._schema import ConfigSchema, Layers, Size


class BertKeys(ConfigSchema):
    """Sizes of an encoder of words, with BERT's defaults."""

    vocab_size: Size = 30522
    hidden_size: Size = 768
    num_hidden_layers: Layers = 12
    num_attention_heads: Size = 12
    intermediate_size: Size = 3072
    hidden_act: str = "gelu"
    max_position_embeddings: Size = 512
