"""Granite 4: Mamba-2 and attention layers, each with experts and a shared FFN, or with the latter alone.

Source: transformers 5.23, models/granitemoehybrid/modeling_granitemoehybrid.py and configuration_granitemoehybrid.py (defaults).
"""

from pydantic import AliasChoices, Field

from archcalc.arch import _granite
from archcalc.arch._alternating import FULL, LINEAR, hybrid_label, known_kinds
from archcalc.arch._computes import Computes
from archcalc.arch._decoder import decoder
from archcalc.arch._mamba2 import Mamba2Schema
from archcalc.arch._schema import Count, Flag, Layers, Size, Tokens, per_layer, rope_label
from archcalc.blocks._tensor import make_layer
from archcalc.blocks.attention import GroupedQueryAttention, head_sharing
from archcalc.blocks.norm import rms_norm
from archcalc.model import NOPE, Architecture, Layer, Moe


class Schema(Mamba2Schema):
    # Published configs say which norm it is; the reference has that one alone.
    inert_keys = (*Mamba2Schema.inert_keys, "normalization_function")

    vocab_size: Size = 32000
    hidden_size: Size = 4096
    intermediate_size: Size = 11008
    num_hidden_layers: Layers = 32
    num_attention_heads: Size = 32
    max_position_embeddings: Tokens = 2048
    attention_bias: Flag = False
    num_local_experts: Count = 8
    num_experts_per_tok: Count = 2
    shared_intermediate_size: Size = 1024
    position_embedding_type: str | None = None
    layer_types: list[str] | None = Field(None, validation_alias=AliasChoices("layer_types", "layers_block_type"))

    def computes(self) -> Computes:
        return super().computes()._replace(routing="chosen")

    def layer(self, kind: str) -> Layer:
        h, bias, rope = self.hidden_size, self.attention_bias, self.position_embedding_type == "rope"
        ffn = _granite.ffn(
            h,
            self.intermediate_size,
            self.num_local_experts,
            self.num_experts_per_tok,
            self.shared_intermediate_size,
            self.hidden_act,
        )
        norms = (rms_norm("input_layernorm", h), rms_norm("post_attention_layernorm", h))
        if kind == LINEAR:
            return make_layer(self.mamba(), ffn, norms, mixer_name="mamba", ffn_name="")
        attention = GroupedQueryAttention(h, self.num_attention_heads, self.kv_heads, self.head_size, bias, bias, rope=rope)
        return make_layer(attention, ffn, norms, ffn_name="")

    def architecture(self, prefix: str) -> Architecture:
        n, h, experts = self.num_hidden_layers, self.hidden_size, self.num_local_experts
        kinds = known_kinds([LINEAR] * n if self.layer_types is None else self.layer_types, "layer_types", LINEAR, FULL)
        per_layer(kinds, n, "layer_types")
        built = {kind: self.layer(kind) for kind in set(kinds)}
        facts = self.facts(
            attention=hybrid_label(kinds, "Mamba-2", head_sharing(self.num_attention_heads, self.kv_heads)),
            position=rope_label(self.model_extra or {}) if self.position_embedding_type == "rope" else NOPE,
            intermediate_size=self.intermediate_size if experts else self.shared_intermediate_size,
            moe=Moe(experts, self.num_experts_per_tok, 1, n, self.intermediate_size) if experts else None,
            more=self.mamba_facts() if LINEAR in built else (),
        )
        return decoder(
            [built[kind] for kind in kinds], facts, computes=self.computes(),
            prefix=prefix, final_norm=[rms_norm("norm", h)],
            renames=_granite.RENAMES if experts else (),
        )  # fmt: skip
