"""Mistral 7B, Nemo, Small, Devstral: sliding windows on every layer where `sliding_window` is set.

Source: transformers 5.23, models/mistral/modeling_mistral.py and configuration_mistral.py (defaults).
"""

from archcalc.arch._decoder import DecoderSchema, decoder
from archcalc.arch._schema import Layers, Size, Tokens
from archcalc.blocks._tensor import make_layer
from archcalc.blocks.attention import GroupedQueryAttention
from archcalc.blocks.feedforward import GatedFeedForward
from archcalc.blocks.norm import rms_norm
from archcalc.model import ROPE, Architecture


class Schema(DecoderSchema):
    vocab_size: Size = 32000
    hidden_size: Size = 4096
    intermediate_size: Size = 14336
    num_hidden_layers: Layers = 32
    num_attention_heads: Size = 32
    num_key_value_heads: Size | None = 8
    max_position_embeddings: Tokens = 131072
    sliding_window: Size | None = 4096

    def architecture(self, prefix: str) -> Architecture:
        h, window = self.hidden_size, self.sliding_window
        layer = make_layer(
            GroupedQueryAttention(h, self.num_attention_heads, self.kv_heads, self.head_size, window=window),
            GatedFeedForward(h, self.intermediate_size, self.hidden_act),
            (rms_norm("input_layernorm", h), rms_norm("post_attention_layernorm", h)),
        )
        facts = self.facts(sliding_window=window)
        return decoder(
            [layer] * self.num_hidden_layers,
            facts,
            computes=self.computes(),
            prefix=prefix,
            final_norm=[rms_norm("norm", h)],
        )


class Ministral3(Schema):
    """Ministral 3 and Devstral 2: Mistral's layers with YaRN unless the config says otherwise.
    Source: transformers 5.23, models/ministral3/modeling_ministral3.py and configuration_ministral3.py (defaults)."""

    vocab_size: Size = 131072
    num_hidden_layers: Layers = 34
    num_key_value_heads: Size = 8
    head_dim: Size = 128
    max_position_embeddings: Tokens = 262144
    sliding_window: Size | None = None

    def architecture(self, prefix: str) -> Architecture:
        text = super().architecture(prefix)
        extra = self.model_extra or {}
        if not (extra.get("rope_parameters") or extra.get("rope_scaling")):
            text = text._replace(facts=text.facts._replace(position=ROPE._replace(said="RoPE (YaRN)")))
        return text
