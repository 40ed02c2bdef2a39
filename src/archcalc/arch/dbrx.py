"""DBRX: experts in every layer, their matrices stacked row on row; LayerNorm without bias, one projection for all of attention.

Source: transformers 5.23, models/dbrx/modeling_dbrx.py and configuration_dbrx.py (defaults, attribute_map).
"""

from collections.abc import Iterator
from typing import Any

from archcalc.arch._plain import Derived, PlainSchema, named
from archcalc.arch._schema import ConfigSchema, Layers, Size, Tokens
from archcalc.blocks._tensor import linear, make_layer
from archcalc.blocks.experts import MixtureOfExperts
from archcalc.errors import UnsupportedError
from archcalc.model import Architecture, Experts, Layer, Shard, Tensor


class Attention(ConfigSchema):
    inert_keys = ("clip_qkv",)
    kv_n_heads: Size = 1


class Activation(ConfigSchema):
    activation: str = named("silu", "name")


class FeedForward(ConfigSchema):
    inert_keys = ("hidden_size", "moe_normalize_expert_weights", "uniform_expert_assignment")
    ffn_act_fn: Activation | str | None = None
    ffn_hidden_size: Size = 3584
    moe_num_experts: Size = 4
    moe_top_k: Size = 1


class Schema(PlainSchema):
    prefix = "transformer"
    reads_head_dim = False
    whole_heads = False
    layer_norms = True
    norm_bias = False
    norm_label = "LayerNorm (pre, no bias)"
    last_norm = "norm_f"

    vocab_size: Size = 32000
    hidden_size: Size = named(2048, "d_model", "hidden_size")
    intermediate_size: Derived = 0
    num_hidden_layers: Layers = named(24, "n_layers", "num_hidden_layers")
    num_attention_heads: Size = named(16, "n_heads", "num_attention_heads")
    max_position_embeddings: Tokens = named(2048, "max_seq_len", "max_position_embeddings")
    attn_config: Attention | None = None
    ffn_config: FeedForward | None = None

    @property
    def ffn(self) -> FeedForward:
        return self.ffn_config or FeedForward()

    @property
    def kv_heads(self) -> int:
        return (self.attn_config or Attention()).kv_n_heads

    @property
    def ffn_size(self) -> int:
        return self.ffn.ffn_hidden_size

    def experts(self) -> MixtureOfExperts:
        stated = self.ffn.ffn_act_fn or Activation()
        activation = stated if isinstance(stated, str) else stated.activation
        return MixtureOfExperts(self.hidden_size, self.ffn_size, self.ffn.moe_num_experts, self.ffn.moe_top_k, activation)

    def sparse(self) -> list[bool]:
        return [True] * self.num_hidden_layers

    def stacked(self) -> Iterator[Tensor]:
        experts = Experts(self.ffn.moe_num_experts, self.ffn.moe_top_k)
        for name in ("w1", "v1", "w2"):
            yield Tensor(
                f"ffn.experts.mlp.{name}",
                (experts.total * self.ffn_size, self.hidden_size),
                "experts",
                Shard(0, self.ffn_size),
                experts,
            )
        yield from linear("ffn.router.layer", experts.total, self.hidden_size, "router")

    def layer(self, window: int | None, sparse: bool, variant: int) -> Layer:
        attention = self.gqa(fused="Wqkv", names=("", "", "", "out_proj"))
        layer = make_layer(attention, self.experts(), mixer_name="norm_attn_norm.attn")
        kept = tuple(self.whole(t) for t in layer.tensors if t.role == "attention")
        norms = (*self.norm("norm_attn_norm.norm_1"), *self.norm("norm_attn_norm.norm_2"))
        return layer._replace(tensors=(*kept, *norms, *self.stacked()))

    def whole(self, tensor: Tensor) -> Tensor:
        """Queries and the output are as wide as the layer, also where its heads are not (`DbrxAttention`)."""
        width, heads = self.hidden_size, self.num_attention_heads * (self.hidden_size // self.num_attention_heads)
        if tensor.name.endswith("Wqkv.weight"):
            return tensor._replace(shape=(tensor.shape[0] - heads + width, width))
        return tensor._replace(shape=(width, width)) if tensor.name.endswith("out_proj.weight") else tensor

    def decoder_options(self) -> dict[str, Any]:
        return {"embed": "wte", "layers_name": "blocks"}

    def architecture(self, prefix: str) -> Architecture:
        if self.tie_word_embeddings:
            raise UnsupportedError("tie_word_embeddings is true: the reference implementation rejects it for DBRX")
        return super().architecture(prefix)
