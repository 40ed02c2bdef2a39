"""Which plan a run takes on the GPUs named, where options leave it open: the cheapest that fits."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from archcalc.analysis.training.planner import Planner
from archcalc.analysis.training.run import Run
from archcalc.errors import UsageError
from archcalc.records import NamedTuple

SPLITS = ("dp", "fsdp", "zero", "tp", "pp", "cp", "ep")
_TOLD = 4
"""How many of the plans that do not fit are told."""


class Choice(NamedTuple):
    """A run that names every GPU and why it is so."""

    run: Run
    why: str


class _Way(NamedTuple):
    name: str
    changes: dict[str, Any]


def choose(
    planner: Planner, run: Run, given: frozenset[str], gpus: int, per_node: int, budget: int, means: frozenset[str] | None = None
) -> Choice:
    """The first of the plans that fits `budget` bytes, in the order of what they cost a step; where none fits, the smallest.

    Replicas send gradients alone; ZeRO 1 as much (Rajbhandari et al. 2019, arXiv:1910.02054, section 7); sharding gathers weights
    twice, within
    a node first; checkpointing computes parts again, then every layer (a third more); tensor parallelism exchanges activations in every
    layer, a pipeline waits at both ends. Options that are given hold; with `means` nothing else is tried.
    Raises `UsageError` where the GPUs do not come out even.
    """
    tried: list[str] = []
    # Those that weights and states alone rule out are counted whole only where nothing fits.
    ruled_out: list[tuple[int, int, Run, str]] = []
    best: tuple[int, int, Run, str] | None = None
    first: UsageError | None = None
    seen: set[Run] = set()
    for way in _ways(planner, run, given, gpus, per_node, means):
        candidate = run._replace(**way.changes)
        if means is not None and any(
            getattr(candidate, name) > (0 if name == "zero" else 1) and name not in given for name in SPLITS if name not in means
        ):
            continue
        if candidate.gpus != gpus or candidate in seen:
            continue
        seen.add(candidate)
        try:
            planner.check(candidate)
            if len(tried) == _TOLD and (least := planner.least(candidate)) > budget:
                ruled_out.append((least, len(seen), candidate, way.name))
                continue
            total = planner.total(candidate)
        except UsageError as error:
            first = first or error
            continue
        if best is None or total < best[0]:
            best = total, len(seen), candidate, way.name
        if total <= budget:
            if not tried and (gpus == 1 or given & {"dp", "fsdp", "zero"}):
                return Choice(candidate, "")  # Nothing was chosen that options do not say.
            before = f"; tried before: {', '.join(tried)}" if tried else ""
            return Choice(candidate, f"chosen: {way.name}, the cheapest that fits{before}")
        if len(tried) < _TOLD:
            tried.append(f"{way.name} ({total / (1 << 30):,.0f} GiB)")
    for least, place, candidate, name in ruled_out:
        if best is None or least <= best[0]:
            found = planner.total(candidate), place, candidate, name
            best = found if best is None or found[:2] < best[:2] else best
    if best is None:
        if first is not None:
            raise first
        held = ", ".join(f"{name} {getattr(run, name)}" for name in SPLITS if name in given)
        raise UsageError(
            f"{held or 'the run'} does not come out even on {gpus} GPUs", "their product must be the number of GPUs"
        ) from first
    return Choice(best[2], f"no plan that was tried fits: {best[3]} takes least")


def _ways(
    planner: Planner, run: Run, given: frozenset[str], gpus: int, per_node: int, means: frozenset[str] | None
) -> Iterator[_Way]:
    """Plans in the order of what they cost."""
    recomputes = [run.recompute] if "recompute" in given or "every" in given else ["none", "selective", "full"]
    inner = run.tp * run.pp * run.cp
    if gpus % inner:
        return
    for recompute in recomputes:
        for way in _data(planner, run, given, gpus // inner, per_node, means):
            yield _named(way, recompute, len(recomputes) > 1)
    last = recomputes[-1]
    splits = [
        {"tp": tp, "pp": pp}
        for pp in _stages(planner.a.layers, run, given, gpus)
        for tp in ([run.tp] if "tp" in given else (1, 2, 4, 8))
        if tp * pp > 1 and tp <= per_node
    ]
    for split in splits:
        part = split["tp"] * split["pp"] * run.cp
        if gpus % part or split["pp"] > max(1, planner.a.layers):
            continue
        words = [f"{name.upper()} {n}" for name, n in split.items() if n > 1]
        more: dict[str, Any] = {**split, "sequence": run.sequence or split["tp"] > 1}
        if split["pp"] > 1 and "micro_batches" not in given:
            more["micro_batches"] = split["pp"]
        for way in _data(planner, run, given, gpus // part, per_node, means):
            name = ", ".join([*words, *([way.name] if gpus // part > 1 else [])])
            yield _named(_Way(name, {**more, **way.changes}), last, len(recomputes) > 1)


def _stages(layers: int, run: Run, given: frozenset[str], gpus: int) -> list[int]:
    """How many stages of a pipeline are tried: powers of two, and what the layers divide over. Megatron-LM runs others than the latter
    only where it is told how many layers a stage has (core/transformer/transformer_block.py `get_num_layers_to_build`): they come last."""
    if "pp" in given:
        return [run.pp]
    some = [pp for pp in range(1, 33) if gpus % pp == 0 and (layers % pp == 0 or pp & (pp - 1) == 0)]
    return sorted(some, key=lambda pp: (run.implementation == "megatron" and layers % pp != 0, pp))


def _named(way: _Way, recompute: str, open_: bool) -> _Way:
    name = f"{way.name}, checkpointing {recompute}" if open_ and recompute != "none" else way.name
    return _Way(name, {**way.changes, "recompute": recompute})


def _data(
    planner: Planner, run: Run, given: frozenset[str], ranks: int, per_node: int, means: frozenset[str] | None
) -> Iterator[_Way]:
    """What `ranks` GPUs do that hold the same slice of the model."""
    fixed = given & {"dp", "fsdp", "zero"}
    if fixed:
        dp, fsdp = run.dp, run.fsdp
        if "dp" not in given and ranks % fsdp == 0:
            dp = ranks // fsdp
        elif "fsdp" not in given and "zero" not in given and ranks % dp == 0:
            fsdp = ranks // dp
        yield _Way(_words(dp, fsdp, run.zero), {"dp": dp, "fsdp": fsdp})
        return
    yield _Way(_words(ranks, 1, 0), {"dp": ranks, "fsdp": 1, "zero": 0})
    if ranks == 1:
        # Ranks of a sequence hold the same weights, and share them too.
        for zero in (1, 3) if run.cp > 1 else ():
            yield _Way(f"ZeRO {zero} over {run.cp}", {"dp": 1, "fsdp": 1, "zero": zero})
        return
    experts = planner.a.facts.moe.experts if planner.a.facts.moe else 0
    yield _Way(_words(ranks, 1, 1), {"dp": ranks, "fsdp": 1, "zero": 1})
    if means is not None and "fsdp" not in means:
        for zero in (z for z in (2, 3) if f"zero-{z}" in means):
            yield _Way(_words(ranks, 1, zero), {"dp": ranks, "fsdp": 1, "zero": zero})
    spread = _spread(experts, ranks)
    if spread > 1 and "ep" not in given and run.implementation == "megatron":
        # Megatron-LM spreads experts over replicas of the rest (core/parallel_state.py: expert parallelism inside of data parallelism).
        yield _Way(f"{_words(ranks, 1, 1)}, EP {spread}", {"dp": ranks, "fsdp": 1, "zero": 1, "ep": spread})
    sizes = [n for n in (per_node, ranks) if n <= ranks and ranks % n == 0 and n > 1]
    for n in dict.fromkeys(sizes):
        changes = {"dp": ranks // n, "fsdp": n, "zero": 0}
        yield _Way(_words(ranks // n, n, 0), changes)
        spread = _spread(experts, n)
        if spread > 1 and "ep" not in given:
            yield _Way(f"{_words(ranks // n, n, 0)}, EP {spread}", {**changes, "ep": spread})


def _spread(experts: int, ranks: int) -> int:
    """The most of `ranks` that routed experts divide over."""
    return max((e for e in (2, 4, 8, 16, 32, 64) if experts and experts % e == 0 and ranks % e == 0), default=1)


def _words(dp: int, fsdp: int, zero: int) -> str:
    if fsdp > 1:
        return f"FSDP over {fsdp}" + (f", {dp} replicas" if dp > 1 else "")
    if zero:
        return f"ZeRO {zero} over {dp}"
    return f"{dp} replicas" if dp > 1 else "one GPU"
