"""What a device cannot exceed: tokens a second from its bandwidth, seconds from its matrix rate. Bounds, not forecasts.

Source: Williams et al. 2009, "Roofline: an insightful visual performance model", doi:10.1145/1498765.1498785.
"""

from __future__ import annotations

from archcalc.hardware import Device, Tflops
from archcalc.records import NamedTuple

_SIXTEEN = ("bf16", "fp16")
# What a format is computed in, best first: weights of fewer bits than the matrix units take are widened before the product.
# llama.cpp multiplies its quantized blocks in INT8 where it can.
_COMPUTED_IN: dict[str, tuple[str, ...]] = {
    "fp32": ("fp32",),
    "bf16": _SIXTEEN,
    "fp16": ("fp16", "bf16"),
    "fp8": ("fp8", *_SIXTEEN),
    "fp8_e5m2": ("fp8", *_SIXTEEN),
    "int8": ("int8", *_SIXTEEN),
    "fp4": ("fp4", *_SIXTEEN),
    "int4": _SIXTEEN,
}
# The first CUDA compute capability whose matrix units take the format.
_CUDA_FROM = {"fp16": (7, 0), "bf16": (8, 0), "fp8": (8, 9), "fp4": (10, 0), "int8": (7, 5), "tf32": (8, 0)}


class Rate(NamedTuple):
    """Operations a second of one GPU, and the format they are done in."""

    flops_per_s: int
    dtype: str


def native(device: Device, dtype: str) -> bool | None:
    """Whether the matrix units take the format as it is; None where that is not known."""
    name = "fp8" if dtype == "fp8_e5m2" else dtype
    if device.vendor == "nvidia" and device.compute and name in _CUDA_FROM:
        major, minor = device.compute.split(".")
        return (int(major), int(minor)) >= _CUDA_FROM[name]
    if name not in Tflops._fields or not any(device.tflops):
        return None
    return getattr(device.tflops, name) is not None


def matrix_rate(device: Device, dtype: str) -> Rate | None:
    """The peak rate at which weights of a format are multiplied; None where no rate is published.

    `dtype` is a name of `units.parse_dtype`, GGUF types included.
    """
    rates = device.tflops._asdict()
    known = [(rates[name], name) for name in _COMPUTED_IN.get(dtype, ("int8", *_SIXTEEN)) if rates[name] is not None]
    if not known:
        known = [(rates["fp32"], "fp32")] if rates["fp32"] is not None else []
    if not known:
        return None
    tflops, name = known[0] if dtype in _COMPUTED_IN else max(known)
    return Rate(round(tflops * 10**12), name)


def decode_tokens_per_s(device: Device, weights_bytes: int, cache_bytes: int, sequences: int = 1) -> float | None:
    """The most tokens a second that the GPU's bandwidth lets `sequences` sequences have in all.

    Each step makes one token for each sequence, and reads on the fullest GPU `weights_bytes` once and `cache_bytes` for each.
    """
    if device.bandwidth_bytes_per_s is None:
        return None
    read = weights_bytes + sequences * cache_bytes
    # What is no decoder reads nothing at each step: it has none.
    return sequences * device.bandwidth_bytes_per_s / read if read else None


def prefill_seconds(device: Device, gpus: int, flops: int, dtype: str) -> float | None:
    """The least time that so many GPUs need for `flops` operations: a floor under the time to the first token."""
    rate = matrix_rate(device, dtype)
    return None if rate is None else flops / (gpus * rate.flops_per_s)


def experts_visited(total: int, active: int, tokens: int) -> float:
    """How many of a layer's experts so many tokens visit on average, if routing is even and each token chooses alone.

    One token visits `active` (exactly); the weights a step reads grow with this until all are read.
    """
    return total * (1 - (1 - active / total) ** tokens)
