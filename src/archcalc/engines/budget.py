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

from typing import TYPE_CHECKING, Literal, NamedTuple

from archcalc import units
from archcalc.analysis.placement import Placement, RankWeights
from archcalc.engines._vllm_rules import Batches, at_least, rules
from archcalc.engines.encoders import encoding
from archcalc.engines.weights import Engine
from archcalc.errors import UsageError
from archcalc.model import Architecture, Layer

if TYPE_CHECKING:
    from archcalc.hardware import Device

_MIB, _GIB = 1 << 20, 1 << 30
Basis = Literal["cited", "fitted", "given"]


class Serving(NamedTuple):
    """How the engine is run. None is its default.

    `utilization` is vLLM's `--gpu-memory-utilization` or SGLang's `--mem-fraction-static`; `context_tokens` is `--max-model-len`;
    `batched_tokens` and `sequences` are `--max-num-batched-tokens` and `--max-num-seqs`. `eager` captures no graphs. `offline` is
    vLLM's `LLM` class, whose batches are larger. `images` profiles the towers too.
    """

    engine: Engine = "vllm"
    version: str | None = None
    utilization: float | None = None
    context_tokens: int | None = None
    batched_tokens: int | None = None
    sequences: int | None = None
    eager: bool = False
    offline: bool = False
    images: bool = True


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
    activations and overhead; what each is adds up to `activation_bytes` and `overhead_bytes`.
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


def budget(device: Device, architecture: Architecture, placement: Placement, weights: RankWeights, serving: Serving) -> Budget:
    """The memory of the fullest GPU under one engine."""
    share = serving.utilization
    if share is not None and not 0 < share <= 1:
        raise UsageError(f"a memory share of {share:g}: a number above 0, up to 1, was expected", "such as 0.9")
    by_engine = {"vllm": _vllm, "sglang": _sglang, "llama.cpp": _llama_cpp, "transformers": _transformers}
    return by_engine[serving.engine](device, architecture, placement, weights, serving)


def _made(
    memory: int, share: float, whole: int, weights: int, activation: list[Term], overhead: list[Term], tokens: int, sequences: int,
    notes: tuple[str, ...] = (),
) -> Budget:  # fmt: skip
    active, over = sum(t.bytes for t in activation), sum(t.bytes for t in overhead)
    room = whole - weights - active - over
    return Budget(memory, whole, weights, active, over, room, share, tokens, sequences, tuple(activation), tuple(overhead), notes)


# vLLM

_VLLM = "vLLM, v1/worker/gpu_worker.py `determine_available_memory`"
# Top-k and top-p by sorting, in tensors of sequences x vocabulary in fp32: the logits twice (one in half precision), sorted values and
# int64 indices, and the sort's own copy of both. A Triton kernel since, and FlashInfer, need probabilities and noise instead.
_SORTING, _FUSED = 9.5, 3.5
# torch allocates cuBLAS's workspace: 8 MiB and a little, 32 MiB from Hopper on (PyTorch, aten/src/ATen/cuda/CublasHandlePool.cpp).
_WORKSPACE = ((9, 0), 32 * _MIB, 8320 * 1024)
# Model Runner V2 keeps a count and a bit of every token of the vocabulary for each sequence (v1/worker/gpu/sample/penalties.py).
_PENALTIES = 4 + 4 / 32


class Fitted(NamedTuple):
    """Constants that no source states, in bytes; docs/engine-logs.md shows what logs say of each.

    `context` is what CUDA keeps of a GPU for a process, more on GPUs with more units; `libraries` what kernels and their libraries load
    later, `libraries_xpu` on Intel's GPUs (one log). `collectives` are the buffers of NCCL and custom all-reduces where GPUs reach each
    other's memory, and `collectives_step` what each doubling of the ranks adds; `collectives_pcie` is NCCL alone.
    `graph` is a captured piece or whole graph of one layer, `graph_state` a whole one of a layer with a recurrent state.
    """

    context: int = 430 * _MIB
    context_hopper: int = 650 * _MIB
    libraries: int = 300 * _MIB
    libraries_v0: int = 60 * _MIB
    libraries_xpu: int = 1330 * _MIB
    collectives: int = 600 * _MIB
    collectives_step: int = 450 * _MIB
    collectives_pcie: int = 190 * _MIB
    graph: int = 100 * 1024
    graph_state: int = 384 * 1024


