"""llama.cpp's budget: all that the GPU has, less the buffers of one computation and a margin."""

from __future__ import annotations

from typing import TYPE_CHECKING

from archcalc.engines._allocation import Workload
from archcalc.engines.budget import GIB, Budget, Serving, Term, budgeted, cuda_context
from archcalc.engines.llamacpp import cache as llamacpp
from archcalc.engines.placement import RankWeights
from archcalc.model import Architecture

if TYPE_CHECKING:
    from archcalc.hardware import Device


def budget(device: Device, architecture: Architecture, weights: RankWeights, serving: Serving) -> Budget:
    """All that the GPU has, less the buffers of one computation and, by default, a margin of 1 GiB.

    Source: llama.cpp 0c1e57098, common/fit.cpp (`--fit-target`).
    """
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
    lost = [Term("context", cuda_context(device), "fitted", "one process", "fitted to logs: docs/engine-logs.md")]
    share = serving.utilization or 1.0
    if serving.utilization is None:
        lost.append(Term("margin", GIB, "cited", "--fit-target", "llama.cpp, common/fit.cpp"))
    memory = device.visible_bytes
    return budgeted(memory, share, int(memory * share), weights.bytes, [buffer], lost, 512, sequences)
