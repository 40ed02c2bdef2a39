"""Phi-3, Phi-3.5, Phi-4 and Phi-4-mini: fused projections, LongRoPE.

Source: transformers 5.23, models/phi3/modeling_phi3.py and configuration_phi3.py (defaults).
"""

from typing import ClassVar

from archcalc.arch._computes import Computes
from archcalc.arch._decoder import DecoderSchema, decoder
from archcalc.arch._schema import Fraction, Layers, Size, Tokens, rope_label
from archcalc.blocks._tensor import make_layer
from archcalc.blocks.attention import GroupedQueryAttention
from archcalc.blocks.feedforward import GatedFeedForward
from archcalc.blocks.norm import rms_norm
from archcalc.model import Architecture


class Schema(DecoderSchema):
    inert_keys: ClassVar[tuple[str, ...]] = ("attention_bias", "mlp_bias", "lm_head_bias")

    vocab_size: Size = 32064
    hidden_size: Size = 3072
    intermediate_size: Size = 8192
    num_hidden_layers: Layers = 32
    num_attention_heads: Size = 32
    max_position_embeddings: Tokens = 4096
    sliding_window: Size | None = None
    partial_rotary_factor: Fraction | None = None

    def computes(self) -> Computes:
        return super().computes()._replace(joined=True)

    def architecture(self, prefix: str) -> Architecture:
        h = self.hidden_size
        attention = GroupedQueryAttention(
            h, self.num_attention_heads, self.kv_heads, self.head_size, window=self.sliding_window, fused="qkv_proj"
        )
        layer = make_layer(
            attention,
            GatedFeedForward(h, self.intermediate_size, self.hidden_act, fused="gate_up_proj"),
            (rms_norm("input_layernorm", h), rms_norm("post_attention_layernorm", h)),
        )
        facts = self.facts(
            sliding_window=self.sliding_window, position=rope_label(self.model_extra or {}, self.partial_rotary_factor)
        )
        return decoder(
            [layer] * self.num_hidden_layers,
            facts,
            computes=self.computes(),
            prefix=prefix,
            final_norm=[rms_norm("norm", h)],
        )
