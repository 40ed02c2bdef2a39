"""What PyTorch's allocator keeps of the GPU beyond what it holds: segments that no later tensor comes to fill.

A freed block serves a tensor that is no larger, and only within the segment that it lies in, so what a layer used in the forward pass is no
room for logits, and logits in the computing type none for those in fp32. What is freed stays with the allocator until the GPU is full:
then whole segments that are free go back (PyTorch 2.9, c10/cuda/CUDACachingAllocator.cpp `malloc`: `release_cached_blocks`).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from archcalc.analysis.activations.saved import FP32
from archcalc.analysis.training.allocator import SMALL, Allocator
from archcalc.analysis.training.run import Run

Steps = Sequence[tuple[str, int]]
"""Tensors that come (a name and bytes) and go (the name and 0)."""


def loss_steps(run: Run, logits: int, peak: tuple[int, int, int]) -> Steps:
    """The tensors of a full loss, one after the other, for so many logits; of another loss the `peak` of each moment alone.

    transformers, loss/loss_utils.py `ForCausalLMLoss`: logits, their fp32 copy, up to 4.48 a shifted copy of that, the log-softmax; in
    the backward pass the gradients of the loss, of the softmax's input, and that in the computing type.
    """
    if run.loss != "full" or (run.tp > 1 and not run.gathered_logits):
        return ("forward", peak[0]), ("forward", 0), ("backward", peak[1]), ("backward", 0), ("held", peak[2])
    low, high = run.size * logits, FP32 * logits
    steps = [("logits", low)]
    if run.size != FP32:
        steps.append(("fp32", high))
    output = "logits"
    if run.shifted == "fp32-logits":
        steps, output = [*steps, ("logits", 0)], "fp32"
    if run.shifted != "labels":
        steps.append(("shifted", high))
    steps.append(("softmax", high))
    steps += [(name, 0) for name, _ in steps if name in ("fp32", "shifted") and name != output]
    if run.output_freed:
        steps.append((output, 0))
    return (
        *steps, ("of the loss", high), ("of the softmax", high), ("of the loss", 0), ("softmax", 0), ("of the logits", low),
        ("of the softmax", 0), ("of the logits", 0),
    )  # fmt: skip


def taken(forward: Iterable[Sequence[int]], loss: Steps, backward: Iterable[Sequence[int]]) -> int:
    """Bytes of the segments that are taken from the GPU by the end of a step: the tensors of each part of a layer, which are freed
    together; the loss; those of each layer that runs backwards, again freed together. Small tensors share segments of 2 MiB."""
    pool = Allocator()

    def pass_by(parts: Iterable[Sequence[int]]) -> None:
        for part in parts:
            for block in [pool.take(size) for size in part if size > SMALL]:
                pool.give(block)

    pass_by(forward)
    live: dict[str, int] = {}
    for name, size in loss:
        if size > SMALL:
            live[name] = pool.take(size)
        elif name in live:
            pool.give(live.pop(name))
    pass_by(backward)
    return pool.reserved
