"""MiniCPM 3: MLA in a dense model, with scaled embedding, residuals and logits.

Source: transformers 5.23, models/minicpm3/modeling_minicpm3.py and configuration_minicpm3.py (defaults).
"""

from typing import Any

from archcalc.arch._decoder import decoder
from archcalc.arch._mla import LatentSchema
from archcalc.arch._plain import Derived
from archcalc.arch._schema import Flag, Layers, Size, Tokens, divided
from archcalc.blocks._tensor import make_layer
from archcalc.blocks.feedforward import GatedFeedForward
from archcalc.blocks.latent import LatentAttention
from archcalc.blocks.norm import rms_norm
from archcalc.model import Architecture


class Schema(LatentSchema):
    inert_keys = (*LatentSchema.inert_keys, "scale_emb", "scale_depth", "dim_model_base")

    vocab_size: Size = 73448
    hidden_size: Size = 2560
    intermediate_size: Size = 6400
    num_hidden_layers: Layers = 62
    num_attention_heads: Size = 40
    num_key_value_heads: Size | None = 40
    max_position_embeddings: Tokens = 32768
    tie_word_embeddings: Flag = True
    mlp_bias: Flag = False
    kv_lora_rank: Size = 256
    q_lora_rank: Size | None = 768
    qk_nope_head_dim: Size = 64
    qk_rope_head_dim: Size = 32
    v_head_dim: Derived = 0

    @property
    def head_size(self) -> int:
        return self.v_head_dim or divided(self.hidden_size, self.num_attention_heads, "hidden_size", "num_attention_heads")

    def attention(self, indexed: bool = False) -> LatentAttention:
        return LatentAttention(
            self.hidden_size, self.num_attention_heads, self.kv_lora_rank, self.qk_nope_head_dim, self.qk_rope_head_dim,
            self.head_size, self.q_lora_rank, self.attention_bias,
        )  # fmt: skip

    def architecture(self, prefix: str) -> Architecture:
        h = self.hidden_size
        divided(h, self.num_attention_heads, "hidden_size", "num_attention_heads")
        ffn = GatedFeedForward(h, self.intermediate_size, self.hidden_act, self.mlp_bias)
        layer = make_layer(self.attention(), ffn, (rms_norm("input_layernorm", h), rms_norm("post_attention_layernorm", h)))
        facts: dict[str, Any] = {"attention": "MLA", "more": self.more()}
        layers = [layer] * self.num_hidden_layers
        return decoder(layers, self.facts(**facts), computes=self.computes(), prefix=prefix, final_norm=[rms_norm("norm", h)])
