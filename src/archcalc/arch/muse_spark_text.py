"""The text model of Muse Spark: Muse Glimmer's attention, experts in a narrower space, and gates on the residual stream.

Source: transformers 5.23, models/muse_spark/modeling_muse_spark.py (`MuseSparkTextModel`) and configuration_muse_spark.py (defaults).
"""

from collections.abc import Iterator

from archcalc.arch import muse_glimmer_text
from archcalc.arch._plain import sparse_layers
from archcalc.arch._schema import Layers, Size, Tokens
from archcalc.blocks._tensor import Block, fused_experts, linear, make_layer
from archcalc.blocks.feedforward import GatedFeedForward, activation_name
from archcalc.blocks.norm import rms_norm
from archcalc.model import Experts, Layer, Moe, Routing, Shard, Step, Tensor
from archcalc.records import Frozen


class PooledExperts(Frozen):
    """Experts that read and write a vector of `width`, projected from the hidden state and back once for all of them."""

    hidden: int
    width_inside: int
    intermediate: int
    experts: Experts
    activation: str

    def steps(self) -> Iterator[Step]:
        yield Routing("wide")

    def tensors(self) -> Iterator[Tensor]:
        h, inside, i, e = self.hidden, self.width_inside, self.intermediate, self.experts
        yield from linear("gate", e.total, h, "router")
        yield Tensor("gate.e_score_correction_bias", (e.total,), "router", kind="router_bias")
        # Every token passes through these, whichever experts it visits.
        yield from linear("pre_expert_proj", inside, h, "shared_experts")
        yield rms_norm("pre_expert_norm", inside)
        yield fused_experts("experts.gate_up_proj", e, (2 * i, inside), shard=Shard(1, i))
        yield fused_experts("experts.down_proj", e, (inside, i), shard=Shard(2, i))
        yield rms_norm("experts.post_expert_norm", inside)
        yield from linear("post_expert_proj", h, inside, "shared_experts")

    def width(self) -> int:
        """The pooled state, and of each visited expert its input, gate, up and product."""
        return 2 * self.width_inside + self.experts.active * (self.width_inside + 3 * self.intermediate)

    def label(self) -> str:
        act = activation_name(self.activation, gated=True)
        return f"MoE {self.experts.total} x {act} {self.intermediate}, top-{self.experts.active}, latent {self.width_inside}"


class Schema(muse_glimmer_text.Schema):
    inert_keys = (*muse_glimmer_text.Schema.inert_keys, "residual_gate_temperature")

    hidden_size: Size = 8192
    intermediate_size: Size = 16384
    num_hidden_layers: Layers = 62
    num_attention_heads: Size = 128
    num_key_value_heads: Size = 16
    head_dim: Size = 64
    hidden_act: str = "silu"
    max_position_embeddings: Tokens = 1048576
    moe_intermediate_size: Size = 4096
    num_local_experts: Size = 256
    num_experts_per_tok: Size = 8
    moe_hidden_size: Size = 4096
    mlp_layer_types: list[str] | None = None

    def sparse(self) -> list[bool]:
        n = self.num_hidden_layers
        return [True] * n if self.mlp_layer_types is None else sparse_layers(self.mlp_layer_types, n)

    def moe(self) -> Moe | None:
        n = sum(self.sparse())
        return Moe(self.num_local_experts, self.num_experts_per_tok, 0, n, self.moe_intermediate_size) if n else None

    def layer(self, window: int | None, rope: bool, sparse: bool) -> Layer:
        h = self.hidden_size
        ffn: Block = GatedFeedForward(h, self.intermediate_size, self.hidden_act)
        if sparse:
            experts = Experts(self.num_local_experts, self.num_experts_per_tok)
            ffn = PooledExperts(h, self.moe_hidden_size, self.moe_intermediate_size, experts, self.hidden_act)
        # The norm behind attention has no weight.
        norms = [rms_norm(name, h) for name in ("input_layernorm", "pre_feedforward_layernorm", "post_feedforward_layernorm")]
        gates = [
            Tensor(f"post_{name}_residual_gate.gate", (h,), "other", acts="multiplies") for name in ("attention", "feedforward")
        ]
        return make_layer(self.attention(window, rope), ffn, norms, extra=gates)
