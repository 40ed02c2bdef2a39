"""The text model of Moondream 3.

Source: vLLM 0.33, models/moondream3.py (`Moondream3TextModel`) and transformers_utils/configs/moondream3.py (defaults).
"""

from collections.abc import Iterator

from pydantic import Field

from archcalc.arch._decoder import DecoderSchema, decoder, join
from archcalc.arch._plain import PARALLEL, named
from archcalc.arch._schema import ConfigSchema, Count, Layers, Size, Tokens
from archcalc.blocks._tensor import fused_experts, linear, make_layer
from archcalc.blocks.attention import GroupedQueryAttention
from archcalc.blocks.experts import MixtureOfExperts
from archcalc.blocks.feedforward import FeedForward
from archcalc.blocks.norm import layer_norm
from archcalc.model import Architecture, Experts, Layer, Moe, Tensor


class Fused(MixtureOfExperts):
    """Experts in two tensors, with a bias on their router."""

    __slots__ = ()

    def tensors(self) -> Iterator[Tensor]:
        experts = Experts(self.experts, self.active)
        yield fused_experts("fc1.weight", experts, (2 * self.intermediate, self.hidden))
        yield fused_experts("fc2.weight", experts, (self.hidden, self.intermediate))
        yield from linear("router", self.experts, self.hidden, "router", bias=True)


class Mixture(ConfigSchema):
    num_experts: Size = Field(64, validation_alias="n_experts")
    start_layer: Count = 4
    experts_per_token: Size = Field(8, validation_alias="n_experts_per_tok")
    expert_inner_dim: Size = 1024


class Schema(DecoderSchema):
    prefix = "model.text"
    core_keys = ()
    inert_keys = ("prefix_attn", "group_size")

    vocab_size: Size = 51200
    hidden_size: Size = named(2048, "dim")
    intermediate_size: Size = named(8192, "ff_dim")
    num_hidden_layers: Layers = named(24, "n_layers")
    num_attention_heads: Size = named(32, "n_heads")
    num_key_value_heads: Size | None = named(None, "n_kv_heads")
    max_position_embeddings: Tokens = named(4096, "max_context")
    hidden_act: str = "gelu"
    moe: Mixture | None = Mixture()

    def layer(self, sparse: bool) -> Layer:
        h, heads = self.hidden_size, self.num_attention_heads
        mixer = GroupedQueryAttention(h, heads, self.kv_heads, self.head_size, True, True, fused="qkv", names=("", "", "", "proj"))
        m = self.moe or Mixture()
        experts = Fused(h, m.expert_inner_dim, m.num_experts, m.experts_per_token, self.hidden_act)
        ffn = experts if sparse else FeedForward(h, self.intermediate_size, self.hidden_act)
        width = h + 2 * self.kv_heads * self.head_size
        scales = (
            Tensor("attn.tau.alpha", (heads,), "attention", acts="multiplies"),
            *(Tensor(f"attn.tau.{name}", (heads, width), "attention") for name in ("wq", "wv")),
        )
        return make_layer(mixer, ffn, layer_norm("ln", h), mixer_name="attn", ffn_name="mlp", extra=scales)

    def architecture(self, prefix: str) -> Architecture:
        n, m = self.num_hidden_layers, self.moe
        sparse = [m is not None and i >= m.start_layer for i in range(n)]
        built = {kind: self.layer(kind) for kind in set(sparse)}
        facts = self.facts(gated=False, norm=PARALLEL)
        if m is not None and any(sparse):
            facts = facts._replace(moe=Moe(m.num_experts, m.experts_per_token, 0, sum(sparse), m.expert_inner_dim))
        a = decoder(
            [built[kind] for kind in sparse], facts, prefix=prefix, embed="wte", layers_name="blocks",
            final_norm=layer_norm("post_ln", self.hidden_size), head=join(prefix, "lm_head"), head_bias=True, computes=self.computes(),
        )  # fmt: skip
        # The embedding is a parameter itself, not a module with one.
        groups = (
            g._replace(tensors=tuple(t._replace(name=t.name.replace("wte.weight", "wte")) for t in g.tensors)) for g in a.groups
        )
        return a._replace(groups=tuple(groups))
