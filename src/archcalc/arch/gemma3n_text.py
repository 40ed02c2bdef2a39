"""Gemma 3n, the text model: AltUp, LAuReL, per-layer embeddings, FFN widths of their own, and last layers without keys and values.

Source: transformers 5.23, models/gemma3n/modeling_gemma3n.py and configuration_gemma3n.py (defaults; `kv_sharing_modes`).
"""

from pydantic import Field

from archcalc.arch._alternating import FULL, SLIDING, mixed_label
from archcalc.arch._computes import Computes
from archcalc.arch._decoder import DecoderSchema, attention_pattern, decoder
from archcalc.arch._schema import Count, Flag, Fraction, Layers, Size, Tokens, divided, per_layer
from archcalc.arch.gemma2 import NORMS
from archcalc.blocks import altup
from archcalc.blocks._tensor import make_layer, prefixed
from archcalc.blocks.attention import GroupedQueryAttention, head_sharing
from archcalc.blocks.feedforward import GatedFeedForward
from archcalc.blocks.norm import rms_norm
from archcalc.errors import ConfigError
from archcalc.model import Architecture, Layer


class Schema(DecoderSchema):
    inert_keys = ("altup_active_idx", "altup_coef_clip", "altup_correct_scale")

    vocab_size: Size = 262_400
    hidden_size: Size = 2048
    intermediate_size: Size | list[Size] = 16_384  # type: ignore[assignment]
    num_hidden_layers: Layers = 35
    num_attention_heads: Size = 8
    num_key_value_heads: Size = 2
    head_dim: Size = 256
    hidden_act: str = Field("gelu_pytorch_tanh", validation_alias="hidden_activation")
    max_position_embeddings: Tokens = 32_768
    tie_word_embeddings: Flag = True
    attention_bias: Flag = False
    sliding_window: Tokens = 512
    layer_types: list[str] | None = None
    final_logit_softcapping: float | None = 30.0
    vocab_size_per_layer_input: Size = 262_144
    hidden_size_per_layer_input: Size = 256
    altup_num_inputs: Size = 4
    num_kv_shared_layers: Count = 15
    laurel_rank: Size = 64
    activation_sparsity_pattern: list[Fraction] | None = None

    def computes(self) -> Computes:
        return (
            super()
            .computes()
            ._replace(bare_values="bare-rms", capped_logits=bool(self.final_logit_softcapping), norm="rms-cast-gain")
        )

    def layer(self, window: int | None, shared: bool, intermediate: int) -> Layer:
        h, bias = self.hidden_size, self.attention_bias
        shape = (h, self.num_attention_heads, self.kv_heads, self.head_dim, bias, bias, window)
        attention = GroupedQueryAttention(*shape, qk_norm="head", own_kv=not shared)
        extra = altup.layer_extras(h, self.altup_num_inputs, self.laurel_rank, self.hidden_size_per_layer_input)
        if shared:  # published checkpoints hold the projections that such a layer has no use for
            own = GroupedQueryAttention(*shape, qk_norm="head").tensors()
            extra += prefixed("self_attn", (t._replace(kind="copy") for t in own if t.name.startswith(("k_", "v_"))))
        ffn = GatedFeedForward(h, intermediate, self.hidden_act)
        return make_layer(attention, ffn, (rms_norm(norm, h) for norm in NORMS), extra=extra)

    def architecture(self, prefix: str) -> Architecture:
        heads, h, n, width = self.num_attention_heads, self.hidden_size, self.num_hidden_layers, self.hidden_size_per_layer_input
        # The reference implementation rejects such a width although head_dim does not depend on it.
        divided(h, heads, "hidden_size", "num_attention_heads")
        kinds = [SLIDING if (i + 1) % 5 else FULL for i in range(n)] if self.layer_types is None else self.layer_types
        windows = attention_pattern(kinds, n, self.sliding_window)
        first_shared = n - self.num_kv_shared_layers
        if first_shared < 1 or set(kinds[:first_shared]) != set(kinds):
            why = f"num_kv_shared_layers is {self.num_kv_shared_layers}: the layers before lack a kind of layer_types to share"
            raise ConfigError(why, "give fewer", "num_kv_shared_layers")
        sizes = self.intermediate_size
        ffn = per_layer(sizes, n, "intermediate_size") if isinstance(sizes, list) else [sizes] * n
        sparsity = self.activation_sparsity_pattern
        if sparsity is None:
            sparsity = [0.95] * 10 + [0.0] * (n - 10) if n > 10 else [0.0] * n
        sparse = sum(share > 0 for share in per_layer(sparsity, n, "activation_sparsity_pattern"))
        order = [(windows[i], i >= first_shared, ffn[i]) for i in range(n)]
        layers = {what: self.layer(*what) for what in dict.fromkeys(order)}
        more = (
            ("QK-norm", "RMSNorm per head"),
            ("per-layer embeddings", f"{self.vocab_size_per_layer_input} x {width} for each layer"),
            ("AltUp", f"{self.altup_num_inputs} streams"),
            ("LAuReL", f"rank {self.laurel_rank}"),
            ("shared KV", f"the last {n - first_shared} layers" if first_shared < n else ""),
            ("FFN widths", f"{min(ffn)} to {max(ffn)}" if len(set(ffn)) > 1 else ""),
            ("activation sparsity", f"{max(sparsity):.0%} in {sparse} layers" if sparse else ""),
            ("soft-capping", f"logits {self.final_logit_softcapping:g}" if self.final_logit_softcapping else ""),
        )
        facts = self.facts(
            attention=mixed_label(kinds, head_sharing(heads, self.kv_heads)),
            norm="RMSNorm (pre + post)",
            intermediate_size=max(ffn),
            sliding_window=self.sliding_window if SLIDING in kinds else None,
            more=tuple((what, value) for what, value in more if value),
        )
        outside = (*altup.per_layer_inputs(h, n, width), *altup.stream_projections(h, self.altup_num_inputs))
        return decoder(
            [layers[what] for what in order], facts, computes=self.computes(),
            prefix=prefix, final_norm=[rms_norm("norm", h)],
            extra_embedding=[altup.per_layer_table(self.vocab_size_per_layer_input, n, width)], extra=outside,
        )  # fmt: skip
