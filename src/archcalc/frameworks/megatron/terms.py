"""The terms of one pipeline rank, with their formulas."""

from __future__ import annotations

from typing import Literal

from archcalc.frameworks.megatron.layers import FP32, HALF
from archcalc.frameworks.megatron.memory import Settings, Stage

Row = tuple[Literal["weights", "gradients", "optimizer", "activations", "logits"], str, int, str]


def terms_of(s: Settings, f: Stage) -> list[Row]:
    """What adds up to the rank's peak: group, name, bytes, formula."""
    size = FP32 if s.precision == "fp32" else HALF
    exact = f.weights == size * f.params
    states = {"adam": "its two moments", "sgd": "no moments", "lion": "its moment"}.get(
        s.optimizer, "the moments of Muon, and Adam's of the rest"
    )
    if s.states:
        states = f"its moments, {s.states} B in all,"
    master = "" if s.precision == "fp32" else "the fp32 copy and "
    shared = f", shared by {s.dp} ranks (experts by {s.expert_dp})" if s.distributed else ""
    logits = f"{HALF + FP32 + (FP32 if s.fused_loss else 0) + FP32 * s.mtp} B x {s.rank.tokens:,} x {s.vocab // s.tp:,}"
    if s.deferred:
        logits = f"logits, and gradients that wait for the head's: {logits}"
    rows: list[Row] = [
        (
            "weights",
            "weights",
            f.weights,
            f"{size} B x {f.params:,}" if exact else f"blocks of the allocator for {f.params:,} parameters",
        ),
        ("gradients", "gradients", f.gradients, f"{f.gradients // max(1, f.params)} B x {f.params:,}"),
        ("optimizer", "optimizer", f.optimizer, f"{master}{states} of {f.params:,} parameters{shared}"),
        ("activations", "work spaces", f.work, "cuBLAS's of two threads, Transformer Engine's"),
        ("activations", "kept buffers", f.buffers, "gathered inputs, the schedule's last input, one empty gradient for each shape"),
    ]
    rows += [
        ("activations", f"activations: {block}", size, "as Megatron-LM's modules keep them")
        for block, size in f.activations.items()
    ]
    rows += [
        ("activations", "a layer made again", f.again, "what the fullest layer takes beyond the memory of the loss"),
        ("logits", "logits and loss", f.logits, logits),
    ]
    return [row for row in rows if row[2]]
