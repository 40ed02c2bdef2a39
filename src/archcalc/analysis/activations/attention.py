"""What an attention keeps: its projections, the norms inside it, scores and output."""

from __future__ import annotations

from collections.abc import Iterator

from archcalc.analysis.activations.matrices import input_saved
from archcalc.analysis.activations.norms import inner_norm, norm_of, norm_saved
from archcalc.analysis.activations.saved import FP32, INT64, How, Linear, Saved
from archcalc.errors import unknown
from archcalc.model import Architecture, Attend, Bare, Differential, Layer, Scores, Tensor


def attention_saved(a: Architecture, how: How, layer: Layer, linears: list[Linear]) -> Iterator[Saved]:
    attend, hidden, c = layer.attends[0], a.facts.hidden_size, how.size
    own = [x for x in linears if x.tensor.role == "attention" and "indexer" not in x.name]
    first = [x for x in own if x.read == hidden and not x.row]
    yield from input_saved(how, "attention", "queries, keys, values", first, hidden, how.residual)
    for x in own:
        if not x.row and x.read != hidden:
            # A projection in groups reads the output of all heads.
            yield from input_saved(
                how, "attention", x.name, [x], attend.heads * attend.v_dim if x.leaf == "o_a_proj" else x.read, c
            )
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
        if t.role == "norm" and inner_norm(t) and t.name.endswith(".weight"):
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
            yield from input_saved(how, "attention", out.name, [out], out.read, c, split=True)
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
        yield from input_saved(bare, "attention", out.name, [out], out.read, c, split=True, kept_already=how.reads or not fresh)


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
    scores: Scores, how: How, attend: Attend, queries: int, keys: int, kv_values: int, values: int, fused: int, rotary: bool,
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
        if fused and not rotary and how.batch == 1 and not repeats:
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
    inner_width = how.attention != "flash" and not attend.qk_dim == attend.v_dim <= _WIDEST
    expanded = (masked or how.joined or inner_width or learned) and repeats
    if fused and not rotary:
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
    inner_width = c if scores.softmax == "own" else FP32
    match scores.sinks:
        case "none":
            return
        case "column" | "column-max" | "max":
            if scores.sinks != "max":
                yield Saved("scores", "column of the sinks", inner_width, attend.heads, split=True)
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
