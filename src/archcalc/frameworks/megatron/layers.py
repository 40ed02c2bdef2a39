"""The weights of Megatron-LM's modules on one rank, and what their backward pass keeps.

Read in Megatron-LM (megatron/core, main of 2026-08) and Transformer Engine 2 (transformer_engine/pytorch). Bytes are those of one
micro-batch
on one rank.
"""

from __future__ import annotations

from archcalc.records import NamedTuple

FP32, HALF = 4, 2


class Weight(NamedTuple):
    """Elements of one parameter on one rank; `expert` where expert parallelism spreads it, `matrix` where Muon takes it. `copies`
    are as
    many alike, `head` the output layer's, `split` says
    that tensor parallelism splits it, `row` that it is one that reads the wide side."""

    elements: int
    expert: bool = False
    matrix: bool = False
    copies: int = 1
    head: bool = False
    split: bool = False
    row: bool = False
    fp8: str = ""
    """The recipe by which Transformer Engine quantizes it, if it does."""

    @property
    def total(self) -> int:
        return self.elements * self.copies


class Kept(NamedTuple):
    """One kept storage, or storages that belong together.

    `read` matrices of Transformer Engine read it, each of which keeps a quantized copy in fp8. It is `shared` where something else keeps
    it as it is, and `spared` of those matrices then keep it so too, but under delayed scaling.
    """

    block: str
    name: str
    bytes: int
    read: int = 0
    shared: bool = False
    spared: int = 0


class Block(NamedTuple):
    """A module: its weights, and what it keeps."""

    weights: tuple[Weight, ...]
    kept: tuple[Kept, ...]

    def __add__(self, other: object) -> Block:
        assert isinstance(other, Block)
        return Block(self.weights + other.weights, self.kept + other.kept)


NOTHING = Block((), ())


class Rank(NamedTuple):
    """What one rank sees of a micro-batch, and how the modules compute.

    `tokens` are those of the rank's attention (all of the sequence less context parallelism), `local` those of its norms: fewer by
    tensor parallelism with sequence parallelism.
    """

    batch: int
    seq: int
    cp: int = 1
    tp: int = 1
    sp: bool = False
    ep: int = 1
    etp: int = 1
    hidden: int = 0
    norms: int = 2
    """Vectors of a norm: gain and shift, or the gain alone."""
    bias: bool = True
    hidden_dropout: float = 0.1
    attention_dropout: float = 0.1
    attention: str = "auto"
    transformer_engine: bool = True
    causal: bool = True
    softmax_fused: bool = True

    @property
    def tokens(self) -> int:
        return self.batch * self.seq // self.cp

    @property
    def local(self) -> int:
        return self.tokens // self.tp if self.sp else self.tokens

    @property
    def stats(self) -> int:
        """Bytes of a norm's statistics for each token: mean and deviation, or the deviation alone."""
        return FP32 * self.norms


def norm(
    r: Rank, name: str, width: int, tokens: int, *, own_input: bool = True, read: int = 1, shared: bool = False, spared: int = 0
) -> Block:
    """A norm: its input (unless another module keeps it), its statistics, and its output, which the matrix behind it reads.

    transformer_engine/pytorch/module/layernorm_linear.py `_LayerNormLinear.forward` saves the input, the normalized output (for the
    gradient of the weights), mean and deviation.
    """
    kept = [Kept("norm", f"{name}: statistics", r.stats * tokens)]
    if own_input:
        kept.append(Kept("norm", f"{name}: input", HALF * width * tokens))
    kept.append(Kept("norm", f"{name}: output", HALF * width * tokens, read, shared, spared))
    return Block((Weight(width, copies=r.norms),), tuple(kept))


