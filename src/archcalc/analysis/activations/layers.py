"""What the backward pass of one layer needs, tensor by tensor, as the reference implementation computes it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import pairwise
from typing import get_args

from archcalc.analysis.activations.saved import FP32, INT64, Block, How, Linear, Saved, linears_of
from archcalc.analysis.activations.scans import RECOMPUTED, scan_saved
from archcalc.errors import UnsupportedError, unknown
from archcalc.figures import memory
from archcalc.model import (
    Architecture,
    Attend,
    Bare,
    BareKind,
    Clamped,
    Differential,
    Layer,
    NormKind,
    Scores,
    Step,
    Tensor,
    Widened,
)

STEPS = get_args(Step)

# Norms


def norm_saved(
    kind: NormKind | BareKind, how: How, name: str, width: int, gain: int, source: int, groups: int = 1, block: Block = "norm"
) -> Iterator[Saved]:
    """A norm over `width` elements a token in `groups`, its gain of `gain` elements, its input of `source` bytes an element."""
    # A gain that is cast to fp32 is a new vector where it is not fp32 already.
    casts = not how.amp and how.size != FP32
    input_in_fp32 = Saved(block, f"{name}: input in fp32", how.size if how.compiled else FP32, width)
    deviation = Saved(block, f"{name}: deviation", FP32, groups)
    normalized = Saved(block, f"{name}: normalized in fp32", FP32, width)
    gain_in_fp32 = Saved(block, f"{name}: gain in fp32", FP32, fixed=gain)
    match kind:
        case "layer" | "layer-1p" | "layer-apart":
            yield Saved(block, f"{name}: input", source, width)
            yield Saved(block, f"{name}: mean and deviation", source if how.cpu else FP32, 2 * groups)
            if kind == "layer-1p":
                yield Saved(block, f"{name}: 1 + weight", how.residual, fixed=gain)
            if kind == "layer-apart" and how.trains:
                yield Saved(block, f"{name}: normalized", source, width)
        case "rms" | "rms-own":
            # An fp32 input is the residual stream itself; any other is cast, and the cast kept.
            yield input_in_fp32
            if kind == "rms-own" and source != FP32:
                yield Saved(block, f"{name}: input", source, width)
            yield deviation
            if how.trains:
                yield Saved(block, f"{name}: normalized", source, width)
        case "rms-fp32" | "rms-cast-gain" | "rms-1p":
            yield from (input_in_fp32, deviation)
            if how.trains:
                yield normalized
            if kind == "rms-1p" or (kind == "rms-cast-gain" and casts):
                yield gain_in_fp32
        case "layer-fp32":
            # Less its mean it is another tensor.
            yield from (input_in_fp32._replace(per_token=2 * width), deviation)
            if how.trains:
                yield normalized
            if casts:
                yield gain_in_fp32
        case "bare-rms":
            yield from (input_in_fp32, deviation)
        case "bare-layer":
            yield from (input_in_fp32, deviation._replace(per_token=2 * groups))
        case _:
            unknown("norm", kind)


def norm_of(a: Architecture, t: Tensor) -> NormKind:
    """How the norm of a gain is computed."""
    if t.norm is None:
        raise UnsupportedError(f"{a.model_type}: how the norm {t.name} is computed is not known, so neither is what it keeps")
    return t.norm


def _norms(a: Architecture, how: How, layer: Layer) -> Iterator[Saved]:
    """The norms of a layer's residual stream: those whose gain is as wide as it, and those without a gain."""
    hidden = a.facts.hidden_size
    seen_inputs = 0
    norms: list[tuple[NormKind | BareKind, str]] = [(norm_of(a, t), t.name[: -len(".weight")]) for t in wide_norms(layer, hidden)]
    norms += ((s.kind, s.name) for s in layer.steps if isinstance(s, Bare) and not s.inner)
    for t in layer.tensors:
        # A norm whose output is multiplied with what two small matrices make of it, in fp32.
        if t.name.endswith("norm.mlp.fc1.weight") and how.trains:
            yield Saved("norm", f"{t.name[:-7]}: input", how.size, t.shape[1])
            yield Saved("norm", f"{t.name[:-7]}: before the activation, after it", how.size, 2 * t.shape[0])
            yield Saved("norm", f"{t.name[:-15]}: gate in fp32", FP32, t.shape[1])
        if t.role == "other" and t.shape == (hidden,) and t.name.endswith("_residual") and how.trains:
            yield Saved("norm", f"{t.name}: residual that it scales", how.residual, hidden)
    for kind, name in norms:
        for saved in norm_saved(kind, how, name, hidden, hidden, how.residual):
            if layer.parallel and saved.name.endswith(": input"):
                # Attention and FFN read one residual stream.
                seen_inputs += 1
                if seen_inputs > 1:
                    continue
            yield saved


