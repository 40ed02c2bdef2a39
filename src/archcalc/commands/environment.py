"""What each environment variable of an engine does to memory and to its start: `used`, `inert`, or not modelled and named in the verdict.

A variable with an engine's prefix that stands in neither list is not modelled; those of other programs are passed over. What is inert
says where things lie, what is logged, how long is waited, which kernel computes. llama.cpp's `LLAMA_ARG_*` are its flags by another name,
and are read as those (`tables/llama.cpp.env.tsv`, made by scripts/build_flags.py).

Sources: vLLM 0.8.5 to 0.33, envs.py; SGLang 0.3.6 to 0.5.23, srt/environ.py and `get_bool_env_var`; llama.cpp 0c1e57098, common/arg.cpp
`common_params_parse_ex`; Ollama 0.33, envconfig/config.go.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from fnmatch import fnmatchcase
from functools import cache
from pathlib import Path

from archcalc.commands.effects import Effect
from archcalc.commands.words import Engine

_PREFIXES: Mapping[Engine, tuple[str, ...]] = {
    "vllm": ("VLLM_", "PYTORCH_CUDA_ALLOC_CONF", "PYTORCH_ALLOC_CONF"),
    "sglang": ("SGLANG_", "SGL_", "PYTORCH_CUDA_ALLOC_CONF", "PYTORCH_ALLOC_CONF"),
    "llama.cpp": ("LLAMA_", "GGML_"),
    "ollama": ("OLLAMA_", "GGML_"),
    "mlx": (),
}
_USED: Mapping[Engine, str] = {
    "vllm": """
        VLLM_ALLOW_LONG_MAX_MODEL_LEN VLLM_MLA_DISABLE VLLM_USE_V1 VLLM_USE_V2_MODEL_RUNNER VLLM_MEMORY_PROFILER_ESTIMATE_CUDAGRAPHS
        VLLM_USE_FLASHINFER_SAMPLER
    """,
    "sglang": "SGLANG_ALLOW_OVERWRITE_LONGER_CONTEXT_LEN SGLANG_MAMBA_SSM_DTYPE",
    "llama.cpp": "",
    "ollama": """
        OLLAMA_CONTEXT_LENGTH OLLAMA_NUM_PARALLEL OLLAMA_KV_CACHE_TYPE OLLAMA_FLASH_ATTENTION OLLAMA_GPU_OVERHEAD
    """,
    "mlx": "",
}
_INERT: Mapping[Engine, str] = {
    "vllm": """
        VLLM_API_KEY VLLM_*_TIMEOUT* VLLM_*TIMEOUT VLLM_LOG* VLLM_*LOGGING* VLLM_DEBUG* VLLM_TRACE* VLLM_*PROFIL*_ITERS
        VLLM_TORCH_PROFILER* VLLM_TORCH_CUDA_PROFILE VLLM_*SCOPES_FOR_PROFILING VLLM_*_USAGE* VLLM_USAGE* VLLM_DO_NOT_TRACK
        VLLM_*CACHE_ROOT VLLM_CONFIG_ROOT VLLM_ASSETS* VLLM_*_DIR VLLM_*_PATH VLLM_*_PORT VLLM_PORT VLLM_*_HOST VLLM_HOST_IP
        VLLM_LOOPBACK_IP VLLM_DP_* VLLM_RAY_* VLLM_USE_RAY_* VLLM_RPC* VLLM_PLUGINS VLLM_*MODELSCOPE VLLM_SKIP_* VLLM_NO_* VLLM_CPU_*
        VLLM_TPU_* VLLM_XLA_* VLLM_HPU_* VLLM_XPU_* VLLM_USE_HPU* VLLM_ROCM_USE_* VLLM_ROCM_*_PAGE_ATTN VLLM_ROCM_CUSTOM_PAGED_ATTN
        VLLM_BUILD_* VLLM_IMAGE_TAG VLLM_DOCKER* VLLM_MAIN_CUDA_VERSION VLLM_TARGET_DEVICE VLLM_USE_PRECOMPILED* VLLM_KEEP_ALIVE*
        VLLM_ENABLE_V1_MULTIPROCESSING VLLM_WORKER_MULTIPROC_METHOD VLLM_USE_FLASHINFER_* VLLM_FLASHINFER_MOE_BACKEND
        VLLM_FLASHINFER_ALLREDUCE_BACKEND VLLM_FLASHINFER_AUTOTUNE* VLLM_FLASH_ATTN_VERSION VLLM_USE_TRTLLM* VLLM_USE_CUDNN*
        VLLM_USE_DEEP_GEMM* VLLM_MOE_USE_DEEP_GEMM VLLM_DEEP_GEMM_WARMUP VLLM_USE_TRITON_* VLLM_TRITON_* VLLM_MARLIN_USE_ATOMIC_ADD
        VLLM_NVFP4_GEMM_BACKEND VLLM_DISABLED_KERNELS VLLM_DISABLE_COMPILE_CACHE VLLM_COMPILE_CACHE* VLLM_USE_*COMPILE
        VLLM_ALLOW_INSECURE* VLLM_ALLOW_RUNTIME_LORA* VLLM_LORA_* VLLM_SERVER_DEV_MODE VLLM_MEDIA_* VLLM_MAX_AUDIO* VLLM_VIDEO_LOADER*
        VLLM_HTTP* VLLM_CHAT_TEMPLATE* VLLM_*_TOOL* VLLM_GPT_OSS* VLLM_KV_CACHE_LAYOUT VLLM_SLEEP_WHEN_IDLE VLLM_ENABLE_RESPONSES*
        VLLM_BATCH_INVARIANT VLLM_PROCESS_NAME_PREFIX VLLM_ENABLE_CUDAGRAPH_GC VLLM_GC_DEBUG VLLM_V1_*CHUNK_SIZE VLLM_*OUTLINES_CACHE
        VLLM_XGRAMMAR_CACHE_MB VLLM_MQ_* VLLM_MSGPACK* VLLM_RINGBUFFER* VLLM_LOGITS_PROCESSOR_THREADS VLLM_TUNED_CONFIG_FOLDER
        VLLM_CUDART* VLLM_NCCL_* VLLM_MOONCAKE* VLLM_NIXL* VLLM_MORIIO* VLLM_P2P* VLLM_EC_* VLLM_WEIGHT_OFFLOADING*
        VLLM_MM_INPUT_CACHE_GIB VLLM_RANDOMIZE* VLLM_COMPUTE_NANS* VLLM_MAX_N_SEQUENCES VLLM_MAX_STOP* VLLM_*BAD_WORDS* VLLM_USE_RUST*
        VLLM_SYSTEM_START_DATE VLLM_FASTSAFETENSORS* VLLM_MODEL_REDIRECT_PATH VLLM_TEST_FORCE_LOAD_FORMAT VLLM_FORCE_AOT_LOAD
        VLLM_DISABLE_PYNCCL VLLM_USE_FUSED_MOE_GROUPED_TOPK
    """,
    "sglang": """
        SGLANG_*LOG* SGLANG_*TIMEOUT* SGLANG_*_DIR SGLANG_*_PORT SGLANG_PORT SGLANG_*PROFIL* SGLANG_*TRACE* SGLANG_TEST_* SGLANG_*DEBUG*
        SGLANG_USE_MODELSCOPE SGLANG_IS_IN_CI* SGLANG_*_PATH SGLANG_DISAGG*TIMEOUT* SGLANG_DISAGGREGATION_* SGLANG_*NCCL* SGLANG_NUMA*
        SGLANG_SET_CPU_AFFINITY SGLANG_*CACHE_DIR SGLANG_JIT_* SGLANG_ENABLE_JIT_DEEPGEMM SGLANG_*DEEPGEMM*WARMUP* SGLANG_*PRECOMPILE*
        SGLANG_GRAMMAR* SGLANG_DISABLE_OUTLINES* SGLANG_*HEALTH* SGLANG_*UVICORN* SGLANG_CRASH* SGLANG_CUDA_COREDUMP* SGLANG_OTLP*
        SGLANG_*TOOL* SGLANG_*TOKENIZER* SGLANG_CPU_* SGLANG_NPU_* SGLANG_XPU_* SGLANG_MUSA* SGLANG_USE_MLX SGLANG_MLX_*
        SGLANG_SIMULATE* SGLANG_INIT_NEW_TOKEN_RATIO SGLANG_MIN_NEW_TOKEN* SGLANG_NEW_TOKEN* SGLANG_RETRACT* SGLANG_CLIP_MAX_NEW_TOKENS*
        SGLANG_SCHEDULER_* SGLANG_SORT_WEIGHT* SGLANG_SKIP_SGL* SGLANG_WARMUP* SGLANG_ENABLE_TORCH_INFERENCE_MODE SGLANG_MOONCAKE*
        SGLANG_HICACHE_* SGLANG_RAY* SGLANG_TIMEOUT* SGLANG_EXTERNAL* SGLANG_TORCH_PROFILER_DIR SGL_*CACHE* SGL_ENABLE_JIT_DEEPGEMM
        SGL_JIT* SGL_DG_*
    """,
    "llama.cpp": """
        LLAMA_CACHE LLAMA_API_KEY LLAMA_LOG* LLAMA_GRAPH_REUSE_DISABLE LLAMA_SET_ROWS LLAMA_OFFLINE LLAMA_TRACE GGML_CUDA_DISABLE_GRAPHS
        GGML_CUDA_DISABLE_FUSION GGML_CUDA_P2P GGML_CUDA_GRAPH_OPT GGML_CUDA_INIT GGML_BACKEND_PATH GGML_NO_BACKTRACE GGML_METAL_*
        GGML_OP_OFFLOAD_MIN_BATCH GGML_SCHED_DEBUG GGML_CUDA_NO_PINNED GGML_CUDA_ALLOW* GGML_VK_VISIBLE* GGML_VK_PERF* GGML_CUDA_CUBLAS*
        GGML_CUDA_FORCE_CUBLAS*
    """,
    "ollama": """
        OLLAMA_HOST OLLAMA_ORIGINS OLLAMA_DEBUG* OLLAMA_KEEP_ALIVE OLLAMA_MODELS OLLAMA_LOAD_TIMEOUT OLLAMA_NOPRUNE OLLAMA_NOHISTORY
        OLLAMA_MAX_QUEUE OLLAMA_MAX_LOADED_MODELS OLLAMA_TMPDIR OLLAMA_RUNNERS_DIR OLLAMA_MULTIUSER_CACHE OLLAMA_AUTH OLLAMA_REMOTES
        OLLAMA_NO_CLOUD OLLAMA_EDITOR OLLAMA_NUM_THREADS OLLAMA_ENGINE_DEBUG OLLAMA_VERSION OLLAMA_LOG*
    """,
    "mlx": "",
}


def of_server(program: str, environment: Sequence[tuple[str, str]]) -> tuple[str, ...]:
    """The variables in front of `ollama run` that its server reads alone, as they stand in the server's own environment.

    Source: Ollama 0.33, cmd/cmd.go `NewCLI` (`appendEnvDocs` of each command).
    """
    if program != "ollama run":
        return ()
    return tuple(name for name, _ in environment if effect("ollama", name) == "used")


def effect(engine: Engine, name: str) -> Effect | None:
    """What a variable does to an engine's memory, None for one of another program."""
    if not name.startswith(_PREFIXES[engine]):
        return None
    if name in _USED[engine].split():
        return "used"
    return "inert" if any(fnmatchcase(name, pattern) for pattern in _INERT[engine].split()) else "unmodelled"


@cache
def flags() -> Mapping[str, str]:
    """llama.cpp's flags by their variables."""
    path = Path(__file__).parent / "tables" / "llama.cpp.env.tsv"
    rows = (line.split("\t") for line in path.read_text(encoding="utf-8").splitlines() if line and line[0] != "#")
    return {row[0]: row[1] for row in rows}


def as_flags(environment: Sequence[tuple[str, str]]) -> Iterator[tuple[str, str, bool, str]]:
    """Variables that stand for llama.cpp's flags: the variable, the flag, whether it is turned off by its name, and the value."""
    known = flags()
    for name, value in environment:
        if name in known:
            yield name, known[name], False, value
        elif name.startswith("LLAMA_ARG_NO_") and (flag := known.get("LLAMA_ARG_" + name[len("LLAMA_ARG_NO_") :])):
            # Set at all, it turns the flag off (common/arg.cpp `parse_bool_arg`, for compatibility).
            yield name, flag, True, value


def true(value: str | None, *, words: Sequence[str] = ("1", "true")) -> bool:
    """How vLLM (`.strip().lower() in ("1", "true")`) and SGLang read a switch."""
    return value is not None and value.strip().strip("\"'").lower() in words
