"""What engines print at their start, read: version, arguments, model, GPU, every line on memory, and how it ended.

Logs are data: bounded, in any encoding, with or without colours, of several ranks at once, from their middle on. What a line says is
matched anywhere in it, so that prefixes of loggers, containers and ranks do not matter.

Sources of the lines: vLLM 0.5 to 0.33, worker/worker.py and v1/worker/gpu_worker.py `determine_available_memory`, worker/model_runner.py,
v1/worker/gpu_model_runner.py `load_model` and `capture_model`, v1/core/kv_cache_utils.py, config.py, utils/mem_utils.py; SGLang 0.4 to
0.5.23, srt/model_executor/model_runner.py, srt/mem_cache/memory_pool.py, srt/managers/scheduler.py; llama.cpp 0c1e57098,
src/llama-model.cpp `load_tensors`, src/llama-kv-cache.cpp, src/llama-context.cpp `graph_reserve`, ggml/src/ggml-cuda/ggml-cuda.cu;
Ollama 0.9 to 0.33, llm/memory.go `LogValue`, ml/device.go `Log`, server/routes.go; PyTorch 2.9, c10/cuda/CUDACachingAllocator.cpp.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator
from typing import Any, Literal, NamedTuple

from archcalc.commands.words import Engine
from archcalc.errors import FormatError

MOST_BYTES = 48 << 20
"""Of a longer log the start and the end are read: the start says what was asked for, the end how it went."""
# Arguments are listed on long lines; whatever else is longer than a message is no message.
_MOST_LINE, _MOST_ARGUMENTS = 1 << 11, 1 << 15
_LISTS = ("args: ", "ServerArgs(", "with config")

_MIB, _GIB = 1 << 20, 1 << 30

Kind = Literal[
    "loading",
    "profiling",
    "capturing",
    "sampling",
    "cache",
    "compute",
    "serving",
    "no-cache",
    "one-request",
    "states",
    "heads",
    "context",
    "share",
    "flag",
    "model",
    "memory",
]
WORDS: dict[Kind, str] = {
    "loading": "out of memory while loading the weights",
    "profiling": "out of memory in the profiling run, before the cache is made",
    "capturing": "out of memory while capturing graphs",
    "sampling": "out of memory while warming up the sampler",
    "cache": "out of memory while allocating the cache",
    "compute": "out of memory while allocating the compute buffer",
    "serving": "out of memory while serving",
    "no-cache": "weights and activations leave no memory for the cache",
    "one-request": "one request of the longest length needs more cache than there is",
    "states": "more sequences may run than there are blocks of recurrent state",
    "heads": "the model does not divide among so many GPUs",
    "context": "the context asked for is longer than the model's",
    "share": "less memory is free than the engine's share of it",
    "flag": "the engine does not take one of its arguments",
    "model": "the model could not be had",
    "memory": "out of memory",
}


class Logged(NamedTuple):
    """A log, read. Bytes are per GPU: of several ranks the fullest's weights and the smallest room.

    `figures` are numbers beside memory; `inferred` is among them where no line says that it serves. `terms` are memory lines by name,
    `asked` the arguments as flags of the engine (a flag without value holds True), `tokens` what the cache holds, `failure` what
    stopped it and `said` the line that says so. `started` is true where the engine said that it serves.
    """

    engine: Engine
    version: str | None
    model: str | None
    gpu: str | None
    gpus: int | None
    memory_bytes: int | None
    asked: tuple[tuple[str, Any], ...]
    command: str | None
    terms: tuple[tuple[str, int], ...]
    tokens: int | None
    concurrency: float | None
    context_tokens: int | None
    started: bool
    failure: Kind | None
    said: str
    figures: tuple[tuple[str, float], ...] = ()

    def term(self, name: str) -> int | None:
        return next((size for n, size in self.terms if n == name), None)


def decoded(data: bytes) -> str:
    """The text of a log, whatever its encoding; of a very long one its start and its end."""
    if len(data) > MOST_BYTES:
        half = MOST_BYTES // 2
        data = data[:half] + b"\n" + data[-half:]
    for mark, name in ((b"\xff\xfe", "utf-16-le"), (b"\xfe\xff", "utf-16-be"), (b"\xef\xbb\xbf", "utf-8")):
        if data.startswith(mark):
            return data[len(mark) :].decode(name, "replace")
    if data[:200].count(0) > 20:
        return data.decode("utf-16-le" if data[1:2] == b"\0" else "utf-16-be", "replace")
    return data.decode("utf-8", "replace")


_ANSI = re.compile(r"\x1b(?:\[[0-9;?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[@-Z\\-_])")
_DOCKER = re.compile(r'^\{"log":"((?:[^"\\]|\\.)*)"')


def lines(text: str) -> Iterator[str]:
    """The lines, without colours and wrappings, each of bounded length."""
    for raw in re.split(r"[\r\n\u2028]+", _ANSI.sub("", text)):
        line = raw[: _MOST_ARGUMENTS if any(sign in raw[:400] for sign in _LISTS) else _MOST_LINE]
        wrapped = _DOCKER.match(line)
        if wrapped:
            line = wrapped[1].replace('\\"', '"').replace("\\n", "").replace("\\t", "\t").replace("\\\\", "\\")
        if line.strip():
            yield line.strip("\0 \t")


# Which engine's

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
    counted = [line for line in found[:20000] if _telling(line)] or found[:20000]
    counts = {engine: sum(any(sign in line for sign in signs) for line in counted) for engine, signs in _SIGNS.items()}
    if counts["ollama"] and counts["ollama"] + counts["llama.cpp"] > counts["vllm"] + counts["sglang"]:
        return _llama(found, "ollama")
    engine = max(counts, key=lambda e: counts[e])
    if not counts[engine]:
        raise FormatError(
            "no line of vLLM, SGLang, llama.cpp or Ollama is in this log",
            "give the engine's own output, from its start to where it stops",
        )
    if engine == "vllm":
        return _vllm(found)
    if engine == "sglang":
        return _sglang(found)
    return _llama(found, engine)


# Lines that say nothing of memory, of which a log of a day has millions, and words that lines to be read hold.
_NOISE = ("throughput", "HTTP/1.", "Decode batch", "Prefill batch", "slot update_slots", "slot launch_slot", "slot print_timing")
_TELLING = ("emory", "rror", "ailed")
_WORDS = (
    "version",
    "with config",
    "args",
    "Args",
    " took",
    " take",
    "emory",
    "locks",
    "KV",
    "oncurrency",
    "max model len",
    "raph",
    "startup complete",
    "Uvicorn",
    "NVIDIA",
    "AMD",
    "Tesla",
    "Intel",
    "Apple",
    "rror",
    "divisible",
    "vllm",
    "sglang",
    "llama",
    "seq len",
    "oading",
    "Starting",
    "Capturing",
    "tilization",
    "valid model",
    "weight",
    "tokens",
    "Mamba",
    "fired up",
    "avail mem",
    "Capture",
    "context_length",
    "buffer",
    "n_ctx",
    "n_seq",
    "n_batch",
    "n_ubatch",
    "flash_attn",
    "kv_unified",
    "cells",
    "device",
    "Device",
    "offloaded",
    "general.name",
    "build",
    "alloc",
    "ailed",
    "--model",
    "--ctx-size",
    "KvSize",
    "listening",
    "started in",
    "slots are idle",
    "main loop",
    "inference compute",
    "mem usage",
    "cache",
    "model request",
    "GGUF",
    "max_num_reqs",
)


def _telling(line: str) -> bool:
    """Whether a line may say something that is read."""
    if any(noise in line for noise in _NOISE) and not any(word in line for word in _TELLING):
        return False
    return any(word in line for word in _WORDS)


# Pieces


def _number(text: str) -> float:
    return float(text.replace(",", ""))


_UNITS = {"B": 1, "KIB": 1024, "MIB": _MIB, "GIB": _GIB, "TIB": _GIB << 10, "KB": 1000, "MB": 10**6, "GB": 10**9, "TB": 10**12}


def _size(number: str, unit: str) -> int:
    return round(_number(number) * _UNITS[unit.upper()])


class _Terms:
    """Sizes by name. Of several ranks the largest counts, of rooms and tokens the smallest."""

    _LEAST = frozenset({"room", "free"})

    def __init__(self) -> None:
        self.sizes: dict[str, int] = {}

    def put(self, name: str, size: int) -> None:
        held = self.sizes.get(name)
        better = min if name in self._LEAST else max
        self.sizes[name] = size if held is None else better(held, size)

    def __bool__(self) -> bool:
        return bool(self.sizes)

    def items(self) -> tuple[tuple[str, int], ...]:
        return tuple(self.sizes.items())


_TORCH_OOM = re.compile(
    r"(?:CUDA|HIP|XPU) out of memory\.|OutOfMemoryError|torch\.(?:cuda\.)?OutOfMemory|hipErrorOutOfMemory|CUDA error: out of memory"
)
_CAPACITY = re.compile(r"GPU \d+ has a total capac\w+ of ([\d.]+) ([KMGT]iB)")
_DEVICE = re.compile(
    r"(?:NVIDIA[ _](?:GeForce[ _])?|AMD[ _](?:Instinct[ _]|Radeon[ _])?|Tesla[ _]|Intel\(R\) Arc\(TM\) |Intel Arc )"
    r"((?:RTX|GTX|H|A|B|L|T|V|P|MI|GB|GH|RX|Pro|AI|Quadro)[ _]?[A-Z]?\d[\w .-]*?)(?=[,;()|/'\"\]]|\.json| +(?:and|with|has|on)\b|$|  )"
)
_APPLE = re.compile(r"(?:GPU name:|using device \w+ \(|Device 0: )\s*(Apple M\d(?: (?:Pro|Max|Ultra))?)")


_VENDORS = ("NVIDIA", "AMD", "Tesla", "Intel", "Apple")


def _device(line: str) -> str | None:
    if not any(vendor in line for vendor in _VENDORS):
        return None
    apple = _APPLE.search(line)
    if apple:
        return apple[1]
    m = _DEVICE.search(line)
    return m[0].replace("_", " ").strip() if m else None


_COMMAND = re.compile(
    r"(?:^|[\s\"'$>])((?:vllm serve|python3? -m vllm\.\S+|python3? -m sglang\.launch_server|sglang serve|\S*llama-(?:server|cli)"
    r"|mlx_lm\.server) .+)$"
)


_STARTERS = ("vllm serve", "-m vllm", "sglang.launch_server", "sglang serve", "llama-server", "llama-cli", "mlx_lm.server")


def _command(line: str) -> str | None:
    m = _COMMAND.search(line) if any(name in line for name in _STARTERS) else None
    if m is None or "\t" in m[1]:
        return None
    text = m[1].rstrip(" \"'`")
    return text if " -" in text or text.count(" ") == 2 else None


def _literal(text: str) -> Any:
    """A Python dictionary or call as loggers print them; what cannot be read as a value is left out."""
    try:
        node = ast.parse(text, mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None
    if isinstance(node, ast.Call):
        pairs: Iterable[tuple[Any, ast.expr]] = [(k.arg, k.value) for k in node.keywords if k.arg]
    elif isinstance(node, ast.Dict):
        pairs = [(k.value if isinstance(k, ast.Constant) else None, v) for k, v in zip(node.keys, node.values, strict=True)]
    else:
        return None
    found = {}
    for key, value in pairs:
        try:
            if isinstance(key, str):
                found[key] = ast.literal_eval(value)
        except (ValueError, RecursionError):
            continue
    return found


def _balanced(text: str, start: int) -> str:
    """The text from an opening bracket to the one that closes it, or to the end."""
    depth, quote = 0, ""
    for i in range(start, len(text)):
        c = text[i]
        if quote:
            if c == quote and text[i - 1] != "\\":
                quote = ""
        elif c in "'\"":
            quote = c
        elif c in "([{":
            depth += 1
        elif c in ")]}":
            depth -= 1
            if not depth:
                return text[start : i + 1]
    return text[start:]


def _flags(values: dict[str, Any]) -> tuple[tuple[str, Any], ...]:
    return tuple(("--" + k.replace("_", "-"), v) for k, v in values.items() if v is not None)


# vLLM

_VLLM_TERMS: tuple[tuple[str, str, str], ...] = (
    # The name of the term, the line, and the unit where the line has none of its own.
    (
        "weights",
        r"(?:Loading model weights took|Model loading took|model weights take|model weights only tooks)\s+(-?[\d.]+)\s*(GiB|GB)?",
        "GiB",
    ),
    ("weights", r"Actual usage is (-?[\d.]+) (GiB) for (?:weight|consumed)", ""),
    ("activation", r"PyTorch activation peak memory takes (-?[\d.]+)\s*(GiB)", ""),
    ("activation", r"(-?[\d.]+) (GiB) (?:for )?peak activation", ""),
    ("non-torch", r"non_torch_memory(?:=| takes )(-?[\d.]+)\s*(GiB)", ""),
    ("non-torch", r"(-?[\d.]+) (GiB) for non-torch memory", ""),
    ("graphs", r"Graph capturing finished in [\d.]+ secs?, took (-?[\d.]+) (GiB)", ""),
    ("graphs", r"Graph capturing took (-?[\d.]+) (GiB)", ""),
    ("graphs", r"(-?[\d.]+) (GiB) (?:for )?CUDAGraph memory", ""),
    ("graphs estimate", r"CUDA graph pool memory: [\d.]+ GiB \(actual\), ([\d.]+) (GiB) \(estimated\)", ""),
    ("room", r"Available KV cache memory: (-?[\d.]+) (GiB)", ""),
    ("room", r"(?:the rest of the memory reserved for KV Cache is|KV Cache is(?: only)?|kv_cache_size=)\s*(-?[\d.]+)\s*(GiB)", ""),
    ("room", r"Current kv cache memory in use is (-?[\d.]+) (GiB)", ""),
    ("kv needed", r"\((-?[\d.]+) (GiB) KV cache is needed", ""),
    ("room", r"available KV cache memory \((-?[\d.]+) (GiB)\)", ""),
    ("memory", r"total_gpu_memory(?:=| \()([\d.]+)\s*(GiB)", ""),
    ("budget", r"total_gpu_memory \([\d.]+GiB\) x gpu_memory_utilization \([\d.]+\) = ([\d.]+)\s*(GiB)", ""),
    ("budget", r"Desired GPU memory utilization is \([\d.]+, ([\d.]+) (GiB)\)", ""),
    ("peak", r"peak_torch_memory=([\d.]+)\s*(GiB)", ""),
)
_VLLM_SIZES = tuple((name, re.compile(pattern), unit) for name, pattern, unit in _VLLM_TERMS)
_FREE = re.compile(r"Free memory on device ?\S* ?\(([\d.]+)/([\d.]+) GiB\)")


def _vllm(found: list[str]) -> Logged:
    terms = _Terms()
    version = model = gpu = command = None
    gpus: int | None = None
    memory: int | None = None
    asked: dict[str, Any] = {}
    tokens: int | None = None
    blocks: int | None = None
    concurrency = None
    context: int | None = None
    started, failure, said = False, None, ""
    phase = "start"
    oom_line = ""
    block = 16
    figures: dict[str, float] = {}

    def fail(kind: Kind, line: str) -> None:
        nonlocal failure, said
        if failure is None or failure in ("memory",):
            failure, said = kind, line[-400:]

    for i, line in enumerate(found):
        if not _telling(line):
            continue
        if (m := re.search(r"vLLM API server version (\S+)", line)) or (m := re.search(r"LLM engine \(v([^)\s]+)\)", line)):
            version = version or _release(m[1])
        if "with config" in line and (m := re.search(r"\bmodel='([^']+)'", line)):
            model = model or m[1]
            for key, pattern in (
                ("max_seq_len", r"max_seq_len=(\d+)"),
                ("tensor_parallel_size", r"tensor_parallel_size=(\d+)"),
                ("pipeline_parallel_size", r"pipeline_parallel_size=(\d+)"),
                ("data_parallel_size", r"data_parallel_size=(\d+)"),
                ("kv_cache_dtype", r"kv_cache_dtype=([\w]+)"),
                ("enforce_eager", r"enforce_eager=(True|False)"),
            ):
                if k := re.search(pattern, line):
                    figures_key = {"max_seq_len": "--max-model-len"}.get(key, "--" + key.replace("_", "-"))
                    value: Any = (
                        int(k[1]) if k[1].isdigit() else True if k[1] == "True" else None if k[1] in ("False", "auto") else k[1]
                    )
                    if value is not None and value != 1:
                        asked.setdefault(figures_key, value)
        if "non-default args: {" in line:
            values = _literal(_balanced(line, line.index("{", line.index("non-default args:"))))
            if values:
                values.pop("model_tag", None)
                model = model or values.get("model")
                asked = {**asked, **dict(_flags(values))}
        elif "args: Namespace(" in line:
            values = _literal(_balanced(line, line.index("Namespace(")).replace("Namespace", "dict", 1)) or {}
            model = model or values.get("model_tag") or values.get("model")
            keep = (
                "max_model_len",
                "gpu_memory_utilization",
                "tensor_parallel_size",
                "pipeline_parallel_size",
                "kv_cache_dtype",
                "max_num_seqs",
                "max_num_batched_tokens",
                "enforce_eager",
                "quantization",
                "dtype",
                "data_parallel_size",
                "enable_prefix_caching",
                "cpu_offload_gb",
            )
            chosen = {k: v for k, v in values.items() if k in keep and v not in (None, False, "auto", 1)}
            asked = {**asked, **dict(_flags(chosen))}
        if command is None and (made := _command(line)) and "vllm" in made:
            command = made
        gpu = gpu or _device(line)
        for name, sized, unit in _VLLM_SIZES:
            for m in sized.finditer(line):
                size = _size(m[1], "GiB" if (m[2] or unit) in ("GB", "GiB") else m[2])
                if name == "memory":
                    memory = memory or size
                terms.put(name, size)
        if m := _FREE.search(line):
            memory = memory or _size(m[2], "GiB")
            terms.put("free", _size(m[1], "GiB"))
        if m := re.search(r"GPU KV cache size: ([\d,]+) tokens", line):
            now = int(m[1].replace(",", ""))
            tokens = now if tokens is None else min(tokens, now)
        if m := re.search(r"(?:# )?(?:GPU|cuda|rocm|CUDA) blocks: (\d+)", line):
            blocks = int(m[1]) if blocks is None else min(blocks, int(m[1]))
        if m := re.search(r"Setting attention block size to (\d+) tokens", line):
            block = int(m[1])
        if m := re.search(r"Maximum concurrency for ([\d,]+) tokens per request: ([\d.]+)x", line):
            context, concurrency = int(m[1].replace(",", "")), float(m[2])
        if m := re.search(r"[Uu]sing max model len (\d+)", line):
            context = context or int(m[1])
        if m := _CAPACITY.search(line):
            memory = memory or _size(m[1], m[2])
        if m := re.search(r"Tried to allocate ([\d.]+) ([KMGT]iB)", line):
            figures["tried"] = _size(m[1], m[2])

        # How far it came, and what stopped it.
        if (
            re.search(r"Starting to load model|Loading (?:safetensors|weights)|Loading weights on|Starting to load", line)
            and phase == "start"
        ):
            phase = "loading"
        elif re.search(r"Model loading took|Loading model weights took", line):
            phase = "profiling"
        elif re.search(r"Available KV cache memory|GPU KV cache size|(?:GPU|cuda) blocks: ", line):
            phase = "after"
        elif re.search(r"Capturing (?:the model|CUDA graph|cudagraph)|Capturing CUDA graphs", line) and phase == "after":
            phase = "capturing"
        elif re.search(r"Graph capturing finished", line):
            phase = "sampling" if phase != "serving" else phase
        if re.search(r"Application startup complete|Uvicorn running on|Starting vLLM API server(?: \d+)? on", line):
            started, phase = True, "serving"
        if "out of memory occurred when warming up" in line:
            fail("sampling", line)
        elif _TORCH_OOM.search(line):
            oom_line = line
            around = " ".join(found[max(0, i - 40) : i + 1])
            at: Kind
            if re.search(
                r"capture_model|capture_graph|cuda_graph.*capture|cudagraph.*profil|profile_cudagraph|CUDA graph profiling", around
            ):
                at = "capturing"
            elif re.search(r"profile_run|determine_available_memory|determine_num_available_blocks", around):
                at = "profiling"
            elif re.search(r"allocate_kv_cache|initialize_kv_cache|_allocate_kv_cache_tensors", around):
                at = "cache"
            elif re.search(
                r"in load_model|get_model\(|load_weights|create_weights|process_weights_after_loading|initialize_model", around
            ):
                at = "loading"
            elif phase == "after":
                at = "cache"
            elif phase in ("loading", "start"):
                at = "loading" if phase == "loading" else "memory"
            else:
                at = phase  # type: ignore[assignment]
            fail(at, line)
        elif re.search(r"No available memory for the cache blocks", line):
            fail("no-cache", line)
        elif re.search(r"To serve at least one request|larger than the maximum number of\s+tokens that can be stored", line):
            if m := re.search(r"max seq len \((\d+)\)", line):
                context = context or int(m[1])
            if m := re.search(r"stored in KV cache \((\d+)\)", line):
                tokens = int(m[1])
            if m := re.search(r"estimated maximum model length is (\d+)", line):
                figures["longest"] = int(m[1])
            fail("one-request", line)
        elif re.search(r"exceeds available Mamba cache\s+blocks", line):
            if m := re.search(r"max_num_seqs \((\d+)\) exceeds available Mamba cache\s+blocks \((\d+)\)", line):
                figures["state blocks"] = int(m[2])
            fail("states", line)
        elif re.search(r"is less than desired GPU memory utilization", line):
            if m := re.search(r"utilization \(([\d.]+)", line):
                figures["share"] = float(m[1])
            fail("share", line)
        elif re.search(
            r"attention heads \(\d+\) must be divisible by tensor parallel|is not divisible by (?:tensor|weight|TP|tp)|\d+ is not"
            r" divisible by \d+"
            r"|must be divisible by tensor.?parallel|not divisible by weight quantization block",
            line,
        ):
            fail("heads", line)
        elif re.search(r"User-specified max_model_len \((\d+)\) is greater\s+than the derived max_model_len", line):
            if m := re.search(r"=(\d+) or model_max_length", line):
                figures["longest"] = int(m[1])
            if m := re.search(r"User-specified max_model_len \((\d+)\)", line):
                context = int(m[1])
            fail("context", line)
        elif re.search(r"error: (?:unrecognized arguments|argument |the following arguments are required)", line):
            fail("flag", line)
        elif re.search(
            r"is not a valid model identifier|GatedRepoError|RepositoryNotFoundError|401 Client Error|Invalid repository ID", line
        ):
            fail("model", line)
    room = terms.sizes.get("room")
    if failure is None and room is not None and room <= 0:
        failure, said = "no-cache", next((x for x in found if "KV cache memory" in x), "")[-400:]
    if oom_line and failure is None:
        failure, said = "memory", oom_line[-400:]
    if tokens is None and blocks is not None:
        tokens = blocks * block
    if (
        failure is None
        and not started
        and concurrency is not None
        and concurrency < 1
        and tokens is not None
        and context
        and tokens < context
    ):
        failure, said = "one-request", next((x for x in found if "Maximum concurrency" in x), "")[-400:]
    if not started and failure is None and (tokens or terms.sizes.get("graphs")):
        # The head of the log, which does not say how it went on.
        started = True
        figures["inferred"] = 1
    if failure not in (None, "serving"):
        started = False
    for flag, name in (("--tensor-parallel-size", "tp"), ("--pipeline-parallel-size", "pp"), ("--data-parallel-size", "dp")):
        if isinstance(asked.get(flag), int):
            gpus = (gpus or 1) * asked[flag]
            figures[name] = asked[flag]
    return Logged(
        "vllm",
        version,
        model,
        gpu,
        gpus,
        memory,
        tuple(asked.items()),
        command,
        terms.items(),
        tokens,
        concurrency,
        context,
        started,
        failure,
        said,
        tuple(figures.items()),
    )


def _release(text: str) -> str | None:
    """A version as logged; builds of a checkout without tags say 0.1.dev…, which is no release's."""
    text = text.strip(",;:'\"")
    if not re.match(r"\d", text) or text.startswith(("0.1.dev", "0.0.0")):
        return None
    return text


