"""GPT-1: GPT-2's layer with norms behind attention and FFN, none at the end.

Source: transformers 5.23, models/openai/modeling_openai.py and configuration_openai.py (defaults, attribute_map).
"""

from typing import Any

from archcalc.arch._classic import ClassicSchema
from archcalc.arch._plain import named
from archcalc.arch._schema import Layers, Size
from archcalc.blocks._tensor import Block, Mixer
from archcalc.blocks.feedforward import FeedForward
from archcalc.model import LEARNED, Tensor


class Schema(ClassicSchema):
    name = "openai-gpt"
    inert_keys = ("n_ctx", "n_special", "predict_special_tokens")
    norms = ("ln_1", "ln_2")
    norm_label = "LayerNorm (post)"
    mixer_name = "attn"

    vocab_size: Size = 40478
    max_position_embeddings: Size = named(512, "n_positions", "max_position_embeddings")
    hidden_size: Size = named(768, "n_embd", "hidden_size")
    num_hidden_layers: Layers = named(12, "n_layer", "num_hidden_layers")
    num_attention_heads: Size = named(12, "n_head", "num_attention_heads")
    hidden_act: str = named("gelu", "afn")

    def attention(self, window: int | None, variant: int) -> Mixer:
        names = ("", "", "", "c_proj")
        return self.gqa(bias=True, output_bias=True, fused="c_attn", names=names, rope=False, transposed=True)

    def dense(self) -> Block:
        return FeedForward(self.hidden_size, self.ffn_size, self.hidden_act, names=("c_fc", "c_proj"), transposed=True)

    def more(self) -> dict[str, Any]:
        return {"position": LEARNED}

    def decoder_options(self) -> dict[str, Any]:
        positions = Tensor("positions_embed.weight", (self.max_position_embeddings, self.hidden_size), "embedding")
        return {"embed": "tokens_embed", "layers_name": "h", "extra_embedding": [positions], "final_norm": ()}
