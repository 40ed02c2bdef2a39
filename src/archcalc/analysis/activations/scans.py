"""What the fused kernels of recurrences keep for the backward pass, in place of the states that they make again."""

from __future__ import annotations

from collections.abc import Iterator

from archcalc.analysis.activations.saved import CHUNKS, FP32, Saved
from archcalc.model import Cache

RECOMPUTED = ("mamba2",)
"""Recurrences whose kernel takes convolution, scan, norm and output projection together, and makes all but the scan's output again."""
_CHUNK = 64


def scan_saved(cache: Cache, c: int) -> Iterator[Saved]:
    """What one recurrence keeps beside its projections and its output, `c` bytes an element.

    - Mamba-2 (mamba_ssm 2.2.4, ops/triton/ssd_combined.py `MambaSplitConv1dScanCombinedFn.forward`): the projection and the scan's output
      before its norm; convolution and states are made again.
    - Gated DeltaNet (fla-core 0.6, fla/ops/gated_delta_rule/chunk.py `ChunkGatedDeltaRuleFunction.forward`): queries and keys as they are
      normalized, gates in fp32, and the inverted matrix of each chunk of 64 tokens; the convolution's output, of which values are a view.
    - KDA (fla/ops/kda/chunk.py `ChunkKDAFunction.forward`): the same with a gate for each channel of the keys, and two such matrices.
    - Others: the convolution, and in fp32 a state for each chunk.
    """
    if cache.recurrence in RECOMPUTED:
        return
    convolved = sum(s.shape[0] for s in cache.states if s.name == "conv")
    fine = any(s.name == "conv" and s.dtype == "fp32" for s in cache.states)
    recurrent = next((s for s in cache.states if s.name == "recurrent"), None)
    if convolved:
        yield Saved("recurrence", "convolution", FP32 if fine else c, convolved, split=True)
    if recurrent is None:
        return
    if cache.recurrence in ("gated-delta", "kda") and len(recurrent.shape) == 3:
        heads, one, other = recurrent.shape
        values = heads * (one if cache.recurrence == "gated-delta" else other)
        keys = (convolved - values) // 2 if convolved > values else heads * other
        yield Saved("recurrence", "queries and keys, normalized", c, 2 * keys, split=True)
        yield Saved("recurrence", "gates", FP32, 2 * heads if cache.recurrence == "gated-delta" else 2 * keys, split=True)
        yield Saved(
            "recurrence", "matrices of the chunks", c, (1 if cache.recurrence == "gated-delta" else 2) * _CHUNK * heads, split=True
        )
        return
    # One state for a chunk of tokens: fractions of an element a token are rounded up.
    chunk = CHUNKS.get(cache.recurrence, _CHUNK)
    yield Saved("recurrence", "states of the chunks", FP32, -(-recurrent.elements // chunk), split=True)
