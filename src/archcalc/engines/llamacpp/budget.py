"""llama.cpp's budget: all that the GPU has, less the buffers of one computation and a margin."""

from __future__ import annotations

from functools import lru_cache
from math import prod
from typing import TYPE_CHECKING

from archcalc.engines._allocation import Workload, unread
from archcalc.engines.budget import GIB, Budget, Serving, Term, budgeted, cuda_context
from archcalc.engines.llamacpp import cache as llamacpp
from archcalc.engines.llamacpp import projector
from archcalc.engines.llamacpp.compute import Same
from archcalc.engines.llamacpp.layout import CPU, Layout, devices_of, lay_out, on_cpu
from archcalc.engines.llamacpp.settings import Settings
from archcalc.engines.placement import ComponentBytes, RankWeights
from archcalc.figures.checkpoint import inventory, storage_bytes
from archcalc.model import Architecture
from archcalc.records import NamedTuple

if TYPE_CHECKING:
    from archcalc.engines.plan import Ask, Candidate
    from archcalc.hardware import Device

UBATCH = 512
"""`-ub` by default (common/common.h)."""


def budget(device: Device, architecture: Architecture, weights: RankWeights, serving: Serving) -> Budget:
    """All that the GPU has, less the buffers of one computation and a margin of 1 GiB, which `--fit` leaves where `-ngl` is not set.

    Source: llama.cpp 0c1e57098, common/fit.cpp (`--fit-target`).
    """
    own: Settings | None = serving.own
    context = serving.context_tokens or architecture.facts.context_tokens or 4096
    sequences = serving.sequences or 1
    copies = llamacpp.PIPELINE_COPIES if in_pipeline(architecture, own, len(weights.stages)) else 1
    options = options_of(own, sequences)._replace(
        here=weights.layers_here,
        unpacks=own is not None and own.unpacks and device.vendor in ("nvidia", "amd"),
        away=weights.layers_away,
        copies=copies,
        streamed_bytes=weights.streamed_bytes,
        streamed_head_bytes=weights.streamed_head_bytes,
        head_here=weights.heads_gpu in (None, CPU, weights.fullest),
    )
    if own is None:
        options = options._replace(n_ubatch=whole_batch(architecture, context))
    batch = options.n_ubatch
    text = f"a batch of {batch:,} over {context:,} cells"
    if copies > 1:
        text += f", its inputs in {copies} copies"
    if weights.streamed_bytes:
        text += f", and a weight of {weights.streamed_bytes:,} B from the CPU's memory"
    source = "llama.cpp, src/llama-context.cpp `sched_reserve`"
    buffers = [Term("compute buffer", compute(architecture, context, sequences, options), "cited", text, source)]
    if own is not None and (draft := drafting(own, architecture)) is not None:
        size = compute(draft, context, sequences, draft_options(own, sequences))
        buffers.append(
            Term("compute buffer of the draft model", size, "cited", f"a batch of {batch:,}", "llama.cpp, common/speculative.cpp")
        )
    if own is not None and not weights.fullest and (size := projector.on_gpu(own, architecture)[1]):
        buffers.append(
            Term("compute buffer of the projector", size, "cited", "an image of the warm-up", "llama.cpp, tools/mtmd/clip.cpp")
        )
    lost = [Term("context", cuda_context(device), "fitted", "one process", "fitted to logs: docs/engine-logs.md")]
    share = serving.utilization or 1.0
    margin = own.margin_bytes if own is not None else GIB if serving.utilization is None else 0
    if margin:
        lost.append(Term("margin", margin, "cited", "--fit-target", "llama.cpp, common/fit.cpp"))
    memory = device.visible_bytes
    made = budgeted(memory, share, int(memory * share), weights.bytes, buffers, lost, batch, sequences)
    return made._replace(gpu=weights.fullest, stages=weights.stages)


def whole_batch(architecture: Architecture, context: int) -> int:
    """The micro-batch of a plan: a model that sees both ways takes its whole input in one (0c1e57098, src/llama-context.cpp
    `llama_context::encode`, `decode`; tools/server/server-context.cpp "input is too large to process")."""
    return max(UBATCH, context) if unread(architecture) else UBATCH


def compute(architecture: Architecture, context: int, sequences: int, options: llamacpp.CacheOptions) -> int:
    """The buffer of one computation, in bytes."""
    return int(llamacpp.allocate(architecture, Workload(context, sequences), options).details["compute_buffer_bytes"])


