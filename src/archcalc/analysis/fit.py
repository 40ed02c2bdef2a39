"""Whether a model fits a machine under an engine: weights, budget and cache of the fullest GPU, and the plan that is best.

Every figure comes from elsewhere: weights from `placement`, the budget from `engines.budget`, the cache from the engine's own rules. What
is decided here is which placements are tried, and in what order they are preferred.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

from archcalc.analysis.placement import Placement, RankWeights, rank_weights, why_not
from archcalc.engines.budget import Budget, Serving, budget
from archcalc.engines.weights import Engine, Kept, kept
from archcalc.engines.weights import Options as WeightOptions
from archcalc.errors import ArchcalcError, UnsupportedError, UsageError
from archcalc.hardware import Device, GpuSpec
from archcalc.model import Architecture


class Ask(NamedTuple):
    """What is wanted: constraints where given, chosen where None.

    `quant` names how the weights are stored (`quant.quantize_as`); None is the checkpoint's own way. `utilization` is the engine's share of
    the memory, `batched_tokens` the tokens of one step.
    """

    gpus: GpuSpec
    engine: Engine = "vllm"
    context_tokens: int | None = None
    concurrency: int = 1
    tp: int | None = None
    pp: int | None = None
    ep: int | None = None
    dp: int | None = None
    dcp: int = 1
    quant: str | None = None
    kv_dtype: str | None = None
    utilization: float | None = None
    batched_tokens: int | None = None
    version: str | None = None


class Fit(NamedTuple):
    """One placement, judged. Bytes are those of the fullest GPU.

    `kv_needed_bytes` is what `concurrency` sequences of the context take; `headroom_bytes` what is left beside them (negative: missing).
    `max_concurrency` is how many sequences of the context the room holds, `kv_tokens` the tokens that the engine reports for it.
    """

    placement: Placement
    weights: RankWeights
    budget: Budget
    context_tokens: int
    concurrency: int
    kv_needed_bytes: int
    max_concurrency: float
    kv_tokens: int
    kv_dtype: str
    kv_rule: str

    @property
    def headroom_bytes(self) -> int:
        return self.budget.kv_room_bytes - self.kv_needed_bytes

    @property
    def fits(self) -> bool:
        return self.headroom_bytes >= 0


class Pool(NamedTuple):
    """A pool of equal blocks, on the fullest GPU: sequences need `(blocks x sequences + null_blocks) x block_bytes`.

    `groups` are functions from the context to the blocks of one sequence, which add up. `tokens_per_block` is how many tokens a block
    stands for in what the engine reports, None where it reports the sequences that fit times the context.
    """

    block_bytes: int
    null_blocks: int
    groups: tuple[Callable[[int], int], ...]
    tokens_per_block: int | None


class Cache(NamedTuple):
    """What sequences take on one GPU under an engine, and what a room holds, as functions of the context.

    `pool` is the same in linear form, where the engine has one.
    """

    needed: Callable[[int, int], int]
    held: Callable[[int, int], tuple[float, int]]
    dtype: str
    rule: str
    pool: Pool | None = None


def context_of(architecture: Architecture, ask: Ask) -> int:
    """The context asked for, else the model's own. Raises `UsageError` beyond what the model was made for."""
    longest = architecture.facts.context_tokens
    tokens = ask.context_tokens or longest
    if tokens is None:
        raise UsageError("the config states no context", "give --ctx")
    if longest is not None and tokens > longest:
        raise UsageError(
            f"a context of {tokens:,} tokens is beyond the model's {longest:,}",
            f"ask for --ctx {longest} or less, or set its key with --set",
        )
    return tokens


def refuse_guess(architecture: Architecture) -> None:
    """A verdict on a guess would pretend. Raises `UnsupportedError`."""
    if architecture.status == "guessed":
        raise UnsupportedError(
            f"no adapter reads {architecture.model_type}: its figures are a guess, and no verdict stands on one",
            "archcalc inspect shows the guess; archcalc models --types what is read exactly",
        )
    if architecture.status == "header":
        raise UnsupportedError(
            f"{architecture.model_type} is counted from a checkpoint's headers, which do not say what it caches: no verdict stands on that",
            "archcalc models --types lists what is read exactly",
        )