def unreached(a: Architecture, layer: Layer, how: How) -> list[Saved]:
    """What the first layer does not keep beside an adapter: no gradient reaches the frozen embedding, nor the norm that reads
    it, nor what is dropped of its output or multiplied with that of a frozen matrix."""
    if how.trains or how.embeds:
        return []
    out = [s for s in _norms(a, how, layer) if s.name.startswith(("input_layernorm", "ln_1")) and not s.fixed]
    if how.adapter_dropout or how.dora:
        first = [
            x
            for x in linears_of(layer)
            if x.read == a.facts.hidden_size and not x.row and (layer.parallel or x.tensor.role == "attention")
        ]
        out += [s for s in _input(how, "attention", "", first, a.facts.hidden_size, how.residual) if s.name.endswith(_BEHIND)]
    return out


_MASK, _LESS_ONE, _WHOLE = ": mask of the dropout", ": magnitudes less one", ": the matrix in the adapter's type"
_BEHIND = _MASK, _LESS_ONE, _WHOLE
"""What the gradient of an adapted matrix's input needs, and nothing else."""


def wide_norms(layer: Layer, hidden: int) -> list[Tensor]:
    """The gains of norms over the residual stream."""
    return [t for t in layer.tensors if t.role == "norm" and t.name.endswith(".weight") and t.shape == (hidden,) and not _inner(t)]


def _inner(t: Tensor) -> bool:
    return (
        t.name.startswith(("self_attn.", "attention.", "attn.", "mixer.", "linear_attn.", "mamba."))
        and "." in t.name[: -len(".weight")]
    )


# Matrices


def _input(
    how: How,
    block: Block,
    name: str,
    readers: Iterable[Linear],
    width: int,
    size: int,
    split: bool = False,
    kept_already: bool = False,
) -> Iterator[Saved]:
    """What the matrices that read one tensor keep of it: once if its type is theirs; under autocast each casts for itself. With
    `kept_already` something else keeps that tensor."""
    readers = list(readers)
    if how.reads and readers:
        casts = len(readers) if how.amp and size == FP32 and how.size != FP32 and not how.compiled else 1
        yield Saved(block, f"{name}: input", how.size, width * casts, split=split)
    adapted = [reader for reader in readers if f"decoder.{reader.name}" in how.targets]
    # PEFT casts the input to the adapter's type; under autocast it is then cast to the computing one.
    kept = how.size if how.amp else how.adapter_size
    modules = 1 if how.joined and block == "attention" and not split else len(adapted)
    shared = how.reads or kept_already
    for place, reader in enumerate(adapted):
        if how.adapter_dropout:
            if place < modules:
                yield Saved("adapters", f"{reader.name}: adapter's input after dropout", kept, width, split=split)
                yield Saved("adapters", f"{reader.name}{_MASK}", how.adapter_size if how.cpu else 1, width, split=split)
        elif kept != size or how.amp or not (shared or place):
            yield Saved("adapters", f"{reader.name}: adapter's input", kept, width, split=split)
        yield Saved("adapters", f"{reader.name}: between the adapter's matrices", kept, how.rank)
        if how.dora:
            yield from dora_saved(how, reader.name, reader.read, reader.write, kept, not reader.row)


