"""Youtu-LLM: MLA in a dense model.

Source: mlx-lm 0.32, mlx_lm/models/youtu_llm.py (defaults and names).
"""

from __future__ import annotations

from typing import Any, ClassVar

from archcalc.arch._decoder import decoder
from archcalc.arch._mla import LatentSchema
from archcalc.arch._schema import Flag, Layers, Size, Tokens
from archcalc.blocks._tensor import make_layer
from archcalc.blocks.feedforward import GatedFeedForward
from archcalc.blocks.latent import LatentAttention
from archcalc.blocks.norm import rms_norm
from archcalc.model import Architecture


class Schema(LatentSchema):
    inert_keys: ClassVar[tuple[str, ...]] = (*LatentSchema.inert_keys, "rope_traditional")

    vocab_size: Size = 128256
    hidden_size: Size = 2048
    intermediate_size: Size = 6144
    num_hidden_layers: Layers = 32
    num_attention_heads: Size = 16
    num_key_value_heads: Size | None = 16
    max_position_embeddings: Tokens = 131072
    tie_word_embeddings: Flag = True
    mlp_bias: Flag = False
    kv_lora_rank: Size = 512
    q_lora_rank: Size | None = 1536
    qk_nope_head_dim: Size = 128
    qk_rope_head_dim: Size = 64
    v_head_dim: Size = 128

    def attention(self, indexed: bool = False) -> LatentAttention:
        return LatentAttention(
            self.hidden_size, self.num_attention_heads, self.kv_lora_rank, self.qk_nope_head_dim, self.qk_rope_head_dim, self.v_head_dim,
            self.q_lora_rank, self.attention_bias,
        )  # fmt: skip

    def architecture(self, prefix: str = "model") -> Architecture:
        h = self.hidden_size
        ffn = GatedFeedForward(h, self.intermediate_size, self.hidden_act, self.mlp_bias)
        layer = make_layer(self.attention(), ffn, (rms_norm("input_layernorm", h), rms_norm("post_attention_layernorm", h)))
        facts: dict[str, Any] = {"attention": "MLA", "more": self.more()}
        return decoder(
            "youtu_llm", [layer] * self.num_hidden_layers, self.facts(**facts), computes=self.computes(), prefix=prefix,
            final_norm=[rms_norm("norm", h)],
        )  # fmt: skip
