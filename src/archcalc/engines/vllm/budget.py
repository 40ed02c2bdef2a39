"""vLLM's budget: a share of the memory, less what one batch of dummy tokens took at its peak, and what no profiling sees.

Sources: vLLM 0.33, v1/worker/gpu_worker.py `determine_available_memory`, utils/mem_utils.py `memory_profiling`,
engine/arg_utils.py `get_batch_defaults`; 0.6.4, worker/worker.py `determine_num_available_blocks` and worker/model_runner.py
`profile_run`; further ones at each term.
"""

from __future__ import annotations

from collections.abc import Hashable
from functools import lru_cache
from typing import TYPE_CHECKING

from archcalc import units
from archcalc.engines import budget as shared
from archcalc.engines._allocation import unread
from archcalc.engines._once import once
from archcalc.engines.budget import FITTED, GIB, MIB, Budget, Serving, Term, budgeted, capability, collectives, cuda_context
from archcalc.engines.placement import Placement, RankWeights
from archcalc.engines.served import is_one_of
from archcalc.engines.vllm.cache import PACKED_ROWS
from archcalc.engines.vllm.encoders import encoding
from archcalc.engines.vllm.first_engine import lacking
from archcalc.engines.vllm.rules import Batches, at_least, rules
from archcalc.engines.vllm.runner import benchmarked_table, counts_graphs, keeps_penalties, keeps_states, second_runner
from archcalc.engines.vllm.settings import Settings
from archcalc.engines.vllm.start import whole_prompts
from archcalc.engines.vllm.workspace import KEPT, Workspace, width_beside_experts, workspace
from archcalc.model import Architecture

if TYPE_CHECKING:
    from archcalc.hardware import Device

_VLLM = "vLLM, v1/worker/gpu_worker.py `determine_available_memory`"
# Top-k and top-p by sorting, in tensors of sequences x vocabulary in fp32: the logits twice (one in half precision), sorted values and
# int64 indices, and the sort's own copy of both. A few sequences are sorted as one, which takes their numbers along (PyTorch,
# aten/src/ATen/native/cuda/SortStable.cu). A Triton kernel since, and FlashInfer, need probabilities and noise instead.
_SORTING, _SORTING_FEW, _FUSED = 9.5, 12.5, 3.5
_FEW = range(2, 128)
# Model Runner V2 profiles without filters until 0.33: the logits alone, in half precision; with filters that FlashInfer does not run, a
# copy in fp32 that they change in place (v1/worker/gpu/model_runner.py `_dummy_sampler_run`, sample/sampler.py).
_UNFILTERED, _IN_PLACE = 0.5, 1.5
# GPUs that FlashInfer has kernels for (v1/attention/backends/flashinfer.py `supports_compute_capability`).
_FLASHINFER = (8, 0)
# torch allocates cuBLAS's workspace: 8 MiB and a little, 32 MiB from Hopper on (PyTorch, aten/src/ATen/cuda/CublasHandlePool.cpp).
_WORKSPACE = ((9, 0), 32 * MIB, 8320 * 1024)
# Model Runner V2 keeps a count and a bit of every token of the vocabulary for each sequence (v1/worker/gpu/sample/penalties.py).
_PENALTIES = 4 + 4 / 32


# What holds without a command; made once, as a plan asks for it again and again.
_USUAL = Settings()