FITTED = Fitted()


def _vllm(device: Device, architecture: Architecture, placement: Placement, weights: RankWeights, serving: Serving) -> Budget:
    version = serving.version
    rule = rules(version)
    share = serving.utilization or rule.utilization
    v0 = runs_v0(device, version)
    tokens, sequences = batch_defaults(device, architecture, serving)
    memory = device.visible_bytes
    peak, note = vllm_peak(device, architecture, placement, serving, tokens, sequences)
    workspace = _workspace(device)
    activation = [
        *peak,
        Term("cuBLAS workspace", workspace, "cited", f"{workspace:,} B", "PyTorch, aten/src/ATen/cuda/CublasHandlePool.cpp"),
    ]
    overhead = _vllm_overhead(device, placement, serving, v0)
    if rule.penalties:
        size = int(sequences * architecture.facts.vocab_size * _PENALTIES)
        text = f"{sequences:,} sequences x {architecture.facts.vocab_size:,} tokens x (4 + 4/32) B"
        overhead.append(Term("penalties", size, "cited", text, "vLLM 0.33, v1/worker/gpu/sample/penalties.py `PenaltiesState`"))
    if not serving.eager and rule.graphs_counted and (device.vendor != "amd" or at_least(version, 0, 26)):
        overhead.append(_graphs(architecture, placement, sequences, tokens))
    notes = (note,) if note else ()
    return _made(memory, share, int(memory * share), weights.bytes, activation, overhead, tokens, sequences, notes)


def runs_v0(device: Device, version: str | None) -> bool:
    """Whether vLLM runs its first engine: before 0.8 always, and until 0.11 on GPUs older than Ampere."""
    where = rules(version).first_engine
    return where == "always" or (where == "old GPUs" and device.vendor == "nvidia" and _capability(device) < (8, 0))


def batch_defaults(device: Device, architecture: Architecture, serving: Serving) -> tuple[int, int]:
    """`max_num_batched_tokens` and `max_num_seqs`.

    Source: vLLM 0.33, engine/arg_utils.py `get_batch_defaults` and `_set_default_max_num_seqs_and_batched_tokens_args`; 0.6.4,
    config.py `SchedulerConfig` (without chunked prefill a batch holds the longest prompt; it was chunked by itself beyond 32,768 tokens).
    """
    rule = rules(serving.version if serving.engine == "vllm" else None)
    context = serving.context_tokens or architecture.facts.context_tokens or 0
    if serving.engine == "vllm" and runs_v0(device, serving.version):
        tokens = max(context, 2048)
        if context > 32768:
            tokens = 2048 if at_least(serving.version, 0, 6, 5) else 512
        sequences = 256
    else:
        tokens, sequences = _batches(device, rule.batches, serving.offline)
    sequences = serving.sequences or sequences
    if serving.batched_tokens is None and rule.short_batches and context:
        tokens = min(tokens, sequences * context)
    tokens = serving.batched_tokens or tokens
    if serving.sequences is None and rule.few_sequences:
        sequences = min(sequences, tokens)
    return tokens, sequences


_GENERATIONS: tuple[Batches, ...] = (
    "first engine", "by name", "all by name", "from 70 GiB", "A100 small", "from 160 GiB", "GB10 small",
)  # fmt: skip


