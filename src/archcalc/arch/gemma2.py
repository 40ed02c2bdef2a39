"""Gemma 2: sliding and full layers in turn, norms before and after each block.

Source: transformers 5.23, models/gemma2/modeling_gemma2.py and configuration_gemma2.py (defaults).
"""

from typing import ClassVar

from pydantic import Field

from archcalc.arch._alternating import FULL, SLIDING, mixed_label
from archcalc.arch._computes import Computes
from archcalc.arch._decoder import DecoderSchema, attention_pattern, decoder
from archcalc.arch._schema import Flag, Layers, Size, Tokens, divided
from archcalc.blocks._tensor import make_layer
from archcalc.blocks.attention import GroupedQueryAttention, QkNorm, head_sharing
from archcalc.blocks.feedforward import GatedFeedForward
from archcalc.blocks.norm import rms_norm
from archcalc.model import Architecture, Layer

NORMS = ("input_layernorm", "post_attention_layernorm", "pre_feedforward_layernorm", "post_feedforward_layernorm")


class Schema(DecoderSchema):
    inert_keys = ("use_bidirectional_attention", "sliding_window_size", "_sliding_window_pattern")
    qk_norm: ClassVar[QkNorm] = "none"

    vocab_size: Size = 256000
    hidden_size: Size = 2304
    intermediate_size: Size = 9216
    num_hidden_layers: Layers = 26
    num_attention_heads: Size = 8
    num_key_value_heads: Size = 4
    head_dim: Size = 256
    hidden_act: str = Field("gelu_pytorch_tanh", validation_alias="hidden_activation")
    max_position_embeddings: Tokens = 8192
    tie_word_embeddings: Flag = True
    attention_bias: Flag = False
    sliding_window: Tokens | None = 4096
    layer_types: list[str] | None = None
    final_logit_softcapping: float | None = 30.0
    attn_logit_softcapping: float | None = 50.0

    def computes(self) -> Computes:
        return (
            super()
            .computes()
            ._replace(capped_logits=bool(self.final_logit_softcapping), capped=bool(self.attn_logit_softcapping), norm="rms-1p")
        )

    def window(self) -> int | None:
        return self.sliding_window

    def period(self) -> int:
        """Every how many layers one sees everything."""
        return 2

    def layer(self, window: int | None) -> Layer:
        h, bias = self.hidden_size, self.attention_bias
        attention = GroupedQueryAttention(
            h,
            self.num_attention_heads,
            self.kv_heads,
            self.head_size,
            bias=bias,
            output_bias=bias,
            window=window,
            qk_norm=self.qk_norm,
        )
        return make_layer(
            attention, GatedFeedForward(h, self.intermediate_size, self.hidden_act), (rms_norm(norm, h) for norm in NORMS)
        )

    def architecture(self, prefix: str) -> Architecture:
        heads, h, n = self.num_attention_heads, self.hidden_size, self.num_hidden_layers
        # The reference implementation rejects such a width although head_dim does not depend on it.
        divided(h, heads, "hidden_size", "num_attention_heads")
        kinds = self.layer_types
        if kinds is None:
            kinds = [SLIDING if (i + 1) % self.period() else FULL for i in range(n)]
        windows = attention_pattern(kinds, n, self.window())
        layers = {window: self.layer(window) for window in dict.fromkeys(windows)}
        caps = (("attention", self.attn_logit_softcapping), ("logits", self.final_logit_softcapping))
        capped = ", ".join(f"{what} {cap:g}" for what, cap in caps if cap)
        more = [("QK-norm", "RMSNorm per head")] if self.qk_norm == "head" else []
        if capped:
            more.append(("soft-capping", capped))
        facts = self.facts(
            attention=mixed_label(kinds, head_sharing(heads, self.kv_heads)),
            norm="RMSNorm (pre + post)",
            sliding_window=self.window() if SLIDING in kinds else None,
            more=tuple(more),
        )
        return decoder(
            [layers[w] for w in windows],
            facts,
            computes=self.computes(),
            prefix=prefix,
            final_norm=[rms_norm("norm", h)],
        )