def in_pipeline(architecture: Architecture, own: Settings | None, gpus: int) -> bool:
    """Whether GPUs run micro-batches one behind the other: several that hold all layers, and no tensor elsewhere.

    Source: llama.cpp 0c1e57098, src/llama-context.cpp `llama_context` (`pipeline_parallel`).
    """
    own = own or Settings()
    whole = own.gpu_layers is None or own.gpu_layers > architecture.layers
    return gpus > 1 and whole and own.split and not (own.cache_on_cpu or own.overrides or own.cpu_experts or own.experts_on_cpu)


def options_of(own: Settings | None, sequences: int) -> llamacpp.CacheOptions:
    """The cache's options that a command sets."""
    if own is None:
        return llamacpp.CacheOptions()
    # A draft is verified with the token before it (tools/server/server-context.cpp `server_output_limits`).
    outputs = own.slots * (1 + own.draft_tokens) if own.serves else 0
    return llamacpp.CacheOptions(
        n_parallel=own.slots if own.unified else sequences, kv_unified=own.unified, n_ubatch=own.ubatch, swa_full=own.swa_full,
        flash_attn=own.flash, cache_type_v=own.type_v, n_rs_seq=own.draft_tokens if own.rolls_back else 0, n_outputs=outputs,
        wide_masks=own.wide_masks,
    )  # fmt: skip


# Drafts


def drafting(own: Settings, architecture: Architecture) -> Architecture | None:
    """What drafts: a model of its own, or the MTP layers, which have a context of their own (src/llama-model.cpp `create_memory`)."""
    if own.draft is not None or not own.mtp:
        return own.draft
    stacks = tuple(s._replace(part="decoder") for s in architecture.stacks if s.part == "mtp")
    groups = tuple(g._replace(part="decoder") for g in architecture.groups if g.part == "mtp")
    return architecture._replace(stacks=stacks, groups=groups) if stacks else None


def draft_options(own: Settings, sequences: int) -> llamacpp.CacheOptions:
    """A draft's context is the target's, but for the types of its cache and the logits of one row a slot.

    Source: llama.cpp 0c1e57098, common/speculative.cpp `common_base_params_to_speculative`, `common_speculative_init_result`.
    """
    options = options_of(own, sequences)
    return options._replace(cache_type_v=own.draft_type_v, n_rs_seq=0, n_outputs=own.slots if own.serves else 0)


def draft_cache(own: Settings, architecture: Architecture, context: int, sequences: int) -> int:
    """The draft's cache, all of it."""
    draft = drafting(own, architecture)
    if draft is None:
        return 0
    work = Workload(context, sequences, own.draft_type_k)
    return llamacpp.allocate(draft, work, draft_options(own, sequences)._replace(computes=False)).bytes


def draft_weights(draft: Architecture, ask: Ask) -> tuple[int, int]:
    """What GPUs hold of the draft, in its own file type or else the model's, and what the CPU does."""
    from archcalc.engines.engine import server
    from archcalc.engines.weights import WeightOptions, kept
    from archcalc.quant import method_of

    own: Settings = ask.own
    as_it_is = own.draft is None or method_of(draft.quantization or {}) == "gguf"
    held = draft if as_it_is else server("llama.cpp").load(draft, own.draft_quant or ask.quant, ask.gpus.device)[0]
    tensors = kept(held, WeightOptions("llama.cpp", ask.version, ask.gpus.device, towers=False))
    layout = lay_out(tensors, held.layers, 1, Settings(gpu_layers=own.draft_layers), [1])
    return layout.weights[0], layout.on_cpu


class Held(NamedTuple):
    """The GPU that is fullest, with what lies on it."""

    layout: Layout
    gpu: int


def fullest(model: Candidate, ask: Ask, context: int, sequences: int) -> Held:
    """The GPU with the least room for the caches that lie on it, weights beside them."""
    own: Settings = ask.own or Settings()
    architecture = model.architecture
    memories = [d.visible_bytes for d in ask.gpus.each]
    layout = lay_out(model.tensors, architecture.layers, len(memories), own, memories)
    caches = on_gpus(model, ask, layout, context, sequences)
    left = [memory - weights - cache for memory, weights, cache in zip(memories, layout.weights, caches, strict=True)]
    left[0] -= sum(projector.on_gpu(ask.own, architecture))
    return Held(layout, left.index(min(left)))


def on_gpus(model: Candidate, ask: Ask, layout: Layout, context: int, sequences: int) -> list[int]:
    """The cache and states of each GPU."""
    own: Settings | None = ask.own
    work = Workload(context, sequences, ask.kv_dtype)
    caches, states = llamacpp.layer_bytes(model.architecture, work, options_of(own, sequences))
    found = [0] * len(layout.weights)
    for device, size, state in zip(layout.caches, caches, states, strict=True):
        if device != CPU:
            found[device] += size + state
    return found


