"""MiniMax-Text-01 and M1 under transformers' names: lightning attention, with softmax attention on the layers `layer_types` names.

Source: transformers 5.23, models/minimax/modeling_minimax.py and configuration_minimax.py (defaults, `layer_types`),
conversion_mapping.py ("mixtral": block_sparse_moe, w1 gate, w3 up, w2 down).
"""

from typing import ClassVar, Literal

from pydantic import AliasChoices, Field

from archcalc.arch import mixtral
from archcalc.arch._alternating import ratio
from archcalc.arch._decoder import decoder
from archcalc.arch._schema import Count, Size, per_layer, rope_label
from archcalc.blocks._tensor import make_layer
from archcalc.blocks.linear import LightningAttention
from archcalc.blocks.norm import rms_norm
from archcalc.errors import UnsupportedError
from archcalc.model import Architecture, Layer, Position, recached

LINEAR, FULL = "linear_attention", "full_attention"


class Schema(mixtral.Schema):
    # Weights of the residual sums, and how many tokens a kernel takes at a time.
    inert_keys: ClassVar[tuple[str, ...]] = (
        "block_size", "full_attn_alpha_factor", "full_attn_beta_factor", "linear_attn_alpha_factor", "linear_attn_beta_factor",
        "mlp_alpha_factor", "mlp_beta_factor",
    )  # fmt: skip

    num_local_experts: Size = Field(8, validation_alias=AliasChoices("num_experts", "num_local_experts"))
    layer_types: list[str] | None = None

    def kinds(self) -> list[str]:
        n = self.num_hidden_layers
        kinds = self.layer_types if self.layer_types is not None else [LINEAR if i % 2 else FULL for i in range(n)]
        return list(per_layer(kinds, n, "layer_types"))

    def of_kind(self, kind: str) -> Layer:
        if kind == FULL:
            return self.layer()
        if kind != LINEAR:
            raise UnsupportedError(f'layer_types holds "{kind}": only "{LINEAR}" and "{FULL}" are known here')
        h = self.hidden_size
        norms = (rms_norm("input_layernorm", h), rms_norm("post_attention_layernorm", h))
        return make_layer(LightningAttention(h, self.num_attention_heads, self.head_size), self.experts(), norms)

    def position(self) -> Position:
        return rope_label(self.model_extra or {})

    def architecture(self, prefix: str) -> Architecture:
        h, kinds = self.hidden_size, self.kinds()
        built = {kind: self.of_kind(kind) for kind in set(kinds)}
        facts = self.facts()
        linear, both = "lightning attention", len(built) > 1
        facts = facts._replace(
            attention=f"{linear} + {facts.attention} ({ratio(kinds)})" if both else facts.attention if FULL in built else linear,
            position=self.position().also(", none in linear layers") if LINEAR in built else self.position(),
            sliding_window=self.sliding_window,
            moe=self.moe(),
            more=(("linear heads", f"{self.num_attention_heads} x {self.head_size}, fixed decay by head and layer"),),
        )
        made = decoder(
            [built[kind] for kind in kinds], facts, computes=self.computes(), prefix=prefix, final_norm=[rms_norm("norm", h)],
            renames=((".mlp.", ".block_sparse_moe."),),
        )  # fmt: skip
        # Its own cache is made without the config, and so knows no window (modeling_minimax.py, `MiniMaxCache()`).
        return recached(made, masked=True)


class MinimaxText01(Schema):
    """MiniMax-Text-01 under its publisher's own keys: `attn_type_list` says which layers use softmax attention (1).
    Source: MiniMaxAI/MiniMax-Text-01, modeling_minimax_text_01.py and configuration_minimax_text_01.py; structure as in
    transformers 5.23, models/minimax/modeling_minimax.py. Routers are stored in float32: the index of MiniMaxAI/MiniMax-M1-80k
    states 912,210,767,872 bytes, and vLLM 0.33, models/minimax_text_01.py `MiniMaxText01MoE` makes the gate so."""

    core_keys = (*Schema.core_keys, "attn_type_list")
    inert_keys = (
        "layernorm_full_attention_alpha", "layernorm_full_attention_beta", "layernorm_linear_attention_alpha",
        "layernorm_linear_attention_beta", "layernorm_mlp_alpha", "layernorm_mlp_beta", "postnorm", "shared_moe_mode",
    )  # fmt: skip

    attn_type_list: list[Literal[0, 1]]
    rotary_dim: Size | None = None
    shared_intermediate_size: Count | None = 0

    def kinds(self) -> list[str]:
        if self.shared_intermediate_size:
            raise UnsupportedError(
                f"shared_intermediate_size is {self.shared_intermediate_size}: no published model has shared experts"
            )
        types = per_layer(self.attn_type_list, self.num_hidden_layers, "attn_type_list")
        return [FULL if kind else LINEAR for kind in types]

    def of_kind(self, kind: str) -> Layer:
        layer = super().of_kind(kind)
        return layer._replace(tensors=tuple(t._replace(dtype="F32") if t.role == "router" else t for t in layer.tensors))

    def position(self) -> Position:
        return rope_label(self.model_extra or {}, self.rotary_dim / self.head_size if self.rotary_dim else None)


class MinimaxM1(MinimaxText01):
    """MiniMax-M1: Text-01's structure.
    Source: MiniMaxAI/MiniMax-M1-80k, configuration_minimax_m1.py."""
