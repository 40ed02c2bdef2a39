"""mlx-lm's budget: none is taken in advance. What Metal recommends is wired, and weights and a step of prompts are all that is not cache.

Source: mlx-lm 0.32.2, mlx_lm/utils.py `maybe_set_recommended_wired_limit` (Metal's `recommendedMaxWorkingSetSize`, which is the device's
visible memory here), mlx_lm/server.py (`--prefill-step-size` 2048, `--prompt-concurrency` 8), mlx_lm/models/cache.py `update_and_fetch`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from archcalc.engines._allocation import Workload
from archcalc.engines.budget import Budget, Serving, Term, budgeted, forward_peak
from archcalc.engines.mlx import cache
from archcalc.engines.placement import Placement, RankWeights
from archcalc.model import Architecture

if TYPE_CHECKING:
    from archcalc.hardware import Device

PREFILL_STEP, PROMPTS = 2048, 8
SERVER = "mlx-lm, mlx_lm/server.py"


def budget(device: Device, architecture: Architecture, weights: RankWeights, serving: Serving) -> Budget:
    """What Metal recommends, less a step of as many prompts as are read at once, and a layer's cache once more while it grows."""
    context = serving.context_tokens or architecture.facts.context_tokens or 4096
    sequences = serving.sequences or 1
    step, prompts = min(PREFILL_STEP, context), min(PROMPTS, sequences)
    forward = forward_peak(architecture, Placement(), step * prompts)
    held = cache.allocate(architecture, Workload(context, sequences)).figures
    # Growth joins the old tensors with new ones, so one layer's are there twice.
    again = max((f.bytes // f.layers for f in held if f.layers), default=0)
    terms = [
        Term(
            "forward pass",
            forward,
            "cited",
            f"{prompts} x {step:,} tokens, live at once in the widest layer",
            "mlx-lm, mlx_lm/server.py",
        ),
        Term("growth", again, "cited", "one layer's cache, old and new", cache.FILE),
    ]
    share = serving.utilization or 1.0
    memory = device.visible_bytes
    return budgeted(memory, share, int(memory * share), weights.bytes, terms, [], step, sequences)