def linear(r: Rank, rows: int, columns: int, *, split: str, bias: bool) -> tuple[Weight, ...]:
    """The weights of a matrix of `rows` outputs and `columns` inputs, split by `out` or `in` over tensor parallelism, or whole."""
    tp = r.tp if split in ("out", "in") else 1
    weights = [Weight(rows * columns // tp, matrix=True, split=True, row=split == "in")]
    if bias:
        weights.append(Weight(rows // (tp if split == "out" else 1), split=split == "out"))
    return tuple(weights)


def _dropped(r: Rank, name: str) -> tuple[Kept, ...]:
    """The mask of the dropout behind a block: a byte each (core/fusions/fused_bias_dropout.py)."""
    return (Kept("dropout", f"{name}: dropout's mask", r.hidden * r.local),) if r.hidden_dropout else ()


def core_attention(
    r: Rank, heads: int, groups: int, qk: int, v: int, *, keys: int | None = None, causal: bool = True
) -> tuple[Kept, ...]:
    """Scores, softmax and values: `heads` and `groups` of this rank.

    Flash and cuDNN attention keep the log of the softmax's sum. Unfused (transformer_engine .../dot_product_attention/backends.py
    `UnfusedDotProductAttention`; core/transformer/dot_product_attention.py): the softmax, and with dropout its mask and what is
    left of it;
    keys and values are repeated for all heads.
    """
    length = keys or r.seq
    pairs = r.batch * heads * (r.seq // r.cp) * length
    unfused = r.attention in ("unfused", "local") or not r.transformer_engine
    if not unfused:
        return (Kept("scores", "log of the softmax's sum", FP32 * heads * r.tokens),)
    # In steps the softmax is kept in fp32, and cast (core/fusions/fused_softmax.py `forward_torch_softmax`).
    kept = [Kept("scores", "softmax", (HALF if r.softmax_fused else FP32) * pairs)]
    if r.attention_dropout:
        kept += [Kept("scores", "dropout's mask", pairs), Kept("scores", "after dropout", HALF * pairs)]
    if groups < heads:
        kept.append(Kept("scores", "keys and values repeated", HALF * heads * (qk + v) * r.batch * length))
    return tuple(kept)


def attention(
    r: Rank, heads: int, groups: int, head_dim: int, *, rope: bool, qk_norm: bool, bias: bool, gate: bool = False
) -> Block:
    """Self-attention of `heads` queries and `groups` keys and values (of all ranks), whose output a `gate` of its width may be on."""
    tp = r.tp
    width, kv = heads * head_dim // tp, max(groups // tp, 1) * head_dim
    weights = list(linear(r, r.hidden, heads * head_dim, split="in", bias=r.bias))
    weights += linear(r, ((1 + gate) * heads + 2 * groups) * head_dim, r.hidden, split="out", bias=bias)
    kept = [Kept("attention", "queries, keys and values", HALF * ((1 + gate) * width + 2 * kv) * r.tokens)]
    if gate:
        # core/transformer/attention.py `_apply_output_gate`, compiled: its input and the gate, which is part of the projection.
        kept.append(Kept("attention", "output before its gate", HALF * width * r.tokens))
    if qk_norm:
        weights += [Weight(head_dim, copies=r.norms), Weight(head_dim, copies=r.norms)]
        # Their input is the projection above; queries and keys are new tensors.
        kept.append(Kept("attention", "normalized queries and keys", HALF * (width + kv) * r.tokens))
        kept.append(Kept("attention", "statistics of their norms", r.stats * (width + kv) // head_dim * r.tokens))
    if rope:
        kept.append(Kept("attention", "turned queries and keys", HALF * (width + kv) * r.tokens))
    kept += core_attention(r, heads // tp, max(groups // tp, 1), head_dim, head_dim)
    kept.append(Kept("attention", "output projection: input", HALF * width * r.tokens, 1, True, 1))
    first = norm(r, "attention norm", r.hidden, r.local)
    return first + Block(tuple(weights), (*kept, *_dropped(r, "attention")))


def cross_attention(r: Rank, heads: int, head_dim: int, source: int) -> Block:
    """Attention of a decoder over an encoder's `source` tokens a sequence (core/transformer/attention.py `CrossAttention`)."""
    width = heads * head_dim // r.tp
    there = r.batch * source
    weights = list(linear(r, r.hidden, heads * head_dim, split="in", bias=r.bias))
    weights += linear(r, heads * head_dim, r.hidden, split="out", bias=r.bias)
    weights += linear(r, 2 * heads * head_dim, r.hidden, split="out", bias=r.bias)
    kept = [
        Kept("attention", "cross: queries", HALF * width * r.tokens),
        Kept("attention", "cross: keys and values", 2 * HALF * width * there),
        *core_attention(r, heads // r.tp, heads // r.tp, head_dim, head_dim, keys=source, causal=False),
        Kept("attention", "cross: output projection: input", HALF * width * r.tokens, 1, True, 1),
    ]
    return norm(r, "cross-attention norm", r.hidden, r.local) + Block(tuple(weights), (*kept, *_dropped(r, "cross-attention")))


class Latent(NamedTuple):
    """Widths of multi-latent attention."""

    q_rank: int
    kv_rank: int
    qk: int
    rope: int
    v: int


def latent_attention(r: Rank, heads: int, x: Latent, *, qk_norm: bool) -> Block:
    """Multi-latent attention (core/transformer/multi_latent_attention.py): the down projections are whole on every rank, their
    norms fused
    with the up projections."""
    tp, each = r.tp, x.qk + x.rope
    weights: list[Weight] = []
    kept: list[Kept] = []
    if x.q_rank:
        weights += [Weight(x.q_rank * r.hidden, matrix=True), *linear(r, heads * each, x.q_rank, split="out", bias=False)]
        kept.append(Kept("attention", "latent of queries", (HALF * x.q_rank + r.stats) * r.local))
        kept.append(Kept("attention", "latent of queries, normalized", HALF * x.q_rank * r.local, 1))
        weights += [Weight(x.q_rank, copies=r.norms)] if qk_norm else []
    else:
        weights += linear(r, heads * each, r.hidden, split="out", bias=False)
    weights += [
        Weight((x.kv_rank + x.rope) * r.hidden, matrix=True),
        *linear(r, heads * (x.qk + x.v), x.kv_rank, split="out", bias=False),
    ]
    weights += [Weight(x.kv_rank, copies=r.norms)] if qk_norm else []
    weights += linear(r, r.hidden, heads * x.v, split="in", bias=r.bias)
    kept.append(Kept("attention", "latent of keys and values", (HALF * (x.kv_rank + x.rope) + r.stats) * r.local))
    kept.append(Kept("attention", "latent of keys and values, normalized", HALF * x.kv_rank * r.local, 1))
    own = heads // tp
    kept += [
        Kept("attention", "queries", HALF * own * each * r.tokens),
        Kept("attention", "keys", HALF * own * each * r.tokens),
        Kept("attention", "keys and values projected up", HALF * own * (x.qk + x.v) * r.tokens),
        *core_attention(r, own, own, each, x.v),
        Kept("attention", "output projection: input", HALF * own * x.v * r.tokens, 1, True, 1),
    ]
    # Two matrices read the norm's output, each of which quantizes it for itself.
    return norm(r, "attention norm", r.hidden, r.local, read=2) + Block(tuple(weights), (*kept, *_dropped(r, "attention")))


def _activation(gated: bool, fused: bool) -> tuple[int, int]:
    """Widths, as multiples of the inner one, of what the first matrix writes and of what the activation keeps.

    The fused ones keep the input alone (core/fusions/fused_bias_swiglu.py, fused_bias_gelu.py); a gate in steps also its activation.
    """
    return (2, 2 if fused else 3) if gated else (1, 1)


def mlp(r: Rank, inner: int, *, gated: bool, fused: bool = True, normed: bool = True, name: str = "FFN") -> Block:
    """A dense FFN behind its norm (core/transformer/mlp.py)."""
    halves, kept_by = _activation(gated, fused)
    weights = (*linear(r, halves * inner, r.hidden, split="out", bias=r.bias), *linear(r, r.hidden, inner, split="in", bias=r.bias))
    kept = (
        Kept("mlp", f"{name}: before the activation", HALF * kept_by * inner // r.tp * r.tokens),
        Kept("mlp", f"{name}: after the activation", HALF * inner // r.tp * r.tokens, 1),
    )
    block = Block(weights, kept)
    return norm(r, f"{name} norm", r.hidden, r.local) + block + Block((), _dropped(r, name)) if normed else block


class Experts(NamedTuple):
    """Routed experts: `total` of which a token visits `active`, each `inner` wide; `shared` is the width of those all tokens visit,
    `latent` the width that rows are projected to before they are sent, `capacity` the room of each in percent of an even spread; with
    `gate` a number for each token weighs what the shared ones give."""

    total: int
    active: int
    inner: int
    shared: int = 0
    grouped: bool = False
    dispatcher: str = "allgather"
    router_bias: bool = False
    router_size: int = HALF
    latent: int = 0
    capacity: int = 100
    gate: bool = False


def moe(r: Rank, x: Experts, *, gated: bool, fused: bool = True, weighted: bool = False) -> Block:
    """A layer of routed experts (core/transformer/moe: moe_layer.py, router.py, token_dispatcher.py, experts.py), tokens spread evenly.

    The rank's experts see `tokens x active / (tp of experts)` rows with sequence parallelism: the dispatcher gathers over expert tensor
    parallelism what it spread over tensor parallelism.
    """
    halves, kept_by = _activation(gated, fused)
    local_experts = x.total // r.ep
    read = x.latent or r.hidden
    each = [Weight(x.inner * halves // r.etp * read, True, True), Weight(read * x.inner // r.etp, True, True, row=True)]
    if r.bias:
        each += [Weight(x.inner * halves // r.etp, True), Weight(read, True)]
    weights = [Weight(x.total * r.hidden), *_every(each, local_experts, x.grouped)]
    if x.latent:
        weights += [Weight(x.latent * r.hidden, matrix=True), Weight(r.hidden * x.latent, matrix=True, row=True)]
    rows = r.local * x.active * r.etp * x.capacity // 100
    kept = [
        Kept("experts", "router: logits, scores, maps", r.local * x.total * (x.router_size + FP32 + FP32 + 1)),
        Kept("experts", "rows: input", HALF * read * rows, 1),
        Kept("experts", "rows: before the activation", HALF * kept_by * x.inner // r.etp * rows),
        Kept("experts", "rows: after the activation", HALF * x.inner // r.etp * rows, 1),
        *(() if weighted else (Kept("experts", "rows: after the activation, to be weighted", HALF * x.inner // r.etp * rows),)),
        Kept("experts", "rows: order and weights", (8 + FP32) * rows),
    ]
    if x.latent:
        kept.append(Kept("experts", "latent: in and out", 2 * HALF * x.latent * r.local))
    # The router keeps the norm's output as it is; shared experts and the projection to the latent read it too.
    readers = bool(x.shared) + bool(x.latent)
    first = norm(r, "FFN norm", r.hidden, r.local, read=readers, shared=True, spared=int(bool(x.shared)))
    block = first + Block(tuple(weights), tuple(kept))
    if x.shared:
        block += mlp(r, x.shared, gated=gated, fused=fused, normed=False, name="shared expert")
        if x.gate:
            # core/transformer/moe/shared_experts.py `SharedExpertMLP.forward`: the output and the sigmoid that it is multiplied by.
            gate = Kept("mlp", "shared expert: output and gate", (HALF * r.hidden + HALF) * r.local)
            block += Block((Weight(r.hidden),), (gate,))
    return block + Block((), _dropped(r, "experts"))


def _every(each: list[Weight], number: int, grouped: bool) -> list[Weight]:
    """The weights of `number` experts in the order they are made: matrix by matrix where they are grouped, else expert by expert."""
    return [w._replace(copies=number) for w in each] if grouped else each * number


class Ssm(NamedTuple):
    """Widths of Mamba-2."""

    heads: int
    head_dim: int
    groups: int
    state: int
    conv: int = 4


def mamba(r: Rank, x: Ssm) -> Block:
    """Mamba-2 (core/ssm/mamba_mixer.py; mamba_ssm 2.2, ops/triton/ssd_combined.py `MambaSplitConv1dScanCombinedFn`): it keeps the
    projection,
    the scan's output before its norm, and the states at the end of chunks are made again."""
    inner = x.heads * x.head_dim
    projected = 2 * inner + 2 * x.groups * x.state + x.heads
    convolved = inner + 2 * x.groups * x.state
    weights = (
        *linear(r, projected, r.hidden, split="out", bias=False),
        *(Weight(n // r.tp, split=True) for n in (convolved * x.conv, convolved, x.heads, x.heads, x.heads, inner)),
        *linear(r, r.hidden, inner, split="in", bias=False),
    )  # fmt: skip
    kept = (
        Kept("recurrence", "projection", HALF * projected // r.tp * r.tokens),
        Kept("recurrence", "output of the scan", HALF * inner // r.tp * r.tokens),
        Kept("recurrence", "deviation of its norm", FP32 * x.groups // r.tp * r.tokens),
        Kept("recurrence", "output projection: input", HALF * inner // r.tp * r.tokens, 1),
    )
    return norm(r, "mixer norm", r.hidden, r.local) + Block(weights, (*kept, *_dropped(r, "mixer")))
