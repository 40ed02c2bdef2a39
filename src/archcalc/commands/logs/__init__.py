"""What engines print at their start, read: version, arguments, model, GPU, every line on memory, and how it ended.

Logs are data: bounded, in any encoding, with or without colours, of several ranks at once, from their middle on. What a line says is
matched anywhere in it, so that prefixes of loggers, containers and ranks do not matter.

Each engine has a reader of its own, which says where its lines are from.
"""

from __future__ import annotations

from archcalc.commands.logs import llamacpp, sglang, vllm
from archcalc.commands.logs._lines import MOST_BYTES, WORDS, Kind, Logged, decoded, lines, telling
from archcalc.commands.words import Engine
from archcalc.errors import FormatError

__all__ = ["MOST_BYTES", "WORDS", "Kind", "Logged", "decoded", "lines", "read"]

_SIGNS: dict[Engine, tuple[str, ...]] = {
    "vllm": (
        "vLLM API server version",
        "LLM engine (v",
        "vllm serve",
        "Model loading took",
        "Loading model weights took",
        "GPU KV cache size:",
        "Available KV cache memory",
        "Maximum concurrency for",
        "GPU blocks:",
        "# cuda blocks",
        "gpu_memory_utilization",
        "model weights take",
        "the models's max seq len",
        "[gpu_worker.py",
        "[gpu_model_runner.py",
        "vllm/",
        "non_torch_memory",
        "EngineCore",
        "Free memory on device",
        "available Mamba cache blocks",
        "number of tokens that can be stored in KV cache",
        "User-specified max_model_len",
        "loading the weights took",
        "Actual usage is",
    ),
    "sglang": (
        "server_args=ServerArgs",
        "sglang",
        "Load weight begin",
        "Load weight end",
        "KV Cache is allocated",
        "Memory pool end",
        "max_total_num_tokens=",
        "Mamba Cache is allocated",
        "mem_fraction_static",
        "--mem-fraction-static",
        "cuda graph end",
        "sliding window memory pool",
    ),
    "ollama": (
        "level=INFO source=",
        "level=WARN source=",
        "level=ERROR source=",
        "ollama runner",
        "OLLAMA_",
        "memory.required",
        "[GIN]",
        "inference compute",
        "llama-server for model",
    ),
    "llama.cpp": (
        "creating SWA KV cache",
        "creating non-SWA KV cache",
        "n_ctx_seq",
        "llama_model_loader:",
        "llama_context:",
        "llama_kv_cache",
        "load_tensors:",
        "llm_load_tensors:",
        "llama_new_context_with_model",
        "llama_params_fit",
        "ggml_cuda_init",
        "ggml_metal",
        "ggml_vulkan",
        "model buffer size =",
        "compute buffer size =",
        "KV buffer size =",
        "print_info:",
        "llm_load_print_meta",
        "srv  ",
        "ggml_backend",
        "main: server is listening",
        "common_params_fit",
    ),
}


def read(text: str) -> Logged:
    """Read a log. Raises `FormatError` for what is no log of an engine known here."""
    found = list(lines(text))
    # The start of a log says whose it is; a log of a day need not be counted whole.
    counted = [line for line in found[:20000] if telling(line)] or found[:20000]
    counts = {engine: sum(any(sign in line for sign in signs) for line in counted) for engine, signs in _SIGNS.items()}
    if counts["ollama"] and counts["ollama"] + counts["llama.cpp"] > counts["vllm"] + counts["sglang"]:
        return llamacpp.read_log(found, "ollama")
    engine = max(counts, key=lambda e: counts[e])
    if not counts[engine]:
        raise FormatError(
            "no line of vLLM, SGLang, llama.cpp or Ollama is in this log",
            "give the engine's own output, from its start to where it stops",
        )
    if engine == "vllm":
        return vllm.read_log(found)
    if engine == "sglang":
        return sglang.read_log(found)
    return llamacpp.read_log(found, engine)
