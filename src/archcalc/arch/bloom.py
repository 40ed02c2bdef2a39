"""BLOOM: ALiBi, LayerNorm also behind the embedding, one projection for queries, keys and values.

Source: transformers 5.23, models/bloom/modeling_bloom.py and configuration_bloom.py (defaults, attribute_map).
"""

from typing import Any

from archcalc.arch._classic import ClassicSchema
from archcalc.arch._plain import named
from archcalc.arch._schema import Layers, Size
from archcalc.blocks._tensor import Block, Mixer
from archcalc.blocks.feedforward import FeedForward
from archcalc.blocks.norm import layer_norm
from archcalc.model import ALIBI


class Schema(ClassicSchema):
    inert_keys = ("apply_residual_connection_post_layernorm", "n_inner", "offset_alibi")
    mixer_name = "self_attention"

    vocab_size: Size = 250880
    hidden_size: Size = named(64, "n_embed", "hidden_size")
    num_hidden_layers: Layers = named(2, "n_layer", "num_hidden_layers")
    num_attention_heads: Size = named(8, "n_head", "num_attention_heads")
    hidden_act: str = "gelu"
    # What it was trained on: ALiBi has no end of its own, and the class has no such key.
    max_position_embeddings: Size = named(2048, "seq_length")

    def attention(self, window: int | None, variant: int) -> Mixer:
        names = ("", "", "", "dense")
        return self.gqa(bias=True, output_bias=True, fused="query_key_value", names=names, rope=False)

    def dense(self) -> Block:
        return FeedForward(self.hidden_size, self.ffn_size, self.hidden_act, names=("dense_h_to_4h", "dense_4h_to_h"))

    def more(self) -> dict[str, Any]:
        return {"position": ALIBI, "more": (("embedding", "LayerNorm behind it"),)}

    def decoder_options(self) -> dict[str, Any]:
        norm = layer_norm("word_embeddings_layernorm", self.hidden_size)
        return {"embed": "word_embeddings", "layers_name": "h", "extra_embedding": norm}