def budget(device: Device, architecture: Architecture, placement: Placement, weights: RankWeights, serving: Serving) -> Budget:
    version = serving.version
    rule = rules(version)
    own: Settings = serving.own or _USUAL
    if serving.own is not None:
        serving = serving._replace(
            sequences=serving.sequences or own.sequences, eager=serving.eager or not own.graphs, offline=serving.offline or own.offline,
            images=serving.images and own.profiles_images and not own.text_alone,
        )  # fmt: skip
    share = serving.utilization or rule.utilization
    v0 = runs_v0(device, version, own, architecture)
    tokens, sequences = batch_defaults(device, architecture, serving)
    memory = device.visible_bytes
    peak, note, once = vllm_peak(device, architecture, placement, serving, tokens, sequences)
    activation = [*peak, _cublas(_workspace(device))]
    overhead = _overhead(device, architecture, placement, serving, v0)
    if keeps_penalties(device, architecture, version, own) and not pools(architecture, own):
        size = int(sequences * architecture.facts.vocab_size * _PENALTIES)
        text = f"{sequences:,} sequences x {architecture.facts.vocab_size:,} tokens x (4 + 4/32) B"
        overhead.append(Term("penalties", size, "cited", text, "vLLM 0.33, v1/worker/gpu/sample/penalties.py `PenaltiesState`"))
    if not serving.eager and counts_graphs(device, architecture, version, own):
        overhead.append(_graphs(architecture, placement, sequences, tokens, own))
    notes = (note,) if note else ()
    made = budgeted(memory, share, int(memory * share), weights.bytes, activation, overhead, tokens, sequences, notes)._replace(
        first_start_bytes=once
    )
    if own.cache_bytes is None:
        return made
    # The cache is given, whatever the profiling says (v1/worker/gpu_worker.py `determine_available_memory`).
    whole = made.weights_bytes + made.activation_bytes + made.overhead_bytes + own.cache_bytes
    return made._replace(budget_bytes=whole, kv_room_bytes=own.cache_bytes, utilization=whole / memory, first_start_bytes=0)


@lru_cache(maxsize=8)
def _cublas(size: int) -> Term:
    return Term("cuBLAS workspace", size, "cited", f"{size:,} B", "PyTorch, aten/src/ATen/cuda/CublasHandlePool.cpp")


def kind(device: Device, architecture: Architecture, version: str | None) -> Hashable:
    """What `budget` reads of a device, but for the share of its memory."""
    v0, batches = runs_v0(device, version, None, architecture), rules(version).batches
    return (
        v0, capability(device) < (8, 0), device.vendor, _workspace(device), cuda_context(device), collectives(device, 2, v0=v0).bytes,
        *(() if v0 else (_batches(device, batches, False), _batches(device, batches, True))),
        device.visible_bytes if any(e.row_bytes for e in architecture.encoders) else None,
        capability(device) >= _FLASHINFER, capability(device)[0] == 10, second_runner(device, architecture, version),
        _counts_host(device), device.bridge, collectives(device, 16, v0=v0).bytes, device.per_host == 1,
        capability(device) if rules(version).first_engine == "lacking" else None,
    )  # fmt: skip


def runs_v0(device: Device, version: str | None, own: Settings | None = None, architecture: Architecture | None = None) -> bool:
    """Whether vLLM runs its first engine: before 0.8 always, and until 0.11 where it is told to, or where its second lacks something."""
    where = rules(version).first_engine
    if where != "lacking":
        return where == "always"
    lacks = lacking(device, version, own, architecture)
    if own is not None and own.first_engine is not None:
        return own.first_engine
    return lacks is not None


def batch_defaults(device: Device, architecture: Architecture, serving: Serving) -> tuple[int, int]:
    """`max_num_batched_tokens` and `max_num_seqs`.

    Source: vLLM 0.33, engine/arg_utils.py `get_batch_defaults` and `_set_default_max_num_seqs_and_batched_tokens_args`; 0.6.4,
    config.py `SchedulerConfig` (without chunked prefill a batch holds the longest prompt; `_first_engine`).
    """
    rule = rules(serving.version)
    context = serving.context_tokens or architecture.facts.context_tokens or 0
    if runs_v0(device, serving.version, serving.own, architecture):
        tokens, sequences = _first_engine(device, architecture, serving, context), 256
    else:
        tokens, sequences = _batches(device, rule.batches, serving.offline)
    sequences = serving.sequences or sequences
    if serving.batched_tokens is None and rule.short_batches and context:
        tokens = min(tokens, sequences * context)
    if whole_prompts(serving.own, serving.version) or unread(architecture):
        tokens = max(tokens, context)
    tokens = serving.batched_tokens or tokens
    if serving.sequences is None and rule.few_sequences:
        sequences = min(sequences, tokens)
    return tokens, sequences


_LONG = 32768


