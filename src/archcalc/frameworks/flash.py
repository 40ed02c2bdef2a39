"""Which GPUs the kernels of the FlashAttention packages run on."""

from __future__ import annotations

import re

from archcalc import hardware
from archcalc.errors import UsageError

_LEAST = {"2": 8.0, "3": 8.0, "4": 9.0}
"""The least compute capability by release (flash-attn 2.8, csrc/flash_attn/flash_api.cpp: "FlashAttention only supports Ampere GPUs or
newer"; transformers 5.24, modeling_flash_attention_utils.py, `cuda_min_major_version` of 3 and 4)."""


def _compute(gpus: hardware.GpuSpec | None) -> float | None:
    """The compute capability, where there is one."""
    compute = gpus.device.compute if gpus is not None else None
    return float(compute) if compute and compute.replace(".", "", 1).isdigit() else None


def missing(gpus: hardware.GpuSpec | None, release: str = "2") -> str:
    """What the GPUs lack for a release of FlashAttention, in words; empty where they lack nothing that is known."""
    compute = _compute(gpus)
    if gpus is None or compute is None or compute >= _LEAST[release]:
        return ""
    return f"FlashAttention {release} needs compute capability {_LEAST[release]}, and {gpus.device.id} has {compute}"


def refuse(gpus: hardware.GpuSpec | None, what: str, value: str, instead: str) -> None:
    """Raises `UsageError` where `value` (flash_attention_2, fa3, kernels-community/flash-attn3, flash) names a release that the GPUs do not
    run. PyTorch's own attention has a memory-efficient kernel there, which keeps the same tensors."""
    named = re.search(r"(?:flash[-_]att(?:ention|n)[-_]?|^fa)([234])|^flash$", value.lower())
    if named and (lacks := missing(gpus, named[1] or "2")):
        raise UsageError(f"{what}: {lacks}", instead)


def half(gpus: hardware.GpuSpec | None) -> str:
    """What half precision is on GPUs without bf16, in words; empty elsewhere (PyTorch 2.13, cuda/__init__.py `is_bf16_supported`: 8.0, or
    emulated)."""
    compute = _compute(gpus)
    if gpus is None or compute is None or compute >= 8.0:
        return ""
    return f"{gpus.device.id} has no bf16 units (compute capability {compute}): PyTorch emulates bf16, slower; fp16 takes as many bytes"
