"""Mixture of experts: a router, routed experts, and experts that every token visits.

Sources: Shazeer et al. 2017, arXiv:1701.06538; Fedus et al. 2021, arXiv:2101.03961; DeepSeekMoE, arXiv:2401.06066 (fine-grained
and shared experts); DeepSeek-V3, arXiv:2412.19437, equation 16 (the router's correction bias).
"""

from __future__ import annotations

from collections.abc import Iterator
from math import isqrt

from archcalc.blocks._tensor import fused_experts, linear
from archcalc.blocks.feedforward import FeedForward, GatedFeedForward, activation_name
from archcalc.model import Clamped, Experts, Kind, Routing, Shard, Step, Tensor
from archcalc.records import Frozen


class MixtureOfExperts(Frozen):
    """`active` of `experts` gated experts of width `intermediate`, and a shared gated FFN of width `shared_intermediate`.

    The reference implementation fuses experts into `experts.gate_up_proj` [experts, 2 * intermediate, hidden] and
    `experts.down_proj` [experts, hidden, intermediate]; `stored` names the gate, up and down of one expert in published
    checkpoints (`()` where those are fused too). `transposed` fuses them [experts, in, out]; `transposed_on_disk`
    says that checkpoints alone do.
    `correction_bias` names the router's correction bias, if it has one; `correction_kind` is `param` where the reference
    implementation registers it as one, `correction_rows` a leading dimension it may have. `shared` is how many experts the shared
    FFN stands for. `clamped` is said of their activation (`Clamped`), `linear` of the router (`Routing`).
    """

    hidden: int
    intermediate: int
    experts: int
    active: int
    activation: str = "silu"
    shared: int = 0
    shared_intermediate: int = 0
    shared_name: str = "shared_experts"
    shared_gate: str = ""
    shared_bias: bool = False
    router: str = "gate"
    router_bias: bool = False
    correction_bias: str = ""
    correction_kind: Kind = "router_bias"
    correction_rows: int = 0
    expert_bias: bool = False
    transposed: bool = False
    stored: tuple[str, ...] = ("gate_proj", "up_proj", "down_proj")
    transposed_on_disk: bool = False
    clamped: bool = False
    linear: bool = True

    def steps(self) -> Iterator[Step]:
        """A softmax over all experts, where the type does not say otherwise."""
        yield Routing("softmax", linear=self.linear)
        if self.clamped:
            yield Clamped()

    def tensors(self) -> Iterator[Tensor]:
        experts, h, i = Experts(self.experts, self.active), self.hidden, self.intermediate
        up, down = ((h, 2 * i), (i, h)) if self.transposed else ((2 * i, h), (h, i))
        pieces = tuple(f"experts.{{}}.{name}.weight" for name in self.stored)
        if self.transposed_on_disk:
            pieces = ("experts.gate_up_proj", "experts.down_proj")
        split = 1 if self.transposed_on_disk else 2
        yield fused_experts("experts.gate_up_proj", experts, up, stored=pieces[:split], shard=Shard(2 if self.transposed else 1, i))
        if self.expert_bias:
            yield fused_experts("experts.gate_up_proj_bias", experts, (2 * i,), shard=Shard(1, i))
        yield fused_experts("experts.down_proj", experts, down, stored=pieces[split:], shard=Shard(1 if self.transposed else 2, i))
        if self.expert_bias:
            yield fused_experts("experts.down_proj_bias", experts, (h,))
        yield from linear(self.router, self.experts, h, "router", bias=self.router_bias)
        if self.correction_bias:
            shape = (self.correction_rows, self.experts) if self.correction_rows else (self.experts,)
            yield Tensor(self.correction_bias, shape, "router", kind=self.correction_kind)
        if self.shared_intermediate:
            shared = GatedFeedForward(h, self.shared_intermediate, self.activation, self.shared_bias, role="shared_experts")
            for t in shared.tensors():
                yield t._replace(name=f"{self.shared_name}.{t.name}")
        if self.shared_gate:
            yield from linear(self.shared_gate, 1, h, "shared_experts")

    def width(self) -> int:
        """Each visited expert holds its input, gate, up and product; the shared FFN its own three."""
        return self.active * (self.hidden + 3 * self.intermediate) + 3 * self.shared_intermediate

    def label(self) -> str:
        text = f"MoE {self.experts} x {activation_name(self.activation, gated=True)} {self.intermediate}, top-{self.active}"
        if self.shared:
            text += f" + {self.shared} shared"
        return text


