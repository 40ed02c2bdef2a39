"""What one step of a model asks of one GPU: bytes read, operations done, bytes sent. Exact sums over the record, and nothing measured.

A step makes one token for each sequence. It reads the weights that act on its tokens once (embeddings and other tables are looked up, and
read no more than rows), of the routed experts those that its tokens visit, and each sequence's cache as far as a layer sees it.
"""

from __future__ import annotations

from collections.abc import Iterable

from archcalc.analysis.flops import attention_terms, decode_flops, head_flops
from archcalc.analysis.speed.products import Product, products
from archcalc.engines.placement import ComponentBytes, Placement
from archcalc.model import Architecture, Cache, Use
from archcalc.records import NamedTuple


class Reads(NamedTuple):
    """The cache that one sequence's token reads of all layers that see the same rows: `bytes` for each row, on one rank."""

    bytes: float
    window: int | None
    compress: int

    def of(self, tokens: float) -> float:
        """Bytes for a sequence of so many tokens."""
        rows = tokens / self.compress
        return self.bytes * (rows if self.window is None else min(rows, self.window))


class Work(NamedTuple):
    """A model on one rank of each of its pipeline stages, all stages added.

    `dense_bytes` are read by every step; `expert_bytes` are all routed experts that the rank holds, `experts` of which a layer has and
    `active` a token visits. `state_bytes` is the recurrent state of a sequence, read and written by each step. `flops_per_token` is
    for one token, of all ranks of a replica; `scores` are operations for each visible row, by window, in decoding, `prefill_scores` in
    prefill. `layers` are pairs of a mixer and an FFN: one that stands alone is half of one. `recurrent` are the layers that keep a
    state, `indexed` those that choose by an index what they attend to, `latent` those of latent attention, `routed_flops` what of
    `flops_per_token` is of routed experts, `sent_bytes` what a token's activations take at each crossing of ranks. `decodes` is false
    of an encoder, which reads its whole input at once and keeps nothing of it (`encodes`), of a diffusion model (`refines`), and of
    one without a head. `products` are `flops_per_token` by what they are multiplied in, `cached` is what the cache is in, as `rates.scores`
    names it. `crosses` is true where layers read what an encoder made of an input, of which nothing here counts the encoder's work and the
    keys and values that are kept of it. `away_bytes` and `away_expert_bytes` are what of the weights, which the others count too, lies in
    the CPU's memory.
    """

    dense_bytes: int
    expert_bytes: int
    experts: int
    active: int
    reads: tuple[Reads, ...]
    state_bytes: float
    flops_per_token: int
    scores: tuple[Reads, ...]
    prefill_scores: tuple[Reads, ...]
    head_flops: int
    layers: float
    moe_layers: int
    recurrent: int
    indexed: int
    latent: int
    routed_flops: int
    sent_bytes: int
    placement: Placement
    decodes: bool = True
    refines: bool = False
    encodes: bool = False
    use: Use = ""
    away_bytes: int = 0
    away_expert_bytes: int = 0
    crosses: bool = False
    products: tuple[Product, ...] = ()
    cached: str = ""
    apart: bool = False

    @property
    def sharing(self) -> int:
        """How many replicas of data parallelism share one set of experts: 1 of a dense model, and of replicas that are servers apart."""
        return self.placement.dp if self.experts and not self.apart else 1

    @property
    def away(self) -> int:
        """Bytes of the weights in the CPU's memory."""
        return self.away_bytes + self.away_expert_bytes

    def cache_bytes(self, tokens: float) -> float:
        """What a step reads of one sequence of so many tokens, and writes of its state, on one rank."""
        return sum(r.of(tokens) for r in self.reads) + 2 * self.state_bytes

    def visited(self, tokens: float) -> float:
        """The share of the experts that so many tokens visit, if routing is even and each chooses alone."""
        if not self.experts:
            return 0.0
        return float(1 - (1 - self.active / self.experts) ** max(1.0, tokens))

    def floor_bytes(self, tokens: int, context: int, sequences: float) -> float:
        """The fewest bytes that a step can read on a rank: at least one token's experts, however many tokens choose alike."""
        return self.dense_bytes + self.expert_bytes * self._least + sequences * self.cache_bytes(context)

    def floor_away(self) -> float:
        """What of them a step reads of the CPU's memory, at least."""
        return self.away_bytes + self.away_expert_bytes * self._least

    @property
    def _least(self) -> float:
        return self.active / self.experts if self.experts else 0.0

    def decode_flops(self, context: float) -> float:
        """Operations for a token that sees so many tokens."""
        return self.flops_per_token + sum(s.of(context) for s in self.scores)

    def prefill_flops(self, tokens: int, before: int = 0) -> float:
        """Operations to read a prompt of so many tokens behind `before` others; the head makes one row of it alone."""
        return (self.flops_per_token - self.head_flops) * tokens + self.head_flops + self.prompt_scores(tokens, before)

    def prompt_scores(self, tokens: int, before: int = 0) -> float:
        """What of them are attention's own products, of queries with keys and of weights with values."""
        return sum(s.bytes * _visible(tokens, before, s) for s in self.prefill_scores)


def _visible(tokens: int, before: int, s: Reads) -> float:
    """Rows that all the tokens of a prompt see, added up: each sees those before it, a window at most."""
    first, last = before / s.compress, (before + tokens) / s.compress
    if s.window is None or last <= s.window:
        return tokens * (first + last) / 2
    if first >= s.window:
        return float(tokens * s.window)
    growing = (s.window - first) * s.compress
    return growing * (first + s.window) / 2 + (tokens - growing) * s.window


