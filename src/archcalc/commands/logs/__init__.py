"""What engines print at their start, read: version, arguments, model, GPU, every line on memory, and how it ended.

Logs are data: bounded, in any encoding, with or without colours, of several ranks at once, from their middle on. What a line says is
matched anywhere in it, so that prefixes of loggers, containers and ranks do not matter.

Each engine has a reader of its own, which says where its lines are from.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from itertools import pairwise

from archcalc.commands.logs import llamacpp, sglang, vllm
from archcalc.commands.logs._lines import APART, MOST_BYTES, WORDS, Kind, Logged, command_in, decoded, lines, telling
from archcalc.commands.words import Engine
from archcalc.errors import FormatError

__all__ = ["APART", "MOST_BYTES", "WORDS", "Kind", "Logged", "decoded", "lines", "read"]

_SIGNS: dict[Engine, tuple[str, ...]] = {
    "vllm": (
        "vLLM API server version",
        "vLLM server version",
        "▀▄▀ █  version ",
        "LLM engine (v",
        "vllm serve",
        "Model loading took",
        "Loading model weights took",
        " KV cache size: ",
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
        "Avg prompt throughput",
        "(APIServer pid=",
        "usage: vllm",
        "vllm: error: ",
        "vllm serve: error: ",
        "api_server.py: error: ",
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
        "launch_server.py: error: ",
        "Decode batch",
        "Prefill batch",
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
        "llama_model_load: ",
        "llama_model_load_from_file",
        "llama_load_model_from_file",
        "common_init_from_params",
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
        "HTTP server is listening",
        "bind HTTP server",
        "main: loading model",
        "common_params_fit",
        "error: invalid argument: -",
        "slot launch_slot_: ",
        "slot print_timing: ",
    ),
}


# What each prints once at its start, and what a run has printed that came to its end.
_STARTS: dict[Engine, re.Pattern[str]] = {
    # Of replicas each tells that it begins.
    "vllm": re.compile(r"vLLM (?:API )?server version |█\s+version \d|^(?!.*_DP\d).*Initializing an?(?: V\d)? LLM engine"),
    "sglang": re.compile(r"server_args=ServerArgs\("),
    "llama.cpp": re.compile(r"\bbuild(?:_info)?: (?:b?)\d{3,6}[ -]|\bggml_(?:cuda|vulkan|hip)\w*: [Ff]ound \d+"),
    # Before 0.12 it tells first what it takes the model to need (llm/server.go `NewLlamaServer`).
    "ollama": re.compile(r'msg="(?:starting runner|starting llama server|system memory)"|msg="new model will fit |msg=offload '),
}
_ENDS = re.compile(
    r"Traceback|[Ss]hutting down|shutdown complete|Engine core initialization failed|Received sigquit|[Ee]xiting|cleaning up before exit"
    r"|\bKilled\b|zsh: killed|error: |Error:|fatal error|GGML_ASSERT|runner started in|load failed|failed to load|Load failed"
)

_LIKELY = ("version", "ServerArgs", "build", "starting ", "Initializing a", "ound ", "system memory", "new model", "offload ")
# What a start has printed that came past its arguments. Each of these programs tells its own start once, and before any of it: a start
# told behind such a line is another one, also where the one before was serving and was ended from outside.
_CAME_FAR = re.compile(
    r"Starting to load model|Loading (?:safetensors|weights)|odel (?:loading|weights) took|KV cache size: |Available KV cache memory"
    r"|tion throughput: |Decode batch|slot launch_slot_: |Application startup complete"
    r"|Uvicorn running on|Load weight (?:begin|end)|KV [Cc]ache is allocated|fired up and ready"
    r"|(?:load|llm_load)_tensors: |buffer size =|server is listening|runner started in|llama-server started in|model weights\" device"
)
# Lines that a program prints before it tells its start: its banner, the devices that a backend finds, the shell's echo of the command.
_BEFORE = re.compile(
    r"ggml_\w+_init|^\s*Device \d+: |load_backend: |register_(?:backend|device): |[▀▄█]|detected platform|\[startup\.py:\d+\]\s*$"
    r"|using device |^ggml_\w+: "
)


def read(text: str) -> Logged:
    """Read a log. Raises `FormatError` for what is no log of an engine known here.

    Of several starts, which a container that is started again writes one behind the other, the last that says how it went is read.
    """
    found = list(lines(text))
    # The start of a log says whose it is; a log of a day need not be counted whole.
    counts = _counts([line for line in found[:20000] if telling(line)])
    if not any(counts.values()):
        # The tail of a server's log is known by what it tells of its requests.
        counts = _counts(found[:20000])
    if counts["ollama"] and counts["ollama"] + counts["llama.cpp"] > counts["vllm"] + counts["sglang"]:
        return _last(found, "ollama", lambda run: llamacpp.read_log(run, "ollama"))
    engine = max(counts, key=lambda e: counts[e])
    if not counts[engine]:
        raise FormatError(
            "no line of vLLM, SGLang, llama.cpp or Ollama is in this log",
            "give the engine's own output, from its start to where it stops",
        )
    if engine == "vllm":
        return _last(found, engine, vllm.read_log)
    if engine == "sglang":
        return _last(found, engine, sglang.read_log)
    return _last(found, engine, lambda run: llamacpp.read_log(run, engine))


def _counts(found: list[str]) -> dict[Engine, int]:
    """How many lines have a sign of each engine."""
    return {engine: sum(any(sign in line for sign in signs) for line in found) for engine, signs in _SIGNS.items()}


_MOST_RUNS = 8


def _last(found: list[str], engine: Engine, reader: Callable[[list[str]], Logged]) -> Logged:
    runs = _runs(found, engine)
    if len(runs) == 1:
        return reader(found)
    log = None
    for run in reversed(runs[-_MOST_RUNS:]):
        read_ = reader(run)
        log = log or read_
        if read_.failure is not None or (read_.started and not {"inferred", "unsaid"} & dict(read_.figures).keys()):
            log = read_
            break
    assert log is not None
    return log._replace(figures=(*log.figures, ("starts", len(runs))))


def _runs(found: list[str], engine: Engine) -> list[list[str]]:
    """The lines of each start: a new one begins where a start is told and the one before it has come to its end."""
    sign = _STARTS[engine]
    told = [i for i, line in enumerate(found) if any(word in line for word in _LIKELY) and sign.search(line)]
    marks = [0]
    # Before the first start that is told may stand the end of another.
    for before, i in pairwise([0, *told]):
        last = before in told[:-1]
        if any(_CAME_FAR.search(line) or (last and _ENDS.search(line)) for line in found[before:i]):
            marks.append(_begins(found, i, before))
    if len(marks) == 1:
        return [found]
    runs = [found[a:b] for a, b in zip(marks, [*marks[1:], len(found)], strict=True)]
    if engine == "ollama":
        # What the server says of itself and of its GPUs stands before the first model.
        runs = [runs[0], *([*found[: told[0]], *run] for run in runs[1:])]
    return runs


def _begins(found: list[str], told: int, before: int) -> int:
    """The first line of a start: those that its program prints before it tells it are its own."""
    at = told
    while at - 1 > before and (_BEFORE.search(found[at - 1]) or command_in(found[at - 1]) is not None):
        at -= 1
    return at