def dora_saved(how: How, name: str, read: int, write: int, kept: int, split: bool = False) -> Iterator[Saved]:
    """What DoRA keeps beside the adapter of a matrix: the outputs of both, which its magnitudes multiply, and three vectors of these.

    PEFT 0.21, tuners/lora/dora.py `DoraLinearLayer.forward`: `(mag_norm_scale - 1) * base_result + mag_norm_scale * lora_result`, where the
    norm is detached. What an adapter drops its matrix reads again, whole and in the adapter's type, and the gradient of that needs it
    (variants.py `DoraLinearVariant.forward`: `base_result = None`).
    """
    again = how.adapter_dropout
    yield Saved("adapters", f"{name}: the matrix's output", kept if again else how.size, write, split=split)
    yield Saved("adapters", f"{name}: the adapter's output", kept, write, split=split)
    yield Saved("adapters", f"{name}: norms, magnitudes", how.adapter_size, fixed=2 * write)
    yield Saved("adapters", f"{name}{_LESS_ONE}", how.adapter_size, fixed=write)
    if again and how.whole:
        yield Saved("adapters", f"{name}{_WHOLE}", kept, fixed=read * write)


def dora_working(layer: Layer, how: How) -> int:
    """Bytes alive at once while DoRA takes the norm of a layer's largest adapted matrix."""
    return max((norm_bytes(how, x.read, x.write) for x in linears_of(layer) if f"decoder.{x.name}" in how.targets), default=0)


def norm_bytes(how: How, read: int, write: int) -> int:
    """Bytes alive at once while DoRA takes the norm of a matrix and its adapter.

    PEFT 0.21, tuners/lora/dora.py `get_lora_weight`, `get_weight_norm`: a unit matrix goes through the adapter, whose product is kept
    beside it, scaled, and added to the matrix, which is there in the same type too if it is cast or dequantized.
    """
    return how.adapter_size * (read * (read + how.rank) + (4 if how.whole else 3) * read * write)


# Attention


def _attention(a: Architecture, how: How, layer: Layer, linears: list[Linear]) -> Iterator[Saved]:
    attend, hidden, c = layer.attends[0], a.facts.hidden_size, how.size
    own = [x for x in linears if x.tensor.role == "attention" and "indexer" not in x.name]
    first = [x for x in own if x.read == hidden and not x.row]
    yield from _input(how, "attention", "queries, keys, values", first, hidden, how.residual)
    for x in own:
        if not x.row and x.read != hidden:
            # A projection in groups reads the output of all heads.
            yield from _input(how, "attention", x.name, [x], attend.heads * attend.v_dim if x.leaf == "o_a_proj" else x.read, c)
    latent = layer.keeps("latent") is not None
    queries, values = attend.heads * attend.qk_dim, attend.heads * attend.v_dim
    kv_heads = next((cache.heads for cache in layer.caches if cache.heads and not latent), attend.heads)
    keys, kv_values = kv_heads * attend.qk_dim, kv_heads * attend.v_dim
    out = next((x for x in own if x.row), None)
    gate = next((x.write for x in first if ("gate" in x.leaf or x.leaf == "g_proj") and ".compressor." not in x.name), 0)
    gate = gate or next((x.write - queries for x in first if x.leaf == "q_proj" and x.write == 2 * queries), 0)
    fused = next((x.write for x in first if x.write >= queries + keys + kv_values and len(first) == 1), 0)
    # A matrix for queries and gate at once, behind a norm of its own.
    behind = next((x.write - queries for x in own if x.leaf == "q_gate_proj" and x.read != hidden and x.write > queries), 0)
    viewed = normed = False
    for t in layer.tensors:
        if t.role == "norm" and _inner(t) and t.name.endswith(".weight"):
            normed |= t.name.endswith("sub_norm.weight")
            for saved in _inner_norm(a, how, t, attend, queries, keys):
                # Queries and keys are views of the one projection, as long as nothing is cast.
                if fused and not latent and saved.name.endswith(": input"):
                    viewed = True
                    continue
                yield saved
    for step in layer.steps:
        if isinstance(step, Bare) and step.inner:
            yield from norm_saved(step.kind, how, step.name, step.width, 0, c, step.groups, "attention")
    if latent:
        # Values are a view of what the latent is projected up to, beside the keys.
        fused = next((x.write for x in own if not x.row and x.leaf.startswith("kv_b")), 0)
    if how.joined and not latent and kv_heads == attend.heads:
        fused = queries + keys + kv_values
    if viewed and (how.attention == "eager" or not fused):
        yield Saved("attention", "projection that queries and keys are views of", c, fused, split=True)
    if any(isinstance(step, Differential) for step in layer.steps):
        yield from _differential(how, attend, queries, keys, kv_values, values)
        if out is not None:
            yield from _input(how, "attention", out.name, [out], out.read, c, split=True)
        return
    rotation, own_kv = layer.rotation(), bool(layer.caches)
    copied = rotation is not None and rotation.joined
    yield from _scores(layer.scores(), how, attend, queries, keys, kv_values, values, fused, rotation is not None, own_kv)
    eager = how.attention == "eager" or _stepwise(how, attend, layer.scores())
    if gate:
        yield Saved("attention", "sigmoid of the gate", c, gate, split=True)
        if gate < values:
            yield Saved("attention", "gate of each head in fp32", FP32, gate, split=True)
        if eager or copied:
            # What it is multiplied with, where that is no storage of its own yet.
            yield Saved("attention", "gated output", c, values, split=True)
    if behind:
        yield Saved("attention", "sigmoid of the gate in fp32", FP32, behind, split=True)
        yield Saved("attention", "gated output", c, values, split=True)
    if out is not None:
        fresh = eager or copied or bool(gate) or normed or behind > 0
        if how.reads and fresh:
            yield Saved("attention", f"{out.name}: input", c, out.read, split=True)
        bare = how._replace(trains=False, inputs=False)
        yield from _input(bare, "attention", out.name, [out], out.read, c, split=True, kept_already=how.reads or not fresh)


