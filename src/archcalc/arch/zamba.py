"""Zamba: Mamba layers, between which one and the same transformer layer comes again and again.

Source: transformers 5.23, models/zamba/modeling_zamba.py and configuration_zamba.py (defaults, `layers_block_type`).
"""

from math import ceil
from typing import Literal

from archcalc.arch._alternating import HYBRID, LINEAR, hybrid_label
from archcalc.arch._decoder import decoder
from archcalc.arch._schema import Count, Flag, Layers, Size, divided
from archcalc.arch._zamba import SharedLayerSchema
from archcalc.blocks._tensor import make_layer
from archcalc.blocks.attention import head_sharing
from archcalc.blocks.feedforward import GatedFeedForward
from archcalc.blocks.mamba import Mamba
from archcalc.blocks.norm import rms_norm
from archcalc.model import NOPE, Architecture


class Schema(SharedLayerSchema):
    inert_keys = (
        "hidden_mamba_act", "mamba_inner_layernorms", "num_logits_to_keep", "time_step_floor", "time_step_max", "time_step_min",
        "use_associative_scan",
    )  # fmt: skip

    vocab_size: Size = 32000
    hidden_size: Size = 3712
    intermediate_size: Size = 14848
    num_hidden_layers: Layers = 76
    num_attention_heads: Size = 16
    num_key_value_heads: Size | None = 16
    n_mamba_heads: Size = 2
    attn_layer_period: Size = 6
    attn_layer_offset: Count = 4
    mamba_d_state: Size = 16
    mamba_dt_rank: Size | Literal["auto"] = "auto"
    mamba_conv_bias: Flag = True
    mamba_proj_bias: Flag = False

    def mamba(self) -> Mamba:
        h, rank, inner = self.hidden_size, self.mamba_dt_rank, self.mamba_expand * self.hidden_size
        divided(inner, self.n_mamba_heads, "the width of the Mamba mixer", "n_mamba_heads")
        return Mamba(
            h, inner, self.mamba_d_state, ceil(h / 16) if rank == "auto" else rank, self.mamba_d_conv, self.mamba_proj_bias,
            self.mamba_conv_bias, heads=self.n_mamba_heads,
        )  # fmt: skip

    def architecture(self, prefix: str) -> Architecture:
        h, mamba = self.hidden_size, self.mamba()
        after = range(self.num_hidden_layers - 3)
        turns = [HYBRID if i % self.attn_layer_period == self.attn_layer_offset else LINEAR for i in after]
        kinds = self.known([LINEAR, LINEAR, HYBRID, *turns])
        plain = make_layer(mamba, None, [rms_norm("input_layernorm", h)], mixer_name="mamba")
        ffn = GatedFeedForward(h, self.intermediate_size, self.hidden_act)
        layers = self.arrange(kinds, plain, [self.hybrid("shared_transf", mamba, ffn, rope=False)], "shared_transf")
        facts = self.facts(
            attention=hybrid_label(kinds, "Mamba", f"shared {head_sharing(self.num_attention_heads, self.kv_heads)}"),
            position=NOPE,
            more=(
                ("shared layer", f"one transformer layer, applied {kinds.count(HYBRID)} times"),
                ("Mamba state", f"{mamba.inner} channels x {mamba.state}"),
            ),
        )
        return decoder(layers, facts, computes=self.computes(), prefix=prefix, final_norm=[rms_norm("final_layernorm", h)])
