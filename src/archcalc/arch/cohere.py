"""Command R and Aya: attention and FFN beside each other behind one LayerNorm without bias, scaled logits.

Source: transformers 5.23, models/cohere/modeling_cohere.py and configuration_cohere.py (defaults).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar

from archcalc.arch._plain import PARALLEL, PlainSchema
from archcalc.arch._schema import Flag, Layers, Size, Tokens
from archcalc.model import Tensor


class Schema(PlainSchema):
    name: ClassVar[str] = "cohere"
    whole_heads: ClassVar[bool] = False
    norms: ClassVar[tuple[str, ...]] = ("input_layernorm",)
    layer_norms: ClassVar[bool] = True
    norm_bias: ClassVar[bool] = False
    norm_label: ClassVar[str] = PARALLEL

    vocab_size: Size = 256000
    hidden_size: Size = 8192
    intermediate_size: Size = 22528
    num_hidden_layers: Layers = 40
    num_attention_heads: Size = 64
    max_position_embeddings: Tokens = 8192
    tie_word_embeddings: Flag = True
    attention_bias: Flag = False
    use_qk_norm: Flag | None = False

    def biases(self) -> tuple[bool, bool]:
        return self.attention_bias, self.attention_bias

    def extra(self, variant: int) -> Iterable[Tensor]:
        if self.use_qk_norm:
            # Each head has a gain of its own.
            yield Tensor("self_attn.q_norm.weight", (self.num_attention_heads, self.head_size), "norm")
            yield Tensor("self_attn.k_norm.weight", (self.kv_heads, self.head_size), "norm")
