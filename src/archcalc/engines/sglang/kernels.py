"""Which GPUs SGLang has kernels for, by how weights are stored and by release.

Sources: SGLang 0.5.23, srt/layers/quantization/: `get_min_capability` of each method's config, which srt/model_loader/loader.py
`_get_quantization_config` compares, and of each scheme of compressed-tensors; 0.5.9, 0.5.12 to 0.5.15 and 0.5.19 for modelopt_quant.py;
0.4.6 and 0.4.7, pyproject.toml (`torch==2.6.0`, whose builds end at compute capability 9.0, and `torch==2.7.1`, whose builds with CUDA
12.8 have 10.x and 12.x; sgl-project/sglang#5071 shows an image of April 2025 on a B200).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from archcalc.engines._kernels import FP8, Least, experts_stored, lacking, quark_fp8
from archcalc.engines.sglang.rules import since
from archcalc.model import Architecture

CAPABILITY: dict[str, tuple[Least, ...]] = {
    "awq": (Least((0,), 75),),
    # Marlin's alone are left on CUDA since (layers/quantization/__init__.py, marlin_utils.py `check_marlin_supported`).
    "gptq": (Least((0, 5, 20), 80), Least((0,), 60)),
    "fp8": (Least((0,), 80),),
    "mxfp8": (Least((0,), 100),),
    "w8a8_fp8": (Least((0,), 89),),
    "w8a8_int8": (Least((0,), 75),),
    "w4afp8": (Least((0,), 90),),
    "blockwise_int8": (Least((0,), 80),),
    "compressed-tensors": (Least((0,), 70),),
    "mxfp4": (Least((0,), 80),),
    "modelopt_fp8": (Least((0,), 89),),
    "modelopt_fp4": (Least((0, 5, 13), 80), Least((0,), 100)),
    "modelopt_mixed": (Least((0, 5, 13), 80), Least((0,), 100)),
    "nvfp4_online": (Least((0,), 100),),
    "minimax_m3_nvfp4": (Least((0,), 90),),
    "quark": (Least((0,), 70),),
    "auto-round": (Least((0,), 60),),
    "moe_wna16": (Least((0,), 70),),
    "bitsandbytes": (Least((0,), 70),),
    "gguf": (Least((0,), 60),),
    "humming": (Least((0,), 75),),
}
SCHEMES: dict[str, tuple[Least, ...]] = {
    "pack-quantized": (Least((0,), 80),),
    "int-quantized": (Least((0,), 80),),
    "float-quantized": (Least((0,), 80),),
    "nvfp4-pack-quantized": (Least((0,), 80),),
}
"""Of compressed-tensors, by the format that a config states, where a group has no other: 0.5.23, compressed_tensors/schemes/."""
_NO_SCHEME = frozenset({"mxfp4-pack-quantized", "mxfp8-quantized", "mxfp8-pack-quantized"})
"""0.5.23, compressed_tensors.py `_get_scheme_from_parts`, utils.py `is_activation_quantization_format`: "No compressed-tensors compatible
scheme was found". Routed experts in MXFP4 are none of a scheme's (`get_quant_method`: `Mxfp4MoEMethod`)."""
_NEWEST_READ = (0, 5, 23)
_UNITS = 89
"""Experts in FP8 run in Triton's kernels (0.5.23, fp8.py `Fp8MoEMethod.create_moe_runner`; Marlin's are in `Fp8LinearMethod` alone), whose
compiler has no such numbers below 8.9: "type fp8e4nv not supported in this architecture" (sglang#5871, #12887, #38291)."""


def named(quantization: Mapping[str, Any], method: str) -> str:
    """The name that SGLang takes for a method (0.5.23, srt/configs/model_config.py `_parse_modelopt_quant_config`)."""
    if method != "modelopt":
        return method
    level = quantization.get("quantization")
    algorithm = str((level if isinstance(level, Mapping) else quantization).get("quant_algo", "")).upper()
    if algorithm == "MXFP8":
        return "mxfp8"
    if algorithm == "MIXED_PRECISION":
        return "modelopt_mixed"
    return "modelopt_fp4" if "FP4" in algorithm else "modelopt_fp8" if algorithm == "FP8" else method


def _least(rows: tuple[Least, ...], version: str | None) -> int | None:
    return next((row.capability for row in rows if since(version, *row.since)), None)


def method_refused(version: str | None, quantization: Mapping[str, Any], capability: tuple[int, int]) -> str | None:
    """Why the method that a config states has no kernels on an NVIDIA GPU; None where it has, or where it is not known."""
    from archcalc.quant import method_of

    method = named(quantization, method_of(quantization))
    return lacking("SGLang", method, _least(CAPABILITY.get(method, ()), version), capability)


def _packs_linears(architecture: Architecture) -> bool:
    """Whether compressed-tensors packs more of the decoder than its routed experts."""
    from archcalc.figures.checkpoint import inventory

    return any(
        entry.part == "decoder" and entry.tensor.experts is None and entry.name.endswith(".weight_packed")
        for entry in inventory(architecture)
    )


_BLACKWELL = (0, 4, 7)


def unbuilt(version: str | None, capability: tuple[int, int] | None) -> str | None:
    """Why a release has no build for an NVIDIA GPU, whatever it serves; None where it has one."""
    if capability is None or capability < (10, 0) or since(version, *_BLACKWELL):
        return None
    return (
        f"SGLang {version} is built for PyTorch 2.6, which has no kernels for compute capability {capability[0]}.x: 0.4.7 is the first"
        " with builds that have them (CUDA 12.8)"
    )


def refused(
    version: str | None, architecture: Architecture, capability: tuple[int, int] | None, named: str | None = None
) -> str | None:
    """Why there are no kernels for the weights, as they are stored or made at loading, on an NVIDIA GPU; None where there are, or where it
    is not known. `named` is `--quantization`."""
    from archcalc.quant import method_of

    quantization = architecture.quantization
    if not quantization or capability is None:
        return None
    method = method_of(quantization)
    if why := method_refused(version, quantization, capability) or quark_fp8("SGLang", quantization, capability):
        return why
    if method == "compressed-tensors":
        groups = quantization.get("config_groups")
        each = groups.values() if isinstance(groups, Mapping) else ()
        formats = [group.get("format") for group in each if isinstance(group, Mapping)]
        for name in dict.fromkeys(str(n) for n in (quantization.get("format"), *formats) if n):
            experts_alone = "mxfp4" in name and not _packs_linears(architecture)
            if name in _NO_SCHEME and since(version, *_NEWEST_READ) and not experts_alone:
                return f"SGLang has no scheme for compressed-tensors of format {name} on NVIDIA's GPUs"
            if why := lacking("SGLang", name, _least(SCHEMES.get(name, ()), version), capability):
                return why
    experts = experts_stored(architecture)
    if "I8" in experts and method == "compressed-tensors" and named in (None, method) and since(version, *_NEWEST_READ):
        # 0.5.23, compressed_tensors.py `get_moe_scheme`: "implemented only for NPU for now".
        return "SGLang has no kernels for experts that compressed-tensors stores in INT8 on NVIDIA's GPUs"
    return lacking("SGLang", "experts in FP8", _UNITS, capability) if FP8 in experts else None
