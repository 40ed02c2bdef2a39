"""SGLang's budget: a share is set aside for activations and graphs without looking, the rest is the pool's.

Source: SGLang 0.5.23, srt/arg_groups/memory_hook.py `handle_gpu_memory_settings`, srt/mem_cache/kv_cache_configurator.py
`_profile_available_bytes`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from archcalc.engines.budget import MIB, Budget, Serving, Term, collectives, cuda_context, forward_peak
from archcalc.engines.placement import Placement, RankWeights
from archcalc.engines.sglang.rules import Reserve, check_known, fraction, since, sizes
from archcalc.engines.sglang.settings import Settings
from archcalc.model import Architecture

if TYPE_CHECKING:
    from archcalc.hardware import Device


PREFILL_TOKENS = 16384
"""SGLang 0.5.23, srt/arg_groups/fields/schedule.py `max_prefill_tokens`; what is set aside for them: memory_hook.py."""


def budget(device: Device, architecture: Architecture, placement: Placement, weights: RankWeights, serving: Serving) -> Budget:
    """`--mem-fraction-static` of what is free before loading; activations and graphs live outside of it, unmeasured."""
    logs = "fitted to logs: docs/engine-logs.md"
    own: Settings = serving.own or Settings()
    version = serving.version
    check_known(version)
    # A plan of a mixture of experts shares the attention's ranks; replicas of a dense model have ranks of their own.
    shared = own.attention_dp if serving.own is not None else placement.dp > 1 and architecture.facts.moe is not None
    tp = placement.tp * (placement.dp if shared else 1)
    towers = next((s for s in architecture.stacks if s.part == "vision"), None)
    vision = None
    if towers is not None and serving.images and not own.text_alone:
        # Towers seldom state their depth under the name that SGLang looks for; its default for that is 24.
        vision = 24, next((t.shape[0] for layer in towers.kinds for t in layer.tensors if t.role == "norm"), 1024)
    mla = any(
        cache.kind == "latent" for s in architecture.stacks if s.part == "decoder" for layer in s.kinds for cache in layer.caches
    )
    size = device.driver_bytes // MIB
    tokens, sequences = sizes(version, size, tp)
    if placement.dp > 1 and shared:
        tokens //= placement.dp if since(version, 0, 4, 5) else 2
    tokens, sequences = serving.batched_tokens or tokens, serving.sequences or own.graph_batch or sequences
    longest = 0
    if own.chunk is not None:
        # Without chunks memory is set aside for a batch, and one prompt may be longer.
        tokens = own.chunk or own.prefill_tokens or PREFILL_TOKENS
        longest = 0 if own.chunk else serving.context_tokens or architecture.facts.context_tokens or 0
    if own.running is not None and own.graph_batch is None and since(version, 0, 5, 22):
        sequences = min(sequences, own.running)
    wanted = Reserve(
        size, tp, placement.pp, tokens, sequences, mla, vision, own.speculation, placement.dp if shared else 1,
        own.prefill_graphs, own.graphs,
    )  # fmt: skip
    share = serving.utilization or fraction(version, wanted)
    lost = [Term("CUDA context", cuda_context(device), "fitted", "one process", logs)]
    if tp * placement.pp > 1:
        lost.append(collectives(device, tp * placement.pp))
    free = device.visible_bytes - sum(t.bytes for t in lost)
    step = max(tokens, longest)
    forward = forward_peak(architecture, placement, step)
    left = int(free * (1 - share))
    notes: tuple[str, ...] = ()
    if forward > left:
        notes = (f"a prefill chunk of {step:,} tokens may need {forward:,} B, and --mem-fraction-static leaves {left:,} B",)
    # A request's own step is no longer than its context. Of a dense layer the residual, the input, both projections and their product lie
    # there at once (srt/models/llama.py `LlamaMLP.forward`, `LlamaDecoderLayer.forward`); of experts that depends on the kernel.
    alone = min(step, serving.context_tokens or step)
    dense = architecture.facts.moe is None
    least = forward_peak(architecture, placement, alone, 2) if dense else forward_peak(architecture, placement, alone) // 2
    room = free - left - weights.bytes
    reserve = Term(
        "reserve", left, "cited", f"(1 - {share:g}) x {free:,} B free before loading", "SGLang, srt/arg_groups/memory_hook.py"
    )
    whole = device.visible_bytes
    return Budget(
        whole, whole, weights.bytes, 0, whole - weights.bytes - room, room, share, tokens, sequences, (), (*lost, reserve), notes,
        step_bytes=least,
    )  # fmt: skip
