"""What a training step keeps for its backward pass, tensor by tensor.

Implementation `transformers`: autograd keeps what the derivative of each operation needs, once for each storage. A matrix keeps
its input (if its weight is trained), a product both factors, a softmax its output; casts and sums keep nothing. Sources:
transformers 5.23, models/*/modeling_*.py; PyTorch 2.13, tools/autograd/derivatives.yaml (`native_layer_norm`, `_softmax`, `silu`,
`gelu`, `tanh`, `_scaled_dot_product_flash_attention`), aten/src/ATen/autocast_mode.cpp.

Implementation `megatron`: the published formulas of Korthikanti et al. 2022, arXiv:2205.05198, sections 4 and 5, read off the
inventory, so that they hold for any number of key/value heads and for gated FFNs too.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Literal, NamedTuple

from archcalc.analysis import _reference
from archcalc.model import Architecture, Attend, Layer, Tensor

Implementation = Literal["transformers", "megatron"]
Attention = Literal["eager", "sdpa", "sdpa-mask", "flash"]
Recompute = Literal["none", "selective", "full"]
Block = Literal["norm", "attention", "scores", "mlp", "experts", "recurrence", "adapters", "embedding", "head", "loss", "position"]
Loss = Literal["none", "full", "chunked", "fused"]

_FP32 = 4
_INT64 = 8
_CHUNKS = {"mamba1": 2048, "mamba2": 256, "rg-lru": 1}
"""Tokens between two kept states of a recurrence, 64 for those not named (flash-linear-attention,
fla/ops/gated_delta_rule/chunk.py; mamba_ssm 2.2, csrc/selective_scan: kChunkSize; ops/triton/ssd_combined.py: chunk_size as in
published configs; an elementwise scan keeps each)."""


class Saved(NamedTuple):
    """One kept storage, in elements of `size` bytes.

    `per_token` counts for each token, `per_pair` for each pair of tokens of a sequence, `per_position` once for all sequences, and
    `fixed` once. `split` is true where tensor parallelism divides it; the rest is whole on every rank, unless sequence parallelism
    splits it.
    """

    block: Block
    name: str
    size: int
    per_token: int = 0
    per_pair: int = 0
    per_position: int = 0
    fixed: int = 0
    split: bool = False

    def bytes(self, batch: int, tokens: int) -> int:
        """The whole of it."""
        elements = batch * tokens * (self.per_token + self.per_pair * tokens) + self.per_position * tokens + self.fixed
        return elements * self.size


class How(NamedTuple):
    """How the model is run. `attention` is `sdpa` without a mask where causality is enough, `sdpa-mask` with a mask made for every
    layer (as transformers 4.53 to 4.57 do in training), `flash` the kernel of its own, `eager` with scores in memory.

    `amp` keeps weights and the residual stream in fp32 and computes matrices in `size` bytes. `trains` says whether the weights of
    the model are trained; `adapters` is rank and element size of low-rank adapters beside the matrices named in `targets`.
    With `inputs` frozen matrices keep what they read too, as nf4's did before bitsandbytes 0.45 (autograd/_functions.py
    `MatMul4Bit`). `cpu` computes as the CPU's kernels do: LayerNorm's statistics in the input's type, attention with unequal heads
    in fp32 steps.
    """

    size: int = 2
    attention: Attention = "sdpa"
    amp: bool = False
    trains: bool = True
    targets: frozenset[str] = frozenset()
    rank: int = 0
    adapter_size: int = _FP32
    tokens: int = 0
    batch: int = 1
    cpu: bool = False
    inputs: bool = False
    capacity: int = 100

    @property
    def reads(self) -> bool:
        """Whether matrices keep what they read."""
        return self.trains or self.inputs

    @property
    def residual(self) -> int:
        """Bytes of an element of the residual stream."""
        return _FP32 if self.amp else self.size


class _Linear(NamedTuple):
    """A matrix by its name below the layer: what it reads, and whether it ends a tensor-parallel block."""

    name: str
    read: int
    write: int
    tensor: Tensor
    row: bool

    @property
    def leaf(self) -> str:
        return self.name.rpartition(".")[2]


def _linears(layer: Layer) -> list[_Linear]:
    found = []
    for t in layer.tensors:
        if len(t.shape) != 2 or not t.name.endswith(".weight") or t.role in ("norm", "embedding") or "conv" in t.name:
            continue
        name = t.name[: -len(".weight")]
        bias = next((b.shape[0] for b in layer.tensors if b.name == f"{name}.bias"), None)
        # GPT-2 stores matrices [in, out].
        turned = name.rpartition(".")[2] in ("c_attn", "c_fc", "c_proj") and (bias == t.shape[1] != t.shape[0] or _conv1d(layer))
        read, write = t.shape if turned else (t.shape[1], t.shape[0])
        found.append(_Linear(name, read, write, t, t.shard is not None and t.shard.axis == (0 if turned else 1)))
    return found


def _conv1d(layer: Layer) -> bool:
    """Whether the layer's matrices are stored [in, out]: its first projection then splits along axis 1."""
    first = next((t for t in layer.tensors if t.name.endswith("c_attn.weight")), None)
    return first is not None and first.shard is not None and first.shard.axis == 1


