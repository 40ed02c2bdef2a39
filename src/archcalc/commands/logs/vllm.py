"""What vLLM prints at its start, read.

Sources of the lines: vLLM 0.5 to 0.33, worker/worker.py and v1/worker/gpu_worker.py `determine_available_memory`, worker/model_runner.py,
v1/worker/gpu_model_runner.py `load_model` and `capture_model`, v1/core/kv_cache_utils.py, config.py, utils/mem_utils.py.
"""

from __future__ import annotations

import re
from typing import Any

from archcalc.commands.logs._apart import cause
from archcalc.commands.logs._lines import (
    APART,
    CAPACITY,
    DIVIDES,
    NOT_HAD,
    TORCH_OOM,
    Kind,
    Logged,
    Ranks,
    Terms,
    as_flags,
    balanced,
    command_in,
    device_named,
    literal,
    named,
    others,
    saying,
    serves,
    size_of,
    telling,
    unread,
)

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
# Where a server that served says that it ended: v1/engine/core.py `run_engine_core`, v1/engine/exceptions.py.
_ENDED = ("EngineCore encountered a fatal error", "EngineDeadError", "died unexpectedly")
# What a server prints of its requests alone, also where the log's head is lost: v1/metrics/loggers.py `LoggingStatLogger`, Uvicorn.
_SERVES = ("tion throughput: ", 'HTTP/1.1" 200')
# Lines of these levels tell of no failure; what users sent may stand in them.
_QUIET = re.compile(r"\b(?:INFO|DEBUG) \d\d-\d\d ")
_FREE = re.compile(r"Free memory on device ?\S* ?\(([\d.]+)/([\d.]+) GiB\)")


