"""The graph that llama.cpp builds of a model for one micro-batch, as far as it decides the compute buffer.

Every matrix product, norm of something that is read again, rotation, score, mask and input is a tensor of its own; biases, activations
and norms of what nothing else reads work in place. A mixer that is not known here is as wide as its tensors.

Sources: llama.cpp 0c1e57098, src/llama-graph.cpp (`build_qkv`, `build_attn`, `build_attn_mha`, `build_ffn`, `build_moe_ffn`, `build_rs`),
src/models/llama.cpp, deepseek2.cpp, qwen35.cpp, delta-net-base.cpp, mamba-base.cpp, lfm2.cpp, gemma2.cpp, cohere2.cpp.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from math import prod
from typing import Any, Generic, TypeVar

from archcalc.engines.llamacpp.graph import Graph, Node
from archcalc.model import Cache, Layer, Tensor
from archcalc.records import NamedTuple


class Batch(NamedTuple):
    """One micro-batch: `tokens`, of `sequences`, of which `outputs` have logits. `flash` is whether scores are never written out.

    `masks_wide` is of builds before June 2026, which bring masks to the GPU in fp32 and make a copy in fp16 there. `late` models compute
    all tokens up to the last `norm`, or up to the `rows` before it. `copies` is how many times inputs are held where GPUs run micro-batches
    one behind the other. `stream_first` says that a layer's output is added to the stream, not the other way round, which decides whose
    place the sum takes; `centred` that the last norm is a LayerNorm.
    """

    tokens: int
    sequences: int = 1
    outputs: int = 0
    flash: bool = True
    masks_wide: bool = False
    late: str = ""
    copies: int = 1
    stream_first: bool = False
    centred: bool = False


class Placed(NamedTuple):
    """A layer on this GPU: `cells` that its mask has, and the bytes of a quantized cache that flash attention writes out in fp16.

    A layer that is `elsewhere` lies on another GPU, and its experts in the CPU's memory: the first GPU computes those.
    `carried` are bytes of a cache in the CPU's memory, of keys and of values, which are copied to the GPU.
    `streamed` are bytes of weights in the CPU's memory, by what they are part of, that are copied to the GPU when they are multiplied with.
    """

    layer: Layer
    cells: int = 0
    unpacked: int = 0
    carried: tuple[int, ...] = ()
    elsewhere: bool = False
    streamed: tuple[tuple[str, int], ...] = ()

    def copied(self, part: str) -> int:
        return dict(self.streamed).get(part, 0)


class _Builder:
    def __init__(self, hidden: int, batch: Batch) -> None:
        self.g, self.hidden, self.batch = Graph(), hidden, batch
        self.inputs: dict[object, Node] = {}

    def input(self, key: object, size: int) -> Node:
        """An input's copy on the GPU; in a pipeline it is held throughout, in all its copies."""
        if key not in self.inputs:
            if self.batch.copies > 1:
                for _ in range(self.batch.copies - 1):
                    self.g.keep(size)
                self.inputs[key] = self.g.keep(size)
            else:
                self.inputs[key] = self.g.input(size)
        return self.inputs[key]

    def mm(self, width: int, source: Node, rows: int, streamed: int = 0, *more: Node | None) -> Node:
        # The weight is copied right before the product.
        weight = Node(streamed, None, (), False, None) if streamed else None
        return self.g.op((width, rows), source, *more, weight)

    def norm(self, source: Node, *shape: int, centred: bool = False) -> Node:
        """RMSNorm can work in place, LayerNorm makes a tensor, and its gain and bias work on that."""
        return self.g.op(shape, source, inplace=not centred)

    def mask(self, cells: int) -> Node:
        rows = self.batch.tokens
        if self.batch.flash and not self.batch.masks_wide:
            return self.input(("mask", cells), cells * rows * 2)
        wide = self.input(("mask", cells), cells * rows * 4)
        if not self.batch.flash:
            return wide
        key = ("fp16", cells)
        if key not in self.inputs:
            self.inputs[key] = self.g.op((cells, rows), wide, width=2)
        return self.inputs[key]

    # Attention

    def scores(self, q: Node, k: Node, v: Node, heads: int, v_dim: int, placed: Placed, values: int) -> Node:
        """The keys and values are written to the cache, then the queries go over all cells of it."""
        g, rows, flash = self.g, self.batch.tokens, self.batch.flash
        for node in (q, v, k):
            g.expand(node)
        k_to = self.input(("k_idxs", placed.cells), rows * 8)
        v_to = self.input(("v_idxs", placed.cells), rows * 8 * (1 if flash else values))
        g.expand(g.view(g.op((0,), width=0), (), k, k_to))
        g.expand(g.view(g.op((0,), width=0), (), v, v_to))
        mask, query = self.mask(placed.cells), g.view(q)
        carried = [Node(n, None, (), False, None) for n in placed.carried]
        if flash:
            if placed.unpacked:
                return g.op((heads * v_dim * rows * 4 + placed.unpacked,), query, *carried, mask, width=1)
            return g.op((v_dim, heads, rows), query, *carried, mask)
        kq = g.op((placed.cells, rows, heads), *carried[:1], query)
        soft = g.op((placed.cells, rows, heads), kq, mask, inplace=True)
        kqv = g.op((v_dim, rows, heads), *carried[1:], soft)
        return g.op((v_dim * heads, rows), g.view(kqv))

    def attention(self, placed: Placed, x: Node, cache: Cache) -> Node:
        """Grouped-query attention, joined or apart, with norms of queries and keys, and gated."""
        layer, g, rows = placed.layer, self.g, self.batch.tokens
        attend = layer.attends[0]
        heads, dim, v_dim = attend.heads, attend.qk_dim, attend.v_dim
        q_width, k_width, v_width = heads * dim, cache.heads * cache.key_dim, cache.heads * cache.value_dim
        normed = {t.name.rsplit(".", 2)[-2]: t.shape for t in layer.tensors if t.norm and "norm" in t.name}
        q_norm = next((shape for name, shape in normed.items() if name.startswith(("q_", "query_"))), None)
        shapes = [t.shape for t in layer.tensors if t.role == "attention" and len(t.shape) == 2]
        pos = self.input("pos", rows * 4)
        gated = any(s[0] == 2 * q_width and s[1] == self.hidden for s in shapes)
        gate: Node | None = None
        streamed = placed.copied("attention")
        if any(s[0] == q_width + k_width + v_width for s in shapes):
            joined = self.mm(q_width + k_width + v_width, x, rows, streamed)
            q, k, v = g.view(joined), g.view(joined), g.view(joined)
        elif gated:
            both = self.mm(2 * q_width, x, rows, streamed)
            q, gate = g.view(both), g.op((q_width, rows), g.view(both))
            k, v = g.view(self.mm(k_width, x, rows)), g.view(self.mm(v_width, x, rows))
        else:
            flat_q, flat_k = self.mm(q_width, x, rows, streamed), self.mm(k_width, x, rows)
            if q_norm is not None and q_norm[0] == q_width and heads > 1:
                flat_q, flat_k, q_norm = self.norm(flat_q, q_width, rows), self.norm(flat_k, k_width, rows), None
            q, k, v = g.view(flat_q), g.view(flat_k), g.view(self.mm(v_width, x, rows))
        if q_norm is not None:
            q, k = self.norm(q, dim, heads, rows), self.norm(k, cache.key_dim, cache.heads, rows)
        if layer.rotation() is not None:
            q = g.op((dim, heads, rows), q, pos, inplace=True)
            k = g.op((cache.key_dim, cache.heads, rows), k, pos, inplace=True)
        out = self.scores(q, k, v, heads, v_dim, placed, v_width)
        out = g.view(out, (heads * v_dim, rows))
        g.expand(out)
        if gated and gate is not None:
            out = g.op((heads * v_dim, rows), out, g.op((q_width, rows), gate, inplace=True), inplace=True)
        return self.mm(self.hidden, out, rows, streamed)

    def latent(self, placed: Placed, x: Node, cache: Cache) -> Node:
        """MLA with the products of the latent absorbed (src/models/deepseek2.cpp)."""
        layer, g, rows = placed.layer, self.g, self.batch.tokens
        attend = layer.attends[0]
        heads, dim, v_dim = attend.heads, attend.qk_dim, attend.v_dim
        rank, rope = cache.key_dim, cache.value_dim
        streamed = placed.copied("attention")
        q_low = next((t.shape[0] for t in layer.tensors if ".q_a_proj." in t.name and len(t.shape) == 2), 0)
        if q_low:
            low = self.mm(q_low, x, rows)
            q = self.mm(heads * dim, self.norm(low, q_low, rows), rows, streamed)
        else:
            q = self.mm(heads * dim, x, rows, streamed)
        q = g.view(q)
        kv = self.mm(rank + rope, x, rows)
        pos = self.input("pos", rows * 4)
        k_pe = g.op((rope, 1, rows), g.view(kv), pos, inplace=True)
        compressed = self.norm(g.view(kv), rank, rows)
        q_pe = g.op((rope, heads, rows), g.view(q), pos, inplace=True)
        absorbed = g.op((rank, rows, heads), g.view(q))
        query = g.op((rank + rope, heads, rows), g.view(absorbed), q_pe)
        compressed = g.view(compressed)
        key = g.op((rank + rope, 1, rows), compressed, k_pe)
        for node in (query, compressed, key):
            g.expand(node)
        k_to = self.input("k_idxs", rows * 8)
        g.expand(g.view(g.op((0,), width=0), (), key, k_to))
        mask, seen = self.mask(placed.cells), g.view(query)
        if self.batch.flash:
            out = g.op((rank * heads * rows * 4 + placed.unpacked,), seen, mask, width=1)
            out = g.op((v_dim, rows, heads), g.view(out))
        else:
            kq = g.op((placed.cells, rows, heads), seen)
            soft = g.op((placed.cells, rows, heads), kq, mask, inplace=True)
            out = g.op((v_dim, rows, heads), g.op((rank, rows, heads), soft))
        out = g.op((v_dim, heads, rows), g.view(out))
        out = g.view(out)
        g.expand(out)
        return self.mm(self.hidden, out, rows, streamed)

    # Recurrences

    def states(self, shape: tuple[int, ...]) -> Node:
        """The states of all sequences, read out of their cache (`build_rs`)."""
        g = self.g
        made = g.op((prod(shape), self.batch.sequences), self.input("s_copy", self.batch.sequences * 4))
        g.expand(made)
        return g.view(made)

    def delta(self, placed: Placed, x: Node, cache: Cache) -> Node:
        """A gated delta rule, fused (src/models/qwen35.cpp `build_layer_attn_linear`)."""
        g, rows, many = self.g, self.batch.tokens, self.batch.sequences
        conv = next(s for s in cache.states if s.name == "conv")
        rule = next(s for s in cache.states if s.name == "recurrent")
        channels, kernel = conv.shape[0], conv.shape[1] + (1 if conv.trimmed else 0)
        heads, key_dim, dim = rule.shape[0], rule.shape[1], rule.shape[-1]
        inner = heads * dim
        streamed = placed.copied("attention")
        mixed = self.mm(channels, x, rows, streamed)
        z = self.mm(inner, x, rows, streamed)
        beta = g.op((1, heads, rows), g.view(self.mm(heads, x, rows)), inplace=True)
        alpha = g.op((heads, rows, 1), g.view(self.mm(heads, x, rows)), inplace=True)
        gate = g.view(alpha)
        taps = g.op((kernel - 1 + rows // many, channels, many), self.states((channels, kernel - 1)), g.view(mixed))
        g.expand(g.view(g.op((0,), width=0), (), g.view(taps)))
        state = self.states(rule.shape)
        convolved = g.op((channels, rows), taps)
        convolved = g.op((channels, rows), convolved, inplace=True)
        k_heads = (channels - inner) // (2 * key_dim)
        q = self.norm(g.view(convolved), key_dim, k_heads, rows)
        k = self.norm(g.view(convolved), key_dim, k_heads, rows)
        v = g.view(convolved)
        out = g.op((inner, rows + key_dim * many), q, k, v, gate, beta, state)
        g.expand(g.view(g.op((0,), width=0), (), g.view(out)))
        normed = self.norm(g.view(out), dim, heads, rows)
        turned = g.op((dim, heads, rows), g.view(z, (dim, heads, rows)), inplace=True)
        return self.mm(self.hidden, g.view(g.op((dim, heads, rows), normed, turned, inplace=True)), rows, streamed)

    def mamba2(self, placed: Placed, x: Node, cache: Cache) -> Node:
        """`build_mamba2_layer` of src/models/mamba-base.cpp."""
        g, rows, many = self.g, self.batch.tokens, self.batch.sequences
        conv = next(s for s in cache.states if s.name == "conv")
        rule = next(s for s in cache.states if s.name == "recurrent")
        channels, kernel = conv.shape[0], conv.shape[1] + (1 if conv.trimmed else 0)
        heads, state = rule.shape[0], prod(rule.shape)
        inner = heads * rule.shape[1]
        streamed = placed.copied("attention")
        conv_state = self.states((channels, kernel - 1))
        joined = g.view(self.mm(inner + channels + heads, x, rows, streamed))
        taps = g.op((kernel - 1 + rows // many, channels, many), conv_state, g.view(joined))
        g.expand(g.view(g.op((0,), width=0), (), g.view(taps)))
        mixed = g.op((channels, rows), taps)
        dt = g.op((heads, rows), g.view(joined))
        y = g.op((inner * rows + state * many,), g.view(mixed), dt, self.input("s_copy", many * 4))
        g.expand(y)
        g.expand(g.view(g.op((0,), width=0), (), g.view(y)))
        y = g.op((rule.shape[1], heads, rows), g.view(y), g.op((rule.shape[1], heads, rows), g.view(mixed)), inplace=True)
        y = g.op((rule.shape[1], heads, rows), g.op((rule.shape[1], heads, rows), g.view(joined)), y)
        y = g.view(self.norm(g.view(y), inner, rows))
        return self.mm(self.hidden, y, rows, streamed)

    def other(self, placed: Placed, x: Node) -> Node:
        """A mixer of another kind: its widest product, and that once more."""
        widths = [
            t.shape[0] for t in placed.layer.tensors if t.role == "attention" and len(t.shape) == 2 and t.shape[-1] == self.hidden
        ]
        rows = self.batch.tokens
        inside = self.mm(sum(widths) or self.hidden, x, rows, placed.copied("attention"))
        inside = self.g.op((max(widths, default=self.hidden), rows), self.g.view(inside))
        return self.mm(self.hidden, inside, rows)

    def mixer(self, placed: Placed, x: Node) -> Node:
        for cache in placed.layer.caches:
            if cache.kind == "latent" and placed.layer.attends:
                return self.latent(placed, x, cache)
            if cache.kind == "state" and cache.recurrence in ("gated-delta", "kda") and len(cache.states) == 2:
                return self.delta(placed, x, cache)
            if cache.kind == "state" and cache.recurrence == "mamba2":
                return self.mamba2(placed, x, cache)
            if cache.kind in ("full", "sliding", "chunked") and placed.layer.attends and cache.heads:
                return self.attention(placed, x, cache)
        if placed.layer.unread and placed.layer.attends and placed.layer.unread[0].heads:
            # Without a memory queries go over the batch's own keys.
            return self.attention(placed, x, placed.layer.unread[0])
        return self.other(placed, x)

    # Feed-forward

    def dense(self, tensors: Sequence[Tensor], x: Node, rows: int, streamed: int) -> Node:
        g = self.g
        widths = sorted(
            t.shape[0] if t.shape[-1] == self.hidden else t.shape[-1] for t in tensors if len(t.shape) == 2 and min(t.shape) > 1
        )
        if not widths:
            return x
        inner = widths[0]
        if len(widths) == 2 and widths[1] == 2 * inner:
            inside = g.op((inner, rows), self.mm(2 * inner, x, rows, streamed))
        elif len(widths) > 2:
            up, gate = self.mm(inner, x, rows, streamed), self.mm(inner, x, rows, streamed)
            inside = g.op((inner, rows), gate, up)
        else:
            inside = g.op((inner, rows), self.mm(inner, x, rows, streamed), inplace=True)
        return self.mm(self.hidden, inside, rows, streamed)

    def sizes(self, layer: Layer) -> tuple[int, int, int, int, bool]:
        """Of routed experts: how many, how many a token visits, their inside and outside, and whether they are gated."""
        routed = _routed(layer)
        total, active, pair = routed[-1]
        inner = pair[0] if pair[1] == self.hidden else pair[1]
        gated = len(routed) > 2 or sorted(routed[0][2]) != sorted(pair)
        outer = pair[0] if pair[1] == inner else pair[1]
        return total, active, inner, outer, gated

    def lent(self, placed: Placed) -> Node:
        """The experts of a layer of another GPU: what they read is copied here before each product, and what they are added to."""
        g, rows, hidden = self.g, self.batch.tokens, self.hidden
        _, active, inner, outer, gated = self.sizes(placed.layer)
        streamed = placed.copied("experts")

        def copy(size: int) -> Node:
            return Node(size, None, (), False, None)

        x, chosen = copy(outer * rows * 4), copy(active * rows * 4)
        first = g.op((inner, active, rows), copy(streamed), x, chosen)
        if gated:
            inside = g.op((inner, active, rows), first, g.op((inner, active, rows), x, chosen, copy(streamed)))
        else:
            inside = g.op((inner, active, rows), first, inplace=True)
        g.expand(inside)
        weights, stream = copy(active * rows * 4), copy(hidden * rows * 4)
        down = g.op((outer, active, rows), copy(streamed), inside, chosen, weights, stream)
        out = self.summed(g.op((outer, active, rows), down, weights, inplace=True), active, outer, rows)
        out = g.op((hidden, rows), out, stream, inplace=True)
        g.expand(out)
        return out

    def summed(self, made: Node, active: int, outer: int, rows: int) -> Node:
        """The outputs of a token's experts, added up."""
        g = self.g
        g.expand(made)
        parts = [g.view(made) for _ in range(active)]
        for part in parts:
            g.expand(part)
        out = parts[0]
        for part in parts[1:]:
            out = g.op((outer, rows), out, part, inplace=True)
            g.expand(out)
        return g.op((outer, rows), out) if active == 1 else out

    def experts(self, layer: Layer, x: Node, rows: int, streamed: int) -> Node:
        g = self.g
        total, active, inner, outer, gated = self.sizes(layer)
        if outer != self.hidden:
            x_in = self.mm(outer, x, rows)
        else:
            x_in = x
        logits = self.mm(total, x, rows)
        probs = g.op((total, rows), logits, inplace=True)
        chosen = g.op((total, rows), probs)
        picked = g.view(chosen)
        weights = g.op((1, active, rows), g.view(probs), picked)
        total_weight = g.op((1, rows), g.view(weights))
        weights = g.view(g.op((active, rows), g.view(weights), total_weight, inplace=True))
        g.expand(weights)
        inside = g.view(x_in)
        up = self.mm_id(inner, active, inside, picked, rows, streamed)
        if gated:
            gate = self.mm_id(inner, active, inside, picked, rows, streamed)
            inside = g.op((inner, active, rows), gate, up)
        else:
            inside = g.op((inner, active, rows), up, inplace=True)
        made = g.op((outer, active, rows), self.mm_id(outer, active, inside, picked, rows, streamed), weights, inplace=True)
        out = self.summed(made, active, outer, rows)
        return out if outer == self.hidden else self.mm(self.hidden, out, rows)

    def mm_id(self, width: int, active: int, source: Node, chosen: Node, rows: int, streamed: int) -> Node:
        weight = Node(streamed, None, (), False, None) if streamed else None
        return self.g.op((width, active, rows), source, chosen, weight)

    def forward(self, placed: Placed, x: Node, rows: int) -> Node:
        layer, g = placed.layer, self.g
        mlp = [t for t in layer.tensors if t.role == "mlp"]
        shared = [t for t in layer.tensors if t.role == "shared_experts"]
        if not _routed(layer):
            return self.dense(mlp or shared, x, rows, placed.copied("mlp"))
        out = self.experts(layer, x, rows, placed.copied("experts"))
        for beside in (shared, mlp):
            if beside:
                more = self.dense(beside, x, rows, placed.copied("shared_experts"))
                if any(t.shape[0] == 1 for t in beside):
                    more = g.op((self.hidden, rows), more, self.mm(1, x, rows), inplace=True)
                out = g.op((self.hidden, rows), out, more, inplace=True)
        return out

    # Layers

    def layer(self, placed: Placed, x: Node, last: bool, normed: Node | None = None) -> Node:
        layer, g, rows, hidden = placed.layer, self.g, self.batch.tokens, self.hidden
        names = " ".join(t.name for t in layer.tensors if t.norm and t.shape == (hidden,))
        after = "post_feedforward" in names and "input_layernorm" not in names and "pre_feedforward" not in names
        mixes = layer.mixer != "none"
        feeds = any(t.role in ("mlp", "experts", "shared_experts") for t in layer.tensors)
        centred = any(t.norm is not None and t.norm.startswith("layer") and t.shape == (hidden,) for t in layer.tensors)
        if normed is None:
            normed = x if after else self.norm(x, hidden, rows, centred=centred)
        g.expand(normed)
        out = self.mixer(placed, normed) if mixes else normed
        ends = self.batch.outputs if last and not self.batch.late else 0
        if layer.parallel and feeds:
            if ends:
                ids = self.input("out_ids", ends * 4)
                out, x, normed = (g.op((hidden, ends), n, ids) for n in (out, x, normed))
                rows = ends
            more = self.forward(placed, normed, rows)
            made = g.op((hidden, rows), g.op((hidden, rows), more, x, inplace=True), out, inplace=True)
            g.expand(made)
            return made
        if mixes:
            if ends:
                ids = self.input("out_ids", ends * 4)
                out, x = g.op((hidden, ends), out, ids), g.op((hidden, ends), x, ids)
                rows = ends
            x = g.op((hidden, rows), out, x, inplace=True)
            normed = x if after else self.norm(x, hidden, rows, centred=centred)
        if feeds:
            made = self.forward(placed, normed, rows)
            first, second = (x, made) if self.batch.stream_first else (made, x)
            x = g.op((hidden, rows), first, second, inplace=True)
        return x


def _routed(layer: Layer) -> list[tuple[int, int, tuple[int, int]]]:
    """The matrices of a layer's routed experts: how many, how many a token visits, and the shape of one."""
    found = []
    for tensor in layer.tensors:
        if tensor.role != "experts" or tensor.experts is None or "bias" in tensor.name:
            continue
        many, *rest = tensor.shape
        if len(rest) == 2:
            found.append((tensor.experts.total, tensor.experts.active, (rest[0], rest[1])))
        elif len(rest) == 1 and many % tensor.experts.total == 0 and many > tensor.experts.total:
            # All experts' rows one below the other.
            found.append((tensor.experts.total, tensor.experts.active, (many // tensor.experts.total, rest[0])))
    return found


def buffer(
    hidden: int, vocab: int, placed: Sequence[Placed], batch: Batch, head: bool = True, head_streamed: int = 0, first: bool = True
) -> int:
    """Bytes of the compute buffer of a GPU with these layers, and with the model's head or without.

    A GPU that is not the first is sent the stream, and the norm of it that the one before computed.
    """
    made = _Builder(hidden, batch)
    g, rows = made.g, batch.tokens
    normed = None if first else made.input("norm", rows * hidden * 4)
    x = made.input("embd", rows * hidden * 4)
    for i, each in enumerate(placed):
        if each.elsewhere:
            # The stream goes back, and its norm.
            g.expand(g.op((0,), made.norm(x, hidden, rows), x, width=0))
            x = made.lent(each)
            continue
        x = made.layer(each, x, head and i == len(placed) - 1, normed)
        normed = None
    if head:
        if batch.late == "rows":
            x.kept = True
            x = g.op((hidden, batch.outputs), x, made.input("out_ids", batch.outputs * 4))
        x = made.norm(x, hidden, batch.outputs if batch.late != "norm" else rows, centred=batch.centred)
        x.kept = True
        if batch.late == "norm":
            x = g.op((hidden, batch.outputs), x, made.input("out_ids", batch.outputs * 4))
            x.kept = True
        x = made.mm(vocab, x, batch.outputs, head_streamed)
        x.kept = True
    g.expand(x)
    return g.reserve()


T = TypeVar("T")


class Same(Generic[T]):
    """What is equal to itself alone: to compare all tensors of a layer or a model takes longer than to look it up."""

    __slots__ = ("it",)

    def __init__(self, it: T) -> None:
        self.it = it

    def __hash__(self) -> int:
        return id(self.it)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Same) and other.it is self.it


def reserved(hidden: int, vocab: int, placed: Sequence[Placed], batch: Batch, head: bool, head_streamed: int, first: bool) -> int:
    """`buffer`, kept: a search for a context, or down a ladder of storages, asks for the same one again and again."""
    return _reserved(hidden, vocab, tuple((Same(each.layer), each[1:]) for each in placed), batch, head, head_streamed, first)


@lru_cache(maxsize=512)
def _reserved(
    hidden: int,
    vocab: int,
    placed: tuple[tuple[Same[Layer], tuple[Any, ...]], ...],
    batch: Batch,
    head: bool,
    head_streamed: int,
    first: bool,
) -> int:
    return buffer(hidden, vocab, [Placed(same.it, *rest) for same, rest in placed], batch, head, head_streamed, first)