def _batches(device: Device, batches: Batches, offline: bool) -> tuple[int, int]:
    """By the GPU's memory; large memories behind slower units, which batches of the larger size would only delay, count as small."""
    rank, memory = _GENERATIONS.index(batches), device.visible_bytes
    large, small = (16384, 8192) if offline else (8192, 2048)
    if batches in ("by name", "all by name"):
        named = device.id.startswith(("h100", "h200"))
        return (large if named else small), 1024 if named or batches == "by name" else 256
    if memory >= 160 * _GIB and rank >= _GENERATIONS.index("from 160 GiB"):
        return 16384, 1024
    slow = (device.id.startswith("a100") and rank >= _GENERATIONS.index("A100 small")) or (
        device.compute == "12.1" and rank >= _GENERATIONS.index("GB10 small")
    )
    return (large, 1024) if memory >= 70 * _GIB and not slow else (small, 256)


# Below this, what encoders need is no reason to give up images.
_WORTH_A_FLAG = _GIB


def vllm_peak(
    device: Device, architecture: Architecture, placement: Placement, serving: Serving, tokens: int, sequences: int
) -> tuple[list[Term], str]:
    """The largest of the encoder's pass, and of the dummy batch's through the layers and through the sampler, and what to say of it.

    No two are alive together, but the encoder's outputs are kept meanwhile.
    """
    forward = forward_peak(device, architecture, placement, serving, tokens)
    vocab, hidden = architecture.facts.vocab_size, architecture.facts.hidden_size
    passes = _SORTING if rules(serving.version).sorted_sampling else _FUSED
    logits = int(passes * 4 * sequences * vocab) + 2 * hidden * tokens
    seen = encoding(device.visible_bytes, architecture, placement, serving, tokens, sequences, v0=runs_v0(device, serving.version))
    source = "vLLM, v1/worker/gpu_model_runner.py `profile_run`"
    note, text_alone = seen.note, max(forward, logits)
    more = max(seen.peak - text_alone, seen.kept)
    if more >= _WORTH_A_FLAG:
        spared = (
            f"{units.format_bytes(more)} of activations are for inputs other than text: {seen.spared_by} leaves them to the cache"
        )
        note = f"{note}; {spared}" if note else spared
    if seen.peak > text_alone + seen.kept:
        return [Term("encoder", seen.peak, "fitted", seen.formula, source)], note
    if logits >= forward:
        text = f"{passes:g} x 4 B x {sequences:,} sequences x {vocab:,} tokens + 2 B x {tokens:,} x {hidden:,}"
        peak = Term("sampler", logits, "cited", text, "vLLM, v1/sample/ops/topk_topp_sampler.py `apply_top_k_top_p`")
    else:
        peak = Term("forward pass", forward, "cited", f"{tokens:,} tokens, live at once in the widest layer", _VLLM)
    if not seen.kept:
        return [peak], note
    text = f"2 B x {seen.kept // 2:,}, of the inputs profiled before"
    return [peak, Term("encoder outputs", seen.kept, "cited", text, source)], note


def forward_peak(device: Device, architecture: Architecture, placement: Placement, serving: Serving, tokens: int) -> int:
    """Tensors alive at once inside the widest layer: the residual stream, the layer's input and output, and its own.

    XFormers, which GPUs older than Ampere run, keeps its input besides.
    """
    width = max(
        (_layer_width(layer, placement) for stack in architecture.stacks if stack.part == "decoder" for layer in stack.kinds),
        default=0,
    )
    streams = 4 if runs_v0(device, serving.version) and _capability(device) < (8, 0) else 3
    size = 2 * tokens * (streams * architecture.facts.hidden_size + width)
    if serving.engine == "vllm" and not runs_v0(device, serving.version):
        size += _latent_context(architecture, placement, serving, tokens)
    return size


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


def _latent_context(architecture: Architecture, placement: Placement, serving: Serving, tokens: int) -> int:
    """Room to project cached latents up to keys and values, in chunks of a prefill's context.

    Source: vLLM 0.33, layers/attention/mla_attention.py `determine_chunked_prefill_workspace_size`.
    """
    heads = 0
    for stack in architecture.stacks:
        for layer in stack.kinds if stack.part == "decoder" else ():
            if any(cache.kind == "latent" for cache in layer.caches):
                heads = max([heads, *(a.heads * (a.qk_dim + a.v_dim) for a in layer.attends if a.v_dim)])
    if not heads:
        return 0
    context = serving.context_tokens or architecture.facts.context_tokens or tokens
    return min(8 * context, 65536) * heads // placement.tp * 2


