"""Whether a model fits a machine under an engine: weights, budget and cache of the fullest GPU, and the plan that is best.

Every figure comes from elsewhere: weights from `engines.placement`, the budget and the cache from the engine. What is decided here is
which placements are tried, and in what order they are preferred.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from math import prod
from typing import Any

from archcalc.analysis.refusals import refuse_guess
from archcalc.engines.budget import Budget, Serving, Term, budget
from archcalc.engines.engine import server
from archcalc.engines.placement import Placement, RankWeights, cuts_blocks, rank_weights, why_not
from archcalc.engines.plan import (
    Ask,
    Candidate,
    Fit,
    Pooled,
    Setting,
    Start,
    Taken,
    capability,
    context_of,
    largest,
    largest_left,
    longest_of,
    machines,
)
from archcalc.engines.weights import WeightOptions, kept
from archcalc.errors import ArchcalcError, UnsupportedError, UsageError
from archcalc.hardware import Device
from archcalc.model import Architecture
from archcalc.records import NamedTuple
from archcalc.units import format_bytes

__all__ = ["Ask", "Candidate", "Fit", "Plans", "candidate", "judge", "largest", "max_context", "plans"]


class Plans(NamedTuple):
    """The placement chosen, the others that the engine allows, best first, and why the rest are not.

    `sequences` is what of `Ask.sequences` was chosen for all of them, and `settings` are the engine's that were chosen beside it. `own` and
    `context_tokens` are a command's settings and its context where the engine itself set some of them to fit the memory.
    """

    model: Candidate
    best: Fit
    others: tuple[Fit, ...]
    refused: tuple[str, ...]
    sequences: int | None = None
    settings: tuple[Setting, ...] = ()
    own: Any = None
    context_tokens: int | None = None

    def asked(self, ask: Ask) -> Ask:
        """With what was chosen, as if it had been asked for."""
        values = {name: value for setting in self.settings for name, value in setting.values.items()}
        if self.own is not None:
            values |= {"own": self.own, "context_tokens": self.context_tokens}
        return ask._replace(sequences=self.sequences, **values)


def placements(architecture: Architecture, ask: Ask) -> Iterator[Placement]:
    """Every way to use exactly the GPUs named that the constraints allow, in no order.

    Raises `UsageError` where the options given leave no such way.
    """
    for tp, pp, dp in splits(ask):
        spread = architecture.facts.moe and tp * dp > 1 and "ep" in server(ask.engine).axes
        for ep in [ask.ep] if ask.ep else [1, tp * dp] if spread else [1]:
            yield Placement(tp, pp, ep, dp, ask.dcp)


def splits(ask: Ask) -> list[tuple[int, int, int]]:
    """Every tp, pp and dp that the constraints allow and whose product is the number of GPUs; raises `UsageError` if there is none."""
    n, axes = ask.gpus.count, server(ask.engine).axes
    found = []
    for tp in _ways(ask.tp, n, "tp" in axes):
        for dp in _ways(ask.dp, n // tp, "dp" in axes):
            pp = n // (tp * dp)
            if tp * dp * pp == n and ask.pp in (None, pp):
                found.append((tp, pp, dp))
    if not found:
        raise _other_count(ask)
    return found


def _ways(asked: int | None, of: int, there: bool) -> list[int]:
    """What a number of ways can be, of so many GPUs: as asked, 1 where the engine has no other, or any divisor."""
    if asked:
        return [asked]
    return [1] if not there else [d for d in range(1, of + 1) if of % d == 0]


def _other_count(ask: Ask) -> UsageError:
    """The options given make another number of GPUs than the one named."""
    n = ask.gpus.count
    given = [(name, ways) for name, ways in (("tp", ask.tp), ("pp", ask.pp), ("dp", ask.dp)) if ways]
    product = prod(ways for _, ways in given)
    split = " x ".join(f"{name} {ways:,}" for name, ways in given) + (f" is {product:,} GPUs" if len(given) > 1 else "")
    named = f"{n:,} GPUs are named" if n > 1 else "1 GPU is named"
    few = f"{product:,}" if len(given) == 3 or product > n else f"a multiple of {product:,}"
    hint = f"tp x pp x dp is the number of GPUs: name {few}, or leave an option out to have it chosen"
    engine = server(ask.engine)
    if engine.layered:
        return UsageError(f"{split}, and {named}: {ask.engine} spreads layers over all of them, as pp {n:,} does", hint)
    if ask.tp and ask.dp:
        hint = engine.counting(ask.tp, ask.pp, ask.dp, n) or hint
    left = (
        ": some would be left over" if product < n and len(given) == 3 else f": {n:,} is no multiple of it" if product < n else ""
    )
    return UsageError(f"{split}, and {named}{left}", hint)


def preference(placement: Placement, device: Device) -> tuple[int, ...]:
    """Smaller is better: one copy of the model, tensor parallelism within a machine, as few stages and as little else as possible."""
    return (placement.tp > device.per_machine, placement.dp, placement.pp, placement.ep > 1, -placement.tp)


def cannot(model: Candidate, placement: Placement, ask: Ask) -> str:
    """Why the engine cannot place the model so; empty where it can."""
    if ask.own is not None:
        return _cannot(model, placement, ask)
    known = model.refused.get(placement)
    if known is None:
        known = model.refused[placement] = _cannot(model, placement, ask)
    return known


def _cannot(model: Candidate, placement: Placement, ask: Ask) -> str:
    why = why_not(model.architecture, placement, model.options)
    if not why and placement.pp > 1 and (lacks := server(ask.engine).unstaged(model.architecture, ask.version)):
        why = f"pp is {placement.pp}, and {lacks}"
    why = why or server(ask.engine).cannot_divide(ask, model, placement)
    count = machines(ask.gpus)
    if not why and count > 1:
        why = server(ask.engine).over_machines(placement, count, model.architecture.facts.moe is not None)
    if not why and (cut := cuts_blocks(model.architecture, placement, model.options)):
        # What is asked of a model that is published otherwise is counted at the model's own widths.
        padded = "; a checkpoint that is published in it may be padded so that they do: ask of that one, whose config.json says its widths"
        why = cut + (padded if ask.quant is not None else "")
    return why


def candidate(architecture: Architecture, ask: Ask) -> Candidate:
    """The model as the engine would load it. Raises `UnsupportedError` for a model that the release does not serve, and for a storage
    that is not known."""
    from archcalc.quant import canonical

    engine, device = server(ask.engine), ask.gpus.device
    if why := engine.runs_on(device):
        hint = "leave --engine out to have one chosen"
        raise UnsupportedError(
            why, hint if ask.own is None else "name the model in front of --, and no command, to have an engine chosen"
        )
    engine.check(architecture, ask.version)
    quant = asked_anew(architecture, ask)
    held, name = engine.load(architecture, quant, device)
    online = quant is not None and not architecture.quantization and engine.loading(ask.version, canonical(quant)) is not None
    options = WeightOptions(
        ask.engine, ask.version, device, engine.converts_to(held, quant), towers=engine.towers, online=online
    )  # fmt: skip
    if ask.own is not None:
        options = options._replace(**engine.weight_options(ask.own))
    return Candidate(held, options, kept(held, options), name, {}, {}, {}, {}, {}, {})


def asked_anew(architecture: Architecture, ask: Ask) -> str | None:
    """The storage asked for; None where it is that of the checkpoint itself, by whatever name, and the engine holds it so."""
    quant, own = ask.quant, architecture.quantization
    if quant is None or not own:
        return quant
    from archcalc.quant import method_of
    from archcalc.quant._published import names_it

    if not names_it(own, quant):
        return quant
    held = server(ask.engine).load(architecture, None, ask.gpus.device)[0].quantization or {}
    return None if method_of(held) == method_of(own) or "held" in held else quant


def budget_of(
    model: Candidate, placement: Placement, weights: RankWeights, ask: Ask, context: int, sequences: int, taken: Taken | None = None
) -> Budget:
    """The memory of the fullest GPU, with the options asked for and those that the plan takes."""
    taken = taken or Taken()
    device, engine = ask.gpus.each[weights.fullest] if ask.gpus.others else ask.gpus.device, server(ask.engine)
    if device.free_bytes is not None and engine.reads_free:
        device = device._replace(visible_bytes=device.free_bytes)
    serving = Serving(
        ask.engine, ask.version, ask.utilization or taken.utilization, context_tokens=context, batched_tokens=ask.batched_tokens,
        sequences=sequences if engine.runs_alone else taken.sequences, own=ask.own,
    )  # fmt: skip
    # With a command its settings are part of the question; a plan's own is asked for again and again.
    # Which GPU is the fullest may depend on the context, where layers and their caches lie apart.
    fullest = weights.fullest, weights.bytes
    key = (placement, serving, device.visible_bytes, ask.gpus.count, fullest) if ask.own is None and not ask.gpus.others else None
    made = model.budgets.get(key) if key is not None else None
    if made is None:
        made = budget(device, model.architecture, placement, weights, serving)
        if key is not None:
            model.budgets[key] = made
    return made if not ask.host_bytes else of_host(made, ask.host_bytes)


def of_host(made: Budget, size: int) -> Budget:
    """The budget with what a log of this host showed beside the terms that are known. Raises `UsageError` for less than nothing."""
    beside = made.activation_bytes + made.overhead_bytes
    if beside + size < 0:
        raise UsageError(
            f"overhead_bytes {size}: no more than {beside:,} B are predicted beside the weights, and a host cannot need less than none",
            "make one from a log of this host: archcalc diagnose LOG --save-calibration FILE",
        )
    # No overhead is less than none: a log that shows less than that has smaller activations than are predicted.
    overhead = max(size, -made.overhead_bytes)
    said = "logged beyond what was predicted" if size >= 0 else "logged less than what was predicted"
    term = Term("this host", overhead, "given", said, "--calibration")
    smaller = (term._replace(bytes=size - overhead),) if size < overhead else ()
    return made._replace(
        activation_bytes=made.activation_bytes + size - overhead,
        overhead_bytes=made.overhead_bytes + overhead,
        kv_room_bytes=made.kv_room_bytes - size,
        activation_terms=(*made.activation_terms, *smaller),
        overhead_terms=(*made.overhead_terms, term),
    )


class Settled(NamedTuple):
    """A budget and a cache that go together, whether the engine starts on them, and what the plan takes for that."""

    budget: Budget
    pooled: Pooled
    start: Start
    taken: Taken


def pooled_of(model: Candidate, placement: Placement, ask: Ask, plan: Budget) -> Pooled:
    """The cache of a placement, made once for a candidate."""
    # All that a cache depends on beside the model, its engine and its GPU, which a candidate is made for.
    key = placement, ask.kv_dtype, plan.batched_tokens, plan.sequences, plan.gpu
    found = model.caches.get(key)
    if found is None:
        found = model.caches[key] = server(ask.engine).pooled(model.architecture, placement, ask, plan)
    return found


def settle(
    model: Candidate,
    placement: Placement,
    weights: RankWeights,
    ask: Ask,
    context: int,
    sequences: int,
    *,
    budgets: Callable[..., Budget] = budget_of,
    pools: Callable[[Candidate, Placement, Ask, Budget], Pooled] = pooled_of,
) -> Settled:
    """What a placement leaves for the cache once the engine starts. `sequences` are those of one replica.

    `budgets` and `pools` are those functions or the like of them, for callers that keep what was made for other GPUs.
    """
    engine = server(ask.engine)
    plan = budgets(model, placement, weights, ask, context, sequences)
    start, taken = engine.settles(ask, placement, plan, sequences)
    if taken != Taken():
        plan = budgets(model, placement, weights, ask, context, sequences, taken)
    pooled = pools(model, placement, ask, plan)
    further = engine.fits_pool(ask, plan, pooled, sequences, taken)
    if further.sequences != taken.sequences:
        plan = budgets(model, placement, weights, ask, context, sequences, further)
        pooled = pools(model, placement, ask, plan)
    if pooled.asked_bytes is not None and plan.taken_bytes + pooled.asked_bytes <= plan.memory_bytes:
        plan = plan._replace(kv_room_bytes=pooled.asked_bytes)
    if ask.own is not None:
        alone, notes = engine.hosted(ask, model, placement)
        start, further = alone or start, further._replace(notes=(*further.notes, *notes))
    start = _refused(model, ask) or start
    return Settled(plan, pooled, start, further)


def no_kernels(model: Candidate, ask: Ask) -> str | None:
    """Why the engine cannot run the weights, in this release or on this GPU, where it cannot."""
    found = _refused(model, ask)
    return found and found.limit


def _refused(model: Candidate, ask: Ask) -> Start | None:
    if ask.own is not None:
        return _refusal(model, ask)
    # A candidate is made for one engine, release and GPU, and nothing else is asked here without a command.
    key = ask.quant, ask.kv_dtype
    if key not in model.lacking:
        model.lacking[key] = _refusal(model, ask)
    return model.lacking[key]


def _refusal(model: Candidate, ask: Ask) -> Start | None:
    from archcalc.quant import method_of

    quantization, engine = model.architecture.quantization, server(ask.engine)
    why = engine.lacks_start(ask, model)
    if why is None and quantization:
        experts = model.architecture.facts.moe is not None
        why = engine.lacks_format(ask.version, quantization, experts=experts) or engine.lacks_kernels(
            ask.version, method_of(quantization), capability(ask.gpus.device)
        )
    return Start(False, why, None, refused=True) if isinstance(why, str) else why


def judge(model: Candidate, placement: Placement, ask: Ask, context: int, concurrency: int) -> Fit:
    """One placement. Raises what the engine's rules raise."""
    weights = _weighed(model, placement, ask, context, concurrency)
    sequences = -(-concurrency // placement.dp)
    plan, pooled, start, taken = settle(model, placement, weights, ask, context, sequences)
    pooled, taken = server(ask.engine).divides(ask, placement, pooled, plan.kv_room_bytes, context, sequences, taken)
    most, tokens = pooled.held(max(0, plan.kv_room_bytes), context)
    if server(ask.engine).runs_alone and tokens:
        alone, most = most, _at_once(model, placement, weights, ask, context, taken, pooled, most)
        tokens = tokens if most == alone else min(tokens, int(most) * context)
    if start.starts:
        start, notes = server(ask.engine).starts(ask, plan, pooled, context, sequences, tokens)
        taken = taken._replace(notes=(*taken.notes, *notes))
    ram = server(ask.engine).ram(ask, placement, weights, plan)
    ram += server(ask.engine).ram_of_cache(model.architecture, ask, context, sequences)
    # A file that is mapped is read from disk again and again where memory has no room for it.
    mapped = server(ask.engine).one_file
    if start.starts and ask.ram_bytes is not None and ram > ask.ram_bytes:
        said = f"the CPU's memory is too small: {format_bytes(ram)} stay there, of {format_bytes(ask.ram_bytes)}"
        start = Start(mapped, said, None, serves=False)
    needed, shared = pooled.needed(context, sequences), ask.gpus.device.shared_memory and ask.gpus.device.ram_bytes
    whole = plan.weights_bytes + plan.activation_bytes + plan.overhead_bytes + needed + ram
    if start.starts and shared and ram and needed <= plan.kv_room_bytes and whole > shared:
        said = f"CPU and GPU share {format_bytes(shared)}, and {format_bytes(whole)} are taken of it"
        start = Start(mapped, said, None, serves=False)
    made = Fit(
        placement, weights, plan, context, concurrency, needed, most * placement.dp, tokens * placement.dp,
        pooled.dtype, pooled.rule, start, taken, ram, _assumed(model, ask, ram),
    )  # fmt: skip
    if made.loads or ask.own is None:
        return made
    lies = f"{format_bytes(weights.loading_bytes)} of weights lie on the GPU before they are quantized"
    return made._replace(start=Start(False, f"{lies}, and it has {format_bytes(made.loadable_bytes)}", None))


def _assumed(model: Candidate, ask: Ask, ram: int) -> int:
    """What the CPU's memory must hold, where its size is not known and more lies there than tables that are read by row."""
    if not ram or ask.ram_bytes is not None or ask.gpus.device.shared_memory:
        return 0
    tables = (t for t in model.tensors if not t.gpu and t.role == "embedding")
    return ram if ram > sum(sum(p.bytes for p in t.pieces) * (len(t.layers) or t.copies) for t in tables) else 0


def _at_once(
    model: Candidate, placement: Placement, weights: RankWeights, ask: Ask, context: int, taken: Taken, pooled: Pooled, most: float
) -> float:
    """How many sequences run at once where each brings activations of its own beside its cache; `most` fill the room that those asked for
    leave. Two budgets tell that one more or less changes nothing, which is so of most engines."""

    def holds(sequences: int) -> bool:
        room = budget_of(model, placement, weights, ask, context, sequences, taken).kv_room_bytes
        return pooled.needed(context, sequences) <= room

    whole = int(most)
    if (whole == 0 or holds(whole)) and not holds(whole + 1):
        return most
    first = budget_of(model, placement, weights, ask, context, 1, taken).kv_room_bytes
    return float(largest(holds, max(1, int(pooled.held(max(0, first), context)[0]))))


def _weighed(model: Candidate, placement: Placement, ask: Ask, context: int, concurrency: int) -> RankWeights:
    """The weights of a placement, made once for a candidate."""
    # Where layers and their caches lie apart, another GPU is the fullest at another length.
    apart = server(ask.engine).by_layers and ask.gpus.count > 1
    weights = None if apart else model.weights.get(placement)
    if weights is None:
        asked = ask._replace(context_tokens=context, concurrency=concurrency) if apart else ask
        weights = server(ask.engine).weigh(model, placement, asked)
        weights = model.weights[placement] = weights._replace(loading_bytes=_loading(model, placement, ask))
    return weights


def _loading(model: Candidate, placement: Placement, ask: Ask) -> int:
    """What lies on the fullest GPU before the weights are quantized, where the engine first loads all of them."""
    from archcalc.quant import canonical

    if not model.options.online or ask.quant is None or not server(ask.engine).loads_whole(ask.version, canonical(ask.quant)):
        return 0
    stored = model.architecture._replace(quantization=None)
    return rank_weights(stored, placement, model.options._replace(online=False)).bytes


def plans(architecture: Architecture, ask: Ask, alternatives: int = 3, model: Candidate | None = None) -> Plans:
    """Judge placements in the order of preference until one fits, and then so many others of other kinds.

    The best is the first that fits, or else the one that comes closest. Where none fits with the sequences that the engine runs at once by
    default, as many fewer as makes one fit are taken; else, of the placements where weights alone leave nothing to a cache, one that the
    engine's settings make fit, those of them that the options leave open. `model` is what `candidate` made of the architecture for this
    engine, version, storage and GPU, where many questions are asked about it. Raises `UsageError` where the engine can place the model
    in no way that was asked for.
    """
    refuse_guess(architecture)
    context = context_of(architecture, ask)
    model = model or candidate(architecture, ask)
    given, fitted = ask.own, server(ask.engine).fitted(model, ask)
    if fitted is not ask:
        ask, context = fitted, context_of(architecture, fitted)
    found = _plans(model, ask, context, alternatives)
    if ask.own is None and not found.best.fits:
        found = _could_be_chosen(model, ask, context, alternatives, found)
    if fitted.own is not None and fitted.own is not given:
        found = found._replace(own=fitted.own, context_tokens=fitted.context_tokens)
    return found._replace(others=found.others[:alternatives])


def holds(architecture: Architecture, ask: Ask, model: Candidate) -> tuple[bool, str | None]:
    """Whether one of `plans` fits, and the limit that stops the best where the memory suffices and none does. Raises what `plans` does.

    The same answer without the best: placements that have room are judged until one fits, and most of those without need no more than
    their weights.
    """
    context = context_of(architecture, ask)
    judged: list[Fit] = []
    # No placement has less on its fullest GPU than an even share of what one GPU would hold.
    engine = server(ask.engine)
    least = engine.weigh(model, Placement(), ask).tensor_bytes // ask.gpus.count if engine.one_share and not ask.gpus.others else 0
    for placement in sorted(placements(architecture, ask), key=lambda p: preference(p, ask.gpus.device)):
        try:
            if cannot(model, placement, ask):
                continue
            if least and least > _largest_share(model, placement, ask, context)[0]:
                return False, None
            least = 0
            if _roomiest(model, placement, ask, context) is not None:
                fit = judge(model, placement, ask, context, ask.concurrency)
                if fit.fits:
                    return True, None
                judged.append(fit)
        except ArchcalcError:
            continue
    if any(_roomy(model, f.placement, ask, context) for f in judged):
        best = plans(architecture, ask, 0, model).best
        return best.fits, best.start.limit if best.headroom_bytes >= 0 else None
    return False, None


def too_heavy(model: Candidate, ask: Ask) -> bool:
    """Whether the weights alone are more than all GPUs have."""
    weights = server(ask.engine).weigh(model, Placement(), ask._replace(context_tokens=ask.context_tokens or 1))
    return max(weights.total_bytes, weights.tensor_bytes) > sum(device.visible_bytes for device in ask.gpus.each)


def _roomiest(model: Candidate, placement: Placement, ask: Ask, context: int) -> tuple[Ask, Budget] | None:
    """The budget that a placement leaves most room in, and what asks for it: one sequence at once with all the engine's settings. Memory
    grows with each sequence, and every setting leaves more of it, so no plan of the placement fits where this has none: then it is None.
    """
    weights = _weighed(model, placement, ask, context, ask.concurrency)
    if weights.bytes > max(device.visible_bytes for device in (ask.gpus.device, *ask.gpus.others)):
        return None
    most, values = _largest_share(model, placement, ask, context)
    if weights.bytes > most:
        return None
    ask = ask._replace(**values)
    plan = budget_of(model, placement, weights, ask, context, -(-ask.concurrency // placement.dp), Taken(sequences=1))
    return (ask, plan) if plan.kv_room_bytes >= 0 else None


def _largest_share(model: Candidate, placement: Placement, ask: Ask, context: int) -> tuple[int, dict[str, Any]]:
    """What the engine takes of the memory at most, and all its settings that leave more to the cache."""
    weights = _weighed(model, placement, ask, context, ask.concurrency)
    plan = budget_of(model, placement, weights, ask, context, -(-ask.concurrency // placement.dp))
    values = {name: value for s in server(ask.engine).settings(ask, plan) for name, value in s.values.items()}
    return max(plan.budget_bytes, int(values.get("utilization", 0) * plan.memory_bytes)), values


def _roomy(model: Candidate, placement: Placement, ask: Ask, context: int) -> bool:
    """Whether the roomiest budget of a placement takes the cache asked for."""
    found = _roomiest(model, placement, ask, context)
    if found is None:
        return False
    needed = pooled_of(model, placement, *found).needed(context, -(-ask.concurrency // placement.dp))
    return needed <= found[1].kv_room_bytes


def _could_be_chosen(model: Candidate, ask: Ask, context: int, alternatives: int, found: Plans) -> Plans:
    """Where none fits as an engine runs by itself: those with as few sequences at once, or with such settings, as make one fit."""
    if not any(_roomy(model, f.placement, ask, context) for f in (found.best, *found.others)):
        return found
    found = _fewer(model, ask, context, alternatives, found)
    return found if found.best.fits else _with_settings(model, ask, context, alternatives, found) or found


def _fewer(
    model: Candidate, ask: Ask, context: int, alternatives: int, found: Plans, among: frozenset[Placement] | None = None
) -> Plans:
    """The placements with the sequences that are asked for or the engine's default, or with as many fewer as makes one fit."""
    if ask.sequences is None and ask.own is None and not found.best.fits and _light((found.best, *found.others)):
        for n in server(ask.engine).fewer_sequences:
            fewer = _plans(model, ask._replace(sequences=n), context, alternatives, among)
            if fewer.best.fits:
                return fewer
    return found


def _with_settings(model: Candidate, ask: Ask, context: int, alternatives: int, found: Plans) -> Plans | None:
    """The placements with the engine's settings that make one fit, where weights alone leave nothing to a cache on
    some; None where none do.

    Those are each judged with the settings that they would have if they were the only ones, so that a split which is asked for never
    fits where the free choice does not."""
    judged = (found.best, *found.others)
    stuck: dict[tuple[str, ...], tuple[Sequence[Setting], list[Fit]]] = {}
    for fit in judged:
        if fit.budget.kv_room_bytes <= 0:
            settings = server(ask.engine).settings(ask, fit.budget)
            stuck.setdefault(tuple(s.options for s in settings), (settings, []))[1].append(fit)

    def first(settings: Sequence[Setting], fits: Sequence[Fit]) -> Plans | None:
        share = max((s.values["utilization"] for s in settings if "utilization" in s.values), default=0.0)
        among = None if len(fits) == len(judged) else frozenset(f.placement for f in fits)
        for chosen in ways_to_set(settings) if _light(fits, share) else ():
            with_them = found._replace(sequences=ask.sequences, settings=chosen).asked(ask)
            tried = _fewer(model, with_them, context, alternatives, _plans(model, with_them, context, alternatives, among), among)
            if tried.best.fits:
                return tried._replace(settings=chosen)
        return None

    made = [plan for settings, fits in stuck.values() if (plan := first(settings, fits)) is not None]
    if made and sum(len(fits) for _, fits in stuck.values()) < len(judged):
        # With settings that some split takes, another that has room for a cache may be better.
        whole = first(server(ask.engine).settings(ask, found.best.budget), judged)
        made += [whole] if whole is not None else []
    if not made:
        return None
    best = min(made, key=lambda p: (len(p.settings), preference(p.best.placement, ask.gpus.device)))
    shown = {f.placement for f in (best.best, *best.others)}
    return best._replace(others=(*best.others, *(f for f in judged if f.placement not in shown)))


def ways_to_set(settings: Sequence[Setting]) -> list[tuple[Setting, ...]]:
    """Each of an engine's settings, and all together."""
    return [*((s,) for s in settings), *([tuple(settings)] if len(settings) > 1 else [])]


def _light(judged: Sequence[Fit], share: float = 0.0) -> bool:
    """Whether weights and cache alone fit some placement, with a share of the memory: nothing else helps where they do not."""
    return any(
        max(f.budget.budget_bytes, int(share * f.budget.memory_bytes)) >= f.weights.bytes + f.kv_needed_bytes for f in judged
    )


def _plans(model: Candidate, ask: Ask, context: int, alternatives: int, among: frozenset[Placement] | None = None) -> Plans:
    """Judge placements, or those `among` them, with the sequences that are asked for; where none fits, all that were judged are among the
    others."""
    device = ask.gpus.device
    found: list[Fit] = []
    refused: list[str] = []
    failed: ArchcalcError | None = None
    seen: set[tuple[bool, bool, bool]] = set()
    best: Fit | None = None
    for placement in sorted(placements(model.architecture, ask), key=lambda p: preference(p, device)):
        if among is not None and placement not in among:
            continue
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
        own = refused[0].startswith("quantization_config.")
        hint = "correct the key" if own else "choose another split, or leave it out to have one chosen"
        raise UsageError(refused[0], hint)
    best = best or max(found, key=lambda f: f.headroom_bytes)
    others = sorted((f for f in found if f is not best), key=lambda f: (not f.fits, -f.max_concurrency))
    if best.fits and among is None and (spread := _replicated(model, ask, context, found)):
        # What is not chosen of the two stands first among the others, for it is what the choice was made against.
        beside = max(spread, key=lambda f: f.max_concurrency)
        # Stages within machines are no plan of an engine's recipes where attention in replicas over all of them fits.
        staged = best.placement.pp > machines(ask.gpus) and ask.gpus.networked
        best, other = (beside, best) if beside.max_concurrency > best.max_concurrency or staged else (best, beside)
        first = [other, *(f for f in spread[-1:] if f is not beside)]
        others = first + [f for f in others if all(f is not each for each in (best, *first))]
    return Plans(model, best, tuple(others), tuple(dict.fromkeys(refused)), ask.sequences)


def _replicated(model: Candidate, ask: Ask, context: int, judged: Sequence[Fit]) -> list[Fit]:
    """The plans with attention in replicas and whole experts spread over all GPUs that fit, those with most replicas last.

    A latent cache is one vector a token for all heads, so tensor parallelism keeps a copy of it on each of its ranks, and replicas of
    the attention keep one: what engines advise for such models once their experts can be spread (vLLM 0.33,
    docs/serving/data_parallel_deployment.md and expert_parallel_deployment.md; SGLang 0.5.23, docs/advanced_features/dp_dpa_smg_guide.md).
    """
    architecture, gpus = model.architecture, ask.gpus
    if ask.own is not None or gpus.count == 1 or not copies_cache(architecture):
        return []
    known = {f.placement: f for f in judged}
    found: list[Fit] = []
    for placement in sorted(placements(architecture, ask), key=lambda p: preference(p, gpus.device)):
        if placement.dp == 1 or placement.pp > 1 or placement.ep != gpus.count or cannot(model, placement, ask):
            continue
        try:
            found.append(known.get(placement) or judge(model, placement, ask, context, ask.concurrency))
        except ArchcalcError:
            continue
    return [f for f in found if f.fits]


def copies_cache(architecture: Architecture) -> bool:
    """Whether ranks of tensor parallelism keep copies of a latent that all heads share, in a model whose experts can be spread instead."""
    if not architecture.facts.moe:
        return False
    layers = (layer for stack in architecture.stacks if stack.part == "decoder" for layer in stack.kinds)
    return any(layer.keeps("latent") for layer in layers)


SHORTEST = 1024
"""Tokens below which a context that only shorter steps make room for is none: a prompt and its answer. A choice of ours."""


def max_context(model: Candidate, fit: Fit, ask: Ask) -> int:
    """The longest context at this concurrency, up to the model's own; 0 where not even one token fits.

    Where the memory suffices and the engine does not start, it is what the memory would hold.
    """
    limit = longest_of(model.architecture, ask) or max(model.architecture.longest or 0, fit.context_tokens)
    sequences = -(-fit.concurrency // fit.placement.dp)

    def left(tokens: int) -> int:
        plan, pooled, start, _ = settle(model, fit.placement, fit.weights, ask, tokens, sequences)
        room = plan.kv_room_bytes
        # A command that was given divides its room as it stands.
        fixed = ask.own is not None and pooled.divided is not None and pooled.held(max(0, room), tokens)[0] < sequences
        spare = room - pooled.needed(tokens, sequences)
        return spare if (start.starts or stopped) and not fixed else min(-1, spare)

    stopped = not fit.start.starts and fit.headroom_bytes >= 0
    if left(limit) >= 0:
        return limit
    # vLLM's steps are as long as the context at least, and refused below the sequences: few tokens can be too few.
    from_here = (fit.context_tokens,) if fit.headroom_bytes >= 0 else ()
    # Where layers lie apart another GPU is the fullest at another length, and what is left rises and falls.
    apart = server(ask.engine).by_layers and ask.gpus.count > 1

    def most(least: int) -> int:
        return largest(lambda tokens: left(tokens) >= 0, limit, least) if apart else largest_left(left, limit, least)

    found = next((n for least in (*from_here, 1, 16, 256, 4096) if least <= limit and (n := most(least))), 0)
    # Of a room that is not there only steps as short as the context leave any: of no use below a request's length.
    return found if fit.budget.kv_room_bytes > 0 or found >= SHORTEST else 0


def read_bytes(model: Candidate, fit: Fit) -> int:
    """The weights that one token makes the fullest GPU read: all but the embedding, and of the routed experts those it visits."""
    moe = model.architecture.facts.moe
    total = 0
    for c in fit.weights.components:
        if c.part not in ("decoder", "head") or c.role == "embedding":
            continue
        total += c.bytes * moe.active // moe.experts if c.role == "experts" and moe else c.bytes
    if model.architecture.facts.tied_embeddings and not any(c.part == "head" for c in fit.weights.components):
        from archcalc.analysis.speed.work import head_share

        tables = sum(c.bytes for c in fit.weights.components if c.part == "embedding" and c.role == "embedding")
        total += round(tables * head_share(model.architecture))
    return total
