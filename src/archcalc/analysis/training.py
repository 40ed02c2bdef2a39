"""What training takes on each GPU: weights, gradients, optimizer states, activations, logits; and what it costs.

Memory is that of the fullest of four moments of a step (the end of the forward pass, the start of the backward pass, a layer made
again, the optimizer's step), each a sum of what is alive then. Sources stand at the formulas.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from math import ceil
from typing import Any, Literal, NamedTuple

from archcalc.analysis import activations as act
from archcalc.analysis.activations import How, Loss, Saved, Split, rank_bytes
from archcalc.analysis.flops import decode_flops
from archcalc.analysis.placement import pipeline
from archcalc.errors import UsageError
from archcalc.model import Architecture, Layer, Part, Tensor

Optimizer = Literal[
    "adamw", "adamw-fused", "adamw-8bit", "paged-adamw", "paged-adamw-8bit", "sgd", "sgd-momentum", "adafactor", "lion",
    "lion-8bit", "muon",
]  # fmt: skip
Precision = Literal["mixed", "amp", "pure", "fp32"]
Offload = Literal["none", "optimizer", "all"]

OPTIMIZERS: tuple[Optimizer, ...] = Optimizer.__args__  # type: ignore[attr-defined]
TARGET_SETS = ("all-linear", "attention", "mlp", "qv")

CONTEXT_BYTES = 750_000_000
"""What CUDA, its libraries and kernels take outside of PyTorch's allocator: measured on an RTX A6000 with CUDA 13 (vramcalc 0.1.2,
README)."""
CUBLAS_BYTES = 8_519_680
"""cuBLAS's workspace, which PyTorch allocates (2.9, aten/src/ATen/cuda/CublasHandlePool.cpp `parseChosenWorkspaceSize`; 32 MiB on
Hopper)."""
CHINCHILLA_TOKENS = 20
"""Tokens a parameter at which a budget of compute is best spent (Hoffmann et al. 2022, arXiv:2203.15556, table 3)."""

_NF4_BLOCK, _NF4_SECOND = 64, 256
_8BIT_BLOCK, _8BIT_LEAST = 256, 4096


class Run(NamedTuple):
    """A training run. `dp` counts replicas; with `fsdp` each of them is sharded over so many ranks (so `dp` above one is hybrid
    sharding).

    `precision`: `mixed` keeps half-precision weights and gradients beside an fp32 master copy (Micikevicius et al. 2017,
    arXiv:1710.03740; under `fsdp` the sharded weights are the fp32 ones), `amp` fp32 weights under autocast, `pure` everything in
    half precision, `fp32`. `micro_batches` are those of one step on each pipeline. `ep` ranks share the routed experts; they are
    taken from `dp`, `fsdp` and `cp`.
    """

    seq: int
    micro_batch: int = 1
    precision: Precision = "mixed"
    optimizer: Optimizer = "adamw"
    implementation: act.Implementation = "transformers"
    attention: act.Attention = "sdpa"
    recompute: act.Recompute = "none"
    every: int = 1
    loss: Loss = "full"
    chunks: int = 8
    dp: int = 1
    fsdp: int = 1
    zero: int = 0
    tp: int = 1
    sequence: bool = False
    pp: int = 1
    interleave: int = 1
    micro_batches: int = 1
    cp: int = 1
    ep: int = 1
    ema: bool = False
    grad_size: int | None = None
    lora: int = 0
    targets: tuple[str, ...] = ("all-linear",)
    quant: Literal["", "nf4"] = ""
    double_quant: bool = True
    nf4_inputs: bool = False
    adapter_size: int = 4
    frozen: frozenset[str] = frozenset()
    offload: Offload = "none"
    dropout: bool = True
    capacity: int = 100

    @property
    def gpus(self) -> int:
        return self.dp * self.fsdp * self.tp * self.pp * self.cp

    @property
    def shards(self) -> int:
        """Ranks over which states are sharded: context-parallel ranks hold the same weights, so they share them too."""
        if self.fsdp > 1:
            return self.fsdp * self.cp
        return self.dp * self.cp if self.zero else 1

    @property
    def stage(self) -> int:
        """ZeRO's stage; FSDP is the third."""
        return 3 if self.fsdp > 1 else self.zero

    @property
    def size(self) -> int:
        """Bytes of an element that matrices compute with."""
        return 4 if self.precision == "fp32" else 2

    @property
    def sequences(self) -> int:
        """Sequences in one optimizer step."""
        return self.micro_batch * self.micro_batches * self.dp * self.fsdp


