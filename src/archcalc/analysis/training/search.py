"""The most that fits, and what to switch on so that a run fits."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cache
from typing import Any

from archcalc.analysis.training.planner import Planner
from archcalc.analysis.training.run import Run
from archcalc.errors import UsageError
from archcalc.records import NamedTuple


class Limits(NamedTuple):
    """The most that fits beside everything else as it is; 0 where nothing does."""

    micro_batch: int
    seq: int


def limits(planner: Planner, run: Run, budget: int) -> Limits:
    """The largest micro-batch and the longest sequence that fit. Memory never falls as either grows, so they are found by
    halving."""

    def most(fits: Iterable[int], changed: str) -> int:
        options = list(fits)
        low, high = 0, len(options)
        while low < high:
            middle = (low + high) // 2
            tried = run._replace(micro_batch=options[middle]) if changed == "micro_batch" else run._replace(seq=options[middle])
            if planner.total(tried) <= budget:
                low = middle + 1
            else:
                high = middle
        return options[low - 1] if low else 0

    # Options count pairs where a micro-batch holds both sequences of each.
    each = 2 if run.pairs else 1
    batch = most([each << i for i in range(17)], "micro_batch")
    if batch:
        batch = (most(range(batch, min(2 * batch, 1 << 16), each), "micro_batch") or batch) // each
    longest = planner.a.facts.context_tokens if planner.a.facts.position.kind == "learned" else None
    step = 256 if 256 % run.cp == 0 else 256 * run.cp
    top = (longest or 1 << 24) // step
    seq = most([step << i for i in range(25) if step << i <= step * max(top, 1)], "seq")
    if seq:
        most_steps = min(2 * (seq // step), max(top, 1) + 1)
        seq = (
            most(
                [step * i for i in range(seq // step, most_steps)]
                if most_steps - seq // step < 4096
                else _coarse(seq, most_steps, step),
                "seq",
            )
            or seq
        )
    return Limits(batch, min(seq, longest) if longest else seq)


def _coarse(seq: int, most_steps: int, step: int) -> list[int]:
    """Lengths between one power of two and the next, a thousandth of it apart."""
    first = seq // step
    stride = max(1, (most_steps - first) // 1024)
    return [step * i for i in range(first, most_steps, stride)]


class Remedy(NamedTuple):
    """Options that make a run fit, what they cost, and the memory with them."""

    options: str
    cost: str
    total: int


def remedies(planner: Planner, run: Run, budget: int, takes: Callable[[Mapping[str, Any]], bool] | None = None) -> list[Remedy]:
    """What to switch on so that the run fits, cheapest first: each step alone, and where none does without training something
    else, the shortest list of steps that does. Each is checked, and is one that the framework `takes`."""
    steps = [step for step in _steps(run) if takes is None or takes(step[2])]
    # Ways that begin alike try the same runs.
    total = cache(lambda tried: _total(planner, tried))
    found = []
    for step in steps:
        size = total(run._replace(**step[2]))
        if size is not None and size <= budget:
            found.append(_remedy(total, run, budget, [step]))
    gentle = [step for step in steps if not {"lora", "quant", "offload"} & step[2].keys()]
    adapters = [step for step in steps if "offload" not in step[2]]
    for way in (gentle, adapters, steps):
        together = _together(total, run, budget, way)
        if together is not None and together.options not in {r.options for r in found}:
            found.append(together)
            break
    return found


def _steps(run: Run) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Options that are not in use yet, what they cost, and what they change, cheapest first."""
    if run.attention == "eager":
        yield "--attention sdpa", "nothing: scores are not stored", {"attention": "sdpa"}
    if run.tp > 1 and not run.sequence:
        yield "--sp", "nothing: the same traffic", {"sequence": True}
    if run.optimizer == "adamw":
        yield "--optimizer adamw-fused", "nothing: no copy of the gradients in the step", {"optimizer": "adamw-fused"}
    if run.loss == "full" and run.implementation == "transformers":
        yield "--loss fused", "a fused cross-entropy kernel", {"loss": "fused"}
    if run.dp * run.cp > 1 and run.fsdp == 1:
        for stage in range(run.zero + 1, 2 if run.pp > 1 else 4):
            yield f"--zero {stage}", "half again the traffic" if stage == 3 else "no more traffic", {"zero": stage}
    each = 2 if run.pairs else 1
    if run.micro_batch > each:
        yield "--micro-batch 1", "more micro-batches for a step", {"micro_batch": each}
    if run.recompute == "none":
        yield "--checkpointing selective", "part of the forward pass again", {"recompute": "selective"}
    if run.recompute != "full":
        yield "--checkpointing full", "the forward pass again, a third more compute", {"recompute": "full"}
    if run.optimizer in ("adamw", "adamw-fused"):
        yield "--optimizer adamw-8bit", "states in 8 bits", {"optimizer": "adamw-8bit"}
    # The compiled loss is that of full training (frameworks/framework.py `usual`).
    plain: dict[str, Any] = {"loss": "full", "ends_apart": False} if run.loss == "compiled" else {}
    if not run.lora:
        yield "--lora 16", "trains an adapter alone", {"lora": 16, **plain}
    if not run.quant and run.precision != "amp":
        option = "--qlora" if run.lora else "--lora 16 --qlora"
        yield option, "trains an adapter on 4-bit weights", {"lora": run.lora or 16, "quant": "nf4", **plain}
    if run.offload == "none":
        yield "--offload optimizer", "gradients and weights over PCIe each step", {"offload": "optimizer"}
    if run.offload != "all":
        yield "--offload all", "all weights over PCIe each pass", {"offload": "all"}


