"""Weights, gradients and optimizer states of one pipeline stage, before and after sharding."""

from __future__ import annotations

from archcalc.analysis.training.pieces import Piece
from archcalc.analysis.training.run import Optimizer, Run
from archcalc.model import Tensor
from archcalc.records import NamedTuple

_NF4_BLOCK, _NF4_SECOND = 64, 256
_8BIT_BLOCK, _8BIT_LEAST = 256, 4096
_4BIT_BLOCK = 128


def nf4_bytes(elements: int, double: bool) -> int:
    """4 bits an element and a scale for each 64: fp32, or with double quantization 8 bits and an fp32 scale for each 256 of those
    (Dettmers et al. 2023, arXiv:2305.14314, section 3)."""
    blocks = -(-elements // _NF4_BLOCK)
    return -(-elements // 2) + (blocks + 4 * -(-blocks // _NF4_SECOND) if double else 4 * blocks)


def int8_bytes(tensor: Tensor, elements: int) -> int:
    """A byte an element, and an fp32 scale for each row (Dettmers et al. 2022, arXiv:2208.07339, section 2.1; bitsandbytes 0.49,
    functional.py `int8_vectorwise_quant`; of experts the rows of each)."""
    return elements + 4 * -(-elements // tensor.shape[-1])


def quantized_bytes(run: Run, tensor: Tensor, elements: int) -> tuple[int, int]:
    """Bytes of a frozen matrix as bitsandbytes holds it: those of its parameter, and its scales.

    The scales are an attribute of the module and no parameter (bitsandbytes 0.43 and 0.49, nn/modules.py `Params4bit.quant_state`,
    `Int8Params.SCB`), so FSDP and ZeRO 3 leave them whole on each rank, and on the GPU where weights are on the CPU. torchao's are
    tensors inside the parameter, which FSDP2 splits with it (torchao 0.14, dtypes/nf4tensor.py `nf4_split`).
    """
    whole = int8_bytes(tensor, elements) if run.quant == "int8" else nf4_bytes(elements, run.double_quant)
    packed = elements if run.quant == "int8" else -(-elements // 2)
    return (whole, 0) if run.sharded_scales else (packed, whole - packed)


def state_bytes(piece: Piece, optimizer: Optimizer, size: int) -> int:
    """Bytes of the optimizer's states of one tensor's elements, each moment in `size` bytes.

    AdamW keeps two moments, momentum SGD and Lion one (Chen et al. 2023, arXiv:2302.06675); Adafactor a row and a column of a
    matrix (Shazeer and Stern 2018, arXiv:1804.04235, algorithm 4, without momentum); Muon one for the layers' matrices and AdamW's
    two for the rest (Jordan et al. 2024, kellerjordan.github.io/posts/muon). 8-bit states take a byte and an fp32 scale for each
    256; tensors of fewer than 4,096 elements stay in fp32 (Dettmers et al. 2021, arXiv:2110.02861; bitsandbytes,
    optim/optimizer.py `min_8bit_size`). torchao's take half a byte with a scale for each 128, or a byte in fp8 with one for each 256
    (torchao 0.14, optim/subclass_4bit.py, subclass_fp8.py, adam.py `_new_buffer`: from 4,096 elements on).
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
    if optimizer == "adamw-4bit":
        return 2 * (-(-n // 2) + 4 * -(-n // _4BIT_BLOCK) if t.elements >= _8BIT_LEAST else 4 * n)
    if optimizer == "adamw-fp8":
        return 2 * (n + 4 * -(-n // _8BIT_BLOCK) if t.elements >= _8BIT_LEAST else 4 * n)
    if optimizer in ("adamw-8bit", "paged-adamw-8bit", "lion-8bit"):
        moments = 1 if optimizer == "lion-8bit" else 2
        return moments * (n + 4 * -(-n // _8BIT_BLOCK) if t.elements >= _8BIT_LEAST else 4 * n)
    return 0


def state_text(piece: Piece, optimizer: Optimizer, size: int) -> str:
    """The bytes of `state_bytes` for each element, as text; empty where they are not so many for each (Adafactor) or there are none."""
    if optimizer in ("adamw", "adamw-fused", "paged-adamw"):
        return f"2 x {size} {optimizer}"
    if optimizer in ("sgd-momentum", "lion"):
        return f"{size} {optimizer}"
    if optimizer in ("adamw-4bit", "adamw-fp8") and piece.tensor.elements >= _8BIT_LEAST:
        return f"2 x (0.5 + 4 / 128) {optimizer}" if optimizer == "adamw-4bit" else f"2 x (1 + 4 / 256) {optimizer}"
    if optimizer in ("adamw-4bit", "adamw-fp8"):
        return f"2 x 4 {optimizer}"
    if optimizer == "muon":
        return f"{size} muon" if piece.part == "decoder" and len(piece.tensor.shape) >= 2 else f"2 x {size} adamw"
    if optimizer in ("adamw-8bit", "paged-adamw-8bit", "lion-8bit"):
        moments = "" if optimizer == "lion-8bit" else "2 x "
        return f"{moments}(1 + 4 / 256) {optimizer}" if piece.tensor.elements >= _8BIT_LEAST else f"{moments}4 {optimizer}"
    return ""


class Sums:
    """A sum of products as text: elements by the bytes of each and by the ranks that share them."""

    def __init__(self) -> None:
        self.elements: dict[tuple[str, int], int] = {}
        self.rest: dict[tuple[str, int], int] = {}

    def add(self, each: str, ways: int, elements: int) -> None:
        if each and elements:
            self.elements[each, ways] = self.elements.get((each, ways), 0) + elements

    def add_bytes(self, what: str, ways: int, size: int) -> None:
        """What is not so many bytes for each element."""
        if size:
            self.rest[what, ways] = self.rest.get((what, ways), 0) + size

    def __str__(self) -> str:
        def by(ways: int) -> str:
            return f" / {ways} ranks" if ways > 1 else ""

        parts = [f"{f'({each})' if ' ' in each else each} B x {n:,}{by(ways)}" for (each, ways), n in self.elements.items()]
        parts += [f"{size:,} B {what}{by(ways)}" for (what, ways), size in self.rest.items()]
        return " + ".join(parts) or "0"


class States(NamedTuple):
    """States of one stage, before and after sharding."""

    weights: int
    adapters: int
    gradients: int
    optimizer: int
    ema: int
    gathered: tuple[int, int]
    step: int
    cpu: int
    dequantized: int
    head: int
    reference: int
    formulas: dict[str, str]

    @property
    def held(self) -> int:
        """Bytes of all that is held for the whole step."""
        return self.weights + self.adapters + self.gradients + self.optimizer + self.ema + self.reference


def share(total: int, ways: int) -> int:
    return -(-total // ways)


def _count(into: Sums, piece: Piece, optimizer: Optimizer, size: int, master: int, ways: int) -> None:
    """The optimizer's states of one tensor, and its copy in fp32."""
    each, copy = state_text(piece, optimizer, size), f"{master} fp32 master" if master else ""
    into.add(" + ".join(text for text in (each, copy) if text), ways, piece.total)
    if not each:
        into.add_bytes(f"{optimizer}'s rows and columns", ways, piece.copies * state_bytes(piece, optimizer, size))


def states(run: Run, held: list[Piece], *, words: bool = False) -> States:
    """What a stage holds of `held`; the formulas in words where these are asked for, which takes as long again."""
    mixed, shards, stage = run.precision == "mixed", run.shards, run.stage
    full_shards = run.fsdp > 1
    weight = 4 if run.precision in ("amp", "fp32") or (mixed and full_shards and (not run.lora or run.fp32_shards)) else 2
    gradient = run.grad_size or (
        4 if run.precision in ("amp", "fp32") or (mixed and (full_shards or run.implementation == "megatron")) else 2
    )
    moment = 2 if run.precision == "pure" else 4
    master = 4 if mixed and not full_shards else 0
    sums = {name: Sums() for name in ("weights", "scales", "adapters", "gradients", "optimizer", "ema")}
    nf4 = f"{'(1 + 4 / 256)' if run.double_quant else '4'} / 64"
    scales = weights = adapters = gradients = optimizer = ema = step = 0
    # Routed experts are already spread over the ranks of `ep`, so fewer hold the same ones.
    spread = max(1, shards // run.ep)
    # Of weights, gradients and states.
    ways = tuple(shards if stage >= least else 1 for least in (3, 2, 1))
    expert_ways = tuple(spread if stage >= least else 1 for least in (3, 2, 1))
    keeps_step = run.optimizer in ("adamw", "muon") and not master
    usual = weight, gradient, moment, master
    for p in held:
        in_weights, in_gradients, in_states = expert_ways if p.tensor.experts else ways
        weight, gradient, moment, master = (run.saved_size,) * 3 + (0,) if p.saved and run.saved_size else usual
        copies, n = p.copies, p.elements
        if p.quantized and not p.trains:
            packed, beside = quantized_bytes(run, p.tensor, n)
            weights += copies * share(packed, in_weights)
            scales += copies * beside
            if words and run.quant == "int8":
                sums["weights"].add("1 int8", in_weights, copies * n)
                sums["scales"].add_bytes("int8's scales", 1, copies * beside)
            elif words and beside and (in_weights > 1 or run.offload in ("params", "all")):
                sums["weights"].add("0.5 nf4", in_weights, copies * n)
                sums["scales"].add(f"{nf4} nf4's scales", 1, copies * n)
            elif words:
                sums["weights"].add(f"0.5 + {nf4} nf4", in_weights, copies * n)
        else:
            weights += copies * -(-n * weight // in_weights)
            if words:
                sums["weights"].add(str(weight), in_weights, copies * n)
        if p.trains:
            gradients += copies * -(-n * gradient // in_gradients)
            optimizer += copies * share(state_bytes(p, run.optimizer, moment) + master * n, in_states)
            if words:
                sums["gradients"].add(str(gradient), in_gradients, copies * n)
                _count(sums["optimizer"], p, run.optimizer, moment, master, in_states)
                sums["ema"].add("4", in_states, copies * n)
            if run.ema:
                ema += copies * share(4 * n, in_states)
            if keeps_step:
                step += copies * share(n * gradient, in_states)
        if p.adapter:
            # PEFT keeps adapters in fp32 whatever the base model's type (autocast_adapter_dtype).
            own, m = p._replace(elements=p.adapter, trains=True), run.adapter_size * p.adapter
            in_weights, in_gradients, in_states = ways
            if words:
                sums["adapters"].add(str(run.adapter_size), in_weights, own.total)
                sums["gradients"].add(str(run.adapter_size), in_gradients, own.total)
                _count(sums["optimizer"], own, run.optimizer, run.adapter_size, 0, in_states)
                sums["ema"].add("4", in_states, own.total)
            adapters += copies * share(m, in_weights)
            gradients += copies * share(m, in_gradients)
            optimizer += copies * share(state_bytes(own, run.optimizer, run.adapter_size), in_states)
            if run.ema:
                ema += copies * share(4 * p.adapter, in_states)
            if run.optimizer == "adamw":
                step += copies * share(m, in_states)
    gathered = _gathered(run, held) if stage >= 3 and shards > 1 else (0, 0)
    if run.no_sync and run.micro_batches > 1 and stage >= 3:
        # Summed whole on every rank until the last micro-batch (FSDP's `no_sync`; accelerate 1.15, accelerator.py `accumulate`).
        unreduced = sum(p.total * p.trains for p in held)
        gradients += unreduced * run.size
        sums["gradients"].add(str(run.size), 1, unreduced)
    weight, gradient, moment, master = usual
    if run.step_in_backward and gradients:
        # One tensor's gradient at a time (torchtune 0.6, training/memory.py `register_optim_in_bwd_hooks`).
        gradients = max(
            -(-n * size // (expert_ways if p.tensor.experts else ways)[1])
            for p in held
            for n, size in ((p.elements * p.trains, gradient), (p.adapter, run.adapter_size))
        )
        step = 0
        sums["gradients"] = Sums()
        sums["gradients"].add_bytes("of the largest tensor, one at a time", 1, gradients)
    cpu = 0
    away = frozenset[str]()
    if run.optimizer.startswith("paged"):
        cpu, optimizer = optimizer, 0
        away |= {"optimizer"}
    if run.offload == "params":
        # DeepSpeed 0.19, runtime/zero/stage3.py: gradients and states stay where the optimizer is.
        cpu, weights = cpu + weights, 0
        away |= {"weights"}
        gathered = gathered if any(gathered) else _gathered(run, held)
    elif run.offload != "none":
        cpu, optimizer, ema, step = cpu + optimizer + ema, 0, 0, 0
        away |= {"optimizer", "ema"}
        if run.offload == "all":
            # Weights come back a layer at a time, gradients leave the same way; adapters are units like others.
            cpu += weights + adapters + gradients
            weights = adapters = gradients = 0
            away |= {"weights", "adapters", "gradients"}
            gathered = gathered if any(gathered) else _gathered(run, held)
    weights += scales
    # bitsandbytes 0.49, autograd/_functions.py `MatMul4Bit`: a matrix is whole in the computing type while it is used, and before in
    # the type that it was quantized from, where that is another.
    whole = run.size + (2 if run.nf4_half else 0)
    dequantized = max((whole * p.elements for p in held if p.quantized and not p.trains), default=0)
    head = max((whole * p.elements for p in held if p.quantized and not p.trains and p.part == "head"), default=0)
    # Frozen models beside it, mostly in half precision, sharded as weights are.
    reference = run.frozen_models * sum(
        p.copies * -(-p.elements * min(weight, run.frozen_size) // (expert_ways if p.tensor.experts else ways)[0]) for p in held
    )
    if run.value_model:
        weights, adapters, gradients, optimizer, ema = 2 * weights, 2 * adapters, 2 * gradients, 2 * optimizer, 2 * ema
        step, gathered = 2 * step, (2 * gathered[0], 2 * gathered[1])
    formulas: dict[str, str] = {}
    if words:
        formulas = {name: str(found) + (", twice: the value model" if run.value_model else "") for name, found in sums.items()}
        formulas |= {name: f"in the CPU's memory: {formulas[name]}" for name in away if formulas[name] != "0"}
        if scales and formulas["scales"] != "0":
            formulas["weights"] = " + ".join(text for text in (formulas["weights"], formulas["scales"]) if text != "0")
    return States(weights, adapters, gradients, optimizer, ema, gathered, step, cpu, dequantized, head, reference, formulas)


def _gathered(run: Run, held: list[Piece]) -> tuple[int, int]:
    """Weights that are whole for a while, in the forward pass and in the backward pass: those outside the layers, and two layers (one
    computes, the next is fetched); in the backward pass the gradients of one layer beside the buffer that they are scattered from,
    and those
    of what stands outside the layers until its end, unless embedding and head are units of their own (PyTorch 2.9,
    distributed/fsdp/_fully_shard: implicit prefetching in _fsdp_param_group.py, `foreach_reduce` in _fsdp_collectives.py; Zhao et al. 2023,
    arXiv:2304.11277, sections 3.3 and 3.4)."""
    c = run.size
    # Gradients are reduced in fp32 where weights are kept so.
    reduced = 4 if run.precision in ("mixed", "amp", "fp32") else c
    if run.pp > 1:
        # A pipeline keeps its weights gathered, and its gradients whole until the last micro-batch (torchtitan,
        # parallelize_llama.py `apply_fsdp`: reshard_after_forward is off with pipelines; torch.distributed.pipelining synchronizes
        # gradients with the last).
        whole = sum(p.total * c * (2 if p.trains and run.micro_batches > 1 else 1) for p in held)
        return whole, whole
    ends = [p for p in held if p.part in ("embedding", "head") or p.tensor.name.count(".") < 2]
    outside = sum(p.total * c for p in ends)
    late = 0 if run.ends_apart else sum(p.total * c for p in ends if p.trains)
    by_layer: dict[int, int] = {}
    gradients = 0
    layer = 0
    for p in held:
        if p.part != "decoder":
            continue
        each = 1 if run.gathered_fp8 and len(p.tensor.shape) == 2 else c
        size = quantized_bytes(run, p.tensor, p.elements)[0] if p.quantized and not p.trains else p.elements * each
        by_layer[p.copies] = by_layer.get(p.copies, 0) + size
        layer = max(layer, by_layer[p.copies])
        gradients += p.elements * (c + reduced) if p.trains else 0
    kinds = max(1, len(by_layer))
    two = sum(p.total * c for p in held if p.part == "decoder") if not run.reshard else 2 * layer
    return outside + two, outside + late + two + gradients // kinds


def casts(run: Run, held: list[Piece]) -> tuple[int, int, int]:
    """Half-precision copies of weights under autocast: in the forward pass, the backward pass, and while a layer is made again.

    Matrices keep their cast for the backward pass. Casts of trained weights are cached until autocast ends, checkpointed or not;
    those of frozen ones are not (PyTorch 2.13, aten/src/ATen/autocast_mode.cpp `cached_cast`).
    """
    if not run.autocast:
        return 0, 0, 0
    head = sum(p.elements for p in held if p.part == "head") or sum(
        p.elements for p in held if p.part == "embedding" and p.tensor.shard
    )
    inner = [p for p in held if p.part == "decoder" and len(p.tensor.shape) >= 2 and not p.tensor.convolves]
    matrices = sum(p.total for p in inner) + head
    trained = sum(p.total for p in inner if p.trains) + (0 if run.lora else head)
    if run.recompute != "full" or run.one_in > 1:
        return tuple(run.size * n for n in (matrices, matrices, matrices))  # type: ignore[return-value]
    layer = sum(p.elements for p in inner)
    return run.size * max(trained, head), run.size * head, run.size * (head + layer)