def _vllm_overhead(device: Device, placement: Placement, serving: Serving, v0: bool) -> list[Term]:
    """What is neither weights nor PyTorch's: how much of it counts changed with what the profiling takes as its start."""
    version, ranks = serving.version, placement.tp * placement.pp
    logs = "fitted to logs: docs/engine-logs.md"
    terms = []
    if not at_least(version, 0, 6, 5) or (not v0 and not at_least(version, 0, 10)):
        terms.append(Term("CUDA context", _context(device), "fitted", "one process, with all it loads", logs))
    else:
        size = FITTED.libraries_v0 if v0 else FITTED.libraries_xpu if device.vendor == "intel" else FITTED.libraries
        terms.append(Term("libraries", size, "fitted", "kernels and handles loaded by the first batch", logs))
    if ranks > 1:
        terms.append(_collectives(device, ranks, v0=v0))
    return terms


def _context(device: Device) -> int:
    return FITTED.context_hopper if _capability(device) >= (9, 0) and device.category == "datacenter" else FITTED.context


def _collectives(device: Device, ranks: int, *, v0: bool = False) -> Term:
    steps = (ranks - 1).bit_length()
    reach = (device.category == "datacenter" and bool(device.link_bytes_per_s)) or device.category == "workstation"
    size = FITTED.collectives + steps * FITTED.collectives_step if reach and not v0 else FITTED.collectives_pcie
    text = f"{'NCCL and custom all-reduce' if reach and not v0 else 'NCCL'} on {ranks} ranks"
    return Term("collectives", size, "fitted", text, "fitted to logs: docs/engine-logs.md")


def capture_sizes(sequences: int, tokens: int) -> tuple[int, int]:
    """How many batch sizes are captured piecewise, and how many whole.

    Source: vLLM 0.33, config/vllm.py `_set_cudagraph_sizes`.
    """
    largest = min(2 * sequences, 512, tokens)
    sizes = [1, 2, 4, *range(8, 256, 8), *range(256, 513, 16)]
    return sum(size <= largest for size in sizes), sum(size <= min(largest, sequences) for size in sizes)


def _graphs(architecture: Architecture, placement: Placement, sequences: int, tokens: int) -> Term:
    """Each captured graph keeps a little for each layer; layers with a state run more kernels."""
    pieces, whole = capture_sizes(sequences, tokens)
    attention = state = 0
    for stack in architecture.stacks:
        if stack.part == "decoder":
            for layer, layers in zip(stack.kinds, stack.counts(), strict=True):
                if any(cache.kind == "state" for cache in layer.caches):
                    state += layers
                else:
                    attention += layers
    layers = attention + state
    size = pieces * layers * FITTED.graph + whole * (attention * FITTED.graph + state * FITTED.graph_state)
    text = f"{pieces} graphs in pieces and {whole} whole ones of {layers} layers"
    return Term(
        "CUDA graphs", size // placement.pp, "fitted", text, "vLLM, v1/worker/gpu_model_runner.py `profile_cudagraph_memory`"
    )


def _workspace(device: Device) -> int:
    since, large, small = _WORKSPACE
    return large if device.vendor != "nvidia" or _capability(device) >= since else small


def _capability(device: Device) -> tuple[int, int]:
    """The CUDA compute capability; of other GPUs that of a new one."""
    if device.vendor != "nvidia" or not device.compute:
        return 9, 0
    major, _, minor = device.compute.partition(".")
    return int(major), int(minor)


# The other engines


