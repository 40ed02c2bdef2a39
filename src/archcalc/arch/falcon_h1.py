"""Falcon-H1: attention and Mamba-2 side by side in every layer.

Source: transformers 5.23, models/falcon_h1/modeling_falcon_h1.py and configuration_falcon_h1.py (defaults).
"""

from archcalc.arch._decoder import decoder
from archcalc.arch._mamba2 import Mamba2Schema
from archcalc.arch._schema import Flag, Layers, Size, Tokens
from archcalc.blocks._tensor import make_layer
from archcalc.blocks.attention import GroupedQueryAttention, head_sharing
from archcalc.blocks.feedforward import GatedFeedForward
from archcalc.blocks.norm import rms_norm
from archcalc.blocks.together import MixersTogether
from archcalc.model import Architecture


class Schema(Mamba2Schema):
    inert_keys = (
        *Mamba2Schema.inert_keys, "attention_in_multiplier", "attention_out_multiplier", "key_multiplier", "lm_head_multiplier",
        "mamba_norm_before_gate", "mamba_use_mlp", "mlp_multipliers", "mlp_expansion_factor", "ssm_in_multiplier",
        "ssm_multipliers", "ssm_out_multiplier",
    )  # fmt: skip

    vocab_size: Size = 128000
    hidden_size: Size = 4096
    intermediate_size: Size = 14336
    num_hidden_layers: Layers = 32
    num_attention_heads: Size = 32
    num_key_value_heads: Size | None = 8
    max_position_embeddings: Tokens = 8192
    attention_bias: Flag = False
    mlp_bias: Flag = False
    projectors_bias: Flag = False
    mamba_d_ssm: Size | None = 1024
    mamba_rms_norm: Flag = False

    def inner(self) -> int:
        return self.mamba_d_ssm or super().inner()

    def architecture(self, prefix: str) -> Architecture:
        h, bias = self.hidden_size, self.attention_bias
        attention = GroupedQueryAttention(h, self.num_attention_heads, self.kv_heads, self.head_size, bias, bias)
        mamba = self.mamba(output_bias=self.projectors_bias, gated_norm=self.mamba_rms_norm)
        layer = make_layer(
            MixersTogether((("mamba", mamba), ("self_attn", attention))),
            GatedFeedForward(h, self.intermediate_size, self.hidden_act, self.mlp_bias),
            (rms_norm("input_layernorm", h), rms_norm("pre_ff_layernorm", h)),
            mixer_name="", ffn_name="feed_forward",
        )  # fmt: skip
        sharing = head_sharing(self.num_attention_heads, self.kv_heads)
        facts = self.facts(attention=f"{sharing} beside Mamba-2", more=self.mamba_facts())
        layers = [layer] * self.num_hidden_layers
        return decoder(layers, facts, computes=self.computes(), prefix=prefix, final_norm=[rms_norm("final_layernorm", h)])
