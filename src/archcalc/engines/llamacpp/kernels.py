"""Which kernels attention takes in llama.cpp, by what its cache is in.

Sources: llama.cpp 0c1e57098, ggml/src/ggml-cuda/fattn.cu (`ggml_cuda_fattn_kv_type_supported`, `ggml_cuda_flash_attn_ext_vec`,
`ggml_cuda_get_best_fattn_kernel`), ggml/CMakeLists.txt (`GGML_CUDA_FA_QUANTS`, what a build compiles unless it is told more);
src/llama-graph.cpp `build_attn_mha` (without flash attention the scores are written out in fp32).
"""

from __future__ import annotations

from archcalc.engines.plan import Ask, Fit

_COMPILED = frozenset({"f16", "bf16", "q8_0", "q4_0"})
_READ = _COMPILED | {"f32", "q4_1", "q5_0", "q5_1"}


def unmeasured(ask: Ask, fit: Fit) -> str:
    """Why attention runs otherwise than by flash attention's kernels on the cache as it is; empty where it does not."""
    keys, _, values = fit.kv_dtype.partition("/")
    values = values or keys
    if ask.own is not None and not ask.own.flash:
        return "without flash attention each layer writes its scores out and reads them back"
    if keys == values and keys in _COMPILED:
        return ""
    held = f"a cache in {keys}" if keys == values else f"keys in {keys} and values in {values}"
    if ask.gpus.device.vendor != "nvidia":
        return "" if keys == values and keys != "f32" else f"attention over {held}"
    if not {keys, values} <= _READ:
        return f"no kernel of CUDA reads {held}, and attention runs on the CPU"
    return f"each step converts {held} to f16, unless the build compiled kernels for it (GGML_CUDA_FA_QUANTS)"