def weigh(model: Candidate, ask: Ask) -> RankWeights:
    """The weights of the fullest GPU, and what the CPU's memory holds. A draft model lies on the fullest too: the most that it takes."""
    from archcalc.engines._offload import added
    from archcalc.engines.plan import context_of

    own: Settings = ask.own or Settings()
    held = fullest(model, ask, context_of(model.architecture, ask), ask.concurrency)
    size = held.layout.weights[held.gpu]
    total = sum(held.layout.weights)
    parts: dict[tuple[str, str], int] = {}
    for tensor in model.tensors:
        if tensor.gpu:
            key = (tensor.part, tensor.role)
            parts[key] = parts.get(key, 0) + sum(p.bytes for p in tensor.pieces) * (len(tensor.layers) or tensor.copies)
    for of, away in held.layout.left.items():
        parts[of] -= away
    whole = max(1, sum(parts.values()))
    components = [ComponentBytes(part, role, n * size // whole) for (part, role), n in parts.items()]  # type: ignore[arg-type]
    if components:
        components[0] = components[0]._replace(bytes=components[0].bytes + size - sum(c.bytes for c in components))
    left = tuple(ComponentBytes(part, role, n) for (part, role), n in held.layout.left.items())  # type: ignore[arg-type]
    alone = ask.gpus.device.shared_memory or not own.streams
    streamed, head = (0, 0) if alone else streamed_weights(model, ask)
    memories = [d.visible_bytes for d in ask.gpus.each]
    places = devices_of(model.architecture.layers, len(memories), own, memories)[: model.architecture.layers]
    here = frozenset(i for i, place in enumerate(places) if place == held.gpu)
    # The first GPU multiplies with what the CPU holds.
    lent: frozenset[int] = frozenset() if alone or held.gpu else frozenset(i for i, place in enumerate(places) if place == CPU)
    found = RankWeights(
        size, size, 0, 0, tuple(components), held.layout.weights, held.gpu, total, held.layout.on_cpu, streamed, head,
        held.layout.head, left, here, lent,
    )  # fmt: skip
    if (towers := projector.on_gpu(ask.own, model.architecture)[0]) and not held.gpu:
        part = ComponentBytes("vision", "other", towers)
        found = found._replace(bytes=size + towers, tensor_bytes=size + towers, components=(*components, part))
    found = found._replace(total_bytes=total + towers, cpu_bytes=found.cpu_bytes + projector.in_ram(ask.own, model.architecture))
    draft = drafting(own, model.architecture)
    if draft is None:
        return found
    total += towers
    gpu, cpu = draft_weights(draft, ask)
    return added(found, gpu)._replace(total_bytes=total + gpu, cpu_bytes=found.cpu_bytes + cpu)


def streamed_weights(model: Candidate, ask: Ask) -> tuple[int, int]:
    """The largest tensor of a layer that lies in the CPU's memory, and the head's bytes where that lies there.

    A GPU multiplies with them for all but small batches (ggml/src/ggml-backend.cpp `ggml_backend_sched_backend_id_from_cur`).
    """
    own: Settings = ask.own or Settings()
    memories = [d.visible_bytes for d in ask.gpus.each]
    places = devices_of(model.architecture.layers, len(memories), own, memories)
    if CPU not in places and not (own.cpu_experts or own.experts_on_cpu or own.overrides):
        return 0, 0
    layer = head = 0
    for part, role, layers, size in _matrices(Same(model.architecture)):
        if part == "decoder":
            if size > layer and any(places[i] == CPU or on_cpu(own, role, i) for i in layers if i < len(places)):
                layer = size
        elif places[-1] == CPU and (part == "head" or model.architecture.facts.tied_embeddings):
            head = max(head, size)
    return layer, head


@lru_cache(maxsize=8)
def _matrices(model: Same[Architecture]) -> list[tuple[str, str, tuple[int, ...], int]]:
    """Part, role, layers and bytes of each kind of matrix of a file; kept, as a search for what fits asks again and again."""
    found: list[tuple[str, str, tuple[int, ...], int]] = []
    for entry in inventory(model.it):
        tensor = entry.tensor
        if len(tensor.shape) < 2 or entry.part not in ("decoder", "head", "embedding"):
            continue
        # Experts whose gate and up the publisher joins are two tensors of a file.
        names = len(tensor.stored) if tensor.experts is not None and len(entry.shape) == len(tensor.shape) else 1
        size = storage_bytes(entry.dtype, prod(entry.shape) * (entry.experts or 1)) // max(1, names)
        found.append((entry.part, tensor.role, entry.layers, size))
    return found