def first_engine_chunks(device: Device, architecture: Architecture, version: str | None, own: Settings, context: int) -> bool:
    """Whether the first engine cuts prompts: where it is told to or, of long contexts, by itself. A step of whole prompts holds the
    longest, or the engine refuses to start.

    Source: vLLM 0.6.0 to 0.10.0, engine/arg_utils.py `create_engine_config` and `_set_default_args_v0`, config.py `SchedulerConfig`
    (`_verify_args`: "max_num_batched_tokens is smaller than max_model_len"); 0.7.3 and newer, config.py `use_mla` (chunks are turned off).
    """
    caches = {
        cache.kind for stack in architecture.stacks if stack.part == "decoder" for layer in stack.kinds for cache in layer.caches
    }
    shows, pooled = bool(architecture.encoders), pools(architecture, own)
    chunks = own.chunked
    if at_least(version, 0, 7) and "latent" in caches and not own.expanded:
        chunks = False
    if chunks is None:
        apart = (
            "sliding" in caches or own.draft_tokens or own.draft is not None or own.mtp or own.loras
            or (at_least(version, 0, 6, 3) and shows) or (at_least(version, 0, 6, 6) and (pooled or device.vendor != "nvidia"))
            or (not at_least(version, 0, 6, 3) and (own.prefix_caching or "state" in caches))
        )  # fmt: skip
        chunks = context > _LONG and not apart
    return chunks


def _first_engine(device: Device, architecture: Architecture, serving: Serving, context: int) -> int:
    """The tokens of a batch of the first engine (`first_engine_chunks`): a chunk, or the longest prompt."""
    version, own = serving.version, serving.own or _USUAL
    shows, pooled = bool(architecture.encoders), pools(architecture, own)
    chunks = first_engine_chunks(device, architecture, version, own, context)
    tokens = (2048 if at_least(version, 0, 6, 5) else 512) if chunks else max(context, 2048)
    if pooled:
        tokens = max(tokens, _LONG)
    if shows:
        tokens = max(tokens, 5120 if at_least(version, 0, 6, 3) else 4096)
    return tokens


_GENERATIONS: tuple[Batches, ...] = ("by name", "all by name", "from 70 GiB", "A100 small", "from 160 GiB", "GB10 small")


def _batches(device: Device, batches: Batches, offline: bool) -> tuple[int, int]:
    """By the GPU's memory; large memories behind slower units, which batches of the larger size would only delay, count as small."""
    rank, memory = _GENERATIONS.index(batches), device.visible_bytes
    large, small = (16384, 8192) if offline else (8192, 2048)
    if batches in ("by name", "all by name"):
        named = device.id.startswith(("h100", "h200"))
        return (large if named else small), 1024 if named or batches == "by name" else 256
    if memory >= 160 * GIB and rank >= _GENERATIONS.index("from 160 GiB"):
        return 16384, 1024
    slow = (device.id.startswith("a100") and rank >= _GENERATIONS.index("A100 small")) or (
        device.compute == "12.1" and rank >= _GENERATIONS.index("GB10 small")
    )
    return (large, 1024) if memory >= 70 * GIB and not slow else (small, 256)


# Below this, what encoders need is no reason to give up images.
_WORTH_A_FLAG = GIB