def _differential(how: How, attend: Attend, queries: int, keys: int, kv_values: int, values: int) -> Iterator[Saved]:
    """Two passes over halves of the values (transformers 5.24, models/diffllama/modeling_diffllama.py: one call of the kernel for each,
    and two products of the one softmax, which eager attention takes twice), and their outputs side by side."""
    c = how.size
    if how.attention == "eager":
        yield Saved("scores", "queries and keys", c, 4 * queries, split=True)
        yield Saved("scores", "softmax", FP32, per_pair=2 * attend.heads, split=True)
        yield Saved("scores", "probabilities", c, per_pair=2 * attend.heads, split=True)
        yield Saved("scores", "halves of the values", c, values, split=True)
    else:
        yield Saved("scores", "queries", c, queries, split=True)
        yield Saved("scores", "keys", c, keys, split=True)
        yield Saved("scores", "halves of the values", c, kv_values, split=True)
        yield Saved("scores", "outputs", c, values, split=True)
        yield Saved("scores", "logs of the softmaxes' sums", FP32, 2 * attend.heads, split=True)
    yield Saved("attention", "both outputs", c, values, split=True)
    yield from norm_saved("bare-rms", how, "norm of the difference", values // 2, 0, c, attend.heads // 2, "attention")


_WIDEST = 256


def _stepwise(how: How, attend: Attend, scores: Scores) -> bool:
    """Whether SDPA computes in steps: on the CPU, where values are not as wide as keys, or the mask has a gradient."""
    return how.cpu and how.attention != "eager" and (attend.qk_dim != attend.v_dim or scores.learned or scores.relative > 0)


def _inner_norm(a: Architecture, how: How, t: Tensor, attend: Attend, queries: int, keys: int) -> Iterator[Saved]:
    """A norm inside the attention: of queries or keys, by head or over all of them, or of a latent."""
    name, gain = t.name[: -len(".weight")], t.elements
    leaf = name.rpartition(".")[2]
    width = (
        gain
        if ".indexer." in name
        else queries
        if leaf.startswith(("q_norm", "q_layernorm", "query_layernorm"))
        else keys
        if leaf.startswith(("k_norm", "k_layernorm", "key_layernorm"))
        else gain
    )
    # A gain of its own for each head is as wide as all of them, and normalizes each.
    groups = width // t.shape[-1] if width % t.shape[-1] == 0 else 1
    yield from norm_saved(norm_of(a, t), how, name, width, gain, how.size, max(groups, 1), "attention")


def _scores(
    scores: Scores, how: How, attend: Attend, queries: int, keys: int, kv_values: int, values: int, fused: int, turned: bool,
    own_kv: bool,
) -> Iterator[Saved]:  # fmt: skip
    c = how.size
    learned = scores.learned or scores.relative > 0
    if scores.relative:
        # transformers 5.24, models/inkling/modeling_inkling.py `InklingRelativeLogits.forward`: a logit for each distance, of which those
        # of the keys are gathered; their numbers and the mask are the same for all sequences of a batch.
        if how.trains:
            yield Saved("scores", "relative states", c, attend.heads * scores.rank, split=True)
        yield Saved("scores", "relative logits", c, attend.heads * scores.relative, split=True)
        yield Saved("scores", "distances", 1, per_pair=INT64 + 1)
    repeats = attend.heads > (kv_values // attend.v_dim if attend.v_dim else attend.heads)
    if how.attention == "eager" or _stepwise(how, attend, scores):
        s = FP32 if how.attention != "eager" else c
        if fused and not turned and how.batch == 1 and not repeats:
            yield Saved("scores", "queries, keys and values", s, fused, split=True)
        else:
            products = FP32 if how.attention == "eager" and scores.products == "fp32" else s
            yield Saved("scores", "queries and keys", products, 2 * queries, split=True)
            whole = fused if fused and how.batch == 1 and not repeats and s == c and how.attention == "eager" else values
            yield Saved("scores", "values", s, whole, split=True)
        in_own_type = how.attention == "eager" and scores.softmax == "own"
        if scores.floored:
            yield Saved("scores", "scores and their floor", c, per_pair=attend.heads, split=True)
        if scores.capped:
            yield Saved("scores", "capped scores", c, per_pair=attend.heads, split=True)
        yield from _sinks(scores, how, attend, values)
        if not in_own_type:
            yield Saved("scores", "softmax", FP32, per_pair=attend.heads, split=True)
        if how.attention == "eager" and (c != FP32 or in_own_type):
            yield Saved("scores", "probabilities", c, per_pair=attend.heads, split=True)
        return
    masked = (
        how.attention != "flash"
        and not learned
        and (how.attention == "sdpa-mask" or (attend.window is not None and how.tokens > attend.window))
    )
    # LitGPT, model.py `CausalSelfAttention.forward`: `k.expand(...)`, then `reshape`.
    # transformers 5.24, integrations/sdpa_attention.py `use_gqa_in_sdpa`: the kernel repeats no heads that are wider than 256.
    wide = how.attention != "flash" and not attend.qk_dim == attend.v_dim <= _WIDEST
    expanded = (masked or how.joined or wide or learned) and repeats
    if fused and not turned:
        yield Saved("scores", "queries, keys and values", c, fused, split=True)
    else:
        yield Saved("scores", "queries", c, queries, split=True)
        if own_kv or expanded:
            yield Saved("scores", "keys", c, queries if expanded else keys, split=True)
            yield Saved("scores", "values", c, values if expanded else fused or kv_values, split=True)
    yield Saved("scores", "output", c, values, split=True)
    yield Saved("scores", "log of the softmax's sum", FP32, attend.heads, split=True)
    if masked:
        yield Saved("scores", "mask", c, per_pair=1)
    if scores.relative:
        yield Saved("scores", "relative logits as a mask", c, per_pair=attend.heads, split=True)
    if scores.learned:
        yield Saved("scores", "learned mask", c, per_pair=kv_values // attend.v_dim, split=True)


def _sinks(scores: Scores, how: How, attend: Attend, values: int) -> Iterator[Saved]:
    """What sinks keep beside the softmax of the scores."""
    c = how.size
    wide = c if scores.softmax == "own" else FP32
    match scores.sinks:
        case "none":
            return
        case "column" | "column-max" | "max":
            if scores.sinks != "max":
                yield Saved("scores", "column of the sinks", wide, attend.heads, split=True)
            if scores.sinks != "column":
                # The largest score is subtracted, and where it stood is kept.
                yield Saved("scores", "place of the maximum", INT64, attend.heads, split=True)
        case "scale":
            # The log of the scores' sum, its sigmoid against the sink, and the output that it scales.
            yield Saved("scores", "scores before the softmax", c, per_pair=attend.heads, split=True)
            yield Saved("scores", "sums of the scores", c, attend.heads, split=True)
            yield Saved("scores", "scale of the sinks", FP32, attend.heads, split=True)
            yield Saved("scores", "output before its scale", c, values, split=True)
            if c != FP32:
                yield Saved("scores", "scale of the sinks in the model's type", c, attend.heads, split=True)
        case _:
            unknown("attention sink", scores.sinks)


# FFN


def _activated(how: How, layer: Layer, width: int, storage: int, block: Block, name: str, gated: bool) -> Iterator[Saved]:
    """What the activation keeps, and with a gate the product; `storage` is what the projection wrote that the activation reads."""
    c = FP32 if block == "mlp" and any(isinstance(step, Widened) for step in layer.steps) else how.size
    if gated:
        yield Saved(block, f"{name}: gate" + (" and up" if storage > width else ""), c, storage, split=True)
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


def _ffn(a: Architecture, how: How, layer: Layer, linears: list[Linear], shared_norm: bool) -> Iterator[Saved]:
    """The dense FFN, or the one that all tokens visit beside the routed experts."""
    hidden, c = a.facts.hidden_size, how.size
    mine = [x for x in linears if x.tensor.role in ("mlp", "shared_experts")]
    downs = [x for x in mine if x.row]
    firsts = [x for x in mine if not x.row and x.read == hidden]
    routed = any(t.experts for t in layer.tensors)
    if (not routed and not shared_norm) or (shared_norm and (how.amp or not how.trains)):
        yield from _input(how, "mlp", "FFN", firsts, hidden, how.residual)
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
        yield from _input(how._replace(trains=False, inputs=False), block, down.name, [down], down.read, c, split=True)
    stems = dict.fromkeys(x.name.rpartition(".")[0] for x in downs if x.tensor.role == "mlp")
    if routed and len(stems) > 1:
        for stem in stems:
            yield from _input(how, "mlp", stem, [x for x in firsts if x.name.startswith(f"{stem}.")], hidden, how.residual)
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
    wide, read = down.shape[inner], down.shape[3 - inner]
    gated = 2 * wide in up.shape[1:] and "gate" in up.name
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
        yield Saved("experts", "experts: gate and up, activated gate, product", c, total * 4 * wide, split=True)
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
        yield Saved("experts", "experts: gate and up", c, buffer(2 * wide), split=True)
        yield Saved("experts", "experts: activated gate", c, buffer(wide), split=True)
        if (clamped := next((step for step in layer.steps if isinstance(step, Clamped)), None)) is not None:
            # The gate is clamped, scaled and multiplied by its sigmoid, the up projection clamped and raised by one.
            yield Saved("experts", "experts: steps of the clamped gate", c, buffer((3 if clamped.scaled else 2) * wide), split=True)
    else:
        yield Saved("experts", "experts: before the activation", c, buffer(wide), split=True)
    if how.trains:
        yield Saved("experts", "experts: down projection's input", c, buffer(wide), split=True)
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
        wide, inner = up.shape[1] * k * room // 100, down.shape[2] * k * room // 100
        if how.trains and not attention:
            yield Saved("experts", "router: input", c, hidden)
        yield Saved("experts", "router: probabilities", FP32, k)
        yield Saved("experts", "router: choice, order of the tokens", INT64, 3 * k)
        rows = hidden * k * room // 100
        if how.trains:
            yield Saved("experts", "experts: input", c, rows)
        if attention:
            yield Saved("experts", "queries, as the experts make them", c, wide, split=True)
        else:
            yield Saved("experts", "experts: before the activation", c, wide, split=True)
            if wide == 2 * inner:
                yield Saved("experts", "experts: activated gate", c, inner, split=True)
        if how.trains:
            yield Saved("experts", "experts: output projection's input", c, inner, split=True)
        yield Saved("experts", "experts: weights of the visits", c, k)
        yield Saved("experts", "experts: output, and with its bias", c, 2 * rows)


def recurrence_saved(a: Architecture, how: How, layer: Layer, linears: list[Linear]) -> Iterator[Saved]:
    """A recurrence run by fused kernels in chunks: its projections' inputs and outputs, and the state at the end of each chunk in
    fp32."""
    hidden, c = a.facts.hidden_size, how.size
    own = [x for x in linears if x.tensor.role == "attention"]
    if layer.attends:
        own = [x for x in own if not x.name.startswith("self_attn")]
    firsts = [x for x in own if x.read == hidden and not x.row]
    yield from _input(how, "recurrence", "recurrence", firsts, hidden, how.residual)
    yield Saved("recurrence", "projections", c, sum(x.write for x in firsts), split=True)
    scans = [cache for cache in layer.caches if cache.kind == "state"]
    for cache in scans:
        yield from scan_saved(cache, c)
    remade = any(cache.recurrence in RECOMPUTED for cache in scans)
    for x in own:
        if x in firsts:
            continue
        if x.row and remade:
            groups = next((s.shape[0] for cache in scans for s in cache.states if s.name == "recurrent"), 1)
            yield Saved("recurrence", "output of the scan", c, x.read, split=True)
            yield Saved("recurrence", "deviation of its norm", FP32, groups, split=True)
            yield from _input(how._replace(trains=False, inputs=False), "recurrence", x.name, [x], x.read, c, split=True)
            continue
        yield from _input(how, "recurrence", x.name, [x], x.read, c, split=x.row)
        if x.row:
            # The recurrence's output; unless its norm and its gate are one kernel (fla/modules/fused_norm_gate.py), what is gated too.
            fused = any(cache.recurrence in ("gated-delta", "kda") for cache in scans)
            yield Saved("recurrence", "output", c, (1 if fused else 2) * x.read, split=True)


# Layers and the rest


def _per_layer(how: How, layer: Layer) -> Iterator[Saved]:
    """A vector of each layer's own, gated by the residual stream and added to it (transformers 5.24, models/gemma4/modeling_gemma4.py
    `Gemma4TextDecoderLayer.forward`)."""
    gate = next((t for t in layer.tensors if t.name.endswith("per_layer_input_gate.weight")), None)
    if gate is None:
        return
    width, read = gate.shape
    if how.trains:
        yield Saved("mlp", "per-layer gate: input", how.size, read)
    yield Saved("mlp", "per-layer gate: before the activation, after it", how.size, 2 * width)
    yield Saved("mlp", "per-layer vector", how.size, width)
    if how.trains:
        yield Saved("mlp", "per-layer projection: input", how.size, width)


_ROUNDS = 20
"""Rounds of Sinkhorn's algorithm: DeepSeek-V4's default (transformers 5.24, configuration_deepseek_v4.py `hc_sinkhorn_iters`)."""


def streams_saved(t: Tensor, how: How, hidden: int, normed: bool = False) -> Iterator[Saved]:
    """What a hyper-connection around a block keeps whose weights are `t`: all streams in fp32, and the mixtures made of them.

    Where the streams are mixed they are `normed` first; elsewhere what is made of them is scaled by their deviation (transformers 5.24,
    models/deepseek_v4/modeling_deepseek_v4.py `DeepseekV4HyperConnection.forward`, models/hy_v4/modeling_hy_v4.py).
    """
    if t.role != "other" or len(t.shape) != 2 or not t.name.endswith(("hc.fn", "hc_fn", "hc_head.hc_fn", "hc_head_fn")):
        return
    out, wide = t.shape
    n, name = wide // hidden, t.name
    if not how.trains or n < 2:
        return
    mixes, head = out == (2 + n) * n, out == n
    yield Saved("norm", f"{name}: streams in fp32", FP32, (2 if mixes or normed else 1) * wide)
    yield Saved("norm", f"{name}: deviation", FP32, 1)
    yield Saved("norm", f"{name}: weights of the streams", FP32, out + (4 if mixes or not head else 3) * n)
    if how.residual != FP32:
        yield Saved("norm", f"{name}: streams", how.residual, wide)
    if mixes:
        yield Saved("norm", f"{name}: rounds that make mixtures doubly stochastic", FP32, _ROUNDS * 2 * (n * n + n))
    if not head:
        # A block's output is spread over the streams.
        yield Saved("norm", f"{name}: output of the block", how.size if mixes else FP32, hidden + n + (n * n if mixes else 0))


# Weights of one row whose part in a layer is known: gains, biases and gates by the names that their modules give them.
_LEARNED = frozenset(
    """
    A A_log D alpha alpha_n alpha_p base bias correct_output_scale cross_attn_attn_gate cross_attn_mlp_gate dense_bias dt_bias gate
    gate_attention gate_bias gate_ffw hidden_states_bias hidden_states_scale input_residual lambda_1 lambda_2 lambda_k1 lambda_k2 lambda_q1
    lambda_q2 lambdas layer_multipliers layer_scalar ngram_heads_offsets ngram_heads_vocab_sizes post_attention_residual q_bias query
    recurrent_param residual_bias residual_scale s_gate scale sinks sqk suv_gate suv_up time_decay time_first time_mix_key
    time_mix_receptance time_mix_value v_bias weight
    """.split()
)


def without_rule(a: Architecture) -> list[str]:
    """Learned rows of no known name: what a layer keeps for their products is not counted."""
    found = {
        tensor.name
        for stack in a.stacks
        for layer in stack.kinds
        if stack.part == "decoder"
        for tensor in layer.tensors
        if tensor.role in ("attention", "mlp", "other")
        and sum(n > 1 for n in tensor.shape) < 2
        and tensor.name.rpartition(".")[2] not in _LEARNED
    }
    return sorted(found)


def layer_saved(a: Architecture, layer: Layer, how: How) -> list[Saved]:
    """What one layer keeps, as transformers computes it."""
    for step in layer.steps:
        if not isinstance(step, STEPS):
            raise UnsupportedError(f"what a step of the kind {type(step).__name__} keeps in training is not known")
    for cache in layer.caches:
        if cache.kind not in memory.KINDS:
            raise UnsupportedError(f"what attention over caches of kind {cache.kind!r} keeps in training is not known")
    linears = linears_of(layer)
    out = list(_norms(a, how, layer))
    if layer.attends and not (len(layer.attends) == 1 and layer.attends[0].heads == 0):
        # One attention behind the other in one layer have names of their own.
        own = [x for x in linears if x.tensor.role == "attention" and x.row and len(layer.attends) > 1]
        prefixes = [name for name in dict.fromkeys(x.name.rpartition(".")[0] for x in own) if name[-1:].isdecimal()]
        for prefix in prefixes if len(prefixes) > 1 else ("",):
            part = layer._replace(tensors=tuple(t for t in layer.tensors if t.name.startswith(prefix)))
            out += _attention(a, how, part, [x for x in linears if x.name.startswith(prefix)])
    if layer.keeps("state") is not None:
        out += recurrence_saved(a, how, layer, linears)
    out += _ffn(a, how, layer, linears, _one_norm(a, layer))
    out += expert_saved(a, how, layer, shared_norm=_one_norm(a, layer))
    out += _per_layer(how, layer)
    for t in layer.tensors:
        out += streams_saved(t, how, a.facts.hidden_size)
    return [saved for saved in out if saved.per_token or saved.per_pair or saved.per_position or saved.fixed]


def _one_norm(a: Architecture, layer: Layer) -> bool:
    """Whether attention and FFN read the output of one norm."""
    return layer.parallel and len(wide_norms(layer, a.facts.hidden_size)) == 1 and bool(layer.attends) and layer.ffn != "none"