class Term(NamedTuple):
    """One row of the table: what it is, on the fullest GPU, and by which formula."""

    group: Literal["weights", "gradients", "optimizer", "activations", "logits"]
    name: str
    bytes: int
    formula: str


class Memory(NamedTuple):
    """The memory of the fullest GPU (of pipeline stage `stage`): the most that PyTorch's allocator holds, which is at `moment`.

    `terms` add up to `total`: those of the loss, and where another moment takes more, what that is more. `moments` are the totals
    of all of them, `stages` those of all stages. `cpu_bytes` is what is offloaded, `kept` are activation bytes by block.
    """

    total: int
    terms: tuple[Term, ...]
    moment: str
    moments: tuple[tuple[str, int], ...]
    stage: int
    stages: tuple[int, ...]
    cpu_bytes: int
    kept: tuple[tuple[str, int], ...]

    def of(self, *groups: str) -> int:
        return sum(t.bytes for t in self.terms if t.group in groups)


class Work(NamedTuple):
    """Operations of one token: `model` by PaLM's convention (three times the forward pass, all pairs of tokens: Chowdhery et al.
    2022, arXiv:2204.02311, appendix B), `hardware` with what checkpointing computes again (Korthikanti et al. 2022, appendix A)."""

    model: int
    hardware: int
    six_n: int
    attention: int


# Which weights are trained, and the adapters


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

    @property
    def total(self) -> int:
        return self.elements * self.copies


def leaf(name: str) -> str:
    """The module a weight belongs to: `self_attn.q_proj.weight` is `q_proj`."""
    return name.removesuffix(".weight").rpartition(".")[2]


def _matrix(t: Tensor) -> bool:
    """Whether the tensor is the weight of a linear module (`nn.Linear`, Conv1D): what adapters and nf4 are put on."""
    return (
        len(t.shape) == 2
        and t.name.endswith(".weight")
        and t.role in ("attention", "mlp", "shared_experts", "other")
        and "conv" not in t.name
    )


_ADAPTED = ("decoder", "vision", "audio")
"""The parts that adapters go on where their modules have the names."""


def targeted(a: Architecture, targets: Sequence[str]) -> frozenset[str]:
    """The modules that adapters go on, by leaf name; raises `UsageError` where a name matches nothing.

    As PEFT 0.21 reads names: `all-linear` is every linear module but the head. transformers 5 fuses routed experts, and where
    published checkpoints hold them apart, their names there (`gate_proj`, `w1`) mean the fused tensor and no other module of that
    name; gate and up go together, at twice the rank; the router goes by its name too (utils/transformers_weight_conversion.py
    `_convert_peft_config_moe`). `experts` is the fused tensors at the plain rank (PEFT's `target_parameters`). Those are given
    here as `experts.NAME` and `parameters.NAME`.
    """
    tensors = [t for s in a.stacks if s.part in _ADAPTED for layer in s.kinds for t in layer.tensors]
    tensors += [t for g in a.groups if g.part in _ADAPTED for t in g.tensors]
    roles = {leaf(t.name): t.role for t in tensors if _matrix(t)}
    fused = {t.name.rpartition(".")[2]: pieces for t in tensors if (pieces := unfused(t)) is not None}
    apart = {name: tensor for tensor, names in fused.items() for name in names}
    routers = {leaf(t.name) for t in tensors if t.role == "router" and len(t.shape) == 2}
    # A class of its own, and no linear module.
    routers = routers if apart or a.model_type != "gpt_oss" else set()
    plain = {name for name in roles if name not in apart}
    names: set[str] = set()
    out: set[str] = set()
    for target in targets:
        if target == "all-linear":
            match = plain | set(apart) | routers
        elif target == "attention":
            match = {name for name in plain if roles[name] == "attention"}
        elif target == "mlp":
            match = {name for name in plain if roles[name] in ("mlp", "shared_experts")} | set(apart)
        elif target == "qv":
            match = {"q_proj", "v_proj"} & plain
        elif target == "experts" and fused:
            match = {"experts"}
            out |= {f"parameters.{name}" for name in fused}
        else:
            match = {target} & (plain | set(apart) | routers)
        if not match:
            known = ", ".join(sorted(plain | set(apart) | routers))
            raise UsageError(
                f"LoRA target {target!r} matches no linear module of the model",
                f"its linear modules are {known}; or {', '.join((*TARGET_SETS, *(['experts'] if fused else [])))}",
            )
        names |= match - {"experts"}
    for tensor, pieces in fused.items():
        given = [name for name in pieces if name in names]
        if given and len(given) < len(pieces):
            left = ", ".join(name for name in pieces if name not in names)
            raise UsageError(
                f"LoRA targets {', '.join(given)} without {left}: the reference implementation fuses them into {tensor}",
                f"add {left}",
            )
        if given:
            out.add(f"experts.{tensor}")
    return frozenset(out | (names - set(apart)))


