"""MiniMax-Text-01 under its publisher's own keys: `attn_type_list` says which layers use softmax attention (1).

Source: MiniMaxAI/MiniMax-Text-01, modeling_minimax_text_01.py and configuration_minimax_text_01.py; structure as in
transformers 5.23, models/minimax/modeling_minimax.py. Routers are stored in float32: the index of MiniMaxAI/MiniMax-M1-80k states
912,210,767,872 bytes, and vLLM 0.33, models/minimax_text_01.py `MiniMaxText01MoE` makes the gate so.
"""

from typing import Literal

from archcalc.arch import minimax
from archcalc.arch._schema import Count, Size, per_layer, rope_label
from archcalc.errors import UnsupportedError
from archcalc.model import Layer, Position


class Schema(minimax.Schema):
    core_keys = (*minimax.Schema.core_keys, "attn_type_list")
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
        return [minimax.FULL if kind else minimax.LINEAR for kind in types]

    def of_kind(self, kind: str) -> Layer:
        layer = super().of_kind(kind)
        return layer._replace(tensors=tuple(t._replace(dtype="F32") if t.role == "router" else t for t in layer.tensors))

    def position(self) -> Position:
        return rope_label(self.model_extra or {}, self.rotary_dim / self.head_size if self.rotary_dim else None)


class MinimaxM1(Schema):
    """MiniMax-M1: Text-01's structure.
    Source: MiniMaxAI/MiniMax-M1-80k, configuration_minimax_m1.py."""