def read_log(found: list[str]) -> Logged:
    terms = Terms()
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
    oom_line = encoder = ""
    block = 16
    lost: tuple[str, ...] = ()
    ranks = Ranks()
    other_flags: tuple[tuple[str, Any], ...] = ()
    figures: dict[str, float] = {}

    def fail(kind: Kind, line: str) -> None:
        nonlocal failure, said
        if failure is None or failure in ("memory",):
            failure, said = kind, saying(line)

    served = 0
    for i, line in enumerate(found):
        if not started and serves(line, _SERVES):
            served = served or i
            started, phase = True, "serving"
        if not telling(line):
            continue
        if (
            (m := re.search(r"vLLM (?:API )?server version ([^\s,]+)", line))
            or (m := re.search(r"█\s+version (\S+)", line))
            or (m := re.search(r"LLM engine \(v([^)\s]+)\)", line))
        ):
            version = version or _release(m[1])
        if "█" in line and (m := re.search(r"█\s+model\s+(\S+)", line)):
            model = model or m[1]
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
            text, whole = balanced(found, i, line.index("{", line.index("non-default args:")))
            values = literal(text)
            figures |= {"listed": 1} if whole else {}
            if values:
                tag = values.pop("model_tag", None)
                model = model or named(values.get("model")) or named(tag)
                asked = {**asked, **dict(as_flags(values))}
                lost = unread(values)
        elif "args: Namespace(" in line:
            text, whole = balanced(found, i, line.index("Namespace(") + len("Namespace"))
            values = literal(text) or {}
            figures |= {"listed": 1} if whole else {}
            model = model or named(values.get("model_tag")) or named(values.get("model"))
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
            asked = {**asked, **dict(as_flags(chosen))}
            lost = tuple(flag for flag in unread(values) if flag not in _PROGRAM)
            other_flags = as_flags(
                {k: v for k, v in values.items() if k not in (*keep, "model", "model_tag", "subparser", "config")}
            )
        if command is None and (made := command_in(line)) and "vllm" in made:
            command = made
        if "Worker" in line or "EngineCore_DP" in line:
            ranks.put(_ranks(line))
        gpu = gpu or device_named(line)
        for name, sized, unit in _VLLM_SIZES:
            for m in sized.finditer(line):
                size = size_of(m[1], "GiB" if (m[2] or unit) in ("GB", "GiB") else m[2])
                if name == "memory":
                    memory = memory or size
                terms.put(name, size)
        if m := _FREE.search(line):
            memory = memory or size_of(m[2], "GiB")
            terms.put("free", size_of(m[1], "GiB"))
        if m := re.search(r"\b[A-Z]{2,5}(?: \+ host)? KV cache size: ([\d,]+) tokens", line):
            now = int(m[1].replace(",", ""))
            tokens = now if tokens is None else min(tokens, now)
        if m := re.search(r"(?:# )?(?:GPU|cuda|rocm|CUDA) blocks: (\d+)", line):
            blocks = int(m[1]) if blocks is None else min(blocks, int(m[1]))
        if m := re.search(r"Encoder cache will be initialized with a budget of .* profiled with \d+ (\w+) items", line):
            # v1/worker/gpu_model_runner.py `profile_run`: the encoder first, and a step of the decoder after it.
            encoder = m[1]
        if m := re.search(r"Setting attention block size to (\d+) tokens", line):
            block = int(m[1])
        if m := re.search(r"Maximum concurrency for ([\d,]+) tokens per request: ([\d.]+)x", line):
            context, concurrency = int(m[1].replace(",", "")), float(m[2])
        if m := re.search(r"[Uu]sing max model len (\d+)", line):
            context = context or int(m[1])
        if m := CAPACITY.search(line):
            memory = memory or size_of(m[1], m[2])
        if m := re.search(r"Tried to allocate ([\d.]+) ([KMGT]iB)", line):
            figures["tried"] = size_of(m[1], m[2])

        # How far it came, and what stopped it.
        if (
            re.search(r"Starting to load model|Loading (?:safetensors|weights)|Loading weights on|Starting to load", line)
            and phase == "start"
        ):
            phase = "loading"
        elif re.search(r"Model loading took|Loading model weights took", line):
            phase = "profiling"
        elif re.search(r"Available KV cache memory|KV cache size: |(?:GPU|cuda) blocks: ", line):
            phase = "after"
        elif re.search(r"Capturing (?:the model|CUDA graph|cudagraph)|Capturing CUDA graphs", line) and phase == "after":
            phase = "capturing"
        elif re.search(r"Graph capturing finished", line):
            phase = "sampling" if phase != "serving" else phase
        if re.search(r"Application startup complete|Uvicorn running on|Starting vLLM API server(?: \d+)? on", line):
            served = served or i
            started, phase = True, "serving"
        if _QUIET.search(line):
            continue
        if m := re.search(r"of which ([\d.]+) ([KMGT]iB) is free", line):
            figures["free"] = size_of(m[1], m[2])
        if m := re.search(r"this process has ([\d.]+) ([KMGT]iB) memory in use", line):
            figures["in use"] = size_of(m[1], m[2])
        if " memory in use" in line and (neighbours := others(line)).get("beside", 0) > figures.get("beside", 0):
            figures |= neighbours
        if "out of memory occurred when warming up" in line:
            if failure in ("cache", "capturing"):
                # What PyTorch said before it does not name the place.
                failure = None
            fail("sampling", line)
        elif TORCH_OOM.search(line):
            oom_line = line
            around = " ".join(found[max(0, i - 40) : i + 1])
            at: Kind
            if re.search(
                r"capture_model|capture_graph|cuda_graph.*capture|cudagraph.*profil|profile_cudagraph|CUDA graph profiling", around
            ):
                at = "capturing"
            elif re.search(r"profile_run|determine_available_memory|determine_num_available_blocks", around):
                at = "profiling"
                if encoder and not re.search(r"_dummy_run|_dummy_sampler_run", around):
                    figures[f"encoder {encoder}"] = 1
            elif re.search(r"allocate_kv_cache|initialize_kv_cache|_allocate_kv_cache_tensors", around):
                at = "cache"
            elif re.search(
                r"in load_model|Failed to load model - not enough GPU memory"
                r"|get_model\(|load_weights|create_weights|process_weights_after_loading|initialize_model",
                around,
            ):
                at = "loading"
            elif phase == "after":
                at = "cache"
            elif phase in ("loading", "start"):
                at = "loading" if phase == "loading" else "memory"
            else:
                at = phase  # type: ignore[assignment]
            fail(at, line)
        elif re.search(r"No available memory for the cache blocks|Cannot auto-fit max_model_len: not enough", line):
            fail("no-cache", line)
        elif re.search(r"To serve at least one request|larger than the maximum number of\s+tokens that can be stored", line):
            if m := re.search(r"max seq len \((\d+)\)", line):
                context = context or int(m[1])
            if m := re.search(r"stored in KV cache \((\d+)\)", line):
                tokens = figures["longest"] = int(m[1])
            if m := re.search(r"estimated maximum model length is (\d+)", line):
                figures["longest"] = int(m[1])
            fail("one-request", line)
        elif re.search(r"exceeds available Mamba cache\s+blocks|assert num_cache_lines >= batch", line):
            if m := re.search(r"max_num_seqs \((\d+)\) exceeds available Mamba cache\s+blocks \((\d+)\)", line):
                figures["state blocks"] = int(m[2])
            fail("states", line)
        elif re.search(
            r"is less than (?:desired GPU memory utilization|the engine's budget after)"
            r"|Externally held weights .* exceed the desired GPU memory utilization",
            line,
        ):
            if m := re.search(r"utilization \(([\d.]+)", line):
                figures["share"] = float(m[1])
            fail("share", line)
        elif (not served and DIVIDES.search(line)) or re.search(
            r"attention heads \(\d+\) must be divisible by tensor parallel|is not divisible by (?:tensor|weight|TP|tp)|\d+ is not"
            r" divisible by \d+"
            r"|must be divisible by tensor.?parallel|not divisible by weight quantization block"
            r"|is not divisible by min_thread"
            r"|Decode context parallelism for GQA/MQA requires|decode-context-parallel-size` \(\d+\) exceeds the maximum"
            r"|must be divisible by (?:`--decode-context-parallel-size`|dcp_size)",
            line,
        ):
            fail("heads", line)
        elif re.search(r"User-specified max_model_len \((\d+)\) is greater\s+than the derived max_model_len", line):
            if m := re.search(r"=(\d+) or model_max_length", line):
                figures["longest"] = int(m[1])
            if m := re.search(r"User-specified max_model_len \((\d+)\)", line):
                context = int(m[1])
            fail("context", line)
        elif re.search(r"error: (?:unrecognized arguments|argument |the following arguments are required)", line) or re.search(
            r"LoRA rank \d+ is greater than max_lora_rank|(?:Unknown|Invalid) kv_cache_dtype", line
        ):
            fail("flag", line)
        elif NOT_HAD.search(line):
            fail("model", line)
    room = terms.sizes.get("room")
    ended = started
    if failure is None and (apart := cause(found[served:], fatal=_ENDED if started else ())):
        failure, said = apart.kind, saying(apart.line)
        figures |= {f"apart {n}": value for n, value in enumerate(apart.figures)}
    if failure is None and room is not None and room <= 0:
        failure, said = "no-cache", next((x for x in found if "KV cache memory" in x), "")
        said = saying(said)
    if oom_line and failure is None:
        failure, said = "memory", saying(oom_line)
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
        failure, said = "one-request", saying(next((x for x in found if "Maximum concurrency" in x), ""))
    held = tokens or terms.sizes.get("graphs") or (room or 0) > 0 or (concurrency or 0) >= 1
    if not started and failure is None and held:
        # The head of the log, which does not say how it went on.
        started = True
        figures["inferred"] = 1
    if failure not in (None, "serving", *(APART if ended else ())):
        started = False
    if ranks.seen.get("DP"):
        # The first one's name says so too where it is alone (v1/engine/core.py `run_engine_core`, 0.10 and 0.11).
        ranks.put([("DP", "0")])
    if "listed" not in figures and command is None:
        for kind_, flag in _OF_RANKS:
            if (count := ranks.size(kind_)) is not None:
                asked.setdefault(flag, count)
                figures["by ranks"] = 1
        if ranks.seen.get("EP"):
            asked.setdefault("--enable-expert-parallel", True)
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
        unread=lost,
        other_flags=other_flags,
    )


