"""What SGLang prints at its start, read.

Sources of the lines: SGLang 0.4 to 0.5.23, srt/model_executor/model_runner.py, srt/mem_cache/memory_pool.py, srt/managers/scheduler.py.
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

# What only requests of clients have it print: its own warm-up (entrypoints/http_server.py) makes 8 tokens, and a batch of decoding is told
# every 40 (managers/scheduler_components/metrics_reporter.py).
_SERVES = ("Decode batch",)
# Where a server that served says that it ended: managers/scheduler.py `run_scheduler_process`, entrypoints/engine.py.
_ENDED = ("hit an exception", "Received sigquit", "atchdog timeout")


# A pool of the target model; since 0.5.18 it may be sized once graphs are captured (model_runner_components/kv_pool_runtime.py).
_POOLED = re.compile(r"(?:(?<!draft )KV [Cc]ache is allocated|sizing: KV cache allocated)")


def read_log(found: list[str]) -> Logged:
    terms = Terms()
    version = model = gpu = command = None
    gpus: int | None = None
    memory: int | None = None
    asked: dict[str, Any] = {}
    tokens: int | None = None
    context: int | None = None
    started, failure, said = False, None, ""
    phase = "start"
    lost: tuple[str, ...] = ()
    ranks = Ranks()
    other_flags: tuple[tuple[str, Any], ...] = ()
    figures: dict[str, float] = {}

    def fail(kind: Kind, line: str) -> None:
        nonlocal failure, said
        if failure is None or failure == "memory":
            failure, said = kind, saying(line)

    served = 0
    batch = 0
    for i, line in enumerate(found):
        if not started and serves(line, _SERVES):
            served = served or i
            started, phase = True, "serving"
        if not telling(line):
            if "Prefill batch" in line or "Decode batch" in line:
                batch = i
            continue
        if "ServerArgs(" in line:
            text, whole = balanced(found, i, line.index("ServerArgs(") + len("ServerArgs"))
            values = literal(text)
            figures |= {"listed": 1} if whole else {}
            if values:
                model = model or named(values.get("model_path"))
                keep = {k: v for k, v in values.items() if v not in (None, False, "auto", "", -1) and _sglang_keeps(k, v)}
                asked = {**dict(as_flags(keep)), **asked}
                other_flags = as_flags({k: v for k, v in values.items() if k not in _SGLANG_KEPT and k not in _SGLANG_SETTLED})
                lost = unread(values)
                if isinstance(chunk := values.get("chunked_prefill_size"), int) and chunk > 0:
                    figures["chunk"] = chunk
                tp, pp, length = (values.get(key) for key in ("tp_size", "pp_size", "context_length"))
                gpus = ((tp if isinstance(tp, int) else 0) or 1) * ((pp if isinstance(pp, int) else 0) or 1)
                context = context or (length if isinstance(length, int) else None)
        if command is None and (made := command_in(line)) and "sglang" in made:
            command = made
        if version is None and (
            m := re.search(
                r"\bsglang(?:[ =/_-]+(?:version)?[ :=]*v?|==)(\d+\.\d+\.\d+(?:\.?(?:post|rc|dev)\d+)?)", line, re.IGNORECASE
            )
        ):
            version = m[1]
        if m := _RANKS.search(line):
            ranks.put(re.findall(r"([A-Z]+)(\d+)", m[1]))
        gpu = gpu or device_named(line)
        if m := re.search(r"Load weight begin\. avail mem=([\d.]+) GB", line):
            terms.put("free", size_of(m[1], "GiB"))
            phase = "loading"
        if m := re.search(r"Load weight end\..*?mem usage=(-?[\d.]+) GB", line):
            terms.put("weights", size_of(m[1], "GiB"))
        elif (m := re.search(r"Load weight end\..*?avail mem=([\d.]+) GB", line)) and "free" in terms.sizes:
            terms.put("weights", terms.sizes["free"] - size_of(m[1], "GiB"))
        if "Load weight end" in line:
            phase = "pool"
        if (m := re.search(r"#tokens: (\d+)", line)) and _POOLED.search(line):
            now = int(m[1])
            tokens = now if tokens is None else max(tokens, now)
            sizes = [size_of(x, "GiB") for x in re.findall(r"(?:[KV]{1,2} size|KV size|index_k size): (-?[\d.]+) GB", line)]
            if sizes:
                key = "cache"
                terms.sizes[key] = max(terms.sizes.get(key, 0), sum(sizes))
        if "Mamba Cache is allocated" in line:
            if m := re.search(r"max_mamba_cache_size: (\d+)", line):
                figures["state slots"] = int(m[1])
            terms.put("states", sum(size_of(x, "GiB") for x in re.findall(r"state size: ([\d.]+) ?GB", line)))
        if m := re.search(r"(?<![a-z_])max_total_num_tokens=(\d+)", line):
            tokens = int(m[1])
            if k := re.search(r"context_len=(\d+)", line):
                context = int(k[1])
            if k := re.search(r"max_running_requests=(\d+)", line):
                figures["requests"] = int(k[1])
        if (m := re.search(r"graph (?:end|memory)?.*?mem usage ?= ?(-?[\d.]+) GB", line)) and ("apture" in line or "graph" in line):
            terms.put("graphs", size_of(m[1], "GiB"))
        if m := re.search(r"Memory pool end\. avail mem=([\d.]+) GB", line):
            terms.put("left", size_of(m[1], "GiB"))
            phase = "capturing"
        if re.search(r"Capture .*graph.* begin", line):
            phase = "capturing"
        if re.search(r"Capture .*graph.* end", line):
            phase = "warmup"
        if m := CAPACITY.search(line):
            memory = memory or size_of(m[1], m[2])
        if "The server is fired up and ready to roll" in line or "Uvicorn running on" in line:
            started = started or "fired up" in line
            served = served or i
            phase = "serving" if "fired up" in line else phase
        if m := re.search(r"Tried to allocate ([\d.]+) ([KMGT]iB)", line):
            figures["tried"] = size_of(m[1], m[2])
        if m := re.search(r"of which ([\d.]+) ([KMGT]iB) is free", line):
            figures["free"] = size_of(m[1], m[2])
        if m := re.search(r"this process has ([\d.]+) ([KMGT]iB) memory in use", line):
            figures["in use"] = size_of(m[1], m[2])
        if " memory in use" in line and (neighbours := others(line)).get("beside", 0) > figures.get("beside", 0):
            figures |= neighbours
        if "Not enough memory. Please try to increase --mem-fraction-static" in line or re.search(
            r"rest memory .*(?:negative|not enough)|leaves? no (?:GPU )?(?:memory|room) for the (?:full )?(?:KV|pool)"
            r"|Memory pool size is too small",
            line,
        ):
            if m := re.search(r"Raise --mem-fraction-static\s+above ([\d.]+)", line):
                figures["least share"] = float(m[1])
            fail("no-cache", line)
        elif re.search(r"SWA pool \(\d+ tokens\) cannot hold even one request|cannot fit ONE worst-case request", line):
            fail("one-request", line)
        elif re.search(
            r"state cache is too small to serve|max_num_reqs=0\b|Not enough GPU memory for hybrid \(|Not enough space for mamba",
            line,
        ):
            fail("states", line)
        elif re.search(r"Prefill out of memory|Decode out of memory|alloc_req_slots runs out of memory", line):
            fail("pool", line)
        elif "graph failed:" in line and re.search(r"Capture .*graph failed:.*(?i:out of memory|alloc[a-z]*_failed)", line):
            # SGLang raises it of any error of a kernel, too (model_executor/runner/, cuda_graph_runner.py).
            fail("capturing", line)
        elif TORCH_OOM.search(line):
            if "chunk" in figures and "Prefill batch" in found[batch]:
                figures["prefill"] = figures["chunk"]
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
        elif (not served and DIVIDES.search(line)) or re.search(
            r"heads? .*must be divisible|is not divisible by|must be divisible by (?:tp|moe_tp_size|ep_size|--tp-size|decode_context)"
            r"|must be divisible by (?:attn_cp_size|dp_size|moe_dp_size)|For quantized MoE models, please make sure"
            r"|--dcp-size \d+ must divide --tp-size",
            line,
        ):
            fail("heads", line)
        elif re.search(r"User-specified context_length \((\d+)\) is greater than the derived", line):
            if m := re.search(r"derived context_length \((\d+)\)", line):
                figures["longest"] = int(m[1])
            fail("context", line) if "Error" in line or "error" in line else None
        elif re.search(r"error: (?:unrecognized arguments|argument |the following arguments)", line):
            fail("flag", line)
        elif NOT_HAD.search(line):
            fail("model", line)
    if "listed" not in figures and command is None:
        for kind_, flag in (("TP", "--tp-size"), ("PP", "--pp-size"), ("DP", "--dp-size"), ("EP", "--ep-size")):
            if (size := ranks.size(kind_)) is not None:
                asked.setdefault(flag, size)
                figures["by ranks"] = 1
        if "by ranks" in figures:
            gpus = int(asked.get("--tp-size", 1)) * int(asked.get("--pp-size", 1))
    ended = started
    if failure is None and (apart := cause(found[served:], fatal=_ENDED if started else ())):
        failure, said = apart.kind, saying(apart.line)
        figures |= {f"apart {n}": value for n, value in enumerate(apart.figures)}
    if not started and failure is None and tokens:
        started = True
        figures["unsaid"] = 1
    if "cache" in terms.sizes:
        terms.put("room", terms.sizes["cache"] + terms.sizes.get("states", 0))
    if failure not in (None, "serving", "pool", *(APART if ended else ())):
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
        unread=lost,
        other_flags=other_flags,
    )


# managers/scheduler.py `configure_scheduler_process`: the ranks stand behind the time, each kind where there are several.
_RANKS = re.compile(r"\[\d{4}-\d\d-\d\d \d\d:\d\d:\d\d((?: [A-Z_]{2,7}\d{1,3})+)\]")


# A log lists every argument, with what was settled for it: these say what was asked, or what the settled ones mean.
_SGLANG_KEPT = frozenset(
    "model_path context_length mem_fraction_static chunked_prefill_size max_running_requests max_total_tokens page_size kv_cache_dtype"
    " disable_radix_cache tp_size pp_size dp_size attn_dp_size ep_size enable_dp_attention disable_cuda_graph cuda_graph_max_bs"
    " swa_full_tokens_ratio"
    " max_mamba_cache_size mamba_full_memory_ratio speculative_algorithm speculative_num_draft_tokens speculative_num_steps"
    " speculative_eagle_topk speculative_draft_model_path quantization dtype".split()
)
# What the engine puts in by itself, and no command needs to say (srt/server_args.py `__post_init__`).
_SGLANG_SETTLED = frozenset(
    "tokenizer_path served_model_name device random_seed schedule_conservativeness cuda_graph_bs attention_backend sampling_backend"
    " grammar_backend max_prefill_tokens prefill_attention_backend decode_attention_backend mm_attention_backend nccl_port"
    " cuda_graph_bs_decode cuda_graph_max_bs_decode moe_runner_backend fp8_gemm_runner_backend fp4_gemm_runner_backend".split()
)
_SGLANG_DEFAULTS = {
    "tp_size": 1,
    "pp_size": 1,
    "dp_size": 1,
    "attn_dp_size": 1,
    "ep_size": 1,
    "page_size": 1,
    "mamba_full_memory_ratio": 0.9,
    "swa_full_tokens_ratio": 0.8,
}


def _sglang_keeps(key: str, value: Any) -> bool:
    return key in _SGLANG_KEPT and _SGLANG_DEFAULTS.get(key) != value
