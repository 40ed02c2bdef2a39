"""Spark X2.5: fused queries, keys and values, one gate a head on the attention's output, windows in three of four layers.

Source: XHToken/Spark-X2.5-4B, modeling_spark.py and configuration_spark.py.
"""

from collections.abc import Iterable
from typing import Any

from archcalc.arch._plain import WindowedSchema
from archcalc.arch._schema import Flag, Layers, Size, Tokens
from archcalc.blocks._tensor import Mixer, linear
from archcalc.errors import UnsupportedError
from archcalc.model import Architecture, Shard, Tensor


class Schema(WindowedSchema):
    inert_keys = ("gate_attn_act_mode",)

    vocab_size: Size = 131072
    hidden_size: Size = 2560
    intermediate_size: Size = 10240
    num_hidden_layers: Layers = 36
    num_attention_heads: Size = 16
    num_key_value_heads: Size | None = 4
    head_dim: Size | None = 256
    hidden_act: str = "gelu"
    max_position_embeddings: Tokens = 1048576
    tie_word_embeddings: Flag = True
    sliding_window: Tokens | None = 512
    attention_bias: Flag = False
    mlp_bias: Flag = False
    headwise_attn_output_gate: Flag = True

    def ffn_bias(self) -> bool:
        return self.mlp_bias

    def attention(self, window: int | None, variant: int) -> Mixer:
        bias, names = self.attention_bias, ("", "", "", "out_proj")
        return self.gqa(bias=bias, output_bias=bias, window=window, fused="q_k_v_proj", names=names)

    def extra(self, variant: int) -> Iterable[Tensor]:
        if self.headwise_attn_output_gate:
            heads = self.num_attention_heads
            yield from linear("self_attn.g_proj", heads, self.hidden_size, "attention", shard=Shard(0, heads))

    def decoder_options(self) -> dict[str, Any]:
        return {"embed": "embedding"}

    def architecture(self, prefix: str) -> Architecture:
        if self.hidden_act != "gelu":
            raise UnsupportedError(f"hidden_act is {self.hidden_act!r}: the reference implementation knows only gelu")
        return super().architecture(prefix)
