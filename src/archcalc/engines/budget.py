"""How much of a GPU's memory an engine leaves for the cache, term by term.

vLLM takes a share of what CUDA shows and runs one batch of dummy tokens through model and sampler; what that needed at its peak, beside
the weights and what other libraries took, is not given to the cache. SGLang sets a share aside for activations and graphs without
looking. llama.cpp allocates the buffers of one computation. Terms that no source states are fitted to logs of real runs: the fit and its
error are in docs/engine-logs.md, made by scripts/engine_log_report.py.

Sources: vLLM 0.33, v1/worker/gpu_worker.py `determine_available_memory`, utils/mem_utils.py `memory_profiling`,
engine/arg_utils.py `get_batch_defaults`; 0.6.4, worker/worker.py `determine_num_available_blocks` and worker/model_runner.py
`profile_run`; SGLang 0.5.23, srt/arg_groups/memory_hook.py `handle_gpu_memory_settings`, srt/mem_cache/kv_cache_configurator.py
`_profile_available_bytes`; further ones at each term.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from archcalc.engines._once import once
from archcalc.engines.engine import DEFAULT, server
from archcalc.engines.placement import Placement, RankWeights
from archcalc.errors import UsageError
from archcalc.model import Architecture, Layer
from archcalc.records import NamedTuple

if TYPE_CHECKING:
    from archcalc.hardware import Device

MIB, GIB = 1 << 20, 1 << 30
Basis = Literal["cited", "fitted", "given"]


class Serving(NamedTuple):
    """How the engine is run. None is its default.

    `utilization` is vLLM's `--gpu-memory-utilization` or SGLang's `--mem-fraction-static`; `context_tokens` is `--max-model-len`;
    `batched_tokens` and `sequences` are `--max-num-batched-tokens` and `--max-num-seqs`. `eager` captures no graphs. `offline` is
    vLLM's `LLM` class, whose batches are larger. `images` profiles the towers too. `own` is the engine's own settings record.
    """

    engine: str = DEFAULT
    version: str | None = None
    utilization: float | None = None
    context_tokens: int | None = None
    batched_tokens: int | None = None
    sequences: int | None = None
    eager: bool = False
    offline: bool = False
    images: bool = True
    own: Any = None


class Term(NamedTuple):
    """One part of the memory that is not for the cache, how it comes about, and where that is said."""

    name: str
    bytes: int
    basis: Basis
    formula: str
    source: str


class Budget(NamedTuple):
    """What becomes of one GPU's memory.

    `memory_bytes` is what the engine sees of it, `budget_bytes` the share it takes for itself: weights, activations, overhead (graphs,
    communication, libraries) and the room left for the cache, which is negative where the rest does not fit. `terms` explain
    activations and overhead; what each is adds up to `activation_bytes` and `overhead_bytes`. `gpu` is which one is the fullest, and
    `stages` the weights of each GPU where they lie apart from each other. `first_start_bytes` are those of the activations that the first
    start of a command takes alone. `step_bytes` are what the longest step of one request takes at least, where an engine sets a reserve
    aside for its steps without measuring them.
    """

    memory_bytes: int
    budget_bytes: int
    weights_bytes: int
    activation_bytes: int
    overhead_bytes: int
    kv_room_bytes: int
    utilization: float
    batched_tokens: int
    sequences: int
    activation_terms: tuple[Term, ...]
    overhead_terms: tuple[Term, ...]
    notes: tuple[str, ...] = ()
    gpu: int = 0
    stages: tuple[int, ...] = ()
    first_start_bytes: int = 0
    step_bytes: int = 0

    @property
    def taken_bytes(self) -> int:
        """What is taken before the cache."""
        return self.weights_bytes + self.activation_bytes + self.overhead_bytes


def budget(device: Device, architecture: Architecture, placement: Placement, weights: RankWeights, serving: Serving) -> Budget:
    """The memory of the fullest GPU under one engine."""
    share = serving.utilization
    if share is not None and not 0 < share <= 1:
        raise UsageError(f"a memory share of {share:g}: a number above 0, up to 1, was expected", "such as 0.9")
    engine = server(serving.engine)
    made = engine.budget(device, architecture, placement, weights, serving)
    if share is not None and made.utilization != share:
        raise UsageError(f"{engine.title} takes no share of the memory", "leave --utilization out")
    return made


def budgeted(
    memory: int, share: float, whole: int, weights: int, activation: list[Term], overhead: list[Term], tokens: int, sequences: int,
    notes: tuple[str, ...] = (),
) -> Budget:  # fmt: skip
    active, over = sum(t.bytes for t in activation), sum(t.bytes for t in overhead)
    room = whole - weights - active - over
    return Budget(memory, whole, weights, active, over, room, share, tokens, sequences, tuple(activation), tuple(overhead), notes)


# What engines share


class Fitted(NamedTuple):
    """Constants that no source states, in bytes; docs/engine-logs.md shows what logs say of each.

    `context` is what CUDA keeps of a GPU for a process, more on GPUs with more units; `libraries` what kernels and their libraries load
    later, `libraries_state` where layers keep states, whose kernels are many; `libraries_xpu` and `libraries_xpu_v2` with each model runner
    on Intel's GPUs (one log each). `host` is what the engine's processes hold of a memory that CPU and GPU share. `collectives` are the
    buffers of NCCL and custom all-reduces where GPUs reach each other's memory, and `collectives_step` what each doubling of the ranks
    adds; `collectives_pcie` is NCCL alone.
    `graph` is a captured piece or whole graph of one layer, `graph_state` a whole one of a layer with a recurrent state.
    """

    context: int = 430 * MIB
    context_hopper: int = 650 * MIB
    libraries: int = 150 * MIB
    libraries_state: int = 300 * MIB
    libraries_v0: int = 60 * MIB
    libraries_xpu: int = 1530 * MIB
    libraries_xpu_v2: int = 850 * MIB
    host: int = 2048 * MIB
    collectives: int = 640 * MIB
    collectives_step: int = 470 * MIB
    collectives_lean: int = 450 * MIB
    collectives_lean_step: int = 75 * MIB
    collectives_pcie: int = 190 * MIB
    graph: int = 100 * 1024
    graph_state: int = 384 * 1024


FITTED = Fitted()


def cuda_context(device: Device) -> int:
    return FITTED.context_hopper if capability(device) >= (9, 0) and device.category == "datacenter" else FITTED.context


def collectives(device: Device, ranks: int, *, v0: bool = False, lean: bool = False) -> Term:
    steps = (ranks - 1).bit_length()
    linked = device.category == "datacenter" and bool(device.link_bytes_per_s)
    # A bridge joins few cards: of more, most meet over PCIe.
    reach = (linked and (not device.bridge or ranks <= device.bridge)) or device.category == "workstation"
    base, step = FITTED.collectives, FITTED.collectives_step
    if lean:
        base, step = FITTED.collectives_lean, FITTED.collectives_lean_step
    size = base + steps * step if reach and not v0 else FITTED.collectives_pcie
    text = f"{'NCCL and custom all-reduce' if reach and not v0 else 'NCCL'} on {ranks} ranks"
    return Term("collectives", size, "fitted", text, "fitted to logs: docs/engine-logs.md")


def forward_peak(architecture: Architecture, placement: Placement, tokens: int, streams: int = 3) -> int:
    """Tensors alive at once inside the widest layer: the residual stream, the layer's input and output, and its own."""
    return 2 * tokens * (streams * architecture.facts.hidden_size + _widest(architecture, placement))


