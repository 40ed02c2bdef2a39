"""PLM: MLA with full-rank queries, and an FFN of squared ReLU without a gate.

Source: llama.cpp (llama-cpp-python 0.3.36), conversion/plm.py and src/models/plm.cpp; PLM-Team/PLM-1.8B-Instruct, config.json (keys).
"""

from __future__ import annotations

from typing import Any

from archcalc.arch._decoder import decoder
from archcalc.arch._mla import LatentSchema
from archcalc.arch._schema import Flag, Size, Tokens
from archcalc.blocks._tensor import make_layer
from archcalc.blocks.feedforward import FeedForward, activation_name
from archcalc.blocks.latent import LatentAttention
from archcalc.blocks.norm import rms_norm
from archcalc.model import Architecture


class Schema(LatentSchema):
    inert_keys = (*LatentSchema.inert_keys, "use_sliding_window", "sliding_window", "max_window_layers")

    max_position_embeddings: Tokens = 4096
    tie_word_embeddings: Flag = True
    hidden_act: str = "relu2"
    kv_lora_rank: Size
    q_lora_rank: Size | None = None
    qk_nope_head_dim: Size
    qk_rope_head_dim: Size
    v_head_dim: Size

    def attention(self, indexed: bool = False) -> LatentAttention:
        return LatentAttention(
            self.hidden_size, self.num_attention_heads, self.kv_lora_rank, self.qk_nope_head_dim, self.qk_rope_head_dim, self.v_head_dim,
            self.q_lora_rank,
        )  # fmt: skip

    def architecture(self, prefix: str) -> Architecture:
        h = self.hidden_size
        ffn = FeedForward(h, self.intermediate_size, self.hidden_act, False, ("up_proj", "down_proj"))
        layer = make_layer(self.attention(), ffn, (rms_norm("input_layernorm", h), rms_norm("post_attention_layernorm", h)))
        facts: dict[str, Any] = {
            "attention": "MLA",
            "more": self.more(),
            "activation": activation_name(self.hidden_act, gated=False),
        }
        return decoder(
            [layer] * self.num_hidden_layers, self.facts(**facts), computes=self.computes(), prefix=prefix,
            final_norm=[rms_norm("norm", h)],
        )  # fmt: skip
