"""Whether a model fits a machine under an engine: weights, budget and cache of the fullest GPU, and the plan that is best.

Every figure comes from elsewhere: weights from `placement`, the budget from `engines.budget`, the cache from the engine's own rules. What
is decided here is which placements are tried, and in what order they are preferred.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from math import prod
from typing import NamedTuple

from archcalc.analysis.placement import Placement, RankWeights, cuts_blocks, rank_weights, why_not
from archcalc.engines import start as starting
from archcalc.engines.budget import FITTED, Budget, Serving, budget
from archcalc.engines.start import Start, Taken
from archcalc.engines.weights import Engine, Kept, kept
from archcalc.engines.weights import Options as WeightOptions
from archcalc.errors import ArchcalcError, UnsupportedError, UsageError
from archcalc.hardware import Device, GpuSpec
from archcalc.model import Architecture

LAYERED: tuple[Engine, ...] = ("llama.cpp", "transformers")
"""Engines that give each GPU whole layers, and split none of them."""


class Ask(NamedTuple):
    """What is wanted: constraints where given, chosen where None.

    `quant` names how the weights are stored (`quant.quantize_as`); None is the checkpoint's own way. `utilization` is the engine's share of
    the memory, `batched_tokens` the tokens of one step. `sequences` is how many run at once at most under vLLM; None is its default, and
    fewer where only that makes the model fit.
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
    sequences: int | None = None


class Fit(NamedTuple):
    """One placement, judged. Bytes are those of the fullest GPU.

    `kv_needed_bytes` is what `concurrency` sequences of the context take; `headroom_bytes` what is left beside them (negative: missing).
    `max_concurrency` is how many sequences of the context the room holds, `kv_tokens` the tokens that the engine reports for it. `start`
    is whether the engine starts, `taken` what the plan sets for that.
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
    start: Start = Start()
    taken: Taken = Taken()

    @property
    def headroom_bytes(self) -> int:
        return self.budget.kv_room_bytes - self.kv_needed_bytes

    @property
    def fits(self) -> bool:
        return self.headroom_bytes >= 0 and self.start.starts


class Pool(NamedTuple):
    """A pool of equal blocks, on the fullest GPU: sequences need `(blocks x sequences + null_blocks) x block_bytes`.

    `groups` are functions from the context to the blocks of one sequence, which add up. `tokens_per_block` is how many tokens a block
    stands for in what the engine reports, None where it reports the sequences that fit times the context. `states`: a sequence needs a
    block of recurrent state.
    """

    block_bytes: int
    null_blocks: int
    groups: tuple[Callable[[int], int], ...]
    tokens_per_block: int | None
    states: bool = False


class Cache(NamedTuple):
    """What sequences take on one GPU under an engine, and what a room holds, as functions of the context.

    `pool` is the same in linear form, where the engine has one.
    """

    needed: Callable[[int, int], int]
    held: Callable[[int, int], tuple[float, int]]
    dtype: str
    rule: str
    pool: Pool | None = None


def engine_for(device: Device) -> Engine:
    """The engine where none is named: Macs run llama.cpp."""
    return "llama.cpp" if device.vendor == "apple" else "vllm"


def context_of(architecture: Architecture, ask: Ask) -> int:
    """The context asked for, else the model's own. Raises `UsageError` beyond what the model was made for."""
    longest = architecture.longest
    tokens = ask.context_tokens or architecture.facts.context_tokens
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
    """Every way to use exactly the GPUs named that the constraints allow, in no order.

    Raises `UsageError` where the options given leave no such way.
    """
    for tp, pp, dp in splits(ask):
        spread = architecture.facts.moe and tp * dp > 1 and ask.engine not in LAYERED
        for ep in [ask.ep] if ask.ep else [1, tp * dp] if spread else [1]:
            yield Placement(tp, pp, ep, dp, ask.dcp)