def work(
    architecture: Architecture,
    components: Iterable[ComponentBytes],
    placement: Placement,
    kv_bytes: tuple[float, float],
    left: Iterable[ComponentBytes] = (),
    cached: str = "",
) -> Work:
    """The work of a step. `components` are the weights of one rank over all stages, those of them in the CPU's memory too, which `left`
    are; `kv_bytes` the bytes of a cached element of keys and of values, `cached` its kind where attention may multiply in it."""
    facts = architecture.facts
    moe = facts.moe
    dense = experts = head = tied = 0
    for c in components:
        if c.role == "embedding":
            tied += c.bytes if c.part == "embedding" else 0
        elif c.role == "experts":
            experts += c.bytes if c.part == "decoder" else 0
        elif c.part in ("decoder", "head"):
            dense += c.bytes
            head += c.bytes if c.part == "head" else 0
    if facts.tied_embeddings and not head:
        dense += round(tied * head_share(architecture))
    away = sum(c.bytes for c in left if c.part in ("decoder", "head"))
    away_experts = sum(c.bytes for c in left if c.part == "decoder" and c.role == "experts")
    total = decode_flops(architecture, 0)
    tp = placement.tp
    reads: dict[tuple[int | None, int], float] = {}
    state = recurrent = layers = moe_layers = indexed = latent = 0.0
    routed = 0
    owners: dict[tuple[int | None, int], Cache] = {}
    for stack in architecture.stacks:
        if stack.part != "decoder":
            continue
        for layer, n in zip(stack.kinds, stack.counts(), strict=True):
            layers += n * ((layer.mixer != "none") + (layer.ffn != "none")) / 2
            moe_layers += n if any(t.experts is not None for t in layer.tensors) else 0
            recurrent += n if layer.keeps("state") is not None else 0
            latent += n if layer.keeps("latent") is not None else 0
            indexed += n if layer.keeps("index") is not None else 0
            routed += n * sum(2 * t.visited for t in layer.tensors if t.experts is not None and len(t.shape) > 2)
            held = [c for c in layer.caches if c.per_token]
            for cache in layer.caches:
                for s in cache.states:
                    # States are in the model's dtype, whatever the cache is in.
                    state += n * s.elements * (s.own_bytes or 2) / min(tp, max(1, s.units))
            if not held:
                # Layers that share another's cache read it all the same.
                held = [owners[key] for a in layer.attends if (key := (a.window, a.compress)) in owners]
            for cache in held:
                key = cache.window, cache.compress
                owners[key] = cache
                # A latent is one row, all of it in the kind of the keys.
                values = kv_bytes[0 if cache.kind == "latent" else 1]
                row = cache.heads * (cache.key_dim * kv_bytes[0] + cache.value_dim * values)
                reads[key] = reads.get(key, 0.0) + n * row / min(tp, max(1, cache.heads))
    prefill = tuple(Reads(t.flops, t.window, t.compress) for t in attention_terms(architecture))
    return Work(
        dense_bytes=dense,
        expert_bytes=experts,
        experts=moe.experts if moe and experts else 0,
        active=moe.active if moe and experts else 0,
        reads=tuple(Reads(size, *key) for key, size in reads.items()),
        state_bytes=state,
        flops_per_token=total.matmul + total.scan,
        scores=_decode_scores(architecture, prefill),
        prefill_scores=prefill,
        head_flops=head_flops(architecture),
        layers=layers,
        moe_layers=int(moe_layers),
        recurrent=int(recurrent),
        indexed=int(indexed),
        latent=int(latent),
        routed_flops=routed,
        sent_bytes=2 * facts.hidden_size,
        placement=placement,
        decodes=architecture.writes,
        encodes=architecture.encodes,
        use=architecture.use,
        refines=architecture.refines,
        away_bytes=away - away_experts,
        away_expert_bytes=away_experts,
        crosses=architecture.crosses,
        products=products(architecture, total.matmul + total.scan, head_flops(architecture), routed),
        cached=cached,
    )


def head_share(architecture: Architecture) -> float:
    """The share of the input tables that a tied head is: the others are looked up, and a step reads no more than rows of them."""
    tables = [
        (t.elements, t.rows_read)
        for part, t, _ in architecture.each_tensor()
        if part == "embedding" and t.role == "embedding" and t.counted and len(t.shape) == 2
    ]
    return sum(n for n, rows in tables if not rows) / (sum(n for n, _ in tables) or 1)


def _decode_scores(architecture: Architecture, prefill: tuple[Reads, ...]) -> tuple[Reads, ...]:
    """Latent attention is decoded on the latents themselves, whose rows are wider than the heads that they stand for.

    Source: DeepSeek-V2, arXiv:2405.04434, section 2.1.2 (the up-projections are absorbed).
    """
    found: dict[tuple[int | None, int], float] = {}
    latent = False
    for stack in architecture.stacks:
        if stack.part != "decoder":
            continue
        for layer, n in zip(stack.kinds, stack.counts(), strict=True):
            rows = layer.keeps("latent")
            latent = latent or rows is not None
            for a in layer.attends:
                width = 2 * rows.key_dim + rows.value_dim if rows and a.v_dim else a.qk_dim + a.v_dim
                key = a.window, a.compress
                found[key] = found.get(key, 0.0) + 2 * a.heads * width * n
    return tuple(Reads(flops, *key) for key, flops in found.items()) if latent else prefill
