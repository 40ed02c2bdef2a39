"""JetMoE: experts in attention too: each has a query and an output projection, and all share one key and value projection.

Source: transformers 5.23, models/jetmoe/modeling_jetmoe.py and configuration_jetmoe.py (defaults, attribute_map).
"""

from collections.abc import Iterator
from typing import Any

from archcalc.arch._computes import Computes
from archcalc.arch._plain import PlainSchema, named
from archcalc.arch._schema import Flag, Layers, Size, Tokens
from archcalc.blocks._tensor import fused_experts, linear, make_layer, prefixed
from archcalc.blocks.attention import GroupedQueryAttention, head_sharing
from archcalc.blocks.experts import MixtureOfExperts
from archcalc.model import Experts, Layer, Shard, Tensor


class Schema(PlainSchema):
    core_keys = ("hidden_size", "num_hidden_layers", "vocab_size")
    inert_keys = ("applied_layers", "glu", "num_layers")

    vocab_size: Size = 32000
    hidden_size: Size = 2048
    num_hidden_layers: Layers = 12
    num_key_value_heads: Size = 16
    # Not read: there are as many for each expert that a token visits as there are keys and values.
    num_attention_heads: Size = 32
    head_dim: Size = named(128, "kv_channels", "head_dim")
    intermediate_size: Size = named(5632, "ffn_hidden_size", "intermediate_size")
    max_position_embeddings: Tokens = 4096
    hidden_act: str = named("silu", "activation_function")
    num_local_experts: Size = named(8, "moe_num_experts", "num_local_experts")
    num_experts_per_tok: Size = named(2, "moe_top_k", "num_experts_per_tok")
    tie_word_embeddings: Flag = True

    def computes(self) -> Computes:
        return super().computes()._replace(routing="chosen")

    @property
    def kv_heads(self) -> int:
        return self.num_key_value_heads

    @property
    def queries(self) -> int:
        return self.num_key_value_heads * self.num_experts_per_tok

    def gqa(self, **options: Any) -> GroupedQueryAttention:
        return GroupedQueryAttention(self.hidden_size, self.queries, self.num_key_value_heads, self.head_dim, **options)

    def more(self) -> dict[str, Any]:
        return {"heads": self.queries, "attention": f"{head_sharing(self.queries, self.num_key_value_heads)} with experts"}

    def experts(self) -> MixtureOfExperts:
        return MixtureOfExperts(
            self.hidden_size, self.intermediate_size, self.num_local_experts, self.num_experts_per_tok, self.hidden_act
        )

    def pools(self, name: str, inner: int, outer: int, split: int) -> Iterator[Tensor]:
        """A router with its experts: [experts, inner, hidden] in, [experts, hidden, outer] out."""
        h, experts = self.hidden_size, Experts(self.num_local_experts, self.num_experts_per_tok)
        yield Tensor(f"{name}.bias", (h,), "experts")
        yield fused_experts(f"{name}.input_linear.weight", experts, (inner, h), shard=Shard(1, split))
        yield fused_experts(f"{name}.output_linear.weight", experts, (h, outer), shard=Shard(2, split))
        yield from linear(f"{name}.router.layer", experts.total, h, "router")

    def layer(self, window: int | None, sparse: bool, variant: int) -> Layer:
        h, width, heads = self.hidden_size, self.intermediate_size, self.num_key_value_heads
        keys = heads * self.head_dim
        base = make_layer(self.gqa(), self.experts())
        tensors = (
            *prefixed("self_attention", self.pools("experts", keys, keys, heads)),
            *linear("self_attention.kv_proj", 2 * keys, h, "attention", shard=Shard(0, heads)),
            *self.pools("mlp", 2 * width, width, width),
            *self.norm("input_layernorm"),
            *self.norm("post_attention_layernorm"),
        )
        return base._replace(tensors=tensors)

    def sparse(self) -> list[bool]:
        return [True] * self.num_hidden_layers
