"""Step 3: multi-matrix factorized attention (one wide KV head, queries through a narrow middle), experts beside one for every token.

Source: vLLM 0.33, models/step3_text.py and transformers_utils/configs/step3_vl.py (defaults); Step-3, arXiv:2507.19427, section 3.1.
"""

from collections.abc import Iterator, Sequence
from typing import Any

from archcalc.arch._plain import PlainSchema, named
from archcalc.arch._schema import Layers, Size, Tokens
from archcalc.blocks._tensor import fused_experts, linear, make_layer, prefixed
from archcalc.blocks.attention import GroupedQueryAttention
from archcalc.blocks.experts import MixtureOfExperts
from archcalc.blocks.feedforward import GatedFeedForward
from archcalc.blocks.norm import rms_norm
from archcalc.errors import UnsupportedError
from archcalc.model import Experts, Layer, Shard, Tensor

LAYERS = ",".join(map(str, range(4, 60)))


class FactorizedAttention(GroupedQueryAttention):
    """Queries of all heads are made from a vector of `middle`."""

    middle: int = 0

    def _tensors(self) -> Iterator[Tensor]:
        plain = {t.name: t for t in GroupedQueryAttention._tensors(self)}
        yield from linear("q_proj", self.middle, self.hidden, "attention")
        yield from (plain[f"{name}_proj.weight"] for name in "kvo")
        yield rms_norm("inter_norm", self.middle)
        yield from linear("wq", self.heads * self.head_dim, self.middle, "attention", shard=Shard(0, self.heads))


class Schema(PlainSchema):
    inert_keys = ("norm_expert_weight", "max_position_embedding", "use_moe", "moe_layer_offset", "moe_every_n_layer")

    vocab_size: Size = 128815
    hidden_size: Size = 7168
    intermediate_size: Size = 18432
    num_hidden_layers: Layers = 61
    num_attention_heads: Size = 64
    num_key_value_heads: Size | None = named(1, "num_attention_groups", "num_key_value_heads")
    head_dim: Size | None = 256
    max_position_embeddings: Tokens = named(65536, "max_seq_len", "max_position_embedding", "max_position_embeddings")
    moe_intermediate_size: Size = 5120
    moe_num_experts: Size = 48
    moe_top_k: Size = 3
    moe_layers_enum: str | list[int] = LAYERS
    share_expert_dim: Size = 5120
    share_q_dim: Size = 2048

    def sparse(self) -> Sequence[bool]:
        stated = self.moe_layers_enum
        numbers = {int(i) for i in stated.strip().split(",")} if isinstance(stated, str) else set(stated)
        return [i in numbers for i in range(self.num_hidden_layers)]

    def mixture(self) -> Iterator[Tensor]:
        h, i, experts = self.hidden_size, self.moe_intermediate_size, Experts(self.moe_num_experts, self.moe_top_k)
        for name, shape, axis in (("gate_proj", (i, h), 1), ("up_proj", (i, h), 1), ("down_proj", (h, i), 2)):
            yield fused_experts(f"moe.{name}.weight", experts, shape, shard=Shard(axis, i))
        yield from linear("moe.gate", self.moe_num_experts, h, "router")
        shared = GatedFeedForward(h, self.share_expert_dim, self.hidden_act, role="shared_experts")
        yield from prefixed("share_expert", shared.tensors())

    def experts(self) -> MixtureOfExperts:
        return MixtureOfExperts(
            self.hidden_size, self.moe_intermediate_size, self.moe_num_experts, self.moe_top_k, self.hidden_act, 1, self.share_expert_dim
        )  # fmt: skip

    def layer(self, window: int | None, sparse: bool, variant: int) -> Layer:
        if self.kv_heads != 1:
            raise UnsupportedError(f"num_attention_groups is {self.kv_heads}: Step 3's attention has one")
        h = self.hidden_size
        attention = FactorizedAttention(h, self.num_attention_heads, 1, self.head_size, middle=self.share_q_dim)
        norms = (rms_norm("input_layernorm", h), rms_norm("post_attention_layernorm", h))
        layer = make_layer(attention, self.experts() if sparse else self.dense(), norms)
        if not sparse:
            return layer
        kept = (t for t in layer.tensors if not t.name.startswith("mlp."))
        return layer._replace(tensors=(*kept, *self.mixture()))

    def more(self) -> dict[str, Any]:
        return {"more": (("query rank", str(self.share_q_dim)),)}
