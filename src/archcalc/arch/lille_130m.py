"""Lille 130M: Llama's layer under GPT's keys, each norm inside its block, an FFN of two thirds of four widths, a tied head.

Source: mlx-lm 0.32, mlx_lm/models/lille-130m.py.
"""

from typing import Any

from archcalc.arch._plain import PlainSchema, named
from archcalc.arch._schema import Flag, Layers, Size, Tokens
from archcalc.blocks._tensor import Mixer


class Schema(PlainSchema):
    norms = ("attention.norm", "feed_forward.norm")
    mixer_name = "attention"
    ffn_name = "feed_forward"

    hidden_size: Size = named(640, "n_embd")
    intermediate_size: int = 0
    num_hidden_layers: Layers = named(24, "n_layer")
    num_attention_heads: Size = named(10, "n_head")
    num_key_value_heads: Size | None = named(None, "n_kv_heads")
    max_position_embeddings: Tokens = named(512, "block_size")
    tie_word_embeddings: Flag = True

    @property
    def ffn_size(self) -> int:
        return 256 * round(int(8 * self.hidden_size / 3) / 256)

    def attention(self, window: int | None, variant: int) -> Mixer:
        return self.gqa(fused="qkv_proj", names=("", "", "", "out_proj"))

    def decoder_options(self) -> dict[str, Any]:
        return {"embed": "tok_embeddings"}