# Norms


def _norm(
    a: Architecture, how: How, name: str, width: int, gain: int, source: int, groups: int = 1, block: Block = "norm"
) -> Iterator[Saved]:
    """A norm over `width` elements a token in `groups`, its gain of `gain` elements, its input of `source` bytes an element."""
    style = _reference.norm_style(a)
    if style in ("layer", "layer-1p"):
        yield Saved(block, f"{name}: input", source, width)
        yield Saved(block, f"{name}: mean and deviation", source if how.cpu else _FP32, 2 * groups)
        if style == "layer-1p":
            yield Saved(block, f"{name}: 1 + weight", how.residual, fixed=gain)
        return
    # An fp32 input is the residual stream itself; any other is cast, and the cast kept.
    yield Saved(block, f"{name}: input in fp32", _FP32, width * (2 if style == "layer-fp32" else 1))
    yield Saved(block, f"{name}: deviation", _FP32, groups * (2 if style == "bare-layer" else 1))
    if how.trains and style == "rms":
        yield Saved(block, f"{name}: normalized", source, width)
    elif how.trains and style in ("rms-fp32", "gemma", "gemma4", "layer-fp32"):
        yield Saved(block, f"{name}: normalized in fp32", _FP32, width)
    if style == "gemma" or (style in ("gemma4", "layer-fp32") and not how.amp and how.size != _FP32):
        yield Saved(block, f"{name}: gain in fp32", _FP32, fixed=gain)


def _norms(a: Architecture, how: How, layer: Layer) -> Iterator[Saved]:
    """The norms of a layer's residual stream: those whose gain is as wide as it, and those without a gain."""
    hidden = a.facts.hidden_size
    seen_inputs = 0
    names = [t.name[: -len(".weight")] for t in _wide_norms(layer, hidden)]
    if not names and _reference.norm_style(a).startswith("bare"):
        names = ["attention norm", "FFN norm"]
    parallel = "parallel" in a.facts.norm or "parallel" in dict(a.facts.more).get("residual", "")
    for name in names:
        for saved in _norm(a, how, name, hidden, hidden, how.residual):
            if parallel and saved.name.endswith(": input"):
                # Attention and FFN read one residual stream.
                seen_inputs += 1
                if seen_inputs > 1:
                    continue
            yield saved


def unreached(a: Architecture, layer: Layer, how: How) -> list[Saved]:
    """What the first layer does not keep beside an adapter: no gradient reaches the frozen embedding, nor the norm that reads
    it."""
    if how.trains:
        return []
    return [s for s in _norms(a, how, layer) if s.name.startswith(("input_layernorm", "ln_1")) and not s.fixed]


def _wide_norms(layer: Layer, hidden: int) -> list[Tensor]:
    """The gains of norms over the residual stream."""
    return [t for t in layer.tensors if t.role == "norm" and t.name.endswith(".weight") and t.shape == (hidden,) and not _inner(t)]


def _inner(t: Tensor) -> bool:
    return (
        t.name.startswith(("self_attn.", "attention.", "attn.", "mixer.", "linear_attn.", "mamba."))
        and "." in t.name[: -len(".weight")]
    )


