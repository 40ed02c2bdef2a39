"""Llama 1, 2, 3, 3.1 and 3.2, and the many models published in the same form (Yi, SmolLM, TinyLlama).

Source: transformers 5.23, models/llama/modeling_llama.py and configuration_llama.py (defaults).
"""

from __future__ import annotations

from typing import ClassVar

from archcalc.arch._decoder import decoder
from archcalc.arch._schema import ConfigSchema, Flag, Layers, Size, Tokens, divided, rope_label
from archcalc.blocks._tensor import make_layer
from archcalc.blocks.attention import GroupedQueryAttention, head_sharing
from archcalc.blocks.feedforward import GatedFeedForward, activation_name
from archcalc.blocks.norm import rms_norm
from archcalc.model import Architecture, Facts


class Schema(ConfigSchema):
    core_keys: ClassVar[tuple[str, ...]] = ("hidden_size", "num_hidden_layers", "num_attention_heads", "vocab_size", "intermediate_size")

    vocab_size: Size = 32000
    hidden_size: Size = 4096
    intermediate_size: Size = 11008
    num_hidden_layers: Layers = 32
    num_attention_heads: Size = 32
    num_key_value_heads: Size | None = None
    head_dim: Size | None = None
    hidden_act: str = "silu"
    max_position_embeddings: Tokens = 2048
    tie_word_embeddings: Flag = False
    attention_bias: Flag = False
    mlp_bias: Flag = False

    def architecture(self, prefix: str = "model") -> Architecture:
        heads, h = self.num_attention_heads, self.hidden_size
        kv_heads = self.num_key_value_heads or heads
        head_dim = self.head_dim or divided(h, heads, "hidden_size", "num_attention_heads")
        divided(heads, kv_heads, "num_attention_heads", "num_key_value_heads")
        layer = make_layer(
            GroupedQueryAttention(h, heads, kv_heads, head_dim, bias=self.attention_bias, output_bias=self.attention_bias),
            GatedFeedForward(h, self.intermediate_size, self.hidden_act, bias=self.mlp_bias),
            (rms_norm("input_layernorm", h), rms_norm("post_attention_layernorm", h)),
        )
        facts = Facts(
            hidden_size=h,
            vocab_size=self.vocab_size,
            context_tokens=self.max_position_embeddings,
            attention=head_sharing(heads, kv_heads),
            heads=heads,
            kv_heads=kv_heads,
            head_dim=head_dim,
            norm="RMSNorm (pre)",
            activation=activation_name(self.hidden_act, gated=True),
            position=rope_label(self.model_extra or {}),
            intermediate_size=self.intermediate_size,
            tied_embeddings=self.tie_word_embeddings,
        )
        return decoder(
            "llama", [layer] * self.num_hidden_layers, facts, prefix=prefix, final_norm=[rms_norm("norm", h)]
        )