def vllm_peak(
    device: Device, architecture: Architecture, placement: Placement, serving: Serving, tokens: int, sequences: int
) -> tuple[list[Term], str, int]:
    """The largest of the encoder's pass, and of the dummy batch's through the layers and through the sampler, what to say of it, and how
    much less it is once the compiled model is on disk.

    No two are alive together, but the encoder's outputs are kept meanwhile.
    """
    context = serving.context_tokens or architecture.facts.context_tokens or tokens
    shared_space = workspace(device, architecture, placement, serving.version, tokens, context)
    forward = forward_peak(device, architecture, placement, serving, tokens, shared_space)
    vocab, hidden = architecture.facts.vocab_size, architecture.facts.hidden_size
    own: Settings = serving.own or _USUAL
    passes = sampling_passes(device, architecture, serving.version, own, sequences)
    logits = int(passes * 4 * sequences * vocab) + 2 * hidden * tokens + shared_space.kept
    if pools(architecture, own):
        logits = pooler_peak(architecture, tokens) + shared_space.kept
    table = benchmarked_table(architecture, placement.tp, serving.version, own, eager=serving.eager)
    seen = encoding(
        device, architecture, placement, serving, tokens, sequences, v0=runs_v0(device, serving.version, serving.own, architecture)
    )
    source = "vLLM, v1/worker/gpu_model_runner.py `profile_run`"
    note, text_alone = seen.note, max(forward, logits, table)
    more = max(seen.peak - text_alone, seen.kept)
    if more >= _WORTH_A_FLAG:
        spared = (
            f"{units.format_bytes(more)} of activations are for inputs other than text: {seen.spared_by} leaves them to the cache"
        )
        note = f"{note}; {spared}" if note else spared
    if seen.peak > text_alone + seen.kept:
        return [Term("encoder", seen.peak, "fitted", seen.formula, source)], note, 0
    if table == text_alone:
        text = "a copy of the embedding table, over which its kernel is benchmarked; none once the compiled model is on disk"
        peak = Term("compilation", table, "cited", text, "vLLM, config/compilation.py `benchmark_combo_kernel`")
    elif logits >= forward and pools(architecture, own):
        scores = scores_of(architecture)
        rows = f" + {tokens:,} x {scores:,} scores x 4 B" if scores else ""
        text = f"{tokens:,} x {hidden:,} x (2 + 4) B{rows}"
        peak = Term("pooler", logits, "cited", text, "vLLM, v1/worker/gpu_model_runner.py `_dummy_pooler_run`")
    elif logits >= forward:
        text = f"{passes:g} x 4 B x {sequences:,} sequences x {vocab:,} tokens + 2 B x {tokens:,} x {hidden:,}"
        text += f" + {shared_space.kept:,} B of workspace" if shared_space.kept else ""
        peak = Term("sampler", logits, "cited", text, "vLLM, v1/sample/ops/topk_topp_sampler.py `apply_top_k_top_p`")
    else:
        peak = Term("forward pass", forward, "cited", f"{tokens:,} tokens, live at once in the widest layer", _VLLM)
    once = max(0, table - max(forward, logits))
    if not seen.kept:
        return [peak], note, once
    text = f"2 B x {seen.kept // 2:,}, of the inputs profiled before"
    return [peak, Term("encoder outputs", seen.kept, "cited", text, source)], note, once


def pools(architecture: Architecture, own: Settings | None = None) -> bool:
    """Whether the model is run to pool what its layers make, and has no sampler: it makes no logits over a vocabulary, or reads its input
    at once (vLLM 0.33, config/model.py `_get_default_runner_type`; --runner says so of a class that generates)."""
    if own is not None and own.pools is not None:
        return own.pools
    return not _writes(architecture)


@once
def _writes(architecture: Architecture) -> bool:
    return architecture.writes


def pooler_peak(architecture: Architecture, tokens: int) -> int:
    """Hidden states of the dummy batch, the same in fp32, and the scores that a head makes of them in fp32: that each token has some is
    the most.

    Source: vLLM 0.33, v1/worker/gpu_model_runner.py `_dummy_pooler_run`, config/model.py `head_dtype`."""
    return tokens * (6 * architecture.facts.hidden_size + 4 * scores_of(architecture))


def scores_of(architecture: Architecture) -> int:
    """Scores of a token: a decoder's head is left out where its class is made to pool (model_executor/models/adapters.py)."""
    decoder = architecture.returned or architecture.decodes
    return 0 if decoder and architecture.head_rows >= architecture.facts.vocab_size else architecture.head_rows


def sampling_passes(device: Device, architecture: Architecture, version: str | None, own: Settings, sequences: int) -> float:
    """How many tensors of sequences x vocabulary in fp32 are alive at once in the sampler that the profiling runs.

    Source: vLLM, v1/sample/ops/topk_topp_sampler.py `TopKTopPSampler` (FlashInfer's where a variable says so, by itself since 0.21).
    """
    if second_runner(device, architecture, version, own):
        if not rules(version).second_filters:
            return _UNFILTERED
        fused = device.vendor == "nvidia" and capability(device) >= _FLASHINFER and own.fused_sampler is not False
        return _FUSED if fused else _IN_PLACE
    fused = not rules(version).sorted_sampling
    if own.fused_sampler is not None and not runs_v0(device, version, own, architecture) and device.vendor == "nvidia":
        fused = fused or own.fused_sampler
    return _FUSED if fused else _SORTING_FEW if sequences in _FEW else _SORTING


