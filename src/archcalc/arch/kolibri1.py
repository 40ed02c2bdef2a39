"""Kolibri 1: four sliding layers to one full one, norms before and after each block, fine-grained experts beside a shared one.

Source: transformers 5.23, models/kolibri1/modeling_kolibri1.py and configuration_kolibri1.py (defaults, `layer_types`),
conversion_mapping.py ("kolibri1").
"""

from pydantic import AliasChoices, Field

from archcalc.arch._alternating import FULL, SLIDING, mixed_label
from archcalc.arch._computes import Computes
from archcalc.arch._decoder import DecoderSchema, attention_pattern, decoder
from archcalc.arch._schema import Count, Layers, Size, Tokens
from archcalc.blocks._tensor import make_layer
from archcalc.blocks.attention import GroupedQueryAttention, head_sharing
from archcalc.blocks.experts import MixtureOfExperts
from archcalc.blocks.norm import rms_norm
from archcalc.model import Architecture, Layer, Moe

NORMS = ("input_layernorm", "post_attention_layernorm", "post_self_attn_layernorm", "post_mlp_layernorm")
RENAMES = (
    (".post_self_attn_layernorm.", ".post_attn_norm."),
    (".post_mlp_layernorm.", ".post_ffn_norm."),
    (".mlp.gate.e_score_correction_bias", ".moe.router.expert_bias"),
)


class Schema(DecoderSchema):
    vocab_size: Size = 128000
    hidden_size: Size = 2560
    intermediate_size: int | None = None  # type: ignore[assignment]
    num_hidden_layers: Layers = 50
    num_attention_heads: Size = 48
    num_key_value_heads: Size = 4
    head_dim: Size = 128
    max_position_embeddings: Tokens = 262144
    sliding_window: Tokens | None = 513
    layer_types: list[str] | None = None
    moe_intermediate_size: Size = 512
    shared_expert_intermediate_size: Count = 512
    num_experts: Size = Field(384, validation_alias=AliasChoices("num_local_experts", "num_experts"))
    num_experts_per_tok: Size = 6

    def computes(self) -> Computes:
        return super().computes()._replace(routing="wide")

    def layer(self, window: int | None) -> Layer:
        h, heads = self.hidden_size, self.num_attention_heads
        attention = GroupedQueryAttention(h, heads, self.kv_heads, self.head_dim, window=window, qk_norm="head")
        experts = MixtureOfExperts(
            h, self.moe_intermediate_size, self.num_experts, self.num_experts_per_tok, self.hidden_act, 1,
            self.shared_expert_intermediate_size, correction_bias="gate.e_score_correction_bias",
        )  # fmt: skip
        return make_layer(attention, experts, (rms_norm(norm, h) for norm in NORMS))

    def architecture(self, prefix: str) -> Architecture:
        n = self.num_hidden_layers
        kinds = [SLIDING if (i + 1) % 5 else FULL for i in range(n)] if self.layer_types is None else self.layer_types
        windows = attention_pattern(kinds, n, self.sliding_window)
        built = {window: self.layer(window) for window in set(windows)}
        facts = self.facts(
            attention=mixed_label(kinds, head_sharing(self.num_attention_heads, self.kv_heads)),
            norm="RMSNorm (pre + post)",
            intermediate_size=None,
            sliding_window=self.sliding_window if SLIDING in kinds else None,
            moe=Moe(self.num_experts, self.num_experts_per_tok, 1, n, self.moe_intermediate_size),
            more=(("QK-norm", "RMSNorm per head"),),
        )
        layers, norm = [built[window] for window in windows], [rms_norm("norm", self.hidden_size)]
        return decoder(layers, facts, computes=self.computes(), prefix=prefix, final_norm=norm, renames=RENAMES)
