"""Bamba: Mamba-2 layers, attention where `attn_layer_indices` says.

Source: transformers 5.23, models/bamba/modeling_bamba.py and configuration_bamba.py (defaults).
"""

from archcalc.arch._alternating import FULL, LINEAR, hybrid_label
from archcalc.arch._computes import Computes
from archcalc.arch._decoder import decoder
from archcalc.arch._mamba2 import Mamba2Schema
from archcalc.arch._schema import Count, Flag, Layers, Size, Tokens, rope_label
from archcalc.blocks._tensor import make_layer
from archcalc.blocks.attention import GroupedQueryAttention, head_sharing
from archcalc.blocks.feedforward import GatedFeedForward
from archcalc.blocks.norm import rms_norm
from archcalc.model import Architecture, Layer


class Schema(Mamba2Schema):
    vocab_size: Size = 128000
    hidden_size: Size = 4096
    intermediate_size: Size = 14336
    num_hidden_layers: Layers = 32
    num_attention_heads: Size = 32
    num_key_value_heads: Size | None = 8
    max_position_embeddings: Tokens = 262144
    attn_layer_indices: list[Count] | None = None
    attention_bias: Flag = False
    mlp_bias: Flag = False

    def computes(self) -> Computes:
        return super().computes()._replace(joined=True)

    def layer(self, kind: str) -> Layer:
        h, bias = self.hidden_size, self.attention_bias
        ffn = GatedFeedForward(h, self.intermediate_size, self.hidden_act, self.mlp_bias)
        norms = (rms_norm("input_layernorm", h), rms_norm("pre_ff_layernorm", h))
        if kind == LINEAR:
            return make_layer(self.mamba(), ffn, norms, mixer_name="mamba", ffn_name="feed_forward")
        attention = GroupedQueryAttention(h, self.num_attention_heads, self.kv_heads, self.head_size, bias, bias)
        return make_layer(attention, ffn, norms, ffn_name="feed_forward")

    def architecture(self, prefix: str) -> Architecture:
        attending = set(self.attn_layer_indices or ())
        kinds = [FULL if i in attending else LINEAR for i in range(self.num_hidden_layers)]
        built = {kind: self.layer(kind) for kind in set(kinds)}
        facts = self.facts(
            attention=hybrid_label(kinds, "Mamba-2", head_sharing(self.num_attention_heads, self.kv_heads)),
            position=rope_label(self.model_extra or {}, 0.5),
            more=self.mamba_facts() if LINEAR in built else (),
        )
        norm = [rms_norm("final_layernorm", self.hidden_size)]
        return decoder([built[kind] for kind in kinds], facts, computes=self.computes(), prefix=prefix, final_norm=norm)
