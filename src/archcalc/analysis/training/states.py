"""Weights, gradients and optimizer states of one pipeline stage, before and after sharding."""

from __future__ import annotations

from typing import NamedTuple

from archcalc.analysis.training.pieces import Piece
from archcalc.analysis.training.run import Optimizer, Run

_NF4_BLOCK, _NF4_SECOND = 64, 256
_8BIT_BLOCK, _8BIT_LEAST = 256, 4096


def nf4_bytes(elements: int, double: bool) -> int:
    """4 bits an element and a scale for each 64: fp32, or with double quantization 8 bits and an fp32 scale for each 256 of those
    (Dettmers et al. 2023, arXiv:2305.14314, section 3)."""
    blocks = -(-elements // _NF4_BLOCK)
    return -(-elements // 2) + (blocks + 4 * -(-blocks // _NF4_SECOND) if double else 4 * blocks)


def state_bytes(piece: Piece, optimizer: Optimizer, size: int) -> int:
    """Bytes of the optimizer's states of one tensor's elements, each moment in `size` bytes.

    AdamW keeps two moments, momentum SGD and Lion one (Chen et al. 2023, arXiv:2302.06675); Adafactor a row and a column of a
    matrix (Shazeer and Stern 2018, arXiv:1804.04235, algorithm 4, without momentum); Muon one for the layers' matrices and AdamW's
    two for the rest (Jordan et al. 2024, kellerjordan.github.io/posts/muon). 8-bit states take a byte and an fp32 scale for each
    256; tensors of fewer than 4,096 elements stay in fp32 (Dettmers et al. 2021, arXiv:2110.02861; bitsandbytes,
    optim/optimizer.py `min_8bit_size`).
    """
    n, t = piece.elements, piece.tensor
    if optimizer in ("adamw", "adamw-fused", "paged-adamw"):
        return 2 * n * size
    if optimizer in ("sgd-momentum", "lion"):
        return n * size
    if optimizer == "adafactor":
        if len(t.shape) < 2:
            return n * size
        rows, columns = t.shape[-2:]
        return n // (rows * columns) * (rows + columns) * 4
    if optimizer == "muon":
        hidden = piece.part == "decoder" and len(t.shape) >= 2
        return n * size * (1 if hidden else 2)
    if optimizer in ("adamw-8bit", "paged-adamw-8bit", "lion-8bit"):
        moments = 1 if optimizer == "lion-8bit" else 2
        return moments * (n + 4 * -(-n // _8BIT_BLOCK) if t.elements >= _8BIT_LEAST else 4 * n)
    return 0


class States(NamedTuple):
    """States of one stage, before and after sharding."""

    weights: int
    adapters: int
    gradients: int
    optimizer: int
    ema: int
    gathered: int
    step: int
    cpu: int
    formulas: dict[str, str]

    @property
    def held(self) -> int:
        """Bytes of all that is held for the whole step."""
        return self.weights + self.adapters + self.gradients + self.optimizer + self.ema


def share(total: int, ways: int) -> int:
    return -(-total // ways)


def states(run: Run, held: list[Piece]) -> States:
    mixed, shards, stage = run.precision == "mixed", run.shards, run.stage
    full_shards = run.fsdp > 1
    weight = 4 if run.precision in ("amp", "fp32") or (mixed and full_shards and not run.lora) else 2
    gradient = run.grad_size or (
        4 if run.precision in ("amp", "fp32") or (mixed and (full_shards or run.implementation == "megatron")) else 2
    )
    moment = 2 if run.precision == "pure" else 4
    master = 4 if mixed and not full_shards else 0
    counts = {"trained": 0, "frozen": 0, "nf4": 0, "adapter": 0}
    weights = adapters = gradients = optimizer = ema = step = 0
    # Routed experts are already spread over the ranks of `ep`, so fewer hold the same ones.
    spread = max(1, shards // run.ep)
    # Of weights, gradients and states.
    ways = tuple(shards if stage >= least else 1 for least in (3, 2, 1))
    expert_ways = tuple(spread if stage >= least else 1 for least in (3, 2, 1))
    keeps_step = run.optimizer in ("adamw", "muon") and not master
    for p in held:
        in_weights, in_gradients, in_states = expert_ways if p.tensor.experts else ways
        copies, n = p.copies, p.elements
        if p.quantized and not p.trains:
            weights += copies * share(nf4_bytes(n, run.double_quant), in_weights)
            counts["nf4"] += copies * n
        else:
            weights += copies * -(-n * weight // in_weights)
            counts["trained" if p.trains else "frozen"] += copies * n
        if p.trains:
            gradients += copies * -(-n * gradient // in_gradients)
            optimizer += copies * share(state_bytes(p, run.optimizer, moment) + master * n, in_states)
            if run.ema:
                ema += copies * share(4 * n, in_states)
            if keeps_step:
                step += copies * share(n * gradient, in_states)
        if p.adapter:
            # PEFT keeps adapters in fp32 whatever the base model's type (autocast_adapter_dtype).
            own, m = p._replace(elements=p.adapter, trains=True), run.adapter_size * p.adapter
            in_weights, in_gradients, in_states = ways
            counts["adapter"] += own.total
            adapters += copies * share(m, in_weights)
            gradients += copies * share(m, in_gradients)
            optimizer += copies * share(state_bytes(own, run.optimizer, run.adapter_size), in_states)
            if run.ema:
                ema += copies * share(4 * p.adapter, in_states)
            if run.optimizer == "adamw":
                step += copies * share(m, in_states)
    gathered = _gathered(run, held) if stage >= 3 and shards > 1 else 0
    cpu = 0
    if run.optimizer.startswith("paged"):
        cpu, optimizer = optimizer, 0
    if run.offload != "none":
        cpu, optimizer, ema, step = cpu + optimizer + ema, 0, 0, 0
        if run.offload == "all":
            # Weights come back a layer at a time, gradients leave the same way.
            cpu += weights + gradients
            weights, gradients = 0, 0
            gathered = gathered or _gathered(run, held)
    by = f" / {shards} ranks" if shards > 1 else ""

    def text(*terms: tuple[int, int]) -> str:
        return " + ".join(f"{size} B x {n:,}" for size, n in terms if n and size) or "0"

    parts = [text((weight, counts["trained"] + counts["frozen"]))] if counts["trained"] + counts["frozen"] else []
    if counts["nf4"]:
        parts.append(f"nf4 ({'8' if run.double_quant else '32'}-bit scales) x {counts['nf4']:,}")
    formulas = {
        "weights": " + ".join(parts) + (by if stage >= 3 else ""),
        "adapters": text((run.adapter_size, counts["adapter"])) + (by if stage >= 3 else ""),
        "gradients": text((gradient, counts["trained"]), (run.adapter_size, counts["adapter"])) + (by if stage >= 2 else ""),
        "optimizer": f"{run.optimizer}{' + fp32 master' if master and counts['trained'] else ''}, "
        f"{counts['trained'] + counts['adapter']:,} parameters" + (by if stage >= 1 else ""),
    }
    return States(weights, adapters, gradients, optimizer, ema, gathered, step, cpu, formulas)


def _gathered(run: Run, held: list[Piece]) -> int:
    """Weights that are whole for a while: those outside the layers, and two layers (one computes, the next is fetched), with the
    gradients of one until they are scattered (PyTorch 2.9, distributed/fsdp/_fully_shard: implicit prefetching; Zhao et al. 2023,
    arXiv:2304.11277, sections 3.3 and 3.4)."""
    c = run.size
    if run.pp > 1:
        # A pipeline keeps its weights gathered, and its gradients whole until the last micro-batch (torchtitan,
        # parallelize_llama.py `apply_fsdp`: reshard_after_forward is off with pipelines; torch.distributed.pipelining synchronizes
        # gradients with the last).
        return sum(p.total * c * (2 if p.trains and run.micro_batches > 1 else 1) for p in held)
    outside = sum(p.total * c for p in held if p.part in ("embedding", "head") or p.tensor.name.count(".") < 2)
    by_layer: dict[int, int] = {}
    gradients = 0
    layer = 0
    for p in held:
        if p.part != "decoder":
            continue
        size = nf4_bytes(p.elements, run.double_quant) if p.quantized and not p.trains else p.elements * c
        by_layer[p.copies] = by_layer.get(p.copies, 0) + size
        layer = max(layer, by_layer[p.copies])
        gradients += p.elements * c if p.trains else 0
    kinds = max(1, len(by_layer))
    return outside + 2 * layer + gradients // kinds


def casts(run: Run, held: list[Piece]) -> tuple[int, int, int]:
    """Half-precision copies of weights under autocast: in the forward pass, the backward pass, and while a layer is made again.

    Matrices keep their cast for the backward pass. Casts of trained weights are cached until autocast ends, checkpointed or not;
    those of frozen ones are not (PyTorch 2.13, aten/src/ATen/autocast_mode.cpp `cached_cast`).
    """
    if run.precision != "amp":
        return 0, 0, 0
    head = sum(p.elements for p in held if p.part == "head") or sum(
        p.elements for p in held if p.part == "embedding" and p.tensor.shard
    )
    inner = [p for p in held if p.part == "decoder" and len(p.tensor.shape) >= 2 and "conv" not in p.tensor.name]
    matrices = sum(p.total for p in inner) + head
    trained = sum(p.total for p in inner if p.trains) + (0 if run.lora else head)
    if run.recompute != "full":
        return tuple(run.size * n for n in (matrices, matrices, matrices))  # type: ignore[return-value]
    layer = sum(p.elements for p in inner)
    return run.size * max(trained, head), run.size * head, run.size * (head + layer)