def _sglang(device: Device, architecture: Architecture, placement: Placement, weights: RankWeights, serving: Serving) -> Budget:
    """`--mem-fraction-static` of what is free before loading; activations and graphs live outside of it, unmeasured."""
    from archcalc.engines import sglang

    logs = "fitted to logs: docs/engine-logs.md"
    tp = placement.tp * placement.dp
    towers = next((s for s in architecture.stacks if s.part == "vision"), None)
    vision = None
    if towers is not None and serving.images:
        # Towers seldom state their depth under the name that SGLang looks for; its default for that is 24.
        vision = 24, next((t.shape[0] for layer in towers.kinds for t in layer.tensors if t.role == "norm"), 1024)
    mla = any(
        cache.kind == "latent" for s in architecture.stacks if s.part == "decoder" for layer in s.kinds for cache in layer.caches
    )
    share = serving.utilization or sglang.memory_fraction(
        device.driver_bytes // _MIB, tp=tp, pp=placement.pp, mla=mla, vision=vision
    )
    tokens, sequences = sglang.chunk_and_batch(device.driver_bytes // _MIB, tp)
    tokens, sequences = serving.batched_tokens or tokens, serving.sequences or sequences
    lost = [Term("CUDA context", _context(device), "fitted", "one process", logs)]
    if tp * placement.pp > 1:
        lost.append(_collectives(device, tp * placement.pp))
    free = device.visible_bytes - sum(t.bytes for t in lost)
    forward = forward_peak(device, architecture, placement, serving, tokens)
    left = int(free * (1 - share))
    notes: tuple[str, ...] = ()
    if forward > left:
        notes = (f"a prefill chunk of {tokens:,} tokens may need {forward:,} B, and --mem-fraction-static leaves {left:,} B",)
    room = free - left - weights.bytes
    reserve = Term(
        "reserve", left, "cited", f"(1 - {share:g}) x {free:,} B free before loading", "SGLang, srt/arg_groups/memory_hook.py"
    )
    whole = device.visible_bytes
    return Budget(
        whole, whole, weights.bytes, 0, whole - weights.bytes - room, room, share, tokens, sequences, (), (*lost, reserve), notes
    )


def _llama_cpp(device: Device, architecture: Architecture, placement: Placement, weights: RankWeights, serving: Serving) -> Budget:
    """All that the GPU has, less the buffers of one computation and, by default, a margin of 1 GiB.

    Source: llama.cpp 0c1e57098, common/fit.cpp (`--fit-target`).
    """
    from archcalc.engines import llamacpp
    from archcalc.engines._allocation import Workload

    context = serving.context_tokens or architecture.facts.context_tokens or 4096
    sequences = serving.sequences or 1
    made = llamacpp.allocate(architecture, Workload(context, sequences))
    compute = int(made.details["compute_buffer_bytes"])
    buffer = Term(
        "compute buffer",
        compute,
        "cited",
        f"a batch of 512 over {context:,} cells",
        "llama.cpp, src/llama-context.cpp `graph_reserve`",
    )
    lost = [Term("context", _context(device), "fitted", "one process", "fitted to logs: docs/engine-logs.md")]
    share = serving.utilization or 1.0
    if serving.utilization is None:
        lost.append(Term("margin", _GIB, "cited", "--fit-target", "llama.cpp, common/fit.cpp"))
    memory = device.visible_bytes
    return _made(memory, share, int(memory * share), weights.bytes, [buffer], lost, 512, sequences)


def _transformers(
    device: Device, architecture: Architecture, placement: Placement, weights: RankWeights, serving: Serving
) -> Budget:
    """No pool: whatever weights and one forward pass leave. Logits of the last position alone are computed."""
    tokens = serving.batched_tokens or serving.context_tokens or architecture.facts.context_tokens or 4096
    sequences = serving.sequences or 1
    forward = forward_peak(device, architecture, Placement(), serving, tokens * sequences)
    peak = Term(
        "forward pass", forward, "cited", f"{tokens:,} tokens, live at once in the widest layer", "transformers, modeling files"
    )
    lost = [Term("CUDA context", _context(device), "fitted", "one process", "fitted to logs: docs/engine-logs.md")]
    share = serving.utilization or 1.0
    memory = device.visible_bytes
    return _made(memory, share, int(memory * share), weights.bytes, [peak], lost, tokens, sequences)
