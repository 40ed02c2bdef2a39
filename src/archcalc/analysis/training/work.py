"""Operations of training."""

from __future__ import annotations

from archcalc.analysis.flops import decode_flops
from archcalc.analysis.training.pieces import adapters_of, pieces
from archcalc.analysis.training.run import Run, Work
from archcalc.model import Architecture


def work(a: Architecture, run: Run) -> Work:
    """Operations to train on one token. The backward pass computes the gradients of inputs and of weights, each as costly as the
    forward pass; frozen weights have none of the latter. Routed experts count as far as a token visits them."""
    forward = decode_flops(a, run.seq)
    adapters = 0
    if run.lora:
        for piece in pieces(a, run._replace(tp=1, pp=1, ep=1), adapters_of(a, run))[0]:
            visited = piece.tensor.experts
            adapters += 2 * piece.adapter * piece.copies * (visited.active if visited else 1) // (visited.total if visited else 1)
    matrices = (2 * forward.matmul if run.lora else 3 * forward.matmul) + 3 * adapters
    attention = 3 * (forward.attention + forward.scan)
    again = 0
    head = sum(2 * t.elements for g in a.groups if g.part == "head" for t in g.tensors if len(t.shape) == 2)
    if run.recompute == "full":
        again = (forward.matmul + forward.attention + forward.scan - head) // run.one_in
    elif run.recompute == "selective":
        again = forward.attention if run.implementation == "megatron" else (forward.matmul - head) // 2
    return Work(matrices + attention, matrices + attention + again, matrices, attention)
