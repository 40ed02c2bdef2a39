"""What the backward pass of one layer needs, tensor by tensor, as the reference implementation computes it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import get_args

from archcalc.analysis.activations.attention import attention_saved
from archcalc.analysis.activations.experts import expert_saved, ffn_saved
from archcalc.analysis.activations.matrices import BEHIND, input_saved
from archcalc.analysis.activations.norms import layer_norms, wide_norms
from archcalc.analysis.activations.saved import FP32, How, Linear, Saved, linears_of
from archcalc.analysis.activations.scans import RECOMPUTED, scan_saved
from archcalc.errors import UnsupportedError
from archcalc.figures import memory
from archcalc.model import Architecture, Layer, Step, Tensor

STEPS = get_args(Step)


def unreached(a: Architecture, layer: Layer, how: How) -> list[Saved]:
    """What the first layer does not keep beside an adapter: no gradient reaches the frozen embedding, nor the norm that reads
    it, nor what is dropped of its output or multiplied with that of a frozen matrix."""
    if how.trains or how.embeds:
        return []
    out = [s for s in layer_norms(a, how, layer) if s.name.startswith(("input_layernorm", "ln_1")) and not s.fixed]
    if how.adapter_dropout or how.dora:
        first = [
            x
            for x in linears_of(layer)
            if x.read == a.facts.hidden_size and not x.row and (layer.parallel or x.tensor.role == "attention")
        ]
        out += [s for s in input_saved(how, "attention", "", first, a.facts.hidden_size, how.residual) if s.name.endswith(BEHIND)]
    return out


def recurrence_saved(a: Architecture, how: How, layer: Layer, linears: list[Linear]) -> Iterator[Saved]:
    """A recurrence run by fused kernels in chunks: its projections' inputs and outputs, and the state at the end of each chunk in
    fp32."""
    hidden, c = a.facts.hidden_size, how.size
    own = [x for x in linears if x.tensor.role == "attention"]
    if layer.attends:
        own = [x for x in own if not x.name.startswith("self_attn")]
    firsts = [x for x in own if x.read == hidden and not x.row]
    yield from input_saved(how, "recurrence", "recurrence", firsts, hidden, how.residual)
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
            yield from input_saved(how._replace(trains=False, inputs=False), "recurrence", x.name, [x], x.read, c, split=True)
            continue
        yield from input_saved(how, "recurrence", x.name, [x], x.read, c, split=x.row)
        if x.row:
            # The recurrence's output; unless its norm and its gate are one kernel (fla/modules/fused_norm_gate.py), what is gated too.
            # A short convolution's gate is a part of its projection (transformers 5.24, models/lfm2/modeling_lfm2.py `Lfm2ShortConv`).
            fused = any(cache.recurrence in ("gated-delta", "kda", "short-conv") for cache in scans)
            yield Saved("recurrence", "output", c, (1 if fused else 2) * x.read, split=True)


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
    out, inner_width = t.shape
    n, name = inner_width // hidden, t.name
    if not how.trains or n < 2:
        return
    mixes, head = out == (2 + n) * n, out == n
    yield Saved("norm", f"{name}: streams in fp32", FP32, (2 if mixes or normed else 1) * inner_width)
    yield Saved("norm", f"{name}: deviation", FP32, 1)
    yield Saved("norm", f"{name}: weights of the streams", FP32, out + (4 if mixes or not head else 3) * n)
    if how.residual != FP32:
        yield Saved("norm", f"{name}: streams", how.residual, inner_width)
    if mixes:
        yield Saved("norm", f"{name}: rounds that make mixtures doubly stochastic", FP32, _ROUNDS * 2 * (n * n + n))
    if not head:
        # A block's output is spread over the streams.
        yield Saved("norm", f"{name}: output of the block", how.size if mixes else FP32, hidden + n + (n * n if mixes else 0))


def without_rule(a: Architecture) -> list[str]:
    """Learned rows of which no layer says what they do: what is kept for their products is not counted."""
    found = {
        tensor.name
        for stack in a.stacks
        for layer in stack.kinds
        if stack.part == "decoder"
        for tensor in layer.tensors
        if tensor.role in ("attention", "mlp", "other")
        and sum(n > 1 for n in tensor.shape) < 2
        and not (tensor.acts or tensor.norm or tensor.name.endswith((".weight", ".bias")))
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
    out = list(layer_norms(a, how, layer))
    if layer.attends and not (len(layer.attends) == 1 and layer.attends[0].heads == 0):
        # One attention behind the other in one layer have names of their own.
        own = [x for x in linears if x.tensor.role == "attention" and x.row and len(layer.attends) > 1]
        prefixes = [name for name in dict.fromkeys(x.name.rpartition(".")[0] for x in own) if name[-1:].isdecimal()]
        for prefix in prefixes if len(prefixes) > 1 else ("",):
            part = layer._replace(tensors=tuple(t for t in layer.tensors if t.name.startswith(prefix)))
            out += attention_saved(a, how, part, [x for x in linears if x.name.startswith(prefix)])
    if layer.keeps("state") is not None:
        out += recurrence_saved(a, how, layer, linears)
    out += ffn_saved(a, how, layer, linears, _one_norm(a, layer))
    out += expert_saved(a, how, layer, shared_norm=_one_norm(a, layer))
    out += _per_layer(how, layer)
    for t in layer.tensors:
        out += streams_saved(t, how, a.facts.hidden_size)
    return [saved for saved in out if saved.per_token or saved.per_pair or saved.per_position or saved.fixed]


def _one_norm(a: Architecture, layer: Layer) -> bool:
    """Whether attention and FFN read the output of one norm."""
    return layer.parallel and len(wide_norms(layer, a.facts.hidden_size)) == 1 and bool(layer.attends) and layer.ffn != "none"
