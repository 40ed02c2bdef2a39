"""What FFNs keep: dense ones, those that all tokens visit, and routed experts."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

from archcalc.analysis.activations.matrices import input_saved
from archcalc.analysis.activations.norms import norm_of, norm_saved
from archcalc.analysis.activations.saved import FP32, INT64, Block, How, Linear, Saved
from archcalc.errors import UnsupportedError
from archcalc.model import Architecture, Clamped, Layer, Tensor, Widened


def _activated(how: How, layer: Layer, width: int, storage: int, block: Block, name: str, gated: bool) -> Iterator[Saved]:
    """What the activation keeps, and with a gate the product; `storage` is what the projection wrote that the activation reads."""
    c = FP32 if block == "mlp" and any(isinstance(step, Widened) for step in layer.steps) else how.size
    if gated:
        yield Saved(block, f"{name}: gate" + (" and up" if storage > width else ""), c, storage, split=True)
        if not how.fused_glu:
            yield Saved(block, f"{name}: activated gate", c, width, split=True)
        clamped = next((step for step in layer.steps if isinstance(step, Clamped)), None)
        if clamped is not None and clamped.shared:
            yield Saved(block, f"{name}: steps of the clamped gate", c, (3 if clamped.scaled else 2) * width, split=True)
        if storage == width:
            yield Saved(block, f"{name}: up", c, width, split=True)
        return
    if layer.activation in _STEPS and not how.joined:
        steps, masks = _STEPS[layer.activation]
        yield Saved(block, f"{name}: steps of {layer.activation}", c, steps * width, split=True)
        if masks:
            yield Saved(block, f"{name}: where {layer.activation} turns", 1, masks * width, split=True)
    elif layer.activation != "relu":
        # Of ReLU the output is all it needs, and that is what the next matrix reads.
        yield Saved(block, f"{name}: before the activation", c, width, split=True)


# Activations that are computed in steps, each of which keeps its factors (transformers 5.23, activations.py).
_STEPS = {"gelu_new": (4, 0), "gelu_fast": (7, 0), "quick_gelu": (2, 0), "xielu": (4, 1)}


def ffn_saved(a: Architecture, how: How, layer: Layer, linears: list[Linear], shared_norm: bool) -> Iterator[Saved]:
    """The dense FFN, or the one that all tokens visit beside the routed experts."""
    hidden, c = a.facts.hidden_size, how.size
    mine = [x for x in linears if x.tensor.role in ("mlp", "shared_experts")]
    downs = [x for x in mine if x.row]
    firsts = [x for x in mine if not x.row and x.read == hidden]
    routed = any(t.experts for t in layer.tensors)
    if (not routed and not shared_norm) or (shared_norm and (how.amp or not how.trains)):
        yield from input_saved(how, "mlp", "FFN", firsts, hidden, how.residual)
    for down in downs:
        block: Block = "experts" if down.tensor.role == "shared_experts" else "mlp"
        prefix = down.name.rpartition(".")[0]
        ups = [x for x in mine if x.name.rpartition(".")[0] == prefix and not x.row and x.write in (down.read, 2 * down.read)]
        fused = any(x.write == 2 * down.read for x in ups)
        gated = fused or len(ups) > 1
        yield from _activated(how, layer, down.read, 2 * down.read if fused else down.read, block, prefix or "FFN", gated)
        for t in layer.tensors:
            if t.role == "norm" and prefix and t.name == f"{prefix}.ffn_sub_norm.weight":
                yield from norm_saved(norm_of(a, t), how, t.name[:-7], down.read, down.read, c, block=block)
        if how.reads:
            yield Saved(block, f"{down.name}: input", c, down.read, split=True)
        yield from input_saved(how._replace(trains=False, inputs=False), block, down.name, [down], down.read, c, split=True)
    stems = dict.fromkeys(x.name.rpartition(".")[0] for x in downs if x.tensor.role == "mlp")
    if routed and len(stems) > 1:
        for stem in stems:
            yield from input_saved(how, "mlp", stem, [x for x in firsts if x.name.startswith(f"{stem}.")], hidden, how.residual)
    for x in mine:
        if x.write == 1:
            yield Saved("experts", "shared expert's gate and output", c, hidden + 1)


def expert_saved(a: Architecture, how: How, layer: Layer, grouped: bool = False, shared_norm: bool = False) -> Iterator[Saved]:
    """Routed experts in one grouped product: each token is copied to each expert it visits. Without `grouped` as the reference
    implementation computes them, which for some types is every expert on every token. With `shared_norm` the attention's matrices
    read what the router reads, and keep it."""
    routed = [t for t in layer.tensors if t.experts and len(t.shape) == 3]
    if not routed:
        return
    routing = layer.routing()
    if routing is None:
        raise UnsupportedError(f"{a.model_type}: how its router weighs experts is not known, so neither is what it keeps")
    hidden, c, kind = a.facts.hidden_size, how.size, routing.kind
    kind = "softmax" if grouped and kind == "all" else kind
    if routed[0].name.endswith("input_linear.weight"):
        yield from _pools_saved(how, routed, hidden)
        return
    experts = routed[0].experts
    assert experts is not None
    total, k = experts.total, experts.active
    down = next((t for t in routed if "down" in t.name), routed[-1])
    up = next((t for t in routed if t is not down), routed[0])
    # The inner width is the axis that tensor parallelism splits; the other is the hidden state's, or a latent's.
    inner = down.shard.axis if down.shard else 2
    inner_width, read = down.shape[inner], down.shape[3 - inner]
    gated = 2 * inner_width in up.shape[1:] and "gate" in up.name
    shared = any(t.role == "shared_experts" for t in layer.tensors)
    if routing.reads == "fp32" and how.trains and c != FP32 and not how.amp:
        yield Saved("experts", "router: input in fp32", FP32, hidden)
    if how.trains and (kind not in ("grouped", "wide") or shared) and (not shared_norm or how.amp):
        yield Saved("experts", "router and shared experts: input", c, hidden)
    fine = FP32 if kind in ("normalized", "grouped", "wide") else c
    if kind in ("grouped", "wide") and c != FP32 and not how.amp:
        yield Saved("experts", "router: weight in fp32", FP32, fixed=total * hidden)
        yield Saved("experts", "router: input in fp32", FP32, hidden if how.trains else 0)
    if kind == "grouped":
        yield Saved("experts", "router: groups", 1, 3 * INT64 + total)
    if kind != "chosen":
        yield Saved("experts", "router: scores", FP32, total)
    if kind in ("normalized", "grouped", "wide"):
        yield Saved("experts", "router: normalization", FP32, 1 + k)
    elif kind == "chosen":
        yield Saved("experts", "router: probabilities", FP32, k)
    if kind == "all":
        yield Saved("experts", "experts: input of every expert", c, total * hidden * 2)
        yield Saved("experts", "experts: gate and up, activated gate, product", c, total * 4 * inner_width, split=True)
        return
    yield Saved("experts", "router: choice", INT64, k)
    yield Saved("experts", "experts: order of the tokens", INT64, 3 * k)
    yield Saved("experts", "experts: tokens of each", FP32, fixed=total)
    room = how.capacity
    # Tokens that visit an expert which does nothing have rows too, of their input and its weight alone.
    held = experts.held or total

    def buffer(width: int, computed: bool = True) -> int:
        rows = k * width * room // 100
        return rows * held // total if computed else rows

    if how.trains:
        yield Saved("experts", "experts: input", c, buffer(read, False))
    if gated:
        yield Saved("experts", "experts: gate and up", c, buffer(2 * inner_width), split=True)
        yield Saved("experts", "experts: activated gate", c, buffer(inner_width), split=True)
        if (clamped := next((step for step in layer.steps if isinstance(step, Clamped)), None)) is not None:
            # The gate is clamped, scaled and multiplied by its sigmoid, the up projection clamped and raised by one.
            yield Saved(
                "experts", "experts: steps of the clamped gate", c, buffer((3 if clamped.scaled else 2) * inner_width), split=True
            )
    else:
        yield Saved("experts", "experts: before the activation", c, buffer(inner_width), split=True)
    if how.trains:
        yield Saved("experts", "experts: down projection's input", c, buffer(inner_width), split=True)
    names = {f"{kind}.{t.name.rpartition('.')[2]}" for t in routed for kind in ("experts", "parameters")}
    if how.rank and names & how.targets:
        # The adapter is added to the weights, and the sum kept (PEFT 0.21, tuners/lora/layer.py `ParamWrapper`).
        yield Saved("adapters", "experts: weights with the adapter", c, fixed=sum(t.elements for t in routed), split=True)
    pooled = next((t for t in layer.tensors if t.role == "shared_experts" and len(t.shape) == 3 and "down" in t.name), None)
    if pooled is not None:
        # Shared experts as one batched product (transformers 5.24, models/inkling/modeling_inkling.py `InklingSharedExperts.forward`).
        if how.trains:
            yield Saved("experts", "shared experts: input", c, hidden)
        yield Saved(
            "experts",
            "shared experts: gate, activated gate, up, product, weighted",
            c,
            (5 if how.trains else 4) * pooled.shape[0] * pooled.shape[2],
            split=True,
        )
    yield Saved("experts", "experts: output", c, buffer(read, False))
    yield Saved("experts", "experts: weights of the visits", fine, k)


def _pools_saved(how: How, routed: list[Tensor], hidden: int) -> Iterator[Saved]:
    """Pools of experts, each with a router, whose products are taken expert by expert: those of an attention's queries and outputs, and
    those of the FFN (transformers 5.24, models/jetmoe/modeling_jetmoe.py `JetMoeMoA`, `JetMoeMoE`, `JetMoeParallelExperts`)."""
    c, room = how.size, how.capacity
    for up, down in pairwise(routed):
        experts = up.experts
        if experts is None or not up.name.endswith("input_linear.weight"):
            continue
        attention, k = "attention" in up.name, experts.active
        inner_width, inner = up.shape[1] * k * room // 100, down.shape[2] * k * room // 100
        if how.trains and not attention:
            yield Saved("experts", "router: input", c, hidden)
        yield Saved("experts", "router: probabilities", FP32, k)
        yield Saved("experts", "router: choice, order of the tokens", INT64, 3 * k)
        rows = hidden * k * room // 100
        if how.trains:
            yield Saved("experts", "experts: input", c, rows)
        if attention:
            yield Saved("experts", "queries, as the experts make them", c, inner_width, split=True)
        else:
            yield Saved("experts", "experts: before the activation", c, inner_width, split=True)
            if inner_width == 2 * inner:
                yield Saved("experts", "experts: activated gate", c, inner, split=True)
        if how.trains:
            yield Saved("experts", "experts: output projection's input", c, inner, split=True)
        yield Saved("experts", "experts: weights of the visits", c, k)
        yield Saved("experts", "experts: output, and with its bias", c, 2 * rows)
