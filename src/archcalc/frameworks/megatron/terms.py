"""The terms of one pipeline rank, with their formulas."""

from __future__ import annotations

from typing import Literal

from archcalc.frameworks.megatron.layers import FP32, HALF
from archcalc.frameworks.megatron.memory import Settings, Stage

Row = tuple[Literal["weights", "gradients", "optimizer", "activations", "logits"], str, int, str]


def terms_of(s: Settings, stage: Stage) -> list[Row]:
    """What adds up to the rank's peak: group, name, bytes, formula."""
    f = stage.fullest
    size = FP32 if s.precision == "fp32" else HALF
    exact = f.weights == size * f.params or bool(s.fsdp)
    rest = f.params - f.fp8_params
    weights = f"{size} B x {f.params:,}" if exact else f"blocks of the allocator for {f.params:,} parameters"
    if f.fp8_params:
        fp8 = f.weights - size * rest
        beside = "" if s.fp8_gathered else " and in half precision"
        weights = f"{fp8 / f.fp8_params:.4g} B x {f.fp8_params:,} in fp8 ({s.fp8}){beside} + {size} B x {rest:,}"
    states = {"adam": "its two moments", "sgd": "no moments", "lion": "its moment"}.get(
        s.optimizer, "the moments of Muon, and Adam's of the rest"
    )
    if s.states:
        states = f"its moments, {s.states} B in all,"
    if s.offloaded:
        states = f"its moments and gradients in fp32, 16 B in all, {s.offloaded:.0%} on the CPU,"
    precise = s.states and not s.copied and not s.fsdp and not s.offloaded
    master = "" if s.precision == "fp32" else "16 bits of the fp32 copy and " if precise else "the fp32 copy and "
    shared = f", shared by {s.dp} ranks (experts by {s.expert_dp})" if s.distributed else ""
    by = f", shared by {s.dp} ranks (experts by {s.expert_dp})"
    if s.fsdp == "optim_grads_params":
        weights += by
    gradient = FP32 if s.precision == "fp32" else s.gradient
    logits = f"{HALF + FP32 + (FP32 if s.fused_loss else 0) + FP32 * s.mtp} B x {s.rank.tokens:,} x {s.vocab // s.tp:,}"
    if s.deferred:
        logits = f"logits, and gradients that wait for the head's: {logits}"
    rows: list[Row] = [
        (
            "weights",
            "weights",
            f.weights,
            weights,
        ),
        (
            "weights",
            "weights gathered",
            f.gathered,
            "outside the layers, and layers gathered ahead; gradients of two layers where that is more than the logits",
        ),
        ("gradients", "gradients", f.gradients, f"{gradient} B x {f.params:,}{by if 'grads' in s.fsdp else ''}"),
        ("gradients", "gradients in fp32", f.between, f"{FP32} B x {f.params:,}{shared}, made in the optimizer's step"),
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