def forward_peak(
    device: Device, architecture: Architecture, placement: Placement, serving: Serving, tokens: int, space: Workspace
) -> int:
    """Tensors alive at once inside the widest layer, and room for MLA's context.

    XFormers, which GPUs older than Ampere run, keeps its input besides. Workspaces stay from one layer to the next.
    """
    if runs_v0(device, serving.version, serving.own, architecture):
        return shared.forward_peak(architecture, placement, tokens, 4 if capability(device) < (8, 0) else 3)
    latent = _latent_context(architecture, placement, serving, tokens)
    if not space.kept:
        return shared.forward_peak(architecture, placement, tokens) + latent
    width = width_beside_experts(architecture, placement.tp)
    return 2 * tokens * (3 * architecture.facts.hidden_size + width) + max(latent, space.scores) + space.kept


def _latent_context(architecture: Architecture, placement: Placement, serving: Serving, tokens: int) -> int:
    """Room to project cached latents up to keys and values, in chunks of a prefill's context.

    DeepSeek-V4's attention reads its latents as they are, and sparse attention's profile run had none of it until 0.16. Sources: vLLM
    0.33, layers/attention/mla_attention.py `determine_chunked_prefill_workspace_size` and `forward_impl`; 0.14,
    v1/attention/backends/mla/flashmla_sparse.py.
    """
    heads = _latent_width(architecture, at_least(serving.version, 0, 16))
    if not heads:
        return 0
    context = serving.context_tokens or architecture.facts.context_tokens or tokens
    return min(8 * context, 65536) * heads // placement.tp * 2


@once
def _latent_width(architecture: Architecture, sparse_too: bool) -> int:
    """Elements of keys and values that a cached latent is projected up to, in the layer with most; 0 where none is."""
    if is_one_of(architecture, PACKED_ROWS):
        return 0
    width = 0
    for stack in architecture.stacks:
        for layer in stack.kinds if stack.part == "decoder" else ():
            kinds = {cache.kind for cache in layer.caches}
            if "latent" in kinds and (sparse_too or "index" not in kinds):
                width = max([width, *(a.heads * (a.qk_dim + a.v_dim) for a in layer.attends if a.v_dim)])
    return width


def _overhead(device: Device, architecture: Architecture, placement: Placement, serving: Serving, v0: bool) -> list[Term]:
    """What is neither weights nor PyTorch's: how much of it counts changed with what the profiling takes as its start."""
    version, ranks = serving.version, placement.tp * placement.pp
    logs = "fitted to logs: docs/engine-logs.md"
    terms = []
    if not at_least(version, 0, 6, 5) or (not v0 and not at_least(version, 0, 10)):
        terms.append(Term("CUDA context", cuda_context(device), "fitted", "one process, with all it loads", logs))
    else:
        if v0:
            size = FITTED.libraries_v0
        elif device.vendor == "intel":
            second = second_runner(device, architecture, version, serving.own)
            size = FITTED.libraries_xpu_v2 if second else FITTED.libraries_xpu
        else:
            size = FITTED.libraries_state if keeps_states(architecture) else FITTED.libraries
        terms.append(Term("libraries", size, "fitted", "kernels and handles loaded by the first batch", logs))
    if _counts_host(device):
        # What is free of such a memory is what the system has available (utils/mem_utils.py `MemorySnapshot.measure`).
        terms.append(
            Term("host memory", FITTED.host, "fitted", "of the engine's processes, in the memory that CPU and GPU share", logs)
        )
    if ranks > 1:
        # Custom all-reduces are for GPUs of one machine (distributed/device_communicators/custom_all_reduce.py).
        alone = device.per_host == 1 if serving.own is None else serving.own.nodes >= ranks * placement.dp
        terms.append(collectives(device, ranks, v0=v0 or alone, lean=at_least(version, *KEPT)))
    return terms


