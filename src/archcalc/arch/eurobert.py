"""EuroBERT: Llama's layers, which see the whole text.

Source: transformers 5.23, models/eurobert/modeling_eurobert.py (`EuroBertForMaskedLM`) and configuration_eurobert.py (defaults).
"""

from typing import Any

from archcalc.arch._plain import BiasedSchema
from archcalc.arch._schema import Layers, Size, Tokens
from archcalc.blocks.attention import head_sharing
from archcalc.model import Layer, both_ways


class Schema(BiasedSchema):
    inert_keys = ("classifier_pooling", "mask_token", "clf_pooling")

    vocab_size: Size = 128256
    hidden_size: Size = 768
    intermediate_size: Size = 3072
    num_hidden_layers: Layers = 12
    num_attention_heads: Size = 12
    max_position_embeddings: Tokens = 8192

    def layer(self, window: int | None, sparse: bool, variant: int) -> Layer:
        return both_ways(super().layer(window, sparse, variant))

    def decoder_options(self) -> dict[str, Any]:
        return {"head_bias": self.mlp_bias}

    def more(self) -> dict[str, Any]:
        return {"attention": f"{head_sharing(self.num_attention_heads, self.kv_heads)}, bidirectional"}
