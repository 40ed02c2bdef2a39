"""Megatron-FSDP: what it shards, and what it holds whole.

Read in Megatron-LM, main of 2026-08, core/distributed/fsdp/src/megatron_fsdp.
"""

from __future__ import annotations

from collections.abc import Sequence

from archcalc.errors import UnsupportedError, UsageError
from archcalc.frameworks.megatron.arguments import Arguments
from archcalc.frameworks.megatron.layers import FP32, HALF, Block
from archcalc.records import NamedTuple


class Sharded(NamedTuple):
    """Megatron-FSDP: what it shards, bytes of a gradient and of the states of an element, and how far ahead weights are gathered."""

    strategy: str
    gradient: int
    states: int
    prefetched: int


_AHEAD = 1_000_000_000
"""The least unit of communication in elements, of which half is gathered ahead (megatron_fsdp.py `__init__`)."""


def sharded(a: Arguments, optimizer: str, *, bf16: bool, fp8: bool, pp: int) -> Sharded | None:
    """Megatron-FSDP, where it is on (core/distributed/fsdp/src/megatron_fsdp/param_and_grad_buffer.py
    `_init_each_parameter_group_buffers`): main weights in fp32 and gradients in the type of the weights, unless types are named."""
    sizes = {}
    for name, default in (("main-params-dtype", "fp32"), ("main-grads-dtype", "auto")):
        text = a.text(f"megatron-fsdp-{name}", default)
        if text not in ("fp32", "bf16", "fp16", "auto"):
            raise UsageError(f"{a.path}: --megatron-fsdp-{name} {text}: no type that it may have", "fp32, bf16, fp16 or auto")
        sizes[name] = FP32 if text == "fp32" else HALF if text != "auto" or name == "main-grads-dtype" else 0
    strategy = a.text("data-parallel-sharding-strategy", "optim_grads_params")
    if not a.flag("use-megatron-fsdp"):
        return None
    if strategy not in ("no_shard", "optim", "optim_grads", "optim_grads_params"):
        raise UsageError(
            f"{a.path}: --data-parallel-sharding-strategy {strategy}", "no_shard, optim, optim_grads or optim_grads_params"
        )
    for name, wrong in (
        ("fp8-format", fp8), ("pipeline-model-parallel-size", pp > 1),
        ("use-precision-aware-optimizer", a.flag("use-precision-aware-optimizer")),
        ("optimizer", optimizer != "adam"), ("megatron-fsdp-version", a.int("megatron-fsdp-version", 1) != 1),
        ("outer-dp-sharding-strategy", a.text("outer-dp-sharding-strategy", "no_shard") != "no_shard"), ("bf16", not bf16),
        ("overlap-moe-expert-parallel-comm", a.flag("overlap-moe-expert-parallel-comm")),
    ):  # fmt: skip
        if wrong:
            beside = f"with --{name} {a.text(name)}".strip() if name != "bf16" else "without --bf16"
            raise UnsupportedError(f"{a.path}: --use-megatron-fsdp {beside} is not modelled", "change one of them")
    return Sharded(
        strategy,
        sizes["main-grads-dtype"],
        sizes["main-params-dtype"] + 2 * FP32,
        a.int("suggested-communication-unit-size", _AHEAD) // 2,
    )


def gathered_bytes(gradient: int, prefetched: int, layers: Sequence[Block], outside: Block, logits: int, again: int) -> int:
    """What Megatron-FSDP holds whole at the fullest moment: weights outside the layers, and of layers as many as are gathered ahead.

    The head's backward pass gathers the last layers ahead while the logits are there; in a layer's there are the gradients of two,
    one reduced and one computed, and those outside the layers, but no logits (param_and_grad_buffer.py `all_gather_params`,
    `GradReducePipeline`). `again` is what a layer makes again.
    """
    units = [sum(w.total for w in block.weights) for block in layers]
    ends, largest, ahead = sum(w.total for w in outside.weights), max(units), 0
    for unit in reversed(units):
        if ahead >= prefetched:
            break
        ahead += unit
    computed = HALF * min(largest, sum(units) - ahead) + gradient * (ends + min(2 * largest, sum(units)))
    return HALF * (ends + ahead) + max(0, computed + again - max(logits, again))