def splits(ask: Ask) -> list[tuple[int, int, int]]:
    """Every tp, pp and dp that the constraints allow and whose product is the number of GPUs; raises `UsageError` if there is none."""
    n, alone = ask.gpus.count, 1 if ask.engine in LAYERED else None
    found = []
    for tp in _ways(ask.tp, n, alone):
        for dp in _ways(ask.dp, n // tp, alone):
            pp = n // (tp * dp)
            if tp * dp * pp == n and ask.pp in (None, pp):
                found.append((tp, pp, dp))
    if not found:
        raise _other_count(ask)
    return found


def _ways(asked: int | None, of: int, alone: int | None) -> list[int]:
    """What a number of ways can be, of so many GPUs: as asked, the only one there is, or any divisor."""
    if asked:
        return [asked]
    return [alone] if alone else [d for d in range(1, of + 1) if of % d == 0]


def _other_count(ask: Ask) -> UsageError:
    """The options given make another number of GPUs than the one named."""
    n = ask.gpus.count
    given = [(name, ways) for name, ways in (("tp", ask.tp), ("pp", ask.pp), ("dp", ask.dp)) if ways]
    product = prod(ways for _, ways in given)
    split = " x ".join(f"{name} {ways:,}" for name, ways in given) + (f" is {product:,} GPUs" if len(given) > 1 else "")
    named = f"{n:,} GPUs are named" if n > 1 else "1 GPU is named"
    few = f"{product:,}" if len(given) == 3 or product > n else f"a multiple of {product:,}"
    hint = f"tp x pp x dp is the number of GPUs: name {few}, or leave an option out to have it chosen"
    if ask.engine in LAYERED:
        return UsageError(f"{split}, and {named}: {ask.engine} spreads layers over all of them, as pp {n:,} does", hint)
    if ask.engine == "sglang" and ask.tp and ask.dp and ask.tp * (ask.pp or 1) == n and ask.tp % ask.dp == 0:
        hint = (
            f"SGLang's own --tp counts the ranks of data-parallel attention too: here that is --tp {ask.tp // ask.dp} --dp {ask.dp}"
        )
    left = (
        ": some would be left over" if product < n and len(given) == 3 else f": {n:,} is no multiple of it" if product < n else ""
    )
    return UsageError(f"{split}, and {named}{left}", hint)


def preference(placement: Placement, device: Device) -> tuple[int, ...]:
    """Smaller is better: one copy of the model, tensor parallelism within a machine, as few stages and as little else as possible."""
    return (placement.tp > device.per_machine, placement.dp, placement.pp, placement.ep > 1, -placement.tp)


def cannot(model: Candidate, placement: Placement, ask: Ask) -> str:
    """Why the engine cannot place the model so; empty where it can. What an engine quantizes as it loads has no blocks to cut."""
    why = why_not(model.architecture, placement, model.options)
    loads = ask.quant is not None and (model.architecture.quantization or {}).get("quant_method") == "fp8"
    return why or ("" if loads else cuts_blocks(model.architecture, placement, model.options))


def cache_of(architecture: Architecture, placement: Placement, ask: Ask, plan: Budget) -> Cache:
    """The engine's cache on the fullest GPU. Raises what the engine's rules raise."""
    return _CACHES[ask.engine](architecture, placement, ask, plan)


def _vllm(architecture: Architecture, placement: Placement, ask: Ask, plan: Budget) -> Cache:
    from archcalc.engines import Workload, vllm
    from archcalc.engines import _vllm_planner as planner
    from archcalc.engines._vllm_rules import NEWEST

    options = vllm.Options(
        tp=placement.tp, pp=placement.pp, dcp=placement.dcp, max_num_batched_tokens=plan.batched_tokens,
        capability=capability(ask.gpus.device), version=ask.version,
    )  # fmt: skip
    made = vllm.plan(architecture, ask.kv_dtype, options)
    if lacking := starting.cache_kernels(ask.version, made.dtype, options.capability):
        raise UnsupportedError(lacking, "leave --kv-dtype out, or name a newer GPU")
    dtype = vllm.served_dtype(architecture, options.version) if made.dtype == "auto" else made.dtype
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

    states = any(spec.form == "state" for group in groups for spec in group.specs)
    pool = Pool(each, int(made.rules.null_block), tuple(map(blocks_of, groups)), None, states)
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

    caches = any(layer.caches for stack in architecture.stacks for layer in stack.kinds)

    def held(room: int, context: int) -> tuple[float, int]:
        if not caches:
            # An encoder keeps nothing between steps, and so many requests run at once.
            return (float(plan.sequences), context) if room >= 0 else (0.0, 0)
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
    layers = max(1, architecture.layers)
    most = -(-layers // placement.pp)

    def needed(context: int, sequences: int) -> int:
        size = engine.allocate(architecture, Workload(context, sequences, ask.kv_dtype)).bytes
        return int(-(-size * most // layers))

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
    from archcalc.analysis.checkpoint import as_gguf, base_dtype
    from archcalc.quant import method_of, quantize_as
    from archcalc.quant._loaders import in_transformers

    quant, own = ask.quant, architecture.quantization
    if quant is not None:
        architecture, name = quantize_as(architecture, quant, ask.engine), quant
    elif own and method_of(own) == "gguf":
        if ask.engine == "transformers":
            quantize_as(architecture, str(own.get("file_type", "gguf")), ask.engine)
        name = str(own.get("file_type", "gguf"))
    elif ask.engine == "llama.cpp":
        architecture, name = as_gguf(architecture)
    elif own:
        name = method_of(own)
    else:
        base = base_dtype(architecture)[0]
        name = base.lower().replace("f", "fp", 1) if ask.engine == "transformers" and base in ("F16", "F32") else _half(base)
    if ask.engine == "transformers" and architecture.quantization:
        held = in_transformers(
            architecture, method_of(architecture.quantization), capability(ask.gpus.device), ask.gpus.device.vendor == "apple"
        )
        if held.quantization is None and quant is not None:
            raise UsageError(
                f"transformers holds no {quant} weights on {ask.gpus.device.name}: it loads them in bf16",
                "--quant nf4 and bnb-int8 are for any GPU of NVIDIA's",
            )
        architecture, name = held, name if held.quantization else "bf16"
    # Towers are a file of their own beside a GGUF file.
    # vLLM and SGLang load float32 in half precision unless they are told not to.
    wide = "F32" if quant is not None and architecture.quantization is None and architecture.dtype == "F32" else None
    options = WeightOptions(ask.engine, ask.version, ask.gpus.device, wide, towers=ask.engine != "llama.cpp")
    return Candidate(architecture, options, kept(architecture, options), name, {}, {})


def _half(dtype: str) -> str:
    """What engines load unquantized weights as: a float32 checkpoint in half precision."""
    return {"F32": "bf16", "BF16": "bf16", "F16": "fp16"}.get(dtype, dtype.lower())


def budget_of(
    model: Candidate, placement: Placement, weights: RankWeights, ask: Ask, context: int, sequences: int, taken: Taken | None = None
) -> Budget:
    """The memory of the fullest GPU, with the options asked for and those that the plan takes."""
    taken = taken or Taken()
    device = ask.gpus.device
    if device.free_bytes is not None and ask.engine != "vllm":
        # The others look at what is free; vLLM takes its share of all, and fails where that is not free.
        device = device._replace(visible_bytes=device.free_bytes)
    serving = Serving(
        ask.engine, ask.version, ask.utilization or taken.utilization, context_tokens=context, batched_tokens=ask.batched_tokens,
        sequences=sequences if ask.engine in LAYERED else taken.sequences,
    )  # fmt: skip
    return budget(device, model.architecture, placement, weights, serving)


class Settled(NamedTuple):
    """A budget and a cache that go together, whether the engine starts on them, and what the plan takes for that."""

    budget: Budget
    cache: Cache
    start: Start
    taken: Taken


def settle(model: Candidate, placement: Placement, weights: RankWeights, ask: Ask, context: int, sequences: int) -> Settled:
    """What a placement leaves for the cache once the engine starts. `sequences` are those of one replica."""
    plan = budget_of(model, placement, weights, ask, context, sequences)
    start, taken = Start(), Taken()
    if ask.engine == "vllm":
        start, taken = share(ask, plan)
        asked = fewer_sequences(ask, plan, sequences, taken)
        if asked is not None:
            taken = asked
        elif ask.concurrency > 1 and sequences > plan.sequences:
            taken = taken._replace(sequences=sequences).with_flag(
                f"--max-num-seqs {sequences}",
                f"--max-num-seqs {sequences}: by default vLLM runs {plan.sequences:,} sequences at once",
            )
            if sequences > plan.batched_tokens:
                limit = f"a step of {plan.batched_tokens:,} tokens cannot run {sequences:,} sequences"
                start = Start(False, limit, f"--max-num-batched-tokens {sequences}")
        elif flag := starting.step_sequences(ask.version, ask.batched_tokens, plan.sequences):
            taken = taken.with_flag(flag, f"{flag}: vLLM refuses a step of fewer tokens than sequences")
        if taken != Taken():
            plan = budget_of(model, placement, weights, ask, context, sequences, taken)
    elif ask.engine == "llama.cpp":
        start = starting.llama_cpp(sequences, placement.gpus)
    cache = _cached(model, placement, ask, plan)
    if cache.pool is not None and cache.pool.states:
        blocks = max(0, plan.kv_room_bytes) // cache.pool.block_bytes
        fewer, why = starting.state_sequences(ask.version, plan.sequences, blocks, sequences)
        if fewer < plan.sequences:
            taken = taken._replace(sequences=fewer).with_flag(f"--max-num-seqs {fewer}", why)
            plan = budget_of(model, placement, weights, ask, context, sequences, taken)
            cache = _cached(model, placement, ask, plan)
        elif why:
            taken = taken._replace(notes=(*taken.notes, why))
    if start.starts and (lacking := no_kernels(model, ask)):
        start = Start(False, lacking, None)
    return Settled(plan, cache, start, taken)


FEWER_SEQUENCES = (256, 32)
"""What is tried for `--max-num-seqs` where vLLM's default leaves too little, the most first: 256 is its default on smaller GPUs, and below
32 little is won, as the sampler's tensors of a vocabulary of 256k tokens are 112 MiB then."""


def fewer_sequences(ask: Ask, plan: Budget, sequences: int, taken: Taken) -> Taken | None:
    """What the plan takes where fewer sequences than by default are asked for; None where they are not, or one replica has more."""
    if ask.sequences is None:
        return None
    fewer = min(ask.sequences, ask.batched_tokens or ask.sequences)
    if not sequences <= fewer < plan.sequences:
        return None
    return taken._replace(sequences=fewer).with_flag(
        f"--max-num-seqs {fewer}",
        f"--max-num-seqs {fewer}: with its default of {plan.sequences:,} sequences vLLM keeps more memory for sampling and graphs than"
        f" there is; at most {fewer} run at once so, and others wait",
    )


def share(ask: Ask, plan: Budget) -> tuple[Start, Taken]:
    """vLLM's share of the memory against what it finds free at its start."""
    device = ask.gpus.device
    free = device.free_bytes or device.visible_bytes - FITTED.context
    most = starting.free_share(plan.memory_bytes, plan.budget_bytes, free)
    if most is None or most <= 0 or not (device.free_bytes or starting.checks_free(ask.version)):
        return Start(), Taken()
    flag, seen = f"--gpu-memory-utilization {most:g}", f"{free / 2**30:.1f} of {plan.memory_bytes / 2**30:.1f} GiB"
    if ask.utilization is None:
        note = f"{flag}: {seen} are free for an engine here, and vLLM's default share of {plan.utilization:g} is more than that"
        return Start(), Taken(utilization=most, flags=(flag,), notes=(note,))
    if device.free_bytes:
        # Machines differ in what else runs on them, and the share is asked for.
        note = f"a share of {ask.utilization:g} needs {plan.budget_bytes / 2**30:.1f} GiB free: {seen} were found free on such machines"
        return Start(), Taken(notes=(note,))
    return Start(False, f"vLLM refuses a share of {ask.utilization:g} where {seen} are free", flag), Taken()


def no_kernels(model: Candidate, ask: Ask) -> str | None:
    """Why the engine cannot run the weights, in this release or on this GPU, where it cannot."""
    from archcalc.quant import method_of

    quantization = model.architecture.quantization
    if not quantization:
        return None
    method = method_of(quantization)
    too_old = starting.too_old(ask.engine, ask.version, method)
    return too_old or starting.kernels(ask.engine, ask.version, method, capability(ask.gpus.device))


def _cached(model: Candidate, placement: Placement, ask: Ask, plan: Budget) -> Cache:
    # All that a cache depends on beside the model, its engine and its GPU, which a candidate is made for.
    key = placement, ask.kv_dtype, plan.batched_tokens, plan.sequences
    cache = model.caches.get(key)
    if cache is None:
        cache = model.caches[key] = cache_of(model.architecture, placement, ask, plan)
    return cache


def judge(model: Candidate, placement: Placement, ask: Ask, context: int, concurrency: int) -> Fit:
    """One placement. Raises what the engine's rules raise."""
    weights = model.weights.get(placement)
    if weights is None:
        weights = model.weights[placement] = rank_weights(model.architecture, placement, model.options, model.tensors)
    sequences = -(-concurrency // placement.dp)
    plan, cache, start, taken = settle(model, placement, weights, ask, context, sequences)
    room = plan.kv_room_bytes
    most, tokens = cache.held(max(0, room), context)
    if start.starts:
        start, notes = _memory(ask, plan, cache, context, sequences, tokens)
        taken = taken._replace(notes=(*taken.notes, *notes))
    return Fit(
        placement, weights, plan, context, concurrency, cache.needed(context, sequences), most * placement.dp, tokens * placement.dp,
        cache.dtype, cache.rule, start, taken,
    )  # fmt: skip


def _memory(ask: Ask, plan: Budget, cache: Cache, context: int, sequences: int, tokens: int) -> tuple[Start, tuple[str, ...]]:
    """Whether the engine starts with that much room, and what that means for the context where it starts although too little is there."""
    room = plan.kv_room_bytes
    short = cache.needed(context, sequences if ask.engine == "llama.cpp" else 1) - room
    if ask.engine == "sglang":
        if room < 0 or tokens <= 0:
            return Start(False, "the weights leave no memory for the pool", None), ()
        if short > 0:
            return Start(), (
                f"SGLang starts all the same: its pool of {tokens:,} tokens serves sequences of up to so many, not {context:,}",
            )
        return Start(), ()
    if ask.engine == "transformers":
        return Start(room >= 0, None if room >= 0 else "the weights and one forward pass are more than the memory", None), ()
    if short <= 0:
        return Start(), ()
    if room < 0:
        return Start(False, "the weights and what the engine needs leave no memory for the cache", None), ()
    limit = f"one sequence of {context:,} tokens needs more memory than is left for the cache"
    pool = cache.pool
    if pool is not None and starting.counts_first_group(ask.version) and pool.block_bytes * pool.groups[0](context) <= room:
        held = room / cache.needed(context, 1)
        return Start(), (
            f"vLLM {ask.version} starts all the same, as its check counts the first group of layers alone: there is room for {held:.2f} of"
            " one such sequence, and a longer one is never finished",
        )
    return Start(False, limit, None), ()


class Plans(NamedTuple):
    """The placement chosen, the others that the engine allows, best first, and why the rest are not.

    `sequences` is what of `Ask.sequences` was chosen for all of them.
    """

    model: Candidate
    best: Fit
    others: tuple[Fit, ...]
    refused: tuple[str, ...]
    sequences: int | None = None


def plans(architecture: Architecture, ask: Ask, alternatives: int = 3, model: Candidate | None = None) -> Plans:
    """Judge placements in the order of preference until one fits, and then so many others of other kinds.

    The best is the first that fits, or else the one that comes closest. Where none fits with the sequences that vLLM runs at once by
    default, as many fewer as makes one fit are taken. `model` is what `candidate` made of the architecture for this
    engine, version, storage and GPU, where many questions are asked about it. Raises `UsageError` where the engine can place the model
    in no way that was asked for.
    """
    refuse_guess(architecture)
    context = context_of(architecture, ask)
    model = model or candidate(architecture, ask)
    found = _plans(model, ask, context, alternatives)
    if ask.engine == "vllm" and ask.sequences is None and not found.best.fits and _light(found):
        for n in FEWER_SEQUENCES:
            fewer = _plans(model, ask._replace(sequences=n), context, alternatives)
            if fewer.best.fits:
                found = fewer
                break
    return found._replace(others=found.others[:alternatives])


def _light(found: Plans) -> bool:
    """Whether weights and cache alone fit some placement: no number of sequences helps where they do not."""
    return any(f.budget.budget_bytes >= f.weights.bytes + f.kv_needed_bytes for f in (found.best, *found.others))


def _plans(model: Candidate, ask: Ask, context: int, alternatives: int) -> Plans:
    """Judge placements with the sequences that are asked for; where none fits, all that were judged are among the others."""
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
        why = cannot(model, placement, ask)
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
        raise UsageError(refused[0], "choose another split, or leave it out to have one chosen")
    best = best or max(found, key=lambda f: f.headroom_bytes)
    others = sorted((f for f in found if f is not best), key=lambda f: (not f.fits, -f.max_concurrency))
    return Plans(model, best, tuple(others), tuple(dict.fromkeys(refused)), ask.sequences)


def max_context(model: Candidate, fit: Fit, ask: Ask) -> int:
    """The longest context at this concurrency, up to the model's own; 0 where not even one token fits."""
    limit = model.architecture.longest or fit.context_tokens
    sequences = -(-fit.concurrency // fit.placement.dp)

    def holds(tokens: int) -> bool:
        plan, cache, start, _ = settle(model, fit.placement, fit.weights, ask, tokens, sequences)
        return start.starts and cache.needed(tokens, sequences) <= plan.kv_room_bytes

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