# SGLang


def _sglang(found: list[str]) -> Logged:
    terms = _Terms()
    version = model = gpu = command = None
    gpus: int | None = None
    memory: int | None = None
    asked: dict[str, Any] = {}
    tokens: int | None = None
    context: int | None = None
    started, failure, said = False, None, ""
    phase = "start"
    figures: dict[str, float] = {}

    def fail(kind: Kind, line: str) -> None:
        nonlocal failure, said
        if failure is None or failure == "memory":
            failure, said = kind, line[-400:]

    for i, line in enumerate(found):
        if not _telling(line):
            continue
        if "ServerArgs(" in line:
            values = _literal(_balanced(line, line.index("ServerArgs(")))
            if values:
                model = model or values.get("model_path")
                keep = {k: v for k, v in values.items() if v not in (None, False, "auto", "", -1) and _sglang_keeps(k, v)}
                asked = {**dict(_flags(keep)), **asked}
                gpus = int(values.get("tp_size", 1) or 1) * int(values.get("pp_size", 1) or 1)
                context = context or values.get("context_length")
        if command is None and (made := _command(line)) and "sglang" in made:
            command = made
        if version is None and (
            m := re.search(
                r"\bsglang(?:[ =/_-]+(?:version)?[ :=]*v?|==)(\d+\.\d+\.\d+(?:\.?(?:post|rc|dev)\d+)?)", line, re.IGNORECASE
            )
        ):
            version = m[1]
        gpu = gpu or _device(line)
        if m := re.search(r"Load weight begin\. avail mem=([\d.]+) GB", line):
            terms.put("free", _size(m[1], "GiB"))
            phase = "loading"
        if m := re.search(r"Load weight end\..*?mem usage=(-?[\d.]+) GB", line):
            terms.put("weights", _size(m[1], "GiB"))
        elif (m := re.search(r"Load weight end\..*?avail mem=([\d.]+) GB", line)) and "free" in terms.sizes:
            terms.put("weights", terms.sizes["free"] - _size(m[1], "GiB"))
        if "Load weight end" in line:
            phase = "pool"
        if (m := re.search(r"#tokens: (\d+)", line)) and ("KV Cache is allocated" in line or "KV cache is allocated" in line):
            now = int(m[1])
            tokens = now if tokens is None else max(tokens, now)
            sizes = [_size(x, "GiB") for x in re.findall(r"(?:[KV]{1,2} size|KV size|index_k size): (-?[\d.]+) GB", line)]
            if sizes:
                key = "cache"
                terms.sizes[key] = max(terms.sizes.get(key, 0), sum(sizes))
        if "Mamba Cache is allocated" in line:
            if m := re.search(r"max_mamba_cache_size: (\d+)", line):
                figures["state slots"] = int(m[1])
            terms.put("states", sum(_size(x, "GiB") for x in re.findall(r"state size: ([\d.]+) ?GB", line)))
        if m := re.search(r"max_total_num_tokens=(\d+)", line):
            tokens = int(m[1])
            if k := re.search(r"context_len=(\d+)", line):
                context = int(k[1])
            if k := re.search(r"max_running_requests=(\d+)", line):
                figures["requests"] = int(k[1])
        if (m := re.search(r"graph (?:end|memory)?.*?mem usage ?= ?(-?[\d.]+) GB", line)) and ("apture" in line or "graph" in line):
            terms.put("graphs", _size(m[1], "GiB"))
        if m := re.search(r"Memory pool end\. avail mem=([\d.]+) GB", line):
            terms.put("left", _size(m[1], "GiB"))
            phase = "capturing"
        if re.search(r"Capture .*graph.* end", line):
            phase = "warmup"
        if m := _CAPACITY.search(line):
            memory = memory or _size(m[1], m[2])
        if "The server is fired up and ready to roll" in line or "Uvicorn running on" in line:
            started = started or "fired up" in line
            phase = "serving" if "fired up" in line else phase
        if "Not enough memory. Please try to increase --mem-fraction-static" in line or re.search(
            r"rest memory .*(?:negative|not enough)|max_num_reqs=0|leaves no memory for the (?:KV|pool)", line
        ):
            fail("no-cache", line)
        elif re.search(r"Capture cuda graph failed", line):
            fail("capturing", line)
        elif _TORCH_OOM.search(line):
            around = " ".join(found[max(0, i - 40) : i + 1])
            if re.search(r"capture|cuda_graph_runner", around) and phase in ("capturing", "warmup"):
                fail("capturing", line)
            elif re.search(r"init_memory_pool|memory_pool|MHATokenToKVPool", around):
                fail("cache", line)
            elif phase == "loading" or re.search(r"load_model|load_weights", around):
                fail("loading", line)
            else:
                places: dict[str, Kind] = {"serving": "serving", "capturing": "capturing", "warmup": "serving", "pool": "cache"}
                fail(places.get(phase, "memory"), line)
        elif re.search(r"heads? .*must be divisible|is not divisible by|must be divisible by tp", line):
            fail("heads", line)
        elif re.search(r"User-specified context_length \((\d+)\) is greater than the derived", line):
            if m := re.search(r"derived context_length \((\d+)\)", line):
                figures["longest"] = int(m[1])
            fail("context", line) if "Error" in line or "error" in line else None
        elif re.search(r"error: (?:unrecognized arguments|argument |the following arguments)", line):
            fail("flag", line)
        elif re.search(r"is not a valid model identifier|GatedRepoError|RepositoryNotFoundError|401 Client Error", line):
            fail("model", line)
    if not started and failure is None and tokens:
        started = True
    if "cache" in terms.sizes:
        terms.put("room", terms.sizes["cache"] + terms.sizes.get("states", 0))
    if failure not in (None, "serving"):
        started = False
    return Logged(
        "sglang",
        version,
        model,
        gpu,
        gpus,
        memory,
        tuple(asked.items()),
        command,
        terms.items(),
        tokens,
        None,
        context,
        started,
        failure,
        said,
        tuple(figures.items()),
    )


