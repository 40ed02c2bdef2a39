"""SGLang's budget: a share is set aside for activations and graphs without looking, the rest is the pool's.

Source: SGLang 0.5.23, srt/arg_groups/memory_hook.py `handle_gpu_memory_settings`, srt/mem_cache/kv_cache_configurator.py
`_profile_available_bytes`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from archcalc.engines.budget import MIB, Budget, Serving, Term, collectives, cuda_context, forward_peak
from archcalc.engines.placement import Placement, RankWeights
from archcalc.engines.sglang import cache as sglang
from archcalc.model import Architecture

if TYPE_CHECKING:
    from archcalc.hardware import Device


def budget(device: Device, architecture: Architecture, placement: Placement, weights: RankWeights, serving: Serving) -> Budget:
    """`--mem-fraction-static` of what is free before loading; activations and graphs live outside of it, unmeasured."""
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
        device.driver_bytes // MIB, tp=tp, pp=placement.pp, mla=mla, vision=vision
    )
    tokens, sequences = sglang.chunk_and_batch(device.driver_bytes // MIB, tp)
    tokens, sequences = serving.batched_tokens or tokens, serving.sequences or sequences
    lost = [Term("CUDA context", cuda_context(device), "fitted", "one process", logs)]
    if tp * placement.pp > 1:
        lost.append(collectives(device, tp * placement.pp))
    free = device.visible_bytes - sum(t.bytes for t in lost)
    forward = forward_peak(architecture, placement, tokens)
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