# v1/executor/multiproc_executor.py `setup_proc_title_and_log_prefix` (0.10 to 0.33: `Worker_DP0_PP0_TP1_DCP0_EP1`, each kind where there
# are several), `VllmWorker TP1` and `VllmWorker rank=1` before; v1/engine/utils.py `EngineCore_DP1`.
_WORKER = re.compile(
    r"\b(?:Vllm)?(?:Worker|EngineCore)(?:Process)?((?:[_ ](?:DP|PP|PCP|TP|DCP|EP)\d{1,3})+)\b|\bVllmWorker rank=(\d{1,3})\b"
)
_OF_RANKS = (
    ("TP", "--tensor-parallel-size"),
    ("PP", "--pipeline-parallel-size"),
    ("DP", "--data-parallel-size"),
    ("DCP", "--decode-context-parallel-size"),
)


def _ranks(line: str) -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    for m in _WORKER.finditer(line):
        found += [("TP", m[2])] if m[2] else re.findall(r"([A-Z]+)(\d+)", m[1])
        if m[0].startswith("EngineCore") and found[-1] == ("DP", "0"):
            found.pop()
    return found


# What a list of all arguments holds of the program itself: vllm/entrypoints/cli.
_PROGRAM = ("--dispatch-function", "--subparser", "--cmd")


def _release(text: str) -> str | None:
    """A version as logged; builds of a checkout without tags say 0.1.dev…, which is no release's."""
    text = text.strip(",;:'\"")
    if not re.match(r"\d", text) or text.startswith(("0.1.dev", "0.0.0")):
        return None
    return text
