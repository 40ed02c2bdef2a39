"""The budget of transformers: no pool, but whatever weights and one forward pass leave."""

from __future__ import annotations

from typing import TYPE_CHECKING

from archcalc.engines.budget import Budget, Serving, Term, budgeted, cuda_context, forward_peak
from archcalc.engines.placement import Placement, RankWeights
from archcalc.model import Architecture

if TYPE_CHECKING:
    from archcalc.hardware import Device


def budget(device: Device, architecture: Architecture, weights: RankWeights, serving: Serving) -> Budget:
    """No pool: whatever weights and one forward pass leave. Logits of the last position alone are computed."""
    tokens = serving.batched_tokens or serving.context_tokens or architecture.facts.context_tokens or 4096
    sequences = serving.sequences or 1
    forward = forward_peak(architecture, Placement(), tokens * sequences)
    peak = Term(
        "forward pass", forward, "cited", f"{tokens:,} tokens, live at once in the widest layer", "transformers, modeling files"
    )
    lost = [Term("CUDA context", cuda_context(device), "fitted", "one process", "fitted to logs: docs/engine-logs.md")]
    share = serving.utilization or 1.0
    memory = device.visible_bytes
    return budgeted(memory, share, int(memory * share), weights.bytes, [peak], lost, tokens, sequences)
