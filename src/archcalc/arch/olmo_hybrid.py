"""OLMo Hybrid: three layers of Gated DeltaNet with norms before each block to one of attention with norms after.

Source: transformers 5.23, models/olmo_hybrid/modeling_olmo_hybrid.py and configuration_olmo_hybrid.py (defaults, `layer_types`).
"""

from archcalc.arch._alternating import FULL, LINEAR, hybrid_label, known_kinds
from archcalc.arch._computes import Computes
from archcalc.arch._decoder import DecoderSchema, decoder
from archcalc.arch._schema import Flag, Layers, Size, Tokens, divided, per_layer
from archcalc.blocks._tensor import make_layer
from archcalc.blocks.attention import GroupedQueryAttention, head_sharing
from archcalc.blocks.feedforward import GatedFeedForward
from archcalc.blocks.linear import GatedDeltaNet
from archcalc.blocks.norm import rms_norm
from archcalc.errors import ConfigError
from archcalc.model import Architecture, Layer


class Schema(DecoderSchema):
    whole_heads = False
    inert_keys = ("linear_a_log_max", "linear_a_log_min", "linear_allow_neg_eigval", "linear_dt_max", "linear_dt_min")

    vocab_size: Size = 100352
    hidden_size: Size = 3840
    intermediate_size: Size = 11008
    num_hidden_layers: Layers = 32
    num_attention_heads: Size = 30
    max_position_embeddings: Tokens = 65536
    attention_bias: Flag = False
    layer_types: list[str] | None = None
    linear_num_key_heads: Size | None = None
    linear_num_value_heads: Size | None = None
    linear_key_head_dim: Size | None = None
    linear_value_head_dim: Size | None = None
    linear_conv_kernel_dim: Size = 4

    def computes(self) -> Computes:
        return super().computes()._replace(norm="rms-fp32", tables="fp32")

    def kinds(self) -> list[str]:
        n = self.num_hidden_layers
        kinds = [FULL if i % 4 == 3 else LINEAR for i in range(n)] if self.layer_types is None else self.layer_types
        if self.layer_types is None and FULL not in kinds:
            kinds[-1] = FULL
        kinds = known_kinds(per_layer(kinds, n, "layer_types"), "layer_types", LINEAR, FULL)
        if len(set(kinds)) < 2:
            raise ConfigError("layer_types needs a linear and a full layer", f"name both {LINEAR} and {FULL}", "layer_types")
        return kinds

    def delta(self) -> GatedDeltaNet:
        h, heads = self.hidden_size, self.num_attention_heads
        keys, values = self.linear_num_key_heads or heads, self.linear_num_value_heads or heads
        divided(values, keys, "linear_num_value_heads", "linear_num_key_heads")
        key_dim = self.linear_key_head_dim or int(0.75 * h / keys)
        return GatedDeltaNet(
            h, keys, values, key_dim, self.linear_value_head_dim or 2 * key_dim, self.linear_conv_kernel_dim, apart=True
        )

    def layer(self, kind: str) -> Layer:
        h, bias = self.hidden_size, self.attention_bias
        ffn = GatedFeedForward(h, self.intermediate_size, self.hidden_act)
        if kind == LINEAR:
            norms = (rms_norm("input_layernorm", h), rms_norm("post_attention_layernorm", h))
            return make_layer(self.delta(), ffn, norms, mixer_name="linear_attn")
        norms = (rms_norm("post_attention_layernorm", h), rms_norm("post_feedforward_layernorm", h))
        heads, kv_heads = self.num_attention_heads, self.kv_heads
        return make_layer(GroupedQueryAttention(h, heads, kv_heads, self.head_size, bias, bias, qk_norm="full"), ffn, norms)

    def architecture(self, prefix: str) -> Architecture:
        kinds, delta = self.kinds(), self.delta()
        built = {kind: self.layer(kind) for kind in set(kinds)}
        facts = self.facts(
            attention=hybrid_label(kinds, "Gated DeltaNet", head_sharing(self.num_attention_heads, self.kv_heads)),
            norm="RMSNorm (pre in linear layers, post in full ones)",
            more=(
                ("linear heads", f"{delta.value_heads} x {delta.value_dim} value, {delta.key_heads} x {delta.key_dim} key"),
                ("convolution", f"{delta.kernel} tokens"),
                ("QK-norm", "RMSNorm over all heads"),
            ),
        )
        norm = [rms_norm("norm", self.hidden_size)]
        return decoder([built[kind] for kind in kinds], facts, computes=self.computes(), prefix=prefix, final_norm=norm)
