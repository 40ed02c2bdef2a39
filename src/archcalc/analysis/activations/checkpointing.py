"""What is kept and what is made again, and how it is split over ranks."""

from __future__ import annotations

from collections.abc import Iterable

from archcalc.analysis.activations.layers import layer_saved
from archcalc.analysis.activations.megatron import megatron_saved
from archcalc.analysis.activations.saved import FP32, Block, How, Implementation, Linear, Recompute, Saved, linears_of
from archcalc.model import Architecture, Layer
from archcalc.records import NamedTuple


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
    output and that of the attention are kept, and the rest is made again from them (torchtitan, main of 2026-08,
    distributed/activation_checkpoint.py `_get_default_save_ops`, `SelectiveAC`): grouped products are not among what is kept, the rows
    that experts on other ranks send and get are, and the router's matrix is made again.
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
    for i, x in enumerate(x for x in linears_of(layer) if x.tensor.role != "router"):
        if i % 2 == 0:
            outputs.append(Saved(block_of(x), f"{x.name}: output", how.size, x.write, split=not x.row))
    for attend in layer.attends:
        outputs.append(Saved("scores", "attention's output", how.size, attend.heads * attend.v_dim, split=True))
        outputs.append(Saved("scores", "log of the softmax's sum", FP32, attend.heads, split=True))
    experts = next((t.experts for t in layer.tensors if t.experts and len(t.shape) == 3), None)
    if experts is not None and how.exchanged:
        outputs.append(Saved("experts", "rows sent and got", how.size, 2 * experts.active * a.facts.hidden_size))
    kept = tuple(outputs)
    # Where little would be saved, keeping all is never worse.
    return Kept(kept, every) if rank_bytes(kept, 1, how.tokens or 1) < rank_bytes(every, 1, how.tokens or 1) else Kept(every, ())


def block_of(x: Linear) -> Block:
    return "attention" if x.tensor.role == "attention" else "mlp"
