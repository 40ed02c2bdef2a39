"""Which weights each pipeline stage holds, and which of them are trained."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence

from archcalc.analysis.activations.saved import linears_of
from archcalc.analysis.training.adapters import ADAPTED, SAVED, adapted, adapter_elements, magnitudes, targeted, unfused
from archcalc.analysis.training.run import Run
from archcalc.engines.placement import evenly
from archcalc.errors import UsageError
from archcalc.model import Architecture, Layer, Part, Tensor
from archcalc.quant._loaders import bitsandbytes_takes
from archcalc.records import NamedTuple

_ROWS, _POINT = re.compile(r"^(.+)\[[0-9]*(?::[0-9]*)?\]$"), re.compile(r"\.(?!\+)")


class Piece(NamedTuple):
    """One tensor on one rank: `elements` in each of `copies` layers."""

    tensor: Tensor
    part: Part
    elements: int
    copies: int
    trains: bool
    quantized: bool
    adapter: int
    """Elements of the adapter beside it."""
    saved: bool = False
    """Whether it is a trained copy beside a frozen one."""

    @property
    def total(self) -> int:
        return self.elements * self.copies


def trainable(a: Architecture, run: Run) -> tuple[int, int]:
    """Parameters of the model that are trained, and those of the adapters beside it."""
    full = added = 0
    for piece in pieces(a, run._replace(tp=1, pp=1, ep=1), adapters_of(a, run))[0]:
        full += piece.total * piece.trains
        added += piece.adapter * piece.copies
    return full, added


def _on_rank(t: Tensor, tp: int, ep: int) -> int:
    """Elements on the fullest rank."""
    elements = t.elements
    if t.experts is not None and ep > 1:
        elements = elements // t.experts.total * -(-t.experts.total // ep)
    if t.shard is not None and tp > 1:
        elements = elements // t.shard.units * -(-t.shard.units // min(tp, t.shard.units))
    return elements


def adapters_of(a: Architecture, run: Run) -> frozenset[str]:
    """The modules that a run puts adapters on."""
    return targeted(a, run.targets, run.saved) if run.lora else frozenset()


def pieces(a: Architecture, run: Run, targets: frozenset[str]) -> list[list[Piece]]:
    """What each pipeline stage holds, with adapters on `targets`. The first holds embeddings and towers, the last the final norm
    and the head."""
    bounds = evenly(a.layers, run.pp)
    stages: list[list[Piece]] = [[] for _ in bounds]

    def piece(t: Tensor, part: Part, copies: int, transposed: frozenset[str] = frozenset(), *, named: bool = True) -> Piece:
        trains = not run.lora and part not in run.frozen and t.role not in run.frozen and named
        takes = bitsandbytes_takes(t, part)
        if run.quantized_experts and (held := unfused(t)) is not None:
            takes = takes or run.quantized_experts != "apart" or bool(held)
        takes = takes or (run.quantized_head and part == "head" and len(t.shape) == 2)
        quantized = bool(run.quant) and takes
        times = adapted(t, part, targets) if run.lora and part in ADAPTED and part not in run.frozen and named else 0
        adapter = adapter_elements(t, run.lora * times, run.tp) if times else 0
        if adapter and run.dora:
            adapter += magnitudes(t, part, run.tp, transposed=t.name in transposed)
        return Piece(t, part, _on_rank(t, run.tp, run.ep), copies, trains, quantized, adapter)

    last = len(bounds) - 1
    opened = patterns(run.unfrozen) if run.unfrozen else None
    for group in a.groups:
        place = last if group.part in ("head", "decoder", "mtp") else 0
        for t in group.tensors:
            if run.loss == "scalar" and group.part == "head" and not run.headed:
                continue
            # No loss reads the logits beside a score, so their head has no gradient; shards have one of the whole unit.
            idle = run.loss == "scalar" and run.headed and group.part == "head" and run.dp == 1 and not run.stage
            own = piece(t, group.part, 1, named=not idle and (opened is None or opened(t.name)))
            if t.counted or (t.kind == "tied" and (last > 0 or run.untied)):
                stages[place].append(own)
            elif own.adapter:
                stages[place].append(own._replace(elements=0, quantized=False))
            if f"{SAVED}{group.part}.{t.name.removesuffix('.weight')}" in targets:
                stages[place].append(own._replace(trains=True, quantized=False, adapter=0, saved=True))
    for stack in a.stacks:
        if stack.part == "mtp":
            continue
        if opened is not None:
            for k, layer in enumerate(stack.kinds):
                for t in layer.tensors:
                    names = [f"{stack.prefix}.{i}.{t.name}" for i in stack.indices(k)] if t.counted else []
                    trained = sum(1 for name in names if opened(name))
                    both = piece(t, stack.part, trained), piece(t, stack.part, len(names) - trained, named=False)
                    stages[0] += [one for one in both if one.copies]
            continue
        if stack.part != "decoder":
            towers = zip(stack.kinds, stack.counts(), strict=True)
            stages[0] += _alike(
                piece(t, stack.part, n, _transposed(run, layer)) for layer, n in towers for t in layer.tensors if t.counted
            )
            continue
        for stage, counts in stage_layers(a, bounds, stack.prefix):
            for layer, n in counts:
                transposed = _transposed(run, layer)
                stages[stage] += [piece(t, stack.part, n, transposed) for t in layer.tensors if t.counted]
    return stages


def patterns(unfrozen: Iterable[str]) -> Callable[[str], bool]:
    """Whether one of these opens a parameter, which is what its name begins with: a point is a point, and a range of rows behind the name
    (`[0:32000]`) keeps gradients of other rows at zero, which saves nothing (axolotl 0.19, utils/freeze.py `LayerNamePattern`,
    `freeze_layers_except`). Raises `re.error`; what is returned raises `UsageError` where matching takes too long."""
    from archcalc.quant._regex import Budget, CostError, Pattern

    budget = Budget()
    made = [Pattern(_POINT.sub(r"\\.", _ROWS.sub(r"\1", pattern)), budget) for pattern in unfrozen]

    def opens(name: str) -> bool:
        try:
            return any(pattern.match(name) for pattern in made)
        except CostError:
            raise UsageError(
                "unfrozen_parameters take too long to match", "name the parameters plainly, such as model.layers.0"
            ) from None

    return opens


def unmatched(a: Architecture, run: Run) -> list[str]:
    """The patterns of `unfrozen` that open no parameter of the model."""
    names = [t.name for g in a.groups for t in g.tensors if t.counted and g.part != "mtp"]
    for stack in a.stacks:
        for k, layer in enumerate(stack.kinds if stack.part != "mtp" else ()):
            names += [f"{stack.prefix}.{i}.{t.name}" for i in stack.indices(k) for t in layer.tensors if t.counted]
    return [pattern for pattern in run.unfrozen if not any(map(patterns((pattern,)), names))]


def _transposed(run: Run, layer: Layer) -> frozenset[str]:
    """The matrices of a layer that are stored [in, out], where a run asks which."""
    return frozenset(x.tensor.name for x in linears_of(layer) if x.write != x.tensor.shape[0]) if run.dora else frozenset()


def _alike(held: Iterable[Piece]) -> Iterator[Piece]:
    """A tower's tensors, those that differ in name alone taken together."""
    copies: dict[tuple[object, ...], int] = {}
    first: dict[tuple[object, ...], Piece] = {}
    for p in held:
        key = p.tensor.shape, p.elements, p.trains, p.quantized, p.adapter, p.tensor.experts is None, p.tensor.name.count(".") < 2
        copies[key] = copies.get(key, 0) + p.copies
        first.setdefault(key, p)
    return (p._replace(copies=copies[key]) for key, p in first.items())


def stage_layers(
    a: Architecture, bounds: Sequence[tuple[int, int]], prefix: str = ""
) -> Iterator[tuple[int, list[tuple[Layer, int]]]]:
    """For each stage the kinds of the decoder's layers in it (of the stack named `prefix`, or of all), and how many of each."""
    for stage, (start, end) in enumerate(bounds):
        first, out = 0, []
        for stack in a.stacks:
            if stack.part != "decoder":
                continue
            here = stack.pattern[max(start - first, 0) : max(end - first, 0)]
            first += len(stack.pattern)
            if prefix in ("", stack.prefix):
                out += [(layer, here.count(k)) for k, layer in enumerate(stack.kinds) if k in here]
        yield stage, out
