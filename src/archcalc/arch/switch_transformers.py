"""Switch Transformers: T5 with a mixture in some layers, of which a token visits one expert.

Source: transformers 5.24, models/switch_transformers/modeling_switch_transformers.py and configuration_switch_transformers.py (defaults;
every how many layers there is a mixture); Fedus et al. 2021, arXiv:2101.03961.
"""

from archcalc.arch import t5
from archcalc.arch._plain import named
from archcalc.arch._schema import Count, Flag, Layers, Size
from archcalc.blocks._tensor import prefixed
from archcalc.blocks.experts import ApartExperts
from archcalc.model import Architecture, Kind, Layer, Moe, Stack, Tensor, stack


class Schema(t5.Schema):
    inert_keys = (
        *t5.Schema.inert_keys, "add_router_probs", "expert_capacity", "router_dtype", "router_ignore_padding_tokens",
        "batch_prioritized_routing", "num_selected_experts", "router_type",
    )  # fmt: skip

    d_model: Size = named(768, "d_model", "hidden_size")
    num_layers: Layers = named(12, "num_layers", "num_hidden_layers")
    num_decoder_layers: Layers | None = 12
    num_heads: Size = named(12, "num_heads", "num_attention_heads")
    feed_forward_proj: str = named("relu", "dense_act_fn")
    num_experts: Size = 8
    router_bias: Flag = False
    num_sparse_encoder_layers: Count = 3
    num_sparse_decoder_layers: Count = 3
    encoder_sparse_step: Count | None = None
    decoder_sparse_step: Count | None = None

    def gated(self) -> bool:
        return False

    def experts(self) -> ApartExperts:
        return ApartExperts(
            self.d_model, self.d_ff, self.num_experts, 1, self.feed_forward_proj, ("wi", "wo"), False, self.router_bias
        )  # fmt: skip

    def sparse(self, name: str, layers: int) -> list[bool]:
        """A stored step is taken as it stands; without any sparse layers the reference's is the number of layers, which makes the second
        one sparse."""
        stored: int | None = getattr(self, f"{name}_sparse_step")
        step = layers // (getattr(self, f"num_sparse_{name}_layers") or 1) if stored is None else stored
        return [step == 1 or (step > 1 and i % step == 1) for i in range(layers)]

    def mixed(self, layer: Layer, sparse: bool) -> Layer:
        """The layer with its FFN under this type's name, or with experts in place of it."""
        dense = "DenseReluDense."
        last = next(t.name.partition(dense)[0] for t in layer.tensors if dense in t.name)
        tensors: list[Tensor] = [t._replace(name=t.name.replace(dense, "mlp.")) for t in layer.tensors]
        if not sparse:
            return layer._replace(tensors=tuple(tensors))
        experts = self.experts()
        tensors = [*(t for t in tensors if ".mlp." not in t.name), *prefixed(f"{last}mlp", experts.tensors())]
        steps = (*layer.steps, *experts.steps())
        return layer._replace(tensors=tuple(tensors), ffn=experts.label(), ffn_width=experts.width(), steps=steps)

    def half(self, name: str, layers: int) -> Stack:
        half = super().half(name, layers)
        order = zip(half.pattern, self.sparse(name, layers), strict=True)
        return stack(half.prefix, half.part, [self.mixed(half.kinds[kind], sparse) for kind, sparse in order])

    def architecture(self, prefix: str) -> Architecture:
        a = super().architecture(prefix)
        sparse = sum(self.sparse("decoder", self.num_decoder_layers or self.num_layers))
        moe = Moe(self.num_experts, 1, 0, sparse, self.d_ff)
        # Where nothing is tied each half has a table of its own.
        kind: Kind = "tied" if self.tie_word_embeddings else "param"
        groups = (
            g._replace(tensors=tuple(t._replace(kind=kind) if "embed_tokens" in t.name else t for t in g.tensors)) for g in a.groups
        )
        return a._replace(groups=tuple(groups), facts=a.facts._replace(moe=moe if sparse else None))
