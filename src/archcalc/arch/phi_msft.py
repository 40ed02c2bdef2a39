"""Phi-1.5 and Phi-2 as first published: Phi's structure under other names, queries, keys and values in one projection.

With `num_local_experts` (Phixtral) each layer has experts in place of its FFN.

Source: microsoft/phi-2 (revision of January 2024), modeling_phi.py and configuration_phi.py; mlx-lm 0.32, mlx_lm/models/phixtral.py
(`MOE`, `Model.sanitize`: the experts' names).
"""

from typing import Any

from archcalc.arch._computes import Computes
from archcalc.arch._plain import PARALLEL, Derived, PlainSchema, named
from archcalc.arch._schema import Layers, Size
from archcalc.blocks._tensor import Block, Mixer, make_layer
from archcalc.blocks.experts import ApartExperts
from archcalc.blocks.feedforward import FeedForward
from archcalc.model import Architecture, Layer, Moe, Position


class Schema(PlainSchema):
    prefix = "transformer"
    inert_keys = ("flash_rotary", "fused_dense", "img_processor")
    name = "phi-msft"
    norms = ("ln",)
    layer_norms = True
    norm_label = PARALLEL
    gated = False
    mixer_name = "mixer"

    vocab_size: Size = 50304
    max_position_embeddings: Size = named(2048, "n_positions")
    hidden_size: Size = named(1024, "n_embd")
    num_hidden_layers: Layers = named(20, "n_layer")
    num_attention_heads: Size = named(16, "n_head")
    num_key_value_heads: Size | None = named(None, "n_head_kv")
    intermediate_size: Derived = named(0, "n_inner")
    hidden_act: str = named("gelu_new", "activation_function")
    rotary_dim: Size = 32
    num_local_experts: Size | None = None
    num_experts_per_tok: Size = 2

    def computes(self) -> Computes:
        return super().computes()._replace(joined=True, parallel=True)

    @property
    def ffn_size(self) -> int:
        return self.intermediate_size or 4 * self.hidden_size

    def attention(self, window: int | None, variant: int) -> Mixer:
        return self.gqa(bias=True, output_bias=True, fused="Wqkv", names=("", "", "", "out_proj"))

    def dense(self) -> Block:
        return FeedForward(self.hidden_size, self.ffn_size, self.hidden_act)

    def layer(self, window: int | None, sparse: bool, variant: int) -> Layer:
        n = self.num_local_experts
        if not n:
            return super().layer(window, sparse, variant)
        active = min(self.num_experts_per_tok, n)
        experts = ApartExperts(
            self.hidden_size, self.ffn_size, n, active, self.hidden_act, ("fc1", "fc2"), True, piece="mlp.{}", router="gate"
        )
        return make_layer(self.attention(window, variant), experts, self.norm("ln"), mixer_name="mixer", ffn_name="moe")

    def moe(self) -> Moe | None:
        n = self.num_local_experts
        return Moe(n, min(self.num_experts_per_tok, n), 0, self.num_hidden_layers, self.ffn_size) if n else None

    def more(self) -> dict[str, Any]:
        width = min(self.rotary_dim, self.head_size)
        return {"position": Position("rotary", f"RoPE ({width} of {self.head_size} channels)", width / self.head_size)}

    def decoder_options(self) -> dict[str, Any]:
        return {"embed": "embd.wte", "layers_name": "h", "final_norm": (), "head": "lm_head.linear", "head_bias": True}

    def architecture(self, prefix: str) -> Architecture:
        a = super().architecture(prefix)
        head = a.groups[-1]
        return a._replace(groups=(*a.groups[:-1], head._replace(tensors=(*head.tensors, *self.norm("lm_head.ln")))))