def _total(planner: Planner, run: Run) -> int | None:
    """The memory of a run, or None if it breaks a rule."""
    try:
        planner.check(run)
        return planner.total(run)
    except UsageError:
        return None


def _together(
    total: Callable[[Run], int | None], run: Run, budget: int, steps: Sequence[tuple[str, str, dict[str, Any]]]
) -> Remedy | None:
    """Steps taken one after the other until the run fits, less those that it would fit without."""

    def with_all(chosen: Sequence[tuple[str, str, dict[str, Any]]]) -> int | None:
        changes: dict[str, Any] = {}
        for step in chosen:
            changes |= step[2]
        return total(run._replace(**changes))

    chosen: list[tuple[str, str, dict[str, Any]]] = []
    for step in steps:
        # A step replaces those that set the same.
        chosen = [c for c in chosen if not c[2].keys() <= step[2].keys()] + [step]
        size = with_all(chosen)
        if size is not None and size <= budget:
            break
    else:
        return None
    for step in list(chosen):
        rest = [c for c in chosen if c is not step]
        size = with_all(rest)
        if size is not None and size <= budget:
            chosen = rest
    return _remedy(total, run, budget, chosen)


def _remedy(total: Callable[[Run], int | None], run: Run, budget: int, chosen: Sequence[tuple[str, str, dict[str, Any]]]) -> Remedy:
    """Steps that make the run fit, with the largest micro-batch that does where that is one of them."""
    changes: dict[str, Any] = {}
    for step in chosen:
        changes |= step[2]
    options = [step[0] for step in chosen]
    if "micro_batch" in changes:
        each = 2 if run.pairs else 1
        low, high = 1, run.micro_batch // each
        while high - low > 1:
            middle = (low + high) // 2
            size = total(run._replace(**{**changes, "micro_batch": each * middle}))
            low, high = (middle, high) if size is not None and size <= budget else (low, middle)
        changes["micro_batch"] = each * low
        options = [f"--micro-batch {low}" if option == "--micro-batch 1" else option for option in options]
    return Remedy(" ".join(options), "; ".join(step[1] for step in chosen), total(run._replace(**changes)) or 0)