# Matrices


def _input(
    how: How, block: Block, name: str, readers: Iterable[_Linear], width: int, size: int, split: bool = False
) -> Iterator[Saved]:
    """What the matrices that read one tensor keep of it: once if its type is theirs; under autocast each casts for itself."""
    readers = list(readers)
    if how.reads and readers:
        casts = len(readers) if how.amp and size == _FP32 and how.size != _FP32 else 1
        yield Saved(block, f"{name}: input", how.size, width * casts, split=split)
    adapted = [reader for reader in readers if reader.leaf in how.targets]
    for reader in adapted:
        # PEFT casts the input to the adapter's type; under autocast it is then cast to the computing one.
        kept = how.size if how.amp else how.adapter_size
        if not (how.reads and kept == how.size == size):
            yield Saved("adapters", f"{reader.name}: adapter's input", kept, width, split=split)
        yield Saved("adapters", f"{reader.name}: between the adapter's matrices", kept, how.rank)


# Attention


def _attention(a: Architecture, how: How, layer: Layer, linears: list[_Linear]) -> Iterator[Saved]:
    attend, hidden, c = layer.attends[0], a.facts.hidden_size, how.size
    own = [x for x in linears if x.tensor.role == "attention" and "indexer" not in x.name]
    first = [x for x in own if x.read == hidden and not x.row]
    yield from _input(how, "attention", "queries, keys, values", first, hidden, how.residual)
    for x in own:
        if not x.row and x.read != hidden:
            yield from _input(how, "attention", x.name, [x], x.read, c)
    latent = any(cache.kind == "latent" for cache in layer.caches)
    queries, values = attend.heads * attend.qk_dim, attend.heads * attend.v_dim
    kv_heads = next((cache.heads for cache in layer.caches if cache.heads and not latent), attend.heads)
    keys, kv_values = kv_heads * attend.qk_dim, kv_heads * attend.v_dim
    for t in layer.tensors:
        if t.role == "norm" and _inner(t) and t.name.endswith(".weight"):
            yield from _inner_norm(a, how, t, attend, queries, keys)
    if a.model_type == "nanochat" or (a.model_type in ("llama4", "llama4_text") and "QK-norm" in dict(a.facts.more)):
        for name, width, heads in (("q_norm", queries, attend.heads), ("k_norm", keys, kv_heads)):
            yield Saved("attention", f"{name}: input in fp32", _FP32, width)
            yield Saved("attention", f"{name}: deviation", _FP32, heads)
    out = next((x for x in own if x.row), None)
    gated = next((x.write for x in first if x.leaf == "q_proj"), 0) == 2 * queries or any("gate" in x.leaf for x in first)
    fused = next((x.write for x in first if x.write >= queries + keys + kv_values and len(first) == 1), 0)
    if latent:
        # Values are a view of what the latent is projected up to, beside the keys.
        fused = next((x.write for x in own if not x.row and x.leaf.startswith("kv_b")), 0)
    turned = "RoPE" in a.facts.position or bool(a.rotary)
    copied = turned and (latent or _reference.joined(a, attend.qk_dim))
    own_kv = bool(layer.caches)
    yield from _scores(a, how, attend, queries, keys, kv_values, values, fused, turned, copied, latent, own_kv)
    eager = how.attention == "eager" or _stepwise(how, attend)
    if gated:
        # Sigmoid of the gate, and what it is multiplied with where that is no storage of its own yet.
        yield Saved("attention", "gate", c, (2 if eager or copied else 1) * values, split=True)
    if out is not None:
        fresh = eager or copied or gated
        if how.reads and fresh:
            yield Saved("attention", f"{out.name}: input", c, values, split=True)
        yield from _input(how._replace(trains=False, inputs=False), "attention", out.name, [out], values, c, split=True)


def _stepwise(how: How, attend: Attend) -> bool:
    """Whether SDPA computes in steps: on the CPU, where values are not as wide as keys."""
    return how.cpu and how.attention != "eager" and attend.qk_dim != attend.v_dim


