"""The published formulas of Megatron."""

from __future__ import annotations

from collections.abc import Iterator

from archcalc.analysis.activations.experts import expert_saved
from archcalc.analysis.activations.layers import recurrence_saved
from archcalc.analysis.activations.norms import wide_norms
from archcalc.analysis.activations.saved import FP32, How, Saved, linears_of
from archcalc.model import Architecture, Layer


def megatron_saved(a: Architecture, layer: Layer, how: How, *, dropout: bool = True) -> Iterator[Saved]:
    """One layer by Korthikanti et al. 2022, section 4.1: for multi-head attention and an FFN of 4h these are its sbh(34 + 5as/h)
    bytes.

    Statistics of the norms are left out, as there. With a fused attention (any but `eager`) the scores are not kept.
    """
    hidden, c = a.facts.hidden_size, how.size
    linears = linears_of(layer)
    for t in wide_norms(layer, hidden):
        yield Saved("norm", f"{t.name[:-7]}: input", c, hidden)
    for attend in layer.attends[:1]:
        queries, values = attend.heads * attend.qk_dim, attend.heads * attend.v_dim
        heads = next((cache.heads for cache in layer.caches if cache.kind in ("full", "sliding", "chunked")), attend.heads)
        yield Saved("attention", "queries, keys, values: input", c, hidden)
        yield Saved("attention", "queries and keys", c, queries + heads * attend.qk_dim, split=True)
        yield Saved("attention", "values", c, heads * attend.v_dim, split=True)
        if how.attention == "eager":
            yield Saved("scores", "softmax", c, per_pair=attend.heads, split=True)
            if dropout:
                yield Saved("scores", "dropout's mask", 1, per_pair=attend.heads, split=True)
                yield Saved("scores", "after dropout", c, per_pair=attend.heads, split=True)
        else:
            yield Saved("scores", "log of the softmax's sum", FP32, attend.heads, split=True)
        yield Saved("attention", "output projection: input", c, values, split=True)
        if dropout:
            yield Saved("attention", "dropout's mask", 1, hidden)
    dense = [x for x in linears if x.tensor.role in ("mlp", "shared_experts")]
    downs = [x for x in dense if x.row]
    routed = any(t.experts for t in layer.tensors)
    if downs or routed:
        yield Saved("mlp", "FFN: input", c, hidden)
        if dropout:
            yield Saved("mlp", "dropout's mask", 1, hidden)
    for down in downs:
        prefix = down.name.rpartition(".")[0]
        width = sum(x.write for x in dense if not x.row and x.name.rpartition(".")[0] == prefix)
        yield Saved("mlp", f"{prefix}: before the activation", c, width, split=True)
        yield Saved("mlp", f"{down.name}: input", c, down.read, split=True)
    if routed:
        yield from (s for s in expert_saved(a, how, layer, True) if s.name.startswith("experts:") and "activated" not in s.name)
    if layer.keeps("state") is not None:
        yield from recurrence_saved(a, how, layer, linears)


def megatron_outside(a: Architecture, how: How, *, dropout: bool = True) -> list[Saved]:
    """Outside the layers, same source, section 4.3: the embedding's dropout, the last norm, the head's input, and the logits in
    fp32."""
    hidden = a.facts.hidden_size
    return [
        *([Saved("embedding", "dropout's mask", 1, hidden)] if dropout else []),
        Saved("norm", "final norm: input", how.size, hidden),
        Saved("head", "head: input", how.size, hidden),
    ]
