"""The peak rate at which a device can multiply weights of a storage, whatever kernel does it: what no prefill exceeds.

Sources: NVIDIA, Ampere GA102 whitepaper, v2.1, table 3 (GeForce multiplies FP16 at twice the rate if it accumulates in FP16 too); llama.cpp
0c1e57098, ggml/src/ggml-cuda/mmq.cuh (quantized blocks are multiplied in INT8 where the device has it); vLLM 0.33, quantization/ (FP8 and
FP4 products where the device has them, wider ones else).
"""

from __future__ import annotations

from functools import lru_cache

from archcalc.analysis.roofline import Rate
from archcalc.hardware import Device

_SIXTEEN = frozenset({"bf16", "fp16", "f16", "fp32", "f32"})
_EIGHT_BITS = frozenset({"fp8", "fp8-tensor", "fp8-dynamic", "mxfp8", "fbgemm-fp8", "modelopt-fp8"})
_FOUR_BITS = frozenset({"nvfp4", "mxfp4", "mxfp4-moe", "modelopt", "modelopt-fp4"})
_WIDENED = frozenset({"awq", "gptq", "int4", "w4a16", "nf4", "auto-round", "bitsandbytes", "hqq"})


def formats(quant: str) -> tuple[str, ...]:
    """The formats that weights of a storage may be multiplied in; a name that is not known here may be multiplied in INT8 too."""
    from archcalc.quant import canonical

    name = quant.lower().replace("_", "-")
    name = name if name in _SIXTEEN | _EIGHT_BITS | _FOUR_BITS | _WIDENED else canonical(name)
    if name in _SIXTEEN | _WIDENED:
        return ("bf16", "fp16")
    if name in _EIGHT_BITS:
        return ("fp8", "bf16", "fp16")
    if name in _FOUR_BITS:
        return ("fp4", "fp8", "int8", "bf16", "fp16")
    return ("int8", "bf16", "fp16")


@lru_cache(256)
def peak(device: Device, quant: str) -> Rate | None:
    """The fastest of those rates; None where the device has matrix units whose rate nobody states."""
    rates = device.tflops._asdict()
    if device.vendor == "nvidia" and device.category in ("consumer", "laptop") and rates["fp16"] is not None:
        rates["fp16"] *= 2
    known = [(rates[name], name) for name in formats(quant) if rates[name] is not None]
    if not known and rates["fp32"] is not None and _no_matrix_units(device):
        known = [(rates["fp32"], "fp32")]
    if not known:
        return None
    tflops, name = max(known)
    return Rate(round(tflops * 10**12), name)


def _no_matrix_units(device: Device) -> bool:
    """Whether products are known to run at the rate of single precision: NVIDIA before Volta."""
    return device.vendor == "nvidia" and device.compute is not None and int(device.compute.split(".")[0]) < 7