def _inner_norm(a: Architecture, how: How, t: Tensor, attend: Attend, queries: int, keys: int) -> Iterator[Saved]:
    """A norm inside the attention: of queries or keys, by head or over all of them, or of a latent."""
    name, gain = t.name[: -len(".weight")], t.elements
    leaf = name.rpartition(".")[2]
    width = (
        queries
        if leaf.startswith(("q_norm", "q_layernorm", "query_layernorm"))
        else keys
        if leaf.startswith(("k_norm", "k_layernorm", "key_layernorm"))
        else gain
    )
    groups = width // gain if width % gain == 0 else 1
    yield from _norm(a, how, name, width, gain, how.size, max(groups, 1), "attention")


def _scores(
    a: Architecture, how: How, attend: Attend, queries: int, keys: int, kv_values: int, values: int, fused: int,
    turned: bool, copied: bool, latent: bool, own_kv: bool,
) -> Iterator[Saved]:  # fmt: skip
    c = how.size
    repeats = attend.heads > (kv_values // attend.v_dim if attend.v_dim else attend.heads)
    if how.attention == "eager" or _stepwise(how, attend):
        s = _FP32 if how.attention != "eager" else c
        if fused and not turned and how.batch == 1 and not repeats:
            yield Saved("scores", "queries, keys and values", s, fused, split=True)
        else:
            yield Saved("scores", "queries and keys", s, 2 * queries, split=True)
            whole = fused if fused and how.batch == 1 and not repeats and s == c and how.attention == "eager" else values
            yield Saved("scores", "values", s, whole, split=True)
        in_own_type = how.attention == "eager" and a.model_type in ("gpt2", "nanogpt", "gpt_oss", "llama4", "llama4_text")
        if _reference.capped(a)[0]:
            yield Saved("scores", "capped scores", c, per_pair=attend.heads, split=True)
        if a.model_type == "gpt_oss":
            # The sinks are one more column; the largest score is subtracted, and where it stood is kept.
            yield Saved("scores", "column of the sinks", c, attend.heads, split=True)
            yield Saved("scores", "place of the maximum", _INT64, attend.heads, split=True)
        if not in_own_type:
            yield Saved("scores", "softmax", _FP32, per_pair=attend.heads, split=True)
        if how.attention == "eager" and (c != _FP32 or in_own_type):
            yield Saved("scores", "probabilities", c, per_pair=attend.heads, split=True)
        return
    masked = how.attention != "flash" and (
        how.attention == "sdpa-mask" or (attend.window is not None and how.tokens > attend.window)
    )
    expanded = masked and repeats
    if fused and not turned:
        yield Saved("scores", "queries, keys and values", c, fused, split=True)
    else:
        yield Saved("scores", "queries", c, queries, split=True)
        if own_kv or expanded:
            yield Saved("scores", "keys", c, queries if expanded else keys, split=True)
            yield Saved("scores", "values", c, values if expanded else fused or kv_values, split=True)
    yield Saved("scores", "output", c, values, split=True)
    yield Saved("scores", "log of the softmax's sum", _FP32, attend.heads, split=True)
    if masked:
        yield Saved("scores", "mask", c, per_pair=1)


# FFN


def _activated(
    how: How, layer: Layer, label: str, width: int, storage: int, block: Block, name: str, gated: bool
) -> Iterator[Saved]:
    """What the activation keeps, and with a gate the product; `storage` is what the projection wrote that the activation reads."""
    c = how.size
    if gated:
        yield Saved(block, f"{name}: gate" + (" and up" if storage > width else ""), c, storage, split=True)
        yield Saved(block, f"{name}: activated gate", c, width, split=True)
        if storage == width:
            yield Saved(block, f"{name}: up", c, width, split=True)
        return
    if layer.activation in _STEPS:
        yield Saved(block, f"{name}: steps of {layer.activation}", c, _STEPS[layer.activation] * width, split=True)
    elif label.startswith("ReLU") and not label.startswith("ReLU²"):
        # Its output is all it needs, and that is what the next matrix reads.
        return
    else:
        yield Saved(block, f"{name}: before the activation", c, width, split=True)


# Activations that are computed in steps, each of which keeps its factors (transformers 5.23, activations.py).
_STEPS = {"gelu_new": 4, "gelu_fast": 7, "quick_gelu": 2}


def _ffn(a: Architecture, how: How, layer: Layer, linears: list[_Linear], shared_norm: bool) -> Iterator[Saved]:
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
        label = layer.ffn
        yield from _activated(how, layer, label, down.read, 2 * down.read if fused else down.read, block, prefix or "FFN", gated)
        if how.reads:
            yield Saved(block, f"{down.name}: input", c, down.read, split=True)
        yield from _input(how._replace(trains=False, inputs=False), block, down.name, [down], down.read, c, split=True)
    for x in mine:
        if x.write == 1:
            yield Saved("experts", "shared expert's gate and output", c, hidden + 1)


def _experts(a: Architecture, how: How, layer: Layer, grouped: bool = False) -> Iterator[Saved]:
    """Routed experts in one grouped product: each token is copied to each expert it visits. Without `grouped` as the reference
    implementation computes them, which for some types is every expert on every token."""
    routed = [t for t in layer.tensors if t.experts and len(t.shape) == 3]
    if not routed:
        return
    hidden, c, kind = a.facts.hidden_size, how.size, _reference.router(a)
    kind = "softmax" if grouped and kind == "dense" else kind
    experts = routed[0].experts
    assert experts is not None
    total, k = experts
    down = next((t for t in routed if "down" in t.name), routed[-1])
    up = next((t for t in routed if t is not down), routed[0])
    # The inner width is the axis that tensor parallelism splits; the other is the hidden state's, or a latent's.
    inner = down.shard.axis if down.shard else 2
    wide, read = down.shape[inner], down.shape[3 - inner]
    gated = 2 * wide in up.shape[1:] and "gate" in up.name
    shared = any(t.role == "shared_experts" for t in layer.tensors)
    if how.trains and (kind != "grouped" or shared):
        yield Saved("experts", "router and shared experts: input", c, hidden)
    fine = _FP32 if kind in ("normalized", "grouped") else c
    if kind == "grouped":
        if c != _FP32 and not how.amp:
            yield Saved("experts", "router: weight in fp32", _FP32, fixed=total * hidden)
            yield Saved("experts", "router: input in fp32", _FP32, hidden if how.trains else 0)
        yield Saved("experts", "router: groups", 1, 3 * _INT64 + total)
    if kind != "chosen":
        yield Saved("experts", "router: scores", _FP32, total)
    if kind in ("normalized", "grouped"):
        yield Saved("experts", "router: normalization", _FP32, 1 + k)
    elif kind == "chosen":
        yield Saved("experts", "router: probabilities", _FP32, k)
    if kind == "dense":
        yield Saved("experts", "experts: input of every expert", c, total * hidden * 2)
        yield Saved("experts", "experts: gate and up, activated gate, product", c, total * 4 * wide, split=True)
        return
    yield Saved("experts", "router: choice", _INT64, k)
    yield Saved("experts", "experts: order of the tokens", _INT64, 3 * k)
    yield Saved("experts", "experts: tokens of each", _FP32, fixed=total)
    room = how.capacity

    def buffer(width: int) -> int:
        return k * width * room // 100

    if how.trains:
        yield Saved("experts", "experts: input", c, buffer(read))
    if gated:
        yield Saved("experts", "experts: gate and up", c, buffer(2 * wide), split=True)
        yield Saved("experts", "experts: activated gate", c, buffer(wide), split=True)
        if a.model_type == "gpt_oss":
            # The gate is clamped, scaled and multiplied by its sigmoid, the up projection clamped and raised by one.
            yield Saved("experts", "experts: steps of the clamped gate", c, buffer(3 * wide), split=True)
    else:
        yield Saved("experts", "experts: before the activation", c, buffer(wide), split=True)
    if how.trains:
        yield Saved("experts", "experts: down projection's input", c, buffer(wide), split=True)
    names = {f"{kind}.{t.name.rpartition('.')[2]}" for t in routed for kind in ("experts", "parameters")}
    if how.rank and names & how.targets:
        # The adapter is added to the weights, and the sum kept (PEFT 0.21, tuners/lora/layer.py `ParamWrapper`).
        yield Saved("adapters", "experts: weights with the adapter", c, fixed=sum(t.elements for t in routed), split=True)
    yield Saved("experts", "experts: output", c, buffer(read))
    yield Saved("experts", "experts: weights of the visits", fine, k)


def _recurrence(a: Architecture, how: How, layer: Layer, linears: list[_Linear]) -> Iterator[Saved]:
    """A recurrence run by fused kernels in chunks: its projections' inputs and outputs, and the state at the end of each chunk in
    fp32."""
    hidden, c = a.facts.hidden_size, how.size
    own = [x for x in linears if x.tensor.role == "attention"]
    if layer.attends:
        own = [x for x in own if not x.name.startswith("self_attn")]
    firsts = [x for x in own if x.read == hidden and not x.row]
    yield from _input(how, "recurrence", "recurrence", firsts, hidden, how.residual)
    yield Saved("recurrence", "projections", c, sum(x.write for x in firsts), split=True)
    for cache in layer.caches:
        for state in cache.states:
            if state.name == "conv":
                yield Saved("recurrence", "convolution", c, state.shape[0], split=True)
            else:
                # One state for a chunk of tokens: fractions of an element a token are rounded up.
                chunk = _CHUNKS.get(cache.recurrence, 64)
                yield Saved("recurrence", "states of the chunks", _FP32, -(-state.elements // chunk), split=True)
    for x in own:
        if x not in firsts:
            yield from _input(how, "recurrence", x.name, [x], x.read, c, split=x.row)
            if x.row:
                # The recurrence's output, before its norm and its gate.
                yield Saved("recurrence", "output, normalized and gated", c, 2 * x.read, split=True)


# Layers and the rest


def layer_saved(a: Architecture, layer: Layer, how: How) -> list[Saved]:
    """What one layer keeps, as transformers computes it."""
    linears = _linears(layer)
    out = list(_norms(a, how, layer))
    if layer.attends and not (len(layer.attends) == 1 and layer.attends[0].heads == 0):
        out += _attention(a, how, layer, linears)
    if any(cache.kind == "state" for cache in layer.caches):
        out += _recurrence(a, how, layer, linears)
    out += _ffn(a, how, layer, linears, _one_norm(a, layer))
    out += _experts(a, how, layer)
    return [saved for saved in out if saved.per_token or saved.per_pair or saved.per_position or saved.fixed]


def _one_norm(a: Architecture, layer: Layer) -> bool:
    """Whether attention and FFN read the output of one norm."""
    return len(_wide_norms(layer, a.facts.hidden_size)) == 1 and bool(layer.attends) and layer.ffn != "none"


def outside(a: Architecture, how: How) -> list[Saved]:
    """What is kept outside the layers, without the loss."""
    hidden = a.facts.hidden_size
    learned = [t for g in a.groups if g.part == "embedding" for t in g.tensors if t.role == "embedding" and "wpe" in t.name]
    out = []
    if how.trains:
        out.append(Saved("embedding", "token numbers", _INT64, 1))
        if learned:
            out.append(Saved("embedding", "positions", _INT64, per_position=1))
    interleaved = any(cache.kind == "latent" for s in a.stacks for layer in s.kinds for cache in layer.caches)
    for width in _reference.turned(a):
        out.append(Saved("position", "cosines and sines", _reference.table_size(a, how.residual), per_position=2 * width))
        if interleaved:
            break
    style = _reference.norm_style(a)
    if style == "bare":
        out += _norm(a, how, "embedding norm", hidden, 0, how.residual)
    out += _norm(a, how, "final norm", hidden, hidden, how.residual)
    if how.trains:
        out.append(Saved("head", "head: input", how.size, hidden))
    if _reference.capped(a)[1]:
        out.append(Saved("head", "capped logits", how.size, a.facts.vocab_size, split=True))
    return out


def loss_saved(a: Architecture, how: How, loss: Loss) -> list[Saved]:
    """What the loss keeps: the log-softmax of every token in fp32, and the targets. A fused loss keeps the gradient of its input
    instead."""
    if loss == "none":
        return []
    if loss == "fused":
        return [Saved("loss", "gradient of the head's input", how.size, a.facts.hidden_size)]
    return [
        Saved("loss", "log-softmax", _FP32, a.facts.vocab_size, split=True),
        # Of one sequence they are a view of the labels, padded by one.
        Saved("loss", "targets", _INT64, 1, fixed=int(how.batch == 1)),
        Saved("loss", "count", _FP32, fixed=1),
    ]


def step_saved(a: Architecture, how: How, *, loss: Loss = "none", checkpointing: bool = False) -> int:
    """Bytes that autograd holds after the forward pass of one micro-batch, each storage once; with checkpointing of every layer."""
    first = next((s.kinds[s.pattern[0]] for s in a.stacks if s.part == "decoder"), None)
    total = 0
    if first is not None and not checkpointing:
        total -= rank_bytes(unreached(a, first, how), how.batch, how.tokens)
    for stack in a.stacks:
        if stack.part != "decoder":
            continue
        for layer, n in zip(stack.kinds, stack.counts(), strict=True):
            kept = layer_kept(a, layer, how, "transformers", "full" if checkpointing else "none").kept
            total += n * rank_bytes(kept, how.batch, how.tokens)
    # The tables of positions are used inside the layers alone.
    rest = [s for s in outside(a, how) if not (checkpointing and s.block == "position")]
    return total + rank_bytes([*rest, *loss_saved(a, how, loss)], how.batch, how.tokens)


# Checkpointing, parallelism, and the published formulas


class Split(NamedTuple):
    """How activations are split over ranks: by tensor parallelism, what that leaves whole by sequence parallelism, and tokens by
    context."""

    tp: int = 1
    sequence: bool = False
    cp: int = 1


ALONE = Split()


def rank_bytes(saved: Iterable[Saved], batch: int, tokens: int, split: Split = ALONE) -> int:
    """Bytes of these storages on one rank."""
    local = -(-tokens // split.cp)
    total = 0
    for s in saved:
        size = (batch * local * (s.per_token + s.per_pair * tokens) + s.per_position * local + s.fixed) * s.size
        total += -(-size // split.tp) if split.tp > 1 and (s.split or (split.sequence and not s.fixed)) else size
    return total


def together(saved: Iterable[Saved]) -> tuple[Saved, ...]:
    """The same bytes with storages of one block that are split alike taken together."""
    sums: dict[tuple[Block, bool, bool], list[int]] = {}
    for s in saved:
        row = sums.setdefault((s.block, s.split, bool(s.fixed)), [0, 0, 0, 0])
        for i, elements in enumerate((s.per_token, s.per_pair, s.per_position, s.fixed)):
            row[i] += elements * s.size
    return tuple(Saved(block, "", 1, t, q, p, f, split) for (block, split, _), (t, q, p, f) in sums.items())


class Kept(NamedTuple):
    """What a layer keeps from its forward pass to its backward pass, and what is made again for a while during the latter."""

    kept: tuple[Saved, ...]
    again: tuple[Saved, ...]


def layer_kept(
    a: Architecture, layer: Layer, how: How, implementation: Implementation = "transformers", recompute: Recompute = "none"
) -> Kept:
    """The two parts of what a layer's backward pass needs, under a way of checkpointing."""
    every = tuple(megatron_saved(a, layer, how) if implementation == "megatron" else layer_saved(a, layer, how))
    return checkpointed(a, layer, how, every, implementation, recompute)


def checkpointed(
    a: Architecture, layer: Layer, how: How, every: tuple[Saved, ...], implementation: Implementation, recompute: Recompute
) -> Kept:
    """What of `every` storage of a layer is kept, and what is made again.

    `full` keeps the layer's input and makes the rest again. `selective` means what it means where it comes from: in Megatron the
    products and the softmax of the scores are made again (Korthikanti et al. 2022, section 5); in PyTorch every second matrix's
    output and that of the attention are kept, and the rest is made again from them (torchtitan 2024-12,
    parallelisms/parallelize_llama.py `_apply_ac_to_transformer_block`).
    """
    if recompute == "none":
        return Kept(every, ())
    start = Saved("norm", "layer's input", how.residual, a.facts.hidden_size)
    if recompute == "full":
        return Kept((start,), every)
    if implementation == "megatron":
        scores = tuple(s for s in every if s.per_pair and s.split)
        return Kept(tuple(s for s in every if s not in scores), scores)
    outputs = [start]
    for i, x in enumerate(_linears(layer)):
        if i % 2 == 0:
            outputs.append(Saved(_block(x), f"{x.name}: output", how.size, x.write, split=not x.row))
    for attend in layer.attends:
        outputs.append(Saved("scores", "attention's output", how.size, attend.heads * attend.v_dim, split=True))
        outputs.append(Saved("scores", "log of the softmax's sum", _FP32, attend.heads, split=True))
    for t in layer.tensors:
        if t.experts and len(t.shape) == 3:
            inner = t.shard.axis if t.shard else 1
            write = t.shape[inner] if "down" not in t.name else t.shape[3 - inner]
            outputs.append(Saved("experts", f"{t.name}: output", how.size, t.experts.active * write, split="down" not in t.name))
    kept = tuple(outputs)
    # Where little would be saved, keeping all is never worse.
    return Kept(kept, every) if rank_bytes(kept, 1, how.tokens or 1) < rank_bytes(every, 1, how.tokens or 1) else Kept(every, ())


def _block(x: _Linear) -> Block:
    return "attention" if x.tensor.role == "attention" else "mlp"


def megatron_saved(a: Architecture, layer: Layer, how: How, *, dropout: bool = True) -> Iterator[Saved]:
    """One layer by Korthikanti et al. 2022, section 4.1: for multi-head attention and an FFN of 4h these are its sbh(34 + 5as/h)
    bytes.

    Statistics of the norms are left out, as there. With a fused attention (any but `eager`) the scores are not kept.
    """
    hidden, c = a.facts.hidden_size, how.size
    linears = _linears(layer)
    for t in _wide_norms(layer, hidden):
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
            yield Saved("scores", "log of the softmax's sum", _FP32, attend.heads, split=True)
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
        wide = sum(x.write for x in dense if not x.row and x.name.rpartition(".")[0] == prefix)
        yield Saved("mlp", f"{prefix}: before the activation", c, wide, split=True)
        yield Saved("mlp", f"{down.name}: input", c, down.read, split=True)
    if routed:
        yield from (s for s in _experts(a, how, layer, True) if s.name.startswith("experts:") and "activated" not in s.name)
    if any(cache.kind == "state" for cache in layer.caches):
        yield from _recurrence(a, how, layer, linears)


def megatron_outside(a: Architecture, how: How, *, dropout: bool = True) -> list[Saved]:
    """Outside the layers, same source, section 4.3: the embedding's dropout, the last norm, the head's input, and the logits in
    fp32."""
    hidden = a.facts.hidden_size
    return [
        *([Saved("embedding", "dropout's mask", 1, hidden)] if dropout else []),
        Saved("norm", "final norm: input", how.size, hidden),
        Saved("head", "head: input", how.size, hidden),
    ]


def forward_peak(a: Architecture, how: How, context: int = 0) -> int:
    """Bytes alive at once in inference beside weights and cache: one prefill of `how.tokens` tokens, or with a `context` one
    decode step.

    Nothing is kept, so the peak is the widest layer's own tensors beside the residual stream; with scores in memory (eager) those,
    in the computing type and twice in fp32 (the softmax converts its input first).
    """
    c, tokens = how.size, how.batch * how.tokens
    widest = 0
    for stack in a.stacks:
        if stack.part != "decoder":
            continue
        for layer in stack.kinds:
            width = tokens * (layer.mixer_width * c)
            if how.attention == "eager" and layer.attends:
                attend = max(layer.attends, key=lambda x: x.heads)
                width += tokens * (context or how.tokens) * attend.heads * (c + 2 * _FP32 if c != _FP32 else 2 * c)
                width += 2 * how.batch * (context or how.tokens) * attend.heads * attend.qk_dim * c
            widest = max(widest, width, tokens * layer.ffn_width * c)
    return 2 * tokens * a.facts.hidden_size * c + widest