class PlainExperts(Frozen):
    """`active` of `experts` experts of two matrices, without a gate, and a shared FFN like them.

    With `latent`, routed experts read and write a vector of that width, projected down from the hidden state and up again, once for
    all experts (NVIDIA Nemotron 3 white paper 2025, "LatentMoE").
    """

    hidden: int
    intermediate: int
    experts: int
    active: int
    activation: str
    shared_intermediate: int
    latent: int | None = None
    bias: bool = False

    def steps(self) -> Iterator[Step]:
        """In fp32 with groups of experts, as DeepSeek-V3's."""
        yield Routing("grouped")

    def _shared(self) -> FeedForward:
        names = ("up_proj", "down_proj")
        return FeedForward(self.hidden, self.shared_intermediate, self.activation, self.bias, names, role="shared_experts")

    def tensors(self) -> Iterator[Tensor]:
        experts, i, width = Experts(self.experts, self.active), self.intermediate, self.latent or self.hidden
        for name, shape, axis in (("up_proj", (i, width), 1), ("down_proj", (width, i), 2)):
            stored = (f"experts.{{}}.{name}.weight",)
            yield fused_experts(f"experts.{name}", experts, shape, stored=stored, shard=Shard(axis, i))
        yield from linear("gate", self.experts, self.hidden, "router")
        yield Tensor("gate.e_score_correction_bias", (self.experts,), "router", kind="router_bias")
        for t in self._shared().tensors():
            yield t._replace(name=f"shared_experts.{t.name}")
        if self.latent is not None:
            # Every token passes through both, whichever experts it visits.
            yield from linear("fc1_latent_proj", width, self.hidden, "shared_experts", bias=self.bias)
            yield from linear("fc2_latent_proj", self.hidden, width, "shared_experts", bias=self.bias)

    def width(self) -> int:
        """Each visited expert holds its input, the up projection and its activation; the shared FFN its own two."""
        width = self.latent or self.hidden
        return self.active * (width + 2 * self.intermediate) + 2 * self.shared_intermediate + (self.latent or 0)

    def label(self) -> str:
        act = activation_name(self.activation, gated=False)
        text = f"MoE {self.experts} x {act} {self.intermediate}, top-{self.active} + 1 shared"
        return f"{text}, latent {self.latent}" if self.latent else text


class NeuronExperts(Frozen):
    """A gated FFN that every token visits, and `active` of `experts` experts of one neuron, found by a product of two sets of keys.

    Sources: He 2024, arXiv:2407.04153 (PEER); transformers 5.23, models/doge/modeling_doge.py (`DogeCDMoE`).
    """

    plain: GatedFeedForward
    experts: int
    active: int

    def tensors(self) -> Iterator[Tensor]:
        h, experts = self.plain.hidden, Experts(self.experts, self.active)
        yield from self.plain.tensors()
        yield from linear("router_gate", 2 * isqrt(self.experts), h, "router")
        yield fused_experts("down_embed.weight", experts, (h,))
        yield fused_experts("up_embed.weight", experts, (h,))

    def width(self) -> int:
        """The rows that a token visits of both embeddings, one number each, and what the plain FFN holds."""
        return self.plain.width() + 2 * self.active * (self.plain.hidden + 1)

    def label(self) -> str:
        return f"{self.plain.label()} + {self.experts} experts of one neuron, top-{self.active}"


class ApartExperts(Frozen):
    """`active` of `experts` FFNs of two matrices that the reference implementation holds one by one: `{}` in a name stands for the expert.

    Sources: Fedus et al. 2021, arXiv:2101.03961 (one expert a token); NLLB Team 2022, arXiv:2207.04672, section 6 (two);
    transformers 5.24, models/switch_transformers and models/nllb_moe.
    """

    hidden: int
    intermediate: int
    experts: int
    active: int
    activation: str
    names: tuple[str, str]
    bias: bool
    router_bias: bool = False
    piece: str = "experts.expert_{}"
    router: str = "router.classifier"

    def steps(self) -> Iterator[Step]:
        yield Routing("softmax")

    def tensors(self) -> Iterator[Tensor]:
        experts, h, i = Experts(self.experts, self.active), self.hidden, self.intermediate
        for name, out, inner, axis in ((self.names[0], i, h, 1), (self.names[1], h, i, 2)):
            piece = f"{self.piece}.{name}"
            yield fused_experts(f"{piece}.weight", experts, (out, inner), stored=(f"{piece}.weight",), shard=Shard(axis, i))
            if self.bias:
                shard = Shard(1, i) if axis == 1 else None
                yield fused_experts(f"{piece}.bias", experts, (out,), stored=(f"{piece}.bias",), shard=shard)
        yield from linear(self.router, self.experts, h, "router", bias=self.router_bias)

    def width(self) -> int:
        """Each visited expert holds its input, the up projection and its activation."""
        return self.active * (self.hidden + 2 * self.intermediate)

    def label(self) -> str:
        return f"MoE {self.experts} x {activation_name(self.activation, gated=False)} {self.intermediate}, top-{self.active}"


class ZeroExperts(Frozen):
    """A mixture whose router may also choose one of `zero` experts that pass their input on.

    The reference implementation holds gate and up projections for those too, which it never reads.
    """

    moe: MixtureOfExperts
    zero: int

    def tensors(self) -> Iterator[Tensor]:
        everyone = Experts(self.moe.experts + self.zero, self.moe.active, self.moe.experts)
        for t in self.moe.tensors():
            if t.name == "experts.gate_up_proj":
                yield t._replace(shape=(everyone.total, *t.shape[1:]), experts=everyone)
            else:
                yield t._replace(shape=(everyone.total, *t.shape[1:])) if t.role == "router" else t

    def steps(self) -> Iterator[Step]:
        return self.moe.steps()

    def width(self) -> int:
        return self.moe.width()

    def label(self) -> str:
        return f"{self.moe.label()} + {self.zero} that do nothing" if self.zero else self.moe.label()