def _counts_host(device: Device) -> bool:
    """Whether memory of the CPU counts as the GPU's: on NVIDIA's GPUs that share it (vLLM 0.12 to 0.33, platforms/cuda.py
    `is_integrated_gpu`)."""
    return device.vendor == "nvidia" and device.shared_memory


def capture_sizes(sequences: int, tokens: int, own: Settings | None = None) -> tuple[int, int]:
    """How many batch sizes are captured piecewise, and how many whole: those asked for, or the usual ones up to the largest.

    Decoding with drafts runs all of a sequence's tokens at once. Source: vLLM 0.33, config/vllm.py `_set_cudagraph_sizes`.
    """
    own = own or _USUAL
    each = 1 + own.draft_tokens
    pieces, whole = _capture_sizes(sequences * each, tokens, own.largest_capture, own.capture_sizes)
    return pieces if own.piece_graphs else 0, whole if own.whole_graphs else 0


@lru_cache(maxsize=256)
def _capture_sizes(batch: int, tokens: int, asked: int | None, named: tuple[int, ...] | None) -> tuple[int, int]:
    largest = min(asked or min(2 * batch, 512), tokens)
    sizes = named or (1, 2, 4, *range(8, 256, 8), *range(256, max(513, largest + 1), 16))
    if named:
        pieces, whole = (sum(size <= limit for size in sizes) for limit in (tokens, batch))
    else:
        pieces, whole = (sum(size <= limit for size in sizes) for limit in (largest, min(largest, batch)))
    return pieces, whole


def largest_whole(device: Device, version: str | None, sequences: int, tokens: int, own: Settings | None) -> int:
    """The largest batch whose step is captured as a whole graph, 0 where none is.

    Source: vLLM 0.33, config/vllm.py `_set_cudagraph_sizes`: up to 1,024 on data-centre Blackwell, 512 else; level 1 captures pieces alone.
    """
    own = own or _USUAL
    if not own.graphs or not own.compiled or not own.whole_graphs:
        return 0
    if own.capture_sizes:
        return max((size for size in own.capture_sizes if size <= tokens), default=0)
    usual = 1024 if device.compute and device.compute.startswith("10.") else 512
    return min(own.largest_capture or min(2 * sequences, usual), tokens)


def graphs_bytes(architecture: Architecture, placement: Placement, sequences: int, tokens: int, own: Settings) -> int:
    """What captured graphs take of a GPU, in the budget or beside it."""
    return _graphs(architecture, placement, sequences, tokens, own).bytes


def _graphs(architecture: Architecture, placement: Placement, sequences: int, tokens: int, own: Settings) -> Term:
    """Each captured graph keeps a little for each layer; layers with a state run more kernels."""
    pieces, whole = capture_sizes(sequences, tokens, own)
    if pools(architecture, own):
        # config/vllm.py: "Pooling models do not support full cudagraphs".
        whole = 0
    attention, state = _mixers(architecture)
    layers = attention + state
    size = pieces * layers * FITTED.graph + whole * (attention * FITTED.graph + state * FITTED.graph_state)
    text = f"{pieces} graphs in pieces and {whole} whole ones of {layers} layers"
    return Term(
        "CUDA graphs", size // placement.pp, "fitted", text, "vLLM, v1/worker/gpu_model_runner.py `profile_cudagraph_memory`"
    )


@once
def _mixers(architecture: Architecture) -> tuple[int, int]:
    """Layers of the decoder without a recurrent state, and with one."""
    attention = state = 0
    for stack in architecture.stacks:
        if stack.part == "decoder":
            for layer, layers in zip(stack.kinds, stack.counts(), strict=True):
                if layer.keeps("state") is not None:
                    state += layers
                else:
                    attention += layers
    return attention, state


def _workspace(device: Device) -> int:
    since, large, small = _WORKSPACE
    if device.vendor == "intel":
        # PyTorch keeps one for cuBLAS and hipBLAS alone.
        return 0
    return large if device.vendor != "nvidia" or capability(device) >= since else small
