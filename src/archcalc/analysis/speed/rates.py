"""The peak rate at which a device multiplies weights of a storage: by the kernels of an engine that serves many, and by any.

Sources: vLLM 0.33, model_executor/kernels/linear/__init__.py (which kernels are tried in which order for FP8, INT8, MXFP4, MXFP8, NVFP4 and
mixed precision) and their `is_supported`; layers/fused_moe/oracle/mxfp4.py; PyTorch and Marlin accumulate products of 16 bits in FP32.
NVIDIA, Ampere GA102 whitepaper, v2.1, table 3 (GeForce multiplies FP16 at twice the rate if it accumulates in FP16 too, and BF16 in FP32
alone); llama.cpp 0c1e57098, ggml/src/ggml-cuda/mmq.cuh (quantized blocks are multiplied in INT8 where the device has it) and ggml-cuda.cu
`ggml_cuda_op_mul_mat_cublas` (`CUBLAS_COMPUTE_16F` for FP16, `CUBLAS_COMPUTE_32F` for BF16).
"""

from __future__ import annotations

from functools import lru_cache

from archcalc.analysis.roofline import Rate
from archcalc.hardware import Device
from archcalc.records import NamedTuple


class _Narrow(NamedTuple):
    """A format that products are in where a device has a rate for it, from a compute capability on (times ten) and up to one.

    `gfx` are the targets of AMD that have it; None for all with a rate.
    """

    dtype: str
    least: int = 0
    most: int = 999
    gfx: frozenset[str] | None = None


_NO_AMD = frozenset[str]()
_CDNA4 = frozenset({"gfx950"})
FORMATS: dict[str, tuple[_Narrow, ...]] = {
    # scaled_mm/cutlass.py and deep_gemm.py from 8.9 on; scaled_mm/marlin.py below: W8A16.
    "fp8": (_Narrow("fp8", 89),),
    # mxfp8/flashinfer.py from 10.0 on; mxfp8/marlin.py below.
    "mxfp8": (_Narrow("fp8", 100, gfx=_CDNA4),),
    # nvfp4/cutlass.py and flashinfer.py from 10.0 on; nvfp4/marlin.py below: "Weight-only FP4 compression will be used".
    "nvfp4": (_Narrow("fp4", 100, gfx=_NO_AMD),),
    # mxfp4/flashinfer.py on 10.x; mxfp4/marlin.py else.
    "mxfp4": (_Narrow("fp4", 100, 109, _CDNA4),),
    # fused_moe/oracle/mxfp4.py `select_mxfp4_moe_backend`: activations of MXFP8 on 10.x where that is asked for; Triton and Marlin else.
    "mxfp4-experts": (_Narrow("fp8", 100, 109, _CDNA4),),
    # The same, `select_deepseek_v4_mxfp4_moe_backend`: MXFP8 on 10.x first, unasked; Marlin else.
    "mxfp4-mxfp8": (_Narrow("fp8", 100, 109, _CDNA4),),
    # scaled_mm/cutlass.py.
    "int8": (_Narrow("int8", 75),),
    # mixed_precision/cutlass.py `CutlassW4A8LinearKernel`.
    "w4a8": (_Narrow("fp8", 90, 90, _NO_AMD),),
    # GGUF's, under engines other than llama.cpp.
    "blocks": (_Narrow("int8"),),
    "bf16": (),
    "fp16": (),
}
"""What weights are multiplied in, where it is not 16 bits: those of AWQ and GPTQ of 4 and 8 bits, W4A16, NF4 and INT8 of weights alone are
widened before the product (mixed_precision/machete.py, marlin.py), so that they are `bf16` or `fp16` here."""
UNTOLD = {("vllm", "mxfp4-experts"): "bf16"}
"""What an engine multiplies a format in unless it is told otherwise, where that is less than the device can: vLLM 0.33,
fused_moe/oracle/mxfp4.py `_filter_by_activation` (gpt-oss states no format of its activations, so kernels of 16 bits come first, on 10.x
`FLASHINFER_TRTLLM_MXFP4_BF16`; --moe-backend flashinfer_trtllm_afp8 takes MXFP8). SGLang 0.5.23 takes MXFP8 there by default
(--flashinfer-mxfp4-moe-precision)."""


@lru_cache(256)
def peak(device: Device, kind: str, alone: bool = False) -> Rate | None:
    """The peak rate at which products of a kind are made; None where the device has matrix units whose rate nobody states.

    `alone` is of an engine for one user, which may accumulate FP16 in FP16.
    """
    rates = device.tflops._asdict()
    doubled = alone and device.vendor == "nvidia" and device.category in ("consumer", "laptop") and kind != "bf16"
    if doubled and rates["fp16"] is not None:
        rates["fp16"] *= 2
    names = ["bf16", "fp16", *(f.dtype for f in FORMATS[kind] if _has(device, f))]
    known = [(rates[name], name) for name in names if rates[name] is not None]
    if not known and rates["fp32"] is not None and _no_matrix_units(device):
        known = [(rates["fp32"], "fp32")]
    if not known:
        return None
    tflops, name = max(known, key=lambda each: each[0])
    return Rate(round(tflops * 10**12), name)


@lru_cache(256)
def scores(device: Device, kind: str, alone: bool = False, latent: bool = False) -> Rate | None:
    """The rate of attention's own products, over a cache of a kind: in FP8 only where the cache is, and kernels multiply in it.

    Source: vLLM 0.33, v1/attention/backends/flash_attn.py (FP8 on Hopper, the queries narrowed too) and flashinfer.py (TensorRT-LLM's
    kernels on 10.x); others widen what they read. Latent attention reads prompts on up-projected keys of 16 bits (mla/common).
    """
    if kind == "fp8" and not latent and device.vendor == "nvidia" and _capability(device) in (90, 100, 103):
        return peak(device, "fp8")
    return peak(device, "fp16", alone)


def _has(device: Device, of: _Narrow) -> bool:
    if device.vendor == "nvidia":
        return of.least <= _capability(device) <= of.most
    return of.gfx is None or device.compute in of.gfx


def _capability(device: Device) -> int:
    """Ten times the compute capability; of a card that states none what its rates say is taken."""
    if device.compute is None:
        return 100
    major, minor = device.compute.split(".")
    return int(major) * 10 + int(minor)


def _no_matrix_units(device: Device) -> bool:
    """Whether products are known to run at the rate of single precision: NVIDIA before Volta."""
    return device.vendor == "nvidia" and device.compute is not None and int(device.compute.split(".")[0]) < 7
