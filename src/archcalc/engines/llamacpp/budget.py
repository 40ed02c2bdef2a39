"""llama.cpp's budget: all that the GPU has, less the buffers of one computation and a margin."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from archcalc.engines._allocation import Workload
from archcalc.engines.budget import GIB, Budget, Serving, Term, budgeted, cuda_context
from archcalc.engines.llamacpp import cache as llamacpp
from archcalc.engines.llamacpp.layout import CPU, Layout, lay_out
from archcalc.engines.llamacpp.settings import Settings
from archcalc.engines.placement import Component, RankWeights
from archcalc.model import Architecture

if TYPE_CHECKING:
    from archcalc.engines.plan import Ask, Candidate
    from archcalc.hardware import Device


def budget(device: Device, architecture: Architecture, weights: RankWeights, serving: Serving) -> Budget:
    """All that the GPU has, less the buffers of one computation and a margin of 1 GiB, which `--fit` leaves where `-ngl` is not set.

    Source: llama.cpp 0c1e57098, common/fit.cpp (`--fit-target`).
    """
    own: Settings | None = serving.own
    context = serving.context_tokens or architecture.facts.context_tokens or 4096
    sequences = serving.sequences or 1
    cache = llamacpp.allocate(architecture, Workload(context, sequences), options_of(own, sequences))
    compute = int(cache.details["compute_buffer_bytes"])
    batch = own.ubatch if own else 512
    buffer = Term(
        "compute buffer",
        compute,
        "cited",
        f"a batch of {batch:,} over {context:,} cells",
        "llama.cpp, src/llama-context.cpp `graph_reserve`",
    )
    lost = [Term("context", cuda_context(device), "fitted", "one process", "fitted to logs: docs/engine-logs.md")]
    share = serving.utilization or 1.0
    margin = own.margin_bytes if own is not None else GIB if serving.utilization is None else 0
    if margin:
        lost.append(Term("margin", margin, "cited", "--fit-target", "llama.cpp, common/fit.cpp"))
    memory = device.visible_bytes
    made = budgeted(memory, share, int(memory * share), weights.bytes, [buffer], lost, batch, sequences)
    return made._replace(gpu=weights.fullest)


def options_of(own: Settings | None, sequences: int) -> llamacpp.Options:
    """The cache's options that a command sets."""
    if own is None:
        return llamacpp.Options()
    return llamacpp.Options(
        n_parallel=own.slots if own.unified else sequences, kv_unified=own.unified, n_ubatch=own.ubatch, swa_full=own.swa_full,
        flash_attn=own.flash, cache_type_v=own.type_v, n_outputs=own.slots if own.serves else 0,
    )  # fmt: skip


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
    """The weights of the fullest GPU, and what the CPU's memory holds."""
    from archcalc.engines.plan import context_of

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
    components = [Component(part, role, n * size // whole) for (part, role), n in parts.items()]  # type: ignore[arg-type]
    if components:
        components[0] = components[0]._replace(bytes=components[0].bytes + size - sum(c.bytes for c in components))
    left = tuple(Component(part, role, n) for (part, role), n in held.layout.left.items())  # type: ignore[arg-type]
    return RankWeights(size, size, 0, 0, tuple(components), held.layout.weights, held.gpu, total, held.layout.on_cpu, left)
