"""The text model of Muse Glimmer: windows with RoPE and full layers without, gated attention, norms before and after each block.

Source: transformers 5.23, models/muse_glimmer/modeling_muse_glimmer.py and configuration_muse_glimmer.py (defaults, `layer_types`).
"""

from typing import ClassVar

from pydantic import Field

from archcalc.arch._alternating import FULL, SLIDING, mixed_label
from archcalc.arch._computes import Computes
from archcalc.arch._decoder import DecoderSchema, attention_pattern, decoder, every
from archcalc.arch._schema import Flag, Layers, Size, Tokens, divided, per_layer, rope_label
from archcalc.arch.gemma2 import NORMS
from archcalc.blocks._tensor import make_layer
from archcalc.blocks.attention import GroupedQueryAttention, head_sharing
from archcalc.blocks.feedforward import GatedFeedForward
from archcalc.blocks.norm import rms_norm
from archcalc.model import Architecture, Layer, Moe


class Schema(DecoderSchema):
    inert_keys: ClassVar[tuple[str, ...]] = ("output_multiplier", "qk_scale_factor")

    vocab_size: Size = 202048
    hidden_size: Size = 6656
    intermediate_size: Size = 19968
    num_hidden_layers: Layers = 52
    num_attention_heads: Size = 32
    num_key_value_heads: Size = 2
    head_dim: Size = 128
    hidden_act: str = Field("silu", validation_alias="hidden_activation")
    max_position_embeddings: Tokens = 131072
    attention_bias: Flag = False
    sliding_window: Tokens | None = 2048
    layer_types: list[str] | None = None
    layer_rope_theta: list[float] | None = None
    final_logit_softcapping: float | None = 20.0

    def computes(self) -> Computes:
        return super().computes()._replace(bare_heads="bare-rms", capped_logits=bool(self.final_logit_softcapping), norm="rms-1p")

    def attention(self, window: int | None, rope: bool) -> GroupedQueryAttention:
        h, heads, bias = self.hidden_size, self.num_attention_heads, self.attention_bias
        return GroupedQueryAttention(
            h, heads, self.kv_heads, self.head_dim, bias, bias, window, rope=rope, gate=heads * self.head_dim, gate_name="gate_proj"
        )

    def sparse(self) -> list[bool]:
        """Which layers' FFN is a mixture of experts."""
        return [False] * self.num_hidden_layers

    def moe(self) -> Moe | None:
        return None

    def layer(self, window: int | None, rope: bool, sparse: bool) -> Layer:
        h = self.hidden_size
        ffn = GatedFeedForward(h, self.intermediate_size, self.hidden_act)
        return make_layer(self.attention(window, rope), ffn, (rms_norm(n, h) for n in NORMS))

    def architecture(self, prefix: str) -> Architecture:
        h, n = self.hidden_size, self.num_hidden_layers
        # The reference implementation rejects such a width although head_dim does not depend on it.
        divided(h, self.num_attention_heads, "hidden_size", "num_attention_heads")
        last = [(n - 1 - i) % 4 == 0 for i in range(n)]
        kinds = [FULL if full else SLIDING for full in last] if self.layer_types is None else self.layer_types
        rope = [not full for full in last]
        if self.layer_rope_theta is not None:
            rope = [theta > 0 for theta in per_layer(self.layer_rope_theta, n, "layer_rope_theta")]
        order = list(zip(attention_pattern(kinds, n, self.sliding_window), rope, self.sparse(), strict=True))
        built = {what: self.layer(*what) for what in set(order)}
        nope = [i for i in range(n) if not rope[i]]
        more = [("QK-norm", "RMSNorm per head, without weights"), ("output gate", "one a channel")]
        if self.final_logit_softcapping:
            more.append(("soft-capping", f"logits {self.final_logit_softcapping:g}"))
        facts = self.facts(
            attention=mixed_label(kinds, head_sharing(self.num_attention_heads, self.kv_heads)),
            norm="RMSNorm (pre + post)",
            position=rope_label(self.model_extra or {}).also(f", NoPE {every(nope)}" if nope else ""),
            sliding_window=self.sliding_window if SLIDING in kinds else None,
            moe=self.moe(),
            more=tuple(more),
        )
        norm = [rms_norm("norm", h)]
        return decoder(
            [built[what] for what in order],
            facts,
            computes=self.computes(),
            prefix=prefix,
            final_norm=norm,
        )