# A log lists every argument, with what was settled for it: these say what was asked, or what the settled ones mean.
_SGLANG_KEPT = frozenset(
    "model_path context_length mem_fraction_static chunked_prefill_size max_running_requests max_total_tokens page_size kv_cache_dtype"
    " disable_radix_cache tp_size pp_size dp_size ep_size enable_dp_attention disable_cuda_graph cuda_graph_max_bs swa_full_tokens_ratio"
    " max_mamba_cache_size mamba_full_memory_ratio speculative_algorithm speculative_num_draft_tokens speculative_num_steps"
    " speculative_eagle_topk speculative_draft_model_path quantization dtype".split()
)
_SGLANG_DEFAULTS = {
    "tp_size": 1,
    "pp_size": 1,
    "dp_size": 1,
    "ep_size": 1,
    "page_size": 1,
    "mamba_full_memory_ratio": 0.9,
    "swa_full_tokens_ratio": 0.8,
}


def _sglang_keeps(key: str, value: Any) -> bool:
    return key in _SGLANG_KEPT and _SGLANG_DEFAULTS.get(key) != value


# llama.cpp and Ollama

_HOST = re.compile(r"^(?:CPU|.*_Host$|.*Mapped$|BLAS|AMX)", re.IGNORECASE)


_BUFFERS = frozenset({"model", "KV", "RS", "compute", "output"})