@once
def _widest(architecture: Architecture, placement: Placement) -> int:
    """Elements that a token needs inside the widest layer on one rank."""
    return max(
        (_layer_width(layer, placement) for stack in architecture.stacks if stack.part == "decoder" for layer in stack.kinds),
        default=0,
    )


def _layer_width(layer: Layer, placement: Placement) -> int:
    """Elements a token needs inside a layer on one rank."""
    tp = placement.tp
    mixer = layer.mixer_width // tp
    routed = next((t for t in layer.tensors if t.experts is not None and "down" in t.name and len(t.shape) == 3), None)
    if routed is None or routed.experts is None or routed.shard is None:
        return max(mixer, layer.ffn_width // tp)
    # Each visited expert's projections, and one buffer for what goes in and comes out.
    ranks = tp * placement.dp // placement.ep
    columns = -(-routed.shard.units // ranks)
    hidden = routed.shape[3 - routed.shard.axis]
    shared = sum(
        t.shape[0] for t in layer.tensors if t.role == "shared_experts" and t.shard and t.shard.axis == 0 and len(t.shape) == 2
    )
    experts = routed.experts.active * (max(2 * columns, hidden) + columns) * placement.dp + shared * 3 // 2 // tp
    return max(mixer, experts)


def capability(device: Device) -> tuple[int, int]:
    """The CUDA compute capability; of other GPUs that of a new one."""
    if device.vendor != "nvidia" or not device.compute:
        return 9, 0
    major, _, minor = device.compute.partition(".")
    return int(major), int(minor)
