"""ZAYA1: convolved attention and experts in every layer, residuals scaled per channel.

Source: transformers 5.23, models/zaya/modeling_zaya.py and configuration_zaya.py (defaults).
"""

from collections.abc import Iterator

from archcalc.arch._alternating import FULL, HYBRID, SLIDING, known_kinds, mixed_label
from archcalc.arch._computes import Computes
from archcalc.arch._decoder import DecoderSchema, attention_pattern, decoder
from archcalc.arch._plain import Derived
from archcalc.arch._schema import Flag, Layers, Size, Tokens, per_layer, rope_label
from archcalc.blocks._tensor import make_layer
from archcalc.blocks.attention import head_sharing
from archcalc.blocks.convolved import ConvolvedAttention, DeeplyRouted
from archcalc.blocks.experts import MixtureOfExperts
from archcalc.blocks.norm import rms_norm
from archcalc.errors import UnsupportedError
from archcalc.model import Architecture, Layer, Moe, Tensor


class Schema(DecoderSchema):
    vocab_size: Size = 262272
    hidden_size: Size = 2048
    intermediate_size: Derived = 0  # of dense layers, of which there are none
    num_hidden_layers: Layers = 40
    num_attention_heads: Size = 8
    num_key_value_heads: Size = 2
    head_dim: Size = 128
    max_position_embeddings: Tokens = 131072
    tie_word_embeddings: Flag = True
    sliding_window: Tokens | None = None
    layer_types: list[str] | None = None
    moe_intermediate_size: Size = 2048
    num_experts_per_tok: Size = 1
    num_experts: Size = 16
    attention_bias: Flag = False
    lm_head_bias: Flag = False
    router_hidden_size: Size = 256
    cca_time0: Size = 2
    cca_time1: Size = 2

    def computes(self) -> Computes:
        return super().computes()._replace(joined=True)

    def kinds(self) -> list[str]:
        n, allowed = self.num_hidden_layers, (HYBRID, "hybrid_sliding")
        given = [HYBRID] * n if self.layer_types is None else list(per_layer(self.layer_types, n, "layer_types"))
        return [FULL if kind == HYBRID else SLIDING for kind in known_kinds(given, "layer_types", *allowed)]

    def scales(self) -> Iterator[Tensor]:
        for place in ("post_attention_residual_scale", "post_mlp_residual_scale"):
            for name in ("hidden_states_scale", "hidden_states_bias", "residual_scale", "residual_bias"):
                yield Tensor(f"{place}.{name}", (self.hidden_size,), "other", acts="multiplies")

    def layer(self, window: int | None, carries: bool) -> Layer:
        h, kernels = self.hidden_size, (self.cca_time0, self.cca_time1)
        attention = ConvolvedAttention(
            h, self.num_attention_heads, self.kv_heads, self.head_dim, kernels, self.attention_bias, window
        )
        experts = MixtureOfExperts(
            h, self.moe_intermediate_size, self.num_experts, self.num_experts_per_tok, self.hidden_act, stored=()
        )
        norms = (rms_norm("input_layernorm", h), rms_norm("post_attention_layernorm", h))
        return make_layer(attention, DeeplyRouted(experts, self.router_hidden_size, carries), norms, extra=self.scales())

    def architecture(self, prefix: str) -> Architecture:
        h, n = self.hidden_size, self.num_hidden_layers
        if self.num_experts_per_tok != 1:
            raise UnsupportedError("num_experts_per_tok is not 1: the reference implementation knows no more")
        kinds = self.kinds()
        order = [(window, i > 0) for i, window in enumerate(attention_pattern(kinds, n, self.sliding_window))]
        built = {what: self.layer(*what) for what in dict.fromkeys(order)}
        facts = self.facts(
            attention=mixed_label(kinds, f"convolved {head_sharing(self.num_attention_heads, self.kv_heads)}"),
            position=rope_label(self.model_extra or {}, 0.5),
            intermediate_size=self.moe_intermediate_size,
            sliding_window=self.sliding_window if SLIDING in kinds else None,
            moe=Moe(self.num_experts, 1, 0, n, self.moe_intermediate_size),
            more=(("convolutions", f"queries and keys, over {self.cca_time0} and {self.cca_time1} tokens"),),
        )
        scaled = [Tensor(f"input_hidden_states_{name}", (h,), "other") for name in ("scale", "bias")]
        layers, norm = [built[what] for what in order], [rms_norm("norm", h)]
        return decoder(
            layers,
            facts,
            computes=self.computes(),
            prefix=prefix,
            final_norm=norm,
            extra=scaled,
            head_bias=self.lm_head_bias,
        )
