"""GPT-1: GPT-2's layer with norms behind attention and FFN, none at the end.

Source: transformers 5.23, models/openai/modeling_openai.py and configuration_openai.py (defaults, attribute_map).
"""

from __future__ import annotations

from typing import Any, ClassVar

from archcalc.arch._plain import Derived, PlainSchema, named
from archcalc.arch._schema import Flag, Layers, Size
from archcalc.blocks._tensor import Block, Mixer
from archcalc.blocks.feedforward import FeedForward
from archcalc.model import Architecture, Tensor


class Schema(PlainSchema):
    name: ClassVar[str] = "openai-gpt"
    inert_keys: ClassVar[tuple[str, ...]] = ("n_ctx", "n_special", "predict_special_tokens")
    norms: ClassVar[tuple[str, ...]] = ("ln_1", "ln_2")
    layer_norms: ClassVar[bool] = True
    norm_label: ClassVar[str] = "LayerNorm (post)"
    gated: ClassVar[bool] = False
    mixer_name: ClassVar[str] = "attn"

    vocab_size: Size = 40478
    max_position_embeddings: Size = named(512, "n_positions", "max_position_embeddings")
    hidden_size: Size = named(768, "n_embd", "hidden_size")
    intermediate_size: Derived = 0
    num_hidden_layers: Layers = named(12, "n_layer", "num_hidden_layers")
    num_attention_heads: Size = named(12, "n_head", "num_attention_heads")
    hidden_act: str = named("gelu", "afn")
    tie_word_embeddings: Flag = True

    @property
    def kv_heads(self) -> int:
        return self.num_attention_heads

    @property
    def wide(self) -> int:
        return 4 * self.hidden_size

    def attention(self, window: int | None, variant: int) -> Mixer:
        names = ("", "", "", "c_proj")
        return self.gqa(bias=True, output_bias=True, fused="c_attn", names=names, rope=False, transposed=True)

    def dense(self) -> Block:
        return FeedForward(self.hidden_size, self.wide, self.hidden_act, names=("c_fc", "c_proj"), transposed=True)

    def more(self) -> dict[str, Any]:
        return {"position": "learned"}

    def placed(self) -> dict[str, Any]:
        positions = Tensor("positions_embed.weight", (self.max_position_embeddings, self.hidden_size), "embedding")
        return {"embed": "tokens_embed", "layers_name": "h", "extra_embedding": [positions], "final_norm": ()}

    def architecture(self, prefix: str = "transformer") -> Architecture:
        return super().architecture(prefix)