def _buffer(line: str) -> tuple[str, str, int] | None:
    """`CUDA0 model buffer size = 5060.88 MiB`: the device, what for, and the bytes."""
    before, found, after = line.partition(" buffer size")
    words = before.split()
    m = re.match(r"\s*=\s*([\d.]+) MiB", after) if found else None
    if m is None or len(words) < 2 or words[-1] not in _BUFFERS:
        return None
    return words[-2], words[-1], round(float(m[1]) * _MIB)


def _llama(found: list[str], engine: Engine) -> Logged:
    version = model = gpu = command = None
    memory: int | None = None
    buffers: dict[tuple[str, str], int] = {}
    cells: list[tuple[int, int, str, str]] = []
    asked: dict[str, Any] = {}
    started, failure, said = False, None, ""
    phase = "start"
    terms = _Terms()
    figures: dict[str, float] = {}
    gpus: set[str] = set()
    context: int | None = None

    def fail(kind: Kind, line: str) -> None:
        nonlocal failure, said
        if failure is None or failure == "memory":
            failure, said = kind, line[-400:]

    for line in found:
        if not _telling(line):
            continue
        if m := re.search(r"\bbuild(?:_info)?: (?:b?)(\d{3,6})[ -](?:\()?[0-9a-f]{6,}", line):
            version = version or (f"b{m[1]}" if engine == "llama.cpp" else None)
        if engine == "ollama" and (m := re.search(r"\(version ([\w.-]+)\)", line)):
            version = m[1]
        if m := re.search(r"loaded meta data with .* from (\S+)(?: \(|$)", line):
            model = model or m[1]
        if m := re.search(r"general\.name\s*(?:str)?\s*=\s*(.+)$", line):
            figures.setdefault("named", 1)
            model = model if model and "blobs/sha256" not in model else m[1].strip()
        if m := re.search(r"using device (\S+) \(([^)]+)\).*?- (\d+) MiB free", line):
            gpu = gpu or _device(line) or m[2]
            gpus.add(m[1])
            terms.put("free", int(m[3]) * _MIB)
        if m := re.search(r"\bDevice \d+: (.+?), compute capability", line):
            gpu = gpu or _device(line) or m[1]
            if v := re.search(r"VRAM: (\d+) MiB", line):
                memory = int(v[1]) * _MIB
        gpu = gpu or _device(line)
        if 'msg="inference compute"' in line and (m := re.search(r'total="([\d.]+) ([KMGT]iB)"', line)):
            memory = (memory or 0) + _size(m[1], m[2])
        if command is None and (made := _command(line)) and "llama" in made:
            command = made
        if "offloaded " in line and (m := re.search(r"offloaded (\d+)/(\d+) layers to GPU", line)):
            figures["layers on GPU"], figures["layers"] = int(m[1]), int(m[2])
            asked["--gpu-layers"] = int(m[1]) if int(m[1]) < int(m[2]) else 999
        if sized := _buffer(line):
            device, what, size = sized
            key = (device, what)
            buffers[key] = buffers.get(key, 0) + size if what in ("KV", "RS") else max(buffers.get(key, 0), size)
            phase = {"model": "loading", "KV": "cache", "RS": "cache", "compute": "compute"}.get(what, phase)
            if not _HOST.match(device):
                gpus.add(device.partition("_")[0])
        if " cells" not in line:
            pass
        elif m := re.search(r"size =\s*([\d.]+) MiB \(\s*(\d+) cells,\s*(\d+) layers.*?K \((\w+)\).*?V \((\w+)\)", line):
            cells.append((round(float(m[1]) * _MIB), int(m[2]), m[4], m[5]))
        elif m := re.search(r"size =\s*([\d.]+) MiB \(\s*(\d+) cells", line):
            cells.append((round(float(m[1]) * _MIB), int(m[2]), "", ""))
        for key_, pattern, flag in (
            ("n_ctx", r"\bn_ctx\s*=\s*(\d+)", "--ctx-size"),
            ("n_seq_max", r"\bn_seq_max\s*=\s*(\d+)", "--parallel"),
            ("n_batch", r"\bn_batch\s*=\s*(\d+)", "--batch-size"),
            ("n_ubatch", r"\bn_ubatch\s*=\s*(\d+)", "--ubatch-size"),
        ):
            if (m := re.search(pattern, line)) and int(m[1]) > 0:
                asked[flag] = int(m[1])
                if key_ == "n_ctx":
                    context = int(m[1])
        if m := re.search(r"\bn_ctx_seq\s*=\s*(\d+)|n_ctx_per_seq\s*=\s*(\d+)", line):
            context = int(m[1] or m[2])
        if m := re.search(r"\bflash_attn\s*=\s*(\w+)", line):
            asked["--flash-attn"] = (
                "off" if m[1] in ("0", "disabled", "false") else "on" if m[1] in ("1", "enabled", "true") else "auto"
            )
        if re.search(r"\bkv_unified\s*=\s*(?:true|1)", line):
            asked["--kv-unified"] = True
        if engine == "ollama":
            if m := re.search(
                r'msg="(model weights|kv cache|compute graph)" device="?([\w]+)"? size="([\d.]+) ([KMGT]?i?B)"', line
            ):
                name = {"model weights": "weights", "kv cache": "cache", "compute graph": "compute"}[m[1]]
                terms.put(name if not _HOST.match(m[2]) else f"{name} in RAM", _size(m[3], m[4]))
            for pattern, name in (
                (r'memory\.weights\.total="([\d.]+) ([KMGT]?i?B)"', "weights"),
                (r'memory\.required\.kv="([\d.]+) ([KMGT]?i?B)"', "cache"),
                (r'memory\.graph\.full="([\d.]+) ([KMGT]?i?B)"', "compute"),
                (r'memory\.required\.full="([\d.]+) ([KMGT]?i?B)"', "needed"),
            ):
                if m := re.search(pattern, line):
                    terms.put(name, _size(m[1], m[2]))
            if m := re.search(r"--ctx-size (\d+)", line):
                asked["--ctx-size"] = int(m[1])
            if m := re.search(r"--parallel (\d+)", line):
                asked["--parallel"] = int(m[1])
            if (m := re.search(r"--model (\S+)", line)) and model is None:
                model = m[1].strip("\"'")
            if m := re.search(r"KvSize:(\d+)", line):
                asked.setdefault("--ctx-size", int(m[1]))
        if re.search(
            r"server is listening|HTTP server is listening|starting the main loop|all slots are idle|llama runner started in"
            r"|llama-server started in",
            line,
        ):
            started = True
            phase = "serving"
        if m := re.search(
            r"allocating ([\d.]+) MiB on device (\d+): (?:cuda|hip|aclrt)\w*alloc failed|allocating ([\d.]+) MiB.*out of memory",
            line,
            re.IGNORECASE,
        ):
            figures["tried"] = round(float(m[1] or m[3]) * _MIB)
            where: dict[str, Kind] = {"loading": "loading", "cache": "compute", "compute": "compute", "serving": "serving"}
            fail("memory", line)
            said = line[-400:]
            figures.setdefault("phase", 0)
            last: Kind = where.get(phase, "loading")
            failure = last if phase != "start" else "loading"
        elif re.search(r"unable to allocate \S+ buffer", line) or re.search(r"error loading model: .*(?:alloc|memory)", line):
            failure = "loading" if failure in (None, "memory", "compute") else failure
            said = said or line[-400:]
        elif re.search(
            r"failed to allocate buffer for kv cache|llama_kv_cache.*(?:failed to allocate)|failed to initialize (?:the )?memory",
            line,
        ):
            failure = "cache"
            said = said or line[-400:]
        elif re.search(
            r"failed to allocate compute (?:pp |tg )?buffers|graph_reserve: failed to allocate compute buffers"
            r"|ggml_gallocr_reserve_n: failed to allocate",
            line,
        ):
            failure = "compute"
            said = said or line[-400:]
        elif re.search(
            r"(?:CUDA|ROCm) error: out of memory|kIOGPUCommandBufferCallbackErrorOutOfMemory|ErrorOutOfDeviceMemory|insufficient memory",
            line,
        ):
            fail("serving" if phase == "serving" else "memory", line)
        elif re.search(r"model request too large for system|model requires more system memory", line):
            fail("memory", line)
        elif re.search(r"error: (?:invalid argument|unknown argument)", line):
            fail("flag", line)
        elif re.search(
            r"failed to open GGUF file|No such file or directory.*gguf|failed to load model '.*No such", line, re.IGNORECASE
        ):
            fail("model", line)
    for (device, what), size in buffers.items():
        name = {"model": "weights", "KV": "cache", "RS": "states", "compute": "compute", "output": "output"}[what]
        terms.put(f"{name} in RAM" if _HOST.match(device) else name, size)
    whole = sum(c[0] for c in cells)
    if cells:
        terms.sizes["cache"] = max(terms.sizes.get("cache", 0), whole if len(gpus) < 2 else terms.sizes.get("cache", 0))
        if cells[0][2] and cells[0][2] != "f16":
            asked["--cache-type-k"] = cells[0][2]
        if cells[0][3] and cells[0][3] != "f16":
            asked["--cache-type-v"] = cells[0][3]
        context = context or cells[0][1]
        asked.setdefault("--ctx-size", max(c[1] for c in cells))
    if not started and failure is None and ("compute" in terms.sizes or cells):
        started = True
    if failure not in (None, "serving"):
        started = False
    return Logged(
        engine,
        version,
        model,
        gpu,
        max(1, len(gpus)) if gpus else None,
        memory,
        tuple(asked.items()),
        command,
        terms.items(),
        None,
        None,
        context,
        started,
        failure,
        said,
        tuple(figures.items()),
    )
