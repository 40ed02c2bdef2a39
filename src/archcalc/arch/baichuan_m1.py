"""Baichuan-M1: Baichuan's layer with a convolution of two tokens over keys and values, and windows with heads of their own number.

Source: mlx-lm 0.32, mlx_lm/models/baichuan_m1.py.
"""

from collections.abc import Iterator

from archcalc.arch._alternating import FULL, SLIDING, mixed_label
from archcalc.arch._decoder import DecoderSchema, decoder
from archcalc.arch._schema import Count, Size, Tokens, divided
from archcalc.blocks._tensor import make_layer
from archcalc.blocks.attention import GroupedQueryAttention, head_sharing
from archcalc.blocks.feedforward import GatedFeedForward
from archcalc.blocks.linear import conv_state
from archcalc.blocks.norm import rms_norm
from archcalc.errors import UnsupportedError
from archcalc.model import Architecture, Cache, Layer, Shard, Tensor


class Blended(GroupedQueryAttention):
    """Each head's keys and values are blended with those of the token before."""

    kernel: int = 2

    def _norms(self) -> Iterator[Tensor]:
        yield from (
            Tensor(name, (1, 1, self.kv_heads, 1, self.kernel), "attention", Shard(2, self.kv_heads))
            for name in ("conv_k", "conv_v")
        )

    def caches(self) -> Iterator[Cache]:
        yield from GroupedQueryAttention.caches(self)
        before = conv_state(2 * self.kv_heads * self.head_dim, self.kernel, self.kv_heads)
        yield Cache("state", states=(before,), recurrence="short-conv")


class Schema(DecoderSchema):
    core_keys = (*DecoderSchema.core_keys, "sliding_window", "sliding_window_layers")

    max_position_embeddings: Tokens = 32768
    sliding_window: Tokens
    sliding_window_layers: list[Count]
    num_swa_attention_heads: Size | None = None
    num_swa_key_value_heads: Size | None = None
    conv_window: Size = 2

    def layer(self, slides: bool) -> Layer:
        h = self.hidden_size
        heads = (self.num_swa_attention_heads if slides else None) or self.num_attention_heads
        kv = (self.num_swa_key_value_heads if slides else None) or self.kv_heads
        dim = divided(h, heads, "hidden_size", "num_swa_attention_heads" if slides else "num_attention_heads")
        window = self.sliding_window if slides else None
        return make_layer(
            Blended(h, heads, kv, dim, window=window, fused="W_pack", kernel=self.conv_window),
            GatedFeedForward(h, self.intermediate_size, self.hidden_act),
            (rms_norm("input_layernorm", h), rms_norm("post_attention_layernorm", h)),
        )

    def architecture(self, prefix: str) -> Architecture:
        if self.conv_window != 2:
            raise UnsupportedError(f"conv_window is {self.conv_window}: 2 is known here")
        slides = [i in set(self.sliding_window_layers) for i in range(self.num_hidden_layers)]
        built = {kind: self.layer(kind) for kind in set(slides)}
        kinds = [SLIDING if kind else FULL for kind in slides]
        facts = self.facts(
            attention=mixed_label(kinds, head_sharing(self.num_attention_heads, self.kv_heads)),
            sliding_window=self.sliding_window if any(slides) else None,
        )
        layers = [built[kind] for kind in slides]
        return decoder(layers, facts, computes=self.computes(), prefix=prefix, final_norm=[rms_norm("norm", self.hidden_size)])
