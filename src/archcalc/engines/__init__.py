"""How engines allocate caches, one file each.

Each has a pure function `allocate` from an architecture, a workload and the engine's own options to an `Allocation`.
"""

from __future__ import annotations

from archcalc.engines._allocation import Allocation, Figure, Workload

ENGINES = ("textbook", "vllm", "sglang", "llama.cpp", "transformers")
"""Every engine, in the order printed."""

__all__ = ["ENGINES", "Allocation", "Figure", "Workload"]
