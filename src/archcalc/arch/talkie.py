"""Talkie: norms without weights, a learned scale for each head of queries and each branch, and the embedding added again in every layer.

Source: mlx-lm 0.32, mlx_lm/models/talkie.py (defaults); llama.cpp 0c1e57098, conversion/talkie.py.
"""

from collections.abc import Iterable
from typing import Any

from archcalc.arch._computes import Computes
from archcalc.arch._plain import PlainSchema
from archcalc.arch._schema import Layers, Size, Tokens
from archcalc.blocks._tensor import Block, Mixer
from archcalc.blocks.feedforward import GatedFeedForward
from archcalc.model import Architecture, Shard, Tensor


class Schema(PlainSchema):
    mixer_name = "attn"
    norm_label = "RMSNorm (pre, no weights)"

    vocab_size: Size = 65540
    hidden_size: Size = 5120
    intermediate_size: Size = 13696
    num_hidden_layers: Layers = 40
    num_attention_heads: Size = 40
    head_dim: Size = 128
    max_position_embeddings: Tokens = 2048

    def computes(self) -> Computes:
        return super().computes()._replace(bare="bare-rms", bare_heads="bare-rms")

    def norm(self, name: str) -> tuple[()]:
        return ()

    def attention(self, window: int | None, variant: int) -> Mixer:
        return self.gqa(names=("attn_query", "attn_key", "attn_value", "attn_resid"))

    def dense(self) -> Block:
        return GatedFeedForward(self.hidden_size, self.ffn_size, self.hidden_act, names=("mlp_gate", "mlp_linear", "mlp_resid"))

    def extra(self, variant: int) -> Iterable[Tensor]:
        yield Tensor("attn.head_gain.head_g", (self.num_attention_heads,), "attention", Shard(0, self.num_attention_heads))
        yield from (Tensor(f"{name}.a_g", (1,), "other") for name in ("attn_gain", "mlp_gain", "embed_skip"))

    def decoder_options(self) -> dict[str, Any]:
        return {"embed": "embed", "layers_name": "blocks"}

    def architecture(self, prefix: str) -> Architecture:
        a = super().architecture(prefix)
        head = a.groups[-1]
        gained = (Tensor("lm_head", t.shape, t.role, t.shard, kind=t.kind) for t in head.tensors)
        return a._replace(groups=(*a.groups[:-1], head._replace(tensors=(*gained, Tensor("lm_head_gain.w_g", (1,), "head")))))
