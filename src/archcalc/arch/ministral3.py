"""Ministral 3 and Devstral 2: Mistral's layers with YaRN unless the config says otherwise.

Source: transformers 5.23, models/ministral3/modeling_ministral3.py and configuration_ministral3.py (defaults).
"""

from archcalc.arch import mistral
from archcalc.arch._schema import Layers, Size, Tokens
from archcalc.model import ROPE, Architecture


class Schema(mistral.Schema):
    vocab_size: Size = 131072
    hidden_size: Size = 4096
    num_hidden_layers: Layers = 34
    num_key_value_heads: Size = 8
    head_dim: Size = 128
    max_position_embeddings: Tokens = 262144
    sliding_window: Size | None = None

    def architecture(self, prefix: str = "model") -> Architecture:
        text = super().architecture(prefix)
        extra = self.model_extra or {}
        if not (extra.get("rope_parameters") or extra.get("rope_scaling")):
            text = text._replace(facts=text.facts._replace(position=ROPE._replace(said="RoPE (YaRN)")))
        return text._replace(model_type="ministral3")