def placements(architecture: Architecture, ask: Ask) -> Iterator[Placement]:
    """Every way to use all GPUs that the constraints and the engine allow, in no order."""
    n = ask.gpus.count
    if ask.engine in ("llama.cpp", "transformers"):
        yield Placement(ask.tp or 1, ask.pp or n, ask.ep or 1, ask.dp or 1, ask.dcp)
        return
    for tp in [ask.tp] if ask.tp else [d for d in range(1, n + 1) if n % d == 0]:
        for dp in [ask.dp] if ask.dp else [d for d in range(1, n // tp + 1) if n % (tp * d) == 0]:
            pp = ask.pp or n // (tp * dp)
            if not ask.pp and tp * dp * pp != n:
                continue
            ways = [ask.ep] if ask.ep else [1, tp * dp] if architecture.facts.moe and tp * dp > 1 else [1]
            for ep in ways:
                yield Placement(tp, pp, ep, dp, ask.dcp)


def preference(placement: Placement, device: Device) -> tuple[int, ...]:
    """Smaller is better: one copy of the model, tensor parallelism within a machine, as few stages and as little else as possible."""
    return (placement.tp > device.per_machine, placement.dp, placement.pp, placement.ep > 1, -placement.tp)


def cache_of(architecture: Architecture, placement: Placement, ask: Ask, plan: Budget) -> Cache:
    """The engine's cache on the fullest GPU. Raises what the engine's rules raise."""
    return _CACHES[ask.engine](architecture, placement, ask, plan)


def _vllm(architecture: Architecture, placement: Placement, ask: Ask, plan: Budget) -> Cache:
    from archcalc.engines import Workload, vllm
    from archcalc.engines import _vllm_planner as planner
    from archcalc.engines._allocation import default_dtype
    from archcalc.engines._vllm_rules import NEWEST

    options = vllm.Options(
        tp=placement.tp, pp=placement.pp, dcp=placement.dcp, max_num_batched_tokens=plan.batched_tokens,
        capability=capability(ask.gpus.device), version=ask.version,
    )  # fmt: skip
    made = vllm.plan(architecture, ask.kv_dtype, options)
    dtype = default_dtype(architecture) if made.dtype == "auto" else made.dtype
    groups = max(made.stages, key=planner.bytes_per_block)
    each = planner.bytes_per_block(groups)
    if not each:
        return Cache(lambda _context, _sequences: 0, lambda _room, context: (float(plan.sequences), context), dtype, "no cache")

    def needed(context: int, sequences: int) -> int:
        blocks = planner.request_blocks(groups, vllm.demand(Workload(context), options, made.rules))
        return (blocks * sequences + made.rules.null_block) * each

    def held(room: int, context: int) -> tuple[float, int]:
        need = vllm.demand(Workload(context), options, made.rules)
        found = planner.capacity(groups, room, need, made.rules)
        return found.max_concurrency, found.kv_tokens

    def blocks_of(group: planner.Group) -> Callable[[int], int]:
        return lambda context: planner.group_blocks(group, vllm.demand(Workload(context), options, made.rules))

    pool = Pool(each, int(made.rules.null_block), tuple(map(blocks_of, groups)), None)
    if not made.rules.by_concurrency:
        smallest = min(spec.block for group in groups for spec in group.specs)
        pool = pool._replace(tokens_per_block=smallest * options.dcp)
    return Cache(needed, held, dtype, f"blocks of {each:,} B, vLLM {options.version or NEWEST}", pool)


def _sglang(architecture: Architecture, placement: Placement, ask: Ask, plan: Budget) -> Cache:
    from archcalc.engines import Workload, sglang

    options = sglang.Options(tp=placement.tp, dcp=placement.dcp)
    share = -(-architecture.layers // placement.pp), architecture.layers

    def needed(context: int, sequences: int) -> int:
        size = sglang.allocate(architecture, Workload(context, sequences, ask.kv_dtype), options).bytes
        return -(-size * share[0] // share[1])

    def held(room: int, context: int) -> tuple[float, int]:
        found = sglang.pools(architecture, max(0, room) * share[1] // share[0], context, ask.kv_dtype, options)
        most = found.tokens / context
        return (most if found.max_requests is None else min(most, found.max_requests)), found.tokens

    made = sglang.allocate(architecture, Workload(1, 1, ask.kv_dtype), options)
    return Cache(needed, held, made.dtype, f"token slots, SGLang {sglang.VERSION}")


def _layered(module: str, architecture: Architecture, placement: Placement, ask: Ask) -> Cache:
    """Engines that give each GPU its layers whole: the fullest has the most layers' caches."""
    from importlib import import_module

    from archcalc.engines import Workload

    engine = import_module(f"archcalc.engines.{module}")
    most = -(-architecture.layers // placement.pp)

    def needed(context: int, sequences: int) -> int:
        size = engine.allocate(architecture, Workload(context, sequences, ask.kv_dtype)).bytes
        return int(-(-size * most // architecture.layers))

    def held(room: int, context: int) -> tuple[float, int]:
        sequences = largest(lambda n: needed(context, n) <= room, 1 << 14)
        return float(sequences), sequences * context

    made = engine.allocate(architecture, Workload(1, 1, ask.kv_dtype))
    return Cache(needed, held, made.dtype, made.rule)


_CACHES: dict[Engine, Callable[[Architecture, Placement, Ask, Budget], Cache]] = {
    "vllm": _vllm,
    "sglang": _sglang,
    "llama.cpp": lambda a, placement, ask, _plan: _layered("llamacpp", a, placement, ask),
    "transformers": lambda a, placement, ask, _plan: _layered("transformers", a, placement, ask),
}


def largest(holds: Callable[[int], bool], limit: int) -> int:
    """The largest number up to `limit` for which `holds` is true, if it is true up to some number and false beyond; 0 for none."""
    if not holds(1):
        return 0
    low, high = 1, 2
    while high <= limit and holds(high):
        low, high = high, high * 2
    high = min(high, limit + 1)
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if holds(middle) else (low, middle)
    return low


def capability(device: Device) -> tuple[int, int] | None:
    """The CUDA compute capability, None for other GPUs."""
    if device.vendor != "nvidia" or not device.compute:
        return None
    major, _, minor = device.compute.partition(".")
    return int(major), int(minor)


class Candidate(NamedTuple):
    """A model with weights as they would be stored, and all that does not depend on the placement.

    `weights` and `caches` keep what was made for placements already judged: many contexts and concurrencies share them.
    """

    architecture: Architecture
    options: WeightOptions
    tensors: list[Kept]
    quant: str
    weights: dict[Placement, RankWeights]
    caches: dict[tuple[Placement, str | None, int, int], Cache]


def candidate(architecture: Architecture, ask: Ask) -> Candidate:
    """The model as the engine would load it. Raises `UnsupportedError` for a storage that is not known."""
    from archcalc.analysis.checkpoint import base_dtype
    from archcalc.quant import method_of, quantize_as

    quant = ask.quant
    if quant is None and ask.engine == "llama.cpp" and architecture.quantization and method_of(architecture.quantization) != "gguf":
        # A GGUF file is made from the dequantized weights.
        quant = "bf16"
    if quant is not None:
        architecture = quantize_as(architecture, quant)
    name = quant or (method_of(architecture.quantization) if architecture.quantization else _half(base_dtype(architecture)[0]))
    options = WeightOptions(ask.engine, ask.version, ask.gpus.device)
    return Candidate(architecture, options, kept(architecture, options), name, {}, {})


def _half(dtype: str) -> str:
    """What engines load unquantized weights as: a float32 checkpoint in half precision."""
    return {"F32": "bf16", "BF16": "bf16", "F16": "fp16"}.get(dtype, dtype.lower())


def budget_of(model: Candidate, placement: Placement, weights: RankWeights, ask: Ask, context: int, sequences: int) -> Budget:
    """The memory of the fullest GPU, with the options asked for."""
    serving = Serving(
        ask.engine, ask.version, ask.utilization, context_tokens=context, batched_tokens=ask.batched_tokens,
        sequences=sequences if ask.engine in ("llama.cpp", "transformers") else None,
    )  # fmt: skip
    return budget(ask.gpus.device, model.architecture, placement, weights, serving)


def judge(model: Candidate, placement: Placement, ask: Ask, context: int, concurrency: int) -> Fit:
    """One placement. Raises what the engine's rules raise."""
    weights = model.weights.get(placement)
    if weights is None:
        weights = model.weights[placement] = rank_weights(model.architecture, placement, model.options, model.tensors)
    sequences = -(-concurrency // placement.dp)
    plan = budget_of(model, placement, weights, ask, context, sequences)
    # All that a cache depends on beside the model, its engine and its GPU, which a candidate is made for.
    key = placement, ask.kv_dtype, plan.batched_tokens, plan.sequences
    cache = model.caches.get(key)
    if cache is None:
        cache = model.caches[key] = cache_of(model.architecture, placement, ask, plan)
    most, tokens = cache.held(max(0, plan.kv_room_bytes), context)
    return Fit(
        placement, weights, plan, context, concurrency, cache.needed(context, sequences), most * placement.dp, tokens * placement.dp,
        cache.dtype, cache.rule,
    )  # fmt: skip


class Plans(NamedTuple):
    """The placement chosen, the others that the engine allows, best first, and why the rest are not."""

    model: Candidate
    best: Fit
    others: tuple[Fit, ...]
    refused: tuple[str, ...]


def plans(architecture: Architecture, ask: Ask, alternatives: int = 3, model: Candidate | None = None) -> Plans:
    """Judge placements in the order of preference until one fits, and then so many others of other kinds.

    The best is the first that fits, or else the one that comes closest. `model` is what `candidate` made of the architecture for this
    engine, version, storage and GPU, where many questions are asked about it. Raises `UsageError` where the engine can place the model
    in no way that was asked for.
    """
    refuse_guess(architecture)
    context = context_of(architecture, ask)
    model = model or candidate(architecture, ask)
    device = ask.gpus.device
    found: list[Fit] = []
    refused: list[str] = []
    failed: ArchcalcError | None = None
    seen: set[tuple[bool, bool, bool]] = set()
    best: Fit | None = None
    for placement in sorted(placements(model.architecture, ask), key=lambda p: preference(p, device)):
        # Beside the best, one more of each kind: with and without stages, experts spread, replicas.
        kind = placement.pp > 1, placement.ep > 1, placement.dp > 1
        if best is not None and (kind in seen or len(found) > alternatives):
            continue
        why = why_not(model.architecture, placement, model.options)
        if why:
            refused.append(why)
            continue
        try:
            fit = judge(model, placement, ask, context, ask.concurrency)
        except ArchcalcError as error:
            refused.append(error.message)
            failed = failed or error
            continue
        found.append(fit)
        if best is None and fit.fits:
            best = fit
        if best is not None:
            seen.add(kind)
    if not found and failed is not None:
        raise failed
    if not found:
        split = " x ".join(f"{name} {n}" for name, n in (("tp", ask.tp), ("pp", ask.pp), ("dp", ask.dp)) if n)
        reason = refused[0] if refused else f"{ask.gpus.count} GPUs do not divide by {split}"
        raise UsageError(reason, "choose another split, or leave it out to have one chosen")
    best = best or max(found, key=lambda f: f.headroom_bytes)
    others = sorted((f for f in found if f is not best), key=lambda f: (not f.fits, -f.max_concurrency))
    return Plans(model, best, tuple(others[:alternatives]), tuple(dict.fromkeys(refused)))


def max_context(model: Candidate, fit: Fit, ask: Ask) -> int:
    """The longest context at this concurrency, up to the model's own; 0 where not even one token fits."""
    limit = model.architecture.facts.context_tokens or fit.context_tokens
    sequences = -(-fit.concurrency // fit.placement.dp)
    cache = cache_of(model.architecture, fit.placement, ask, fit.budget)

    def holds(tokens: int) -> bool:
        plan = budget_of(model, fit.placement, fit.weights, ask, tokens, sequences)
        return cache.needed(tokens, sequences) <= plan.kv_room_bytes

    return limit if holds(limit) else largest(holds, limit)


def read_bytes(model: Candidate, fit: Fit) -> int:
    """The weights that one token makes the fullest GPU read: all but the embedding, and of the routed experts those it visits."""
    moe = model.architecture.facts.moe
    total = 0
    for c in fit.weights.components:
        if c.part not in ("decoder", "head") or c.role == "embedding":
            continue
        total += c.bytes * moe.active // moe.experts if c.role == "experts" and moe else c.bytes
    if model.architecture.facts.tied_embeddings and not any(c.part == "head" for c in fit.weights.components):
        total += sum(c.bytes for c in fit.weights.components if c.part == "embedding" and c.role == "embedding")
    return total