def unfused(t: Tensor) -> tuple[str, ...] | None:
    """The names that published checkpoints have for the pieces of fused experts (empty where they are fused there too); None for
    the rest."""
    if t.experts is None or len(t.shape) != 3:
        return None
    return tuple(dict.fromkeys(leaf(piece) for piece in t.stored))


def adapted(t: Tensor, targets: frozenset[str]) -> int:
    """By how much the rank of the adapter beside a tensor is multiplied; 0 for none."""
    name = t.name.rpartition(".")[2] if t.experts else leaf(t.name)
    pieces = unfused(t)
    if pieces is not None:
        return len(pieces) if f"experts.{name}" in targets else int(f"parameters.{name}" in targets)
    return int((_matrix(t) or (t.role == "router" and len(t.shape) == 2)) and name in targets)


def adapter_elements(t: Tensor, rank: int, tp: int = 1) -> int:
    """Elements of a rank-`rank` adapter beside a matrix (Hu et al. 2021, arXiv:2106.09685, section 4.1): `rank * (in + out)`, for
    fused experts that of each. Under tensor parallelism the factor on the split side is split with it."""
    if t.experts is not None:
        return t.experts.total * rank * (t.shape[1] + t.shape[2])
    sides = list(t.shape)
    if t.shard is not None and tp > 1:
        sides[t.shard.axis] = -(-sides[t.shard.axis] // min(tp, t.shard.units))
    return rank * sum(sides)


def trainable(a: Architecture, run: Run) -> tuple[int, int]:
    """Parameters of the model that are trained, and those of the adapters beside it."""
    full = added = 0
    for piece in pieces(a, run._replace(tp=1, pp=1, ep=1))[0]:
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


def pieces(a: Architecture, run: Run) -> list[list[Piece]]:
    """What each pipeline stage holds. The first holds embeddings and towers, the last the final norm and the head."""
    targets = targeted(a, run.targets) if run.lora else frozenset()
    bounds = pipeline(a.layers, run.pp, "sglang")
    stages: list[list[Piece]] = [[] for _ in bounds]

    def piece(t: Tensor, part: Part, copies: int) -> Piece:
        trains = not run.lora and part not in run.frozen and t.role not in run.frozen
        quantized = run.quant == "nf4" and part == "decoder" and _matrix(t)
        times = adapted(t, targets) if run.lora and part in _ADAPTED and part not in run.frozen else 0
        adapter = adapter_elements(t, run.lora * times, run.tp) if times else 0
        return Piece(t, part, _on_rank(t, run.tp, run.ep), copies, trains, quantized, adapter)

    last = len(bounds) - 1
    for group in a.groups:
        place = last if group.part in ("head", "decoder", "mtp") else 0
        for t in group.tensors:
            if t.counted or (t.kind == "tied" and last > 0):
                stages[place].append(piece(t, group.part, 1))
    for stack in a.stacks:
        if stack.part == "mtp":
            continue
        if stack.part != "decoder":
            for layer, n in zip(stack.kinds, stack.counts(), strict=True):
                stages[0] += [piece(t, stack.part, n) for t in layer.tensors if t.counted]
            continue
        for stage, counts in _stage_layers(a, bounds, stack.prefix):
            for layer, n in counts:
                stages[stage] += [piece(t, stack.part, n) for t in layer.tensors if t.counted]
    return stages


def _stage_layers(
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


# States


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


class _States(NamedTuple):
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


def _share(total: int, ways: int) -> int:
    return -(-total // ways)


def _states(run: Run, held: list[Piece]) -> _States:
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
    for p in held:
        # Routed experts are already spread over the ranks of `ep`, so fewer hold the same ones.
        ways = max(1, shards // run.ep) if p.tensor.experts else shards
        n = p.total
        if p.quantized and not p.trains:
            weights += p.copies * _share(nf4_bytes(p.elements, run.double_quant), ways if stage >= 3 else 1)
            counts["nf4"] += n
        else:
            weights += p.copies * _share(p.elements * weight, ways if stage >= 3 else 1)
            counts["trained" if p.trains else "frozen"] += n
        if p.trains:
            gradients += p.copies * _share(p.elements * gradient, ways if stage >= 2 else 1)
            state = state_bytes(p, run.optimizer, moment) + master * p.elements
            optimizer += p.copies * _share(state, ways if stage >= 1 else 1)
            ema += p.copies * _share(4 * p.elements, ways if stage >= 1 else 1) if run.ema else 0
            if run.optimizer in ("adamw", "muon") and not master:
                step += p.copies * _share(p.elements * gradient, ways if stage >= 1 else 1)
        if p.adapter:
            # PEFT keeps adapters in fp32 whatever the base model's type (autocast_adapter_dtype).
            own, size = p._replace(elements=p.adapter, trains=True), run.adapter_size
            m = own.total
            counts["adapter"] += m
            adapters += _share(size * m, shards if stage >= 3 else 1)
            gradients += _share(size * m, shards if stage >= 2 else 1)
            optimizer += _share(p.copies * state_bytes(own, run.optimizer, size), shards if stage >= 1 else 1)
            ema += _share(4 * m, shards if stage >= 1 else 1) if run.ema else 0
            step += _share(size * m, shards if stage >= 1 else 1) if run.optimizer == "adamw" else 0
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
    return _States(weights, adapters, gradients, optimizer, ema, gathered, step, cpu, formulas)


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


# Activations


class Planner:
    """Analyses one architecture again and again: what does not change with the run is made once."""

    def __init__(self, architecture: Architecture) -> None:
        self.a = architecture
        self._pieces: dict[Run, list[list[Piece]]] = {}
        self._layers: dict[tuple[Layer | int | How | str | bool, ...], act.Kept] = {}
        self._outside: dict[tuple[How, str, bool], list[Saved]] = {}
        self._states: dict[tuple[int, Run], _States] = {}
        self._windows = sorted({x.window for s in architecture.stacks for k in s.kinds for x in k.attends if x.window is not None})

    def how(self, run: Run) -> How:
        """How matrices compute in this run."""
        targets = targeted(self.a, run.targets) if run.lora else frozenset()
        return How(
            size=run.size, attention=run.attention, amp=run.precision == "amp", trains=not run.lora, targets=targets, rank=run.lora,
            tokens=run.seq, batch=run.micro_batch, adapter_size=run.adapter_size, inputs=bool(run.quant) and run.nf4_inputs,
            capacity=run.capacity,
        )  # fmt: skip

    def held(self, run: Run) -> list[list[Piece]]:
        key = Run(1, tp=run.tp, pp=run.pp, ep=run.ep, lora=run.lora, targets=run.targets, quant=run.quant, frozen=run.frozen)
        if key not in self._pieces:
            self._pieces[key] = pieces(self.a, key)
        return self._pieces[key]

    def plain(self, how: How) -> How:
        """The same for all runs that keep the same: a length matters by whether a window is shorter, a batch by whether it is one."""
        longer = sum(1 for w in self._windows if w < how.tokens)
        return how._replace(tokens=-longer, batch=min(how.batch, 2))

    def kept(self, layer: Layer, how: How, run: Run, recompute: act.Recompute) -> act.Kept:
        """What a layer keeps, like storages taken together."""
        key = id(layer), self.plain(how), run.implementation, recompute, run.dropout
        if key not in self._layers:
            if run.implementation == "megatron" and recompute == "none":
                found = act.Kept(tuple(act.megatron_saved(self.a, layer, how, dropout=run.dropout)), ())
            else:
                found = act.layer_kept(self.a, layer, how, run.implementation, recompute)
            self._layers[key] = act.Kept(act.together(found.kept), act.together(found.again))
        return self._layers[key]

    def outside(self, how: How, run: Run) -> list[Saved]:
        """What is kept outside the layers."""
        key = self.plain(how), run.implementation, run.dropout
        if key not in self._outside:
            if run.implementation == "megatron":
                self._outside[key] = act.megatron_outside(self.a, how, dropout=run.dropout)
            else:
                self._outside[key] = act.outside(self.a, how)
        return self._outside[key]

    def states(self, run: Run, stage: int, held: list[Piece]) -> _States:
        """The states of a stage, which do not depend on the batch."""
        key = stage, run._replace(seq=1, micro_batch=1, attention="sdpa", loss="full", chunks=1, recompute="none", every=1)
        if key not in self._states:
            self._states[key] = _states(run, held)
        return self._states[key]

    def memory(self, run: Run) -> Memory:
        """The fullest GPU. Raises `UsageError` for a run that cannot be."""
        check(self.a, run)
        a, how = self.a, self.how(run)
        held = self.held(run)
        bounds = pipeline(a.layers, run.pp, "sglang")
        stages = [self._stage(run, how, stage, layers, held[stage]) for stage, layers in _stage_layers(a, bounds)]
        totals = tuple(m.total for m in stages)
        fullest = totals.index(max(totals))
        return stages[fullest]._replace(stage=fullest, stages=totals)

    def _stage(self, run: Run, how: How, stage: int, layers: list[tuple[Layer, int]], held: list[Piece]) -> Memory:
        a, split = self.a, Split(run.tp, run.sequence, run.cp)
        batch, tokens = run.micro_batch, run.seq
        states = self.states(run, stage, held)
        blocks: dict[str, int] = {}
        working = 0
        first, last = stage == 0, stage == run.pp - 1
        flying = _in_flight(run, stage)
        for layer, n in layers:
            kept = self.kept(layer, how, run, run.recompute)
            alone = self.kept(layer, how, run, "none").kept
            whole = rank_bytes(alone, batch, tokens, split)
            again = rank_bytes(kept.again, batch, tokens, split)
            sizes: dict[str, int] = {}
            for saved in kept.kept:
                sizes[saved.block] = sizes.get(saved.block, 0) + rank_bytes((saved,), batch, tokens, split)
            if run.recompute == "full" and run.every > 1:
                # One input for each group of layers; the group is made again as a whole.
                groups = -(-n // run.every)
                sizes = {block: size * groups // n if n else 0 for block, size in sizes.items()}
                again *= min(run.every, n)
            if n * sum(sizes.values()) + again > n * whole:
                # Checkpointing a single layer, or groups as long as the model, saves nothing.
                sizes, again = {}, 0
                for saved in alone:
                    sizes[saved.block] = sizes.get(saved.block, 0) + rank_bytes((saved,), batch, tokens, split)
            working = max(working, again)
            for block, size in sizes.items():
                blocks[block] = blocks.get(block, 0) + size * n * flying[0] // flying[1]
        if first and run.lora and run.recompute == "none" and run.implementation == "transformers":
            for saved in act.unreached(a, _first_layer(a), how):
                blocks[saved.block] -= rank_bytes((saved,), batch, tokens, split)
        positions = run.recompute != "full"
        for saved in self.outside(how, run):
            at_start = saved.block in ("embedding", "position") or saved.name.startswith("embedding")
            if (at_start and first and (positions or saved.block != "position")) or (not at_start and last):
                # The first stage has a micro-batch in flight for each stage.
                times = min(run.pp, run.micro_batches) if at_start else 1
                blocks[saved.block] = blocks.get(saved.block, 0) + rank_bytes((saved,), batch, tokens, split) * times
        activations = sum(blocks.values())
        casts = _casts(run, held)
        logits = _logits(a, run, split) if last else (0, 0, 0)
        base = states.weights + states.adapters + states.gradients + states.optimizer + states.ema
        alive = base + states.gathered + activations
        moments = {
            "end of the forward pass": alive + logits[0] + casts[0],
            "start of the backward pass": alive + logits[1] + casts[1],
            "a layer made again": alive + working + logits[2] + casts[2],
            "optimizer's step": base + states.step,
        }
        late = moments["start of the backward pass"] >= moments["end of the forward pass"]
        loss = max(moments["end of the forward pass"], moments["start of the backward pass"])
        again = max(0, moments["a layer made again"] - loss)
        step = max(0, moments["optimizer's step"] - loss - again)
        f = states.formulas
        terms = [
            Term("weights", "weights", states.weights, f["weights"]),
            Term("weights", "adapters", states.adapters, f["adapters"]),
            Term("weights", "weights gathered", states.gathered, "outside the layers + 2 layers + 1 layer's gradients"),
            Term("weights", "weights cast by autocast", casts[late], f"{run.size} B each, kept for the backward pass"),
            Term("gradients", "gradients", states.gradients, f["gradients"]),
            Term("optimizer", "optimizer", states.optimizer, f["optimizer"]),
            Term("optimizer", "EMA of the weights", states.ema, "4 B each"),
            *(
                Term("activations", f"activations: {block}", size, _activation_formula(run, block, size))
                for block, size in blocks.items()
            ),
            Term("activations", "a layer made again", again, "what the fullest layer takes beyond the memory of the loss"),
            Term("logits", "logits and loss", logits[late], _logits_formula(a, run, late)),
            Term(
                "optimizer", "optimizer's temporaries", step, "a copy of the gradients (foreach), beyond the memory of activations"
            ),
        ]
        moment = max(moments, key=lambda name: moments[name])
        return Memory(
            moments[moment],
            tuple(t for t in terms if t.bytes),
            moment,
            tuple(moments.items()),
            stage,
            (),
            states.cpu,
            tuple(blocks.items()),
        )


def _first_layer(a: Architecture) -> Layer:
    """The first layer of the decoder."""
    stack = next(s for s in a.stacks if s.part == "decoder")
    return stack.kinds[stack.pattern[0]]


def _in_flight(run: Run, stage: int) -> tuple[int, int]:
    """Micro-batches whose activations a stage keeps, as a fraction: with 1F1B as many as there are stages from here to the end;
    interleaved schedules add (p - 1) / v for v chunks a stage (Korthikanti et al. 2022, section 4.2.3; Narayanan et al. 2021,
    arXiv:2104.04473, 2.2)."""
    flying = min(run.pp - stage, run.micro_batches)
    if run.interleave == 1 or run.pp == 1:
        return flying, 1
    return min(flying * run.interleave + run.pp - 1, run.micro_batches * run.interleave), run.interleave


def _casts(run: Run, held: list[Piece]) -> tuple[int, int, int]:
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


def _logits(a: Architecture, run: Run, split: Split) -> tuple[int, int, int]:
    """Logits and what the loss makes of them, at the end of the forward pass, the start of the backward pass, and later in it.

    transformers 5.23, loss/loss_utils.py `ForCausalLMLoss`: the model's output holds the logits to the end of the step; they are
    cast to fp32, whose log-softmax is kept; its backward pass makes two gradients of that size. `megatron` keeps fp32 logits alone
    (Korthikanti et al. 2022, section 4.3: 4sbv/t).
    """
    local = run.micro_batch * -(-run.seq // run.cp)
    vocab = next((-(-t.shape[0] // run.tp) for g in a.groups if g.part == "head" for t in g.tensors), a.facts.vocab_size)
    c, n = run.size, local * vocab
    if run.loss == "none":
        return c * n, c * n, c * n
    if run.implementation == "megatron":
        return 4 * n, 4 * n, 0
    targets = 8 * (local + (run.micro_batch == 1)) + 4
    if run.loss == "full":
        upcast = 4 if c != 4 else 0
        return (c + upcast + 4) * n + targets, (c + 8 + 4) * n + targets, c * n
    if run.loss == "chunked":
        # A chunk at a time; logits and their gradients stay in the computing type (torchtune,
        # modules/loss/ce_chunked_output_loss.py).
        chunk = _share(n, run.chunks)
        return c * n + 8 * chunk + 4 * n, 2 * c * n + 8 * chunk + targets, c * n
    # The head and the loss together, a chunk of tokens at a time, gradients made in the forward pass (Hsu et al. 2024,
    # arXiv:2410.10989, section 3.2): the chunk shrinks with the vocabulary so that its logits are no larger than the head's input.
    hidden = a.facts.hidden_size
    rows = 1 << max(0, (ceil(local / ceil(a.facts.vocab_size / hidden)) - 1).bit_length())
    made = (c + 4) * min(rows, local) * vocab + c * local * hidden + (0 if run.lora else c * vocab * hidden)
    kept = c * local * hidden + (0 if run.lora else c * vocab * hidden)
    return made, kept, 0


def _logits_formula(a: Architecture, run: Run, late: bool) -> str:
    size = (
        f"{run.micro_batch} x {run.seq:,} x {a.facts.vocab_size:,}"
        + (f" / tp {run.tp}" if run.tp > 1 else "")
        + (f" / cp {run.cp}" if run.cp > 1 else "")
    )
    if run.loss == "none":
        return f"{run.size} B x {size}"
    if run.implementation == "megatron":
        return f"4 B x {size}"
    if run.loss != "full":
        return f"{run.loss} loss, {size}"
    if late:
        return f"({run.size} logits + 4 log-softmax + 2 x 4 gradients) B x {size}"
    return f"({run.size} logits + {'4 fp32 + ' if run.size != 4 else ''}4 log-softmax) B x {size}"


def _activation_formula(run: Run, block: str, size: int) -> str:
    tokens = run.micro_batch * -(-run.seq // run.cp)
    text = f"{size // tokens:,} B x {run.micro_batch} x {run.seq // run.cp:,} tokens"
    if run.implementation == "megatron":
        return f"{text} (Korthikanti et al. 2022)"
    if run.recompute == "full" and block == "norm":
        return f"{text} (input of {'each layer' if run.every == 1 else f'every {run.every} layers'})"
    return text


# Rules


def check(a: Architecture, run: Run) -> None:
    """Raises `UsageError` naming the rule that a run breaks."""
    f = a.facts
    for name in ("seq", "micro_batch", "dp", "fsdp", "tp", "pp", "cp", "ep", "micro_batches", "interleave", "every", "chunks"):
        if getattr(run, name) < 1:
            raise UsageError(f"{name.replace('_', '-')} is {getattr(run, name)}: at least 1 was expected")
    if a.layers == 0:
        raise UsageError("the model has no decoder layers to train", "give a language model's config")
    if f.context_tokens is not None and run.seq > f.context_tokens and "learned" in f.position:
        raise UsageError(
            f"--seq {run.seq:,}: the model has learned positions for {f.context_tokens:,} tokens", "train on shorter sequences"
        )
    if run.pp > a.layers:
        raise UsageError(f"--pp {run.pp}: more stages than the {a.layers} layers", "use fewer stages")
    if run.pp > 1 and run.zero >= 2:
        raise UsageError(
            f"ZeRO {run.zero} with --pp {run.pp}: gradients or weights would be gathered again for each micro-batch of the pipeline",
            "ZeRO 1 goes with pipelines (DeepSpeed refuses the others); --fsdp keeps its weights gathered there",
        )
    if run.interleave > 1 and (run.pp == 1 or a.layers % (run.pp * run.interleave)):
        raise UsageError(
            f"--interleave {run.interleave}: the {a.layers} layers must divide by stages x chunks ({run.pp} x {run.interleave})",
            "choose a divisor, and more than one stage",
        )
    if run.tp > 1:
        for s in a.stacks:
            for layer in s.kinds if s.part == "decoder" else ():
                for attend in layer.attends:
                    if attend.heads and attend.v_dim and attend.heads % run.tp:
                        raise UsageError(
                            f"--tp {run.tp} does not divide the {attend.heads} attention heads", "choose a divisor of them"
                        )
                for t in layer.tensors:
                    if t.shard and t.role in ("mlp", "experts", "shared_experts") and t.shard.units % run.tp:
                        raise UsageError(
                            f"--tp {run.tp} does not divide the {t.shard.units:,} columns of {t.name}", "choose a divisor of them"
                        )
    if run.sequence and run.tp == 1:
        raise UsageError("--sp splits what tensor parallelism leaves whole: it needs --tp above 1", "give --tp, or leave --sp out")
    if run.cp > 1 and run.attention == "eager":
        raise UsageError(
            "--cp splits sequences inside a fused attention: it does not go with --attention eager", "use flash or sdpa"
        )
    if run.cp > 1 and run.seq % run.cp:
        raise UsageError(f"--cp {run.cp} does not divide the sequence of {run.seq:,} tokens", "choose a divisor")
    if run.capacity != 100 and f.moe is None:
        raise UsageError("--capacity: the model has no routed experts", "leave it out")
    if run.ep > 1:
        if f.moe is None:
            raise UsageError(f"--ep {run.ep}: the model has no routed experts to spread", "leave --ep out")
        if f.moe.experts % run.ep:
            raise UsageError(f"--ep {run.ep} does not divide the {f.moe.experts} routed experts", "choose a divisor of them")
        if run.dp * run.fsdp * run.cp % run.ep:
            raise UsageError(
                f"--ep {run.ep} takes its ranks from those of dp x fsdp x cp ({run.dp * run.fsdp * run.cp}), and does not divide them",
                "choose a divisor",
            )
    if run.zero not in (0, 1, 2, 3):
        raise UsageError(f"--zero {run.zero}: the stages are 1, 2 and 3 (0 for none)")
    if run.zero and run.fsdp > 1:
        raise UsageError("--zero and --fsdp both shard the states", "give one of them")
    if run.quant and not run.lora:
        raise UsageError("--qlora: quantized weights cannot be trained", "train an adapter beside them: --lora 16")
    if run.quant and run.precision == "amp":
        raise UsageError("--qlora computes in half precision: it does not go with --precision amp", "use pure or mixed")
    if run.lora:
        targeted(a, run.targets)


# Work and cost


def work(a: Architecture, run: Run) -> Work:
    """Operations to train on one token. The backward pass computes the gradients of inputs and of weights, each as costly as the
    forward pass; frozen weights have none of the latter. Routed experts count as far as a token visits them."""
    forward = decode_flops(a, run.seq)
    adapters = 0
    if run.lora:
        for piece in pieces(a, run._replace(tp=1, pp=1, ep=1))[0]:
            visited = piece.tensor.experts
            adapters += 2 * piece.adapter * piece.copies * (visited.active if visited else 1) // (visited.total if visited else 1)
    matrices = (2 * forward.matmul if run.lora else 3 * forward.matmul) + 3 * adapters
    attention = 3 * (forward.attention + forward.scan)
    again = 0
    head = sum(2 * t.elements for g in a.groups if g.part == "head" for t in g.tensors if len(t.shape) == 2)
    if run.recompute == "full":
        again = forward.matmul + forward.attention + forward.scan - head
    elif run.recompute == "selective":
        again = forward.attention if run.implementation == "megatron" else (forward.matmul - head) // 2
    return Work(matrices + attention, matrices + attention + again, matrices, attention)


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
            if planner.memory(tried).total <= budget:
                low = middle + 1
            else:
                high = middle
        return options[low - 1] if low else 0

    batch = most([1 << i for i in range(17)], "micro_batch")
    if batch:
        batch = most(range(batch, min(2 * batch, 1 << 16)), "micro_batch") or batch
    longest = planner.a.facts.context_tokens if "learned" in planner.a.facts.position else None
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


def remedies(planner: Planner, run: Run, budget: int) -> list[Remedy]:
    """What to switch on so that the run fits, cheapest first: each step alone, and where none does without training something
    else, the shortest list of steps that does. Each is checked."""
    steps = list(_steps(run))
    found = [
        Remedy(option, cost, total)
        for option, cost, changes in steps
        if (total := _total(planner, run._replace(**changes))) is not None and total <= budget
    ]
    gentle = [step for step in steps if not {"lora", "quant", "offload"} & step[2].keys()]
    adapters = [step for step in steps if "offload" not in step[2]]
    for way in (gentle, adapters, steps):
        together = _together(planner, run, budget, way)
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
    if run.loss == "full" and run.implementation == "transformers":
        yield "--loss fused", "a fused cross-entropy kernel", {"loss": "fused"}
    if run.dp * run.cp > 1 and run.fsdp == 1:
        for stage in range(run.zero + 1, 2 if run.pp > 1 else 4):
            yield f"--zero {stage}", "half again the traffic" if stage == 3 else "no more traffic", {"zero": stage}
    if run.micro_batch > 1:
        yield "--micro-batch 1", "more micro-batches for a step", {"micro_batch": 1}
    if run.recompute == "none":
        yield "--checkpointing selective", "part of the forward pass again", {"recompute": "selective"}
    if run.recompute != "full":
        yield "--checkpointing full", "the forward pass again, a third more compute", {"recompute": "full"}
    if run.optimizer in ("adamw", "adamw-fused"):
        yield "--optimizer adamw-8bit", "states in 8 bits", {"optimizer": "adamw-8bit"}
    if not run.lora:
        yield "--lora 16", "trains an adapter alone", {"lora": 16}
    if not run.quant and run.precision != "amp":
        option = "--qlora" if run.lora else "--lora 16 --qlora"
        yield option, "trains an adapter on 4-bit weights", {"lora": run.lora or 16, "quant": "nf4"}
    if run.offload == "none":
        yield "--offload optimizer", "gradients and weights over PCIe each step", {"offload": "optimizer"}
    if run.offload != "all":
        yield "--offload all", "all weights over PCIe each pass", {"offload": "all"}


def _total(planner: Planner, run: Run) -> int | None:
    """The memory of a run, or None if it breaks a rule."""
    try:
        return planner.memory(run).total
    except UsageError:
        return None


def _together(planner: Planner, run: Run, budget: int, steps: Sequence[tuple[str, str, dict[str, Any]]]) -> Remedy | None:
    """Steps taken one after the other until the run fits, less those that it would fit without."""

    def total(chosen: Sequence[tuple[str, str, dict[str, Any]]]) -> int | None:
        changes: dict[str, Any] = {}
        for step in chosen:
            changes |= step[2]
        return _total(planner, run._replace(**changes))

    chosen: list[tuple[str, str, dict[str, Any]]] = []
    for step in steps:
        # A step replaces those that set the same.
        chosen = [c for c in chosen if not c[2].keys() <= step[2].keys()] + [step]
        size = total(chosen)
        if size is not None and size <= budget:
            break
    else:
        return None
    for step in list(chosen):
        rest = [c for c in chosen if c is not step]
        size = total(rest)
        if size is not None and size <= budget:
            chosen = rest
    return Remedy(" ".join(c[0] for c in chosen), "; ".join(c[1] for c in chosen), total(chosen) or 0)
