"""A.X-K1: DeepSeek-V3's structure with a norm behind each mixture of experts.

Source: transformers 5.23, models/axk1/modeling_axk1.py and configuration_axk1.py (defaults), conversion_mapping.py ("axk1").
"""

from collections.abc import Iterator

from pydantic import AliasChoices, Field

from archcalc.arch import deepseek_v3
from archcalc.arch._alternating import FULL, INDEXED, known_kinds, sparse_layers
from archcalc.arch._schema import Count, Layers, Size, Tokens, per_layer
from archcalc.blocks._tensor import linear
from archcalc.blocks.latent import Indexer, LatentAttention
from archcalc.blocks.norm import rms_norm
from archcalc.model import Architecture, Layer, Tensor


class Schema(deepseek_v3.Schema):
    vocab_size: Size = 163840
    num_attention_heads: Size = 64
    num_key_value_heads: Size | None = 64
    q_lora_rank: Size = 1536
    n_routed_experts: Size = Field(192, validation_alias=AliasChoices("num_local_experts", "n_routed_experts"))
    num_experts_per_tok: Size = 8
    first_k_dense_replace: Count = 1
    moe_layer_freq: Size = 1
    mlp_layer_types: list[str] | None = None
    max_position_embeddings: Tokens = 32768

    def sparse(self) -> list[bool]:
        default = [i >= self.first_k_dense_replace and i % self.moe_layer_freq == 0 for i in range(self.num_hidden_layers)]
        return sparse_layers(self.mlp_layer_types, default)

    def layer(self, sparse: bool, indexed: bool, extra: tuple[Tensor, ...] = ()) -> Layer:
        norm = (rms_norm("mlp.post_mlp_layernorm", self.hidden_size),) if sparse else ()
        return super().layer(sparse, indexed, (*extra, *norm))

    def architecture(self, prefix: str) -> Architecture:
        return super().architecture(prefix)._replace(renames=((".mlp.post_mlp_layernorm.", ".post_mlp_layernorm."),))


RENAMES = ((".self_attn.q_gate_proj.", ".self_attn.q_b_proj."), (".mlp.fc1.", ".W_down."), (".mlp.fc2.", ".W_up."))


class Axk2(Schema):
    """A.X-K2: sparse latent attention whose output a second half of the query projection gates, norms gated by a thin FFN,
    experts.
    Source: transformers 5.23, models/axk2/modeling_axk2.py and configuration_axk2.py (defaults), conversion_mapping.py
    ("axk2")."""

    fp32_modules = ("indexer.weights_proj",)

    hidden_size: Size = 2048
    intermediate_size: Size = 5120
    moe_intermediate_size: Size = 512
    num_hidden_layers: Layers = 48
    num_attention_heads: Size = 32
    num_key_value_heads: Size | None = 32
    n_routed_experts: Size = Field(128, validation_alias=AliasChoices("num_local_experts", "n_routed_experts"))
    kv_lora_rank: Size = 128
    q_lora_rank: Size = 384
    qk_rope_head_dim: Size = 32
    v_head_dim: Size = 64
    qk_nope_head_dim: Size = 64
    max_position_embeddings: Tokens = 131072
    layer_types: list[str] | None = None
    index_topk: Size = 2048
    index_head_dim: Size = 128
    index_n_heads: Size = 16
    gated_norm_rank: Size = 16

    def attention(self, indexed: bool = False) -> LatentAttention:
        h, rank, topk = self.hidden_size, self.q_lora_rank, self.index_topk
        return LatentAttention(
            h, self.num_attention_heads, self.kv_lora_rank, self.qk_nope_head_dim, self.qk_rope_head_dim, self.v_head_dim, rank,
            self.attention_bias, Indexer(h, rank, self.index_n_heads, self.index_head_dim, topk), topk,
        )  # fmt: skip

    def layer(self, sparse: bool, indexed: bool, extra: tuple[Tensor, ...] = ()) -> Layer:
        h, rank = self.hidden_size, self.gated_norm_rank
        heads, dims = self.num_attention_heads, self.qk_nope_head_dim + self.qk_rope_head_dim + self.v_head_dim
        # The norm before a dense FFN is a plain one.
        gated = ("input_layernorm", "post_attention_layernorm") if sparse else ("input_layernorm",)
        # Not A.X-K1's own layer: there is no norm behind the experts.
        layer = super(Schema, self).layer(sparse, indexed, extra)

        def tensors() -> Iterator[Tensor]:
            for t in layer.tensors:
                name = t.name.removesuffix(".weight")
                if name == "self_attn.q_b_proj":
                    yield t._replace(name="self_attn.q_gate_proj.weight", shape=(heads * dims, 2 * self.q_lora_rank))
                else:
                    yield t._replace(name=f"{name}.norm.weight") if name in gated else t
            for norm in gated:
                yield from linear(f"{norm}.mlp.fc1", rank, h, "norm")
                yield from linear(f"{norm}.mlp.fc2", h, rank, "norm")

        return layer._replace(tensors=tuple(tensors()))

    def architecture(self, prefix: str) -> Architecture:
        n = self.num_hidden_layers
        known_kinds(per_layer(self.layer_types or [INDEXED] * n, n, "layer_types"), "layer_types", INDEXED, FULL)
        built = super().architecture(prefix)
        index = ("sparse attention index", f"{self.index_n_heads} heads x {self.index_head_dim}, top {self.index_topk} tokens")
        more = (*built.facts.more, index, ("output gate", "one a channel"), ("gated norms", f"rank {self.gated_norm_rank}"))
        return built._replace(renames=RENAMES, facts=built.facts._replace(more=more))
