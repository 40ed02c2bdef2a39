"""What `diagnose` prints as a change that starts is a command that `fit` takes and judges to start; what it reads of a log decides which.

Lines are worded as the engines' sources print them: vLLM v1/worker, v1/core and v1/metrics/loggers.py, SGLang srt/managers and
srt/model_executor, llama.cpp src/llama-context.cpp and ggml/src/ggml-metal, PyTorch c10/cuda/CUDACachingAllocator.cpp, moby
daemon/logger/jsonfilelog.
"""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import Any

import pytest

from archcalc.commands.logs import read
from archcalc.commands.logs._lines import lines, others
from conftest import Run

MIB, GIB = 1 << 20, 1 << 30


def vllm(version: str, args: dict[str, Any], *rest: str) -> str:
    head = (
        f"INFO 11-20 10:00:00 [api_utils.py:312] vLLM API server version {version}",
        f"INFO 11-20 10:00:00 [utils.py:233] non-default args: {args!r}",
    )
    return "\n".join((*head, *rest)) + "\n"


def sglang(args: str, *rest: str) -> str:
    return "\n".join((f"[2026-11-02 10:00:00] server_args=ServerArgs({args})", *rest)) + "\n"


def torch_oom(tried: str, total: float, free: str, held: str, more: str = "") -> str:
    return (
        f"torch.OutOfMemoryError: CUDA out of memory. Tried to allocate {tried}. GPU 0 has a total capacity of {total} GiB of which {free}"
        f" is free. {more}Including non-PyTorch memory, this process has {held} memory in use. Of the allocated memory {held} is"
        " allocated by PyTorch, and 38.10 MiB is reserved by PyTorch but unallocated."
    )


WEIGHTS = "INFO 11-20 10:00:40 [gpu_model_runner.py:4100] Model loading took {} GiB memory and 9.104 seconds"
PROFILED = 'ERROR 11-20 10:01:20 [core.py:1010]   File "vllm/v1/worker/gpu_model_runner.py", line 5101, in profile_run'
ENCODER = (
    "INFO 11-20 10:00:42 [gpu_model_runner.py:5010] Encoder cache will be initialized with a budget of {} tokens, and profiled with 1 video"
    " items of the maximum feature size."
)
SERVED = (
    "INFO 10-20 10:01:05 [loggers.py:127] Engine 000: Avg prompt throughput: 100.0 tokens/s, Avg generation throughput: 80.1 tokens/s,"
    " Running: 4 reqs, Waiting: 0 reqs, GPU KV cache usage: 12.0%, Prefix cache hit rate: 0.0%"
)
CAPTURE = (
    "[2026-11-02 10:00:11] Load weight begin. avail mem=23.10 GB",
    "[2026-11-02 10:00:40] Load weight end. elapsed=28.91 s, avail mem=7.72 GB, mem usage=15.38 GB.",
    "[2026-11-02 10:00:40] KV Cache is allocated. dtype: torch.bfloat16, #tokens: 39000, K size: 2.68 GB, V size: 2.68 GB",
    "[2026-11-02 10:00:40] Memory pool end. avail mem=2.20 GB",
    "[2026-11-02 10:00:41] Capture cuda graph begin. This can take up to several minutes. avail mem=1.90 GB",
    "Exception: Capture cuda graph failed: CUDA out of memory. Tried to allocate 48.00 MiB. GPU 0 has a total capacity of 23.51 GiB of"
    " which 33.00 MiB is free.",
)
PREFILL = (
    "[2026-11-02 10:00:11] Load weight begin. avail mem=78.48 GB",
    "[2026-11-02 10:00:40] Load weight end. elapsed=28.91 s, avail mem=13.00 GB, mem usage=65.48 GB.",
    "[2026-11-02 10:00:40] KV Cache is allocated. dtype: torch.bfloat16, #tokens: 150000, K size: 4.8 GB, V size: 4.8 GB",
    "[2026-11-02 10:00:52] max_total_num_tokens=150000, chunked_prefill_size=8192, max_prefill_tokens=16384, max_running_requests=64,"
    " context_len=131072, available_gpu_mem=2.00 GB",
    "[2026-11-02 10:00:53] The server is fired up and ready to roll!",
)
PREFILLED = "[2026-11-02 10:10:53] Prefill batch, #new-seq: 1, #new-token: 8192, #cached-token: 0, token usage: 0.10"
NO_CACHE = "ERROR 11-20 10:01:20 [core.py:1010] ValueError: No available memory for the cache blocks. Try increasing"
LENGTH = (
    "ValueError: To serve at least one request with the model's max seq len ({}), ({} GiB KV cache is needed, which is larger than the"
    " available KV cache memory ({} GiB). Based on the available memory, the estimated maximum model length is {}."
)
LLAMA = (
    "ggml_cuda_init: found 2 CUDA devices (Total VRAM: 48160 MiB):",
    "  Device 0: NVIDIA GeForce RTX 4090, compute capability 8.9, VMM: yes, VRAM: 24080 MiB",
    "  Device 1: NVIDIA GeForce RTX 4090, compute capability 8.9, VMM: yes, VRAM: 24080 MiB",
    "llama_model_loader: loaded meta data with 32 key-value pairs and 724 tensors from /m/Llama-3.3-70B-Instruct-Q4_K_M.gguf (version",
    "print_info: file type   = Q4_K - Medium",
    "load_tensors: offloaded 81/81 layers to GPU",
    "load_tensors:        CUDA0 model buffer size = 20038.81 MiB",
    "load_tensors:        CUDA1 model buffer size = 19940.67 MiB",
    "llama_context: n_seq_max     = 4",
    "llama_context: n_ctx         = 16384",
    "llama_context: n_batch       = 2048",
    "llama_context: n_ubatch      = 2048",
    "llama_context: flash_attn    = enabled",
    "llama_context: kv_unified    = true",
    "llama_kv_cache:      CUDA0 KV buffer size =  2624.00 MiB",
    "llama_kv_cache:      CUDA1 KV buffer size =  2496.00 MiB",
    "ggml_backend_cuda_buffer_type_alloc_buffer: allocating 2200.00 MiB on device 1: cudaMalloc failed: out of memory",
    "graph_reserve: failed to allocate compute buffers",
)  # fmt: skip
MAC = (
    "ggml_metal_device_init: GPU name:   Apple M4 Max",
    "ggml_metal_device_init: recommendedMaxWorkingSetSize  = 55662.79 MB",
    "llama_model_loader: loaded meta data with 32 key-value pairs and 724 tensors from /m/Qwen3-32B-Q8_0.gguf (version GGUF V3 (latest))",
    "print_info: file type   = Q8_0",
    "load_tensors: offloaded 65/65 layers to GPU",
    "load_tensors:  {} model buffer size = 33206.00 MiB",
    "llama_context: n_ctx         = 131072",
    "llama_kv_cache:       MTL0 KV buffer size = 32768.00 MiB",
    "error: Insufficient Memory (00000008:kIOGPUCommandBufferCallbackErrorOutOfMemory)",
)
QWEN = {"model": "Qwen/Qwen3-8B", "max_model_len": 8192}
VISION = {"model": "Qwen/Qwen3-VL-30B-A3B-Instruct", "max_model_len": 32768, "max_num_batched_tokens": 16384}
DEEPSEEK = "model_path='deepseek-ai/DeepSeek-V3', mem_fraction_static=0.85, chunked_prefill_size=1024, tp_size=8, {}"
LOADING = (
    "[2026-11-02 10:00:11 DP0 TP0] Load weight begin. avail mem=78.48 GB",
    torch_oom("448.00 MiB", 79.19, "133.00 MiB", "78.9 GiB"),
)


def diagnose(cli: Run, folder: Path, text: str, *options: str) -> dict[str, Any]:
    (folder / "engine.log").write_text(text, encoding="utf-8")
    done = cli("diagnose", "engine.log", "--offline", "--format", "json", *options)
    assert done.stdout, done.stderr
    return json.loads(done.stdout)  # type: ignore[no-any-return]


# The log, the machine of the remedies, what must be among their commands, and what must be in none.
QWEN_SGLANG = "model_path='Qwen/Qwen3-8B', mem_fraction_static=0.9, tp_size=1"
GPT_SGLANG = "model_path='openai/gpt-oss-120b', mem_fraction_static=0.95, chunked_prefill_size=8192, tp_size=1"
RELEASE = "[2026-11-02 09:59:59] SGLang version: {}\n"
BLOCKS = (
    "ERROR 11-20 10:00:20 [multiproc_executor.py:800] ValueError: The output_size of gate's and up's weight = 1216 is not divisible by"
    " weight quantization block_n = 128."
)
LACKS = "INFO 11-20 10:01:20 [gpu_worker.py:772] Available KV cache memory: -2.31 GiB"
HYBRID = {"model": "Qwen/Qwen3.5-27B", "max_model_len": 32768, "gpu_memory_utilization": 0.7}
IN_BYTES = {"model": "Qwen/Qwen3-8B", "max_model_len": 32768, "kv_cache_memory_bytes": 2 * GIB}
VIDEO = torch_oom("6.00 GiB", 79.19, "5.50 GiB", "69.6 GiB")
CHUNK = torch_oom("3.07 GiB", 79.19, "1.10 GiB", "78.0 GiB")
SHARED = torch_oom("298.00 MiB", 23.51, "120.56 MiB", "5.18 GiB", "Process 4321 has 18.20 GiB memory in use. ")
CASES = [
    pytest.param(
        sglang(DEEPSEEK.format("dp_size=1, attn_dp_size=8"), *LOADING),
        "h100", (), ("--tp-size 2", "--tp-size 4", "--tp-size 8"), id="attention-dp",
    ),
    pytest.param(
        sglang(DEEPSEEK.format("dp_size=8, enable_dp_attention=True"), *LOADING),
        "h100", (), ("--tp-size 2", "--tp-size 4", "--tp-size 8"), id="dp-attention",
    ),
    pytest.param(
        RELEASE.format("0.5.23") + sglang(QWEN_SGLANG, *CAPTURE),
        "4090", ("--cuda-graph-max-bs-decode 16",), ("--cuda-graph-max-bs 16",), id="graphs-0.5.23",
    ),
    pytest.param(
        RELEASE.format("0.5.6") + sglang(QWEN_SGLANG, *CAPTURE),
        "4090", ("--cuda-graph-max-bs 16",), ("-decode",), id="graphs-0.5.6",
    ),
    pytest.param(
        vllm("0.30.0", {"model": "Qwen/Qwen3-4B-FP8", "tensor_parallel_size": 8}, BLOCKS),
        "8xh100", ("--tensor-parallel-size 4",), ("--enable-expert-parallel",), id="experts-of-none",
    ),
    pytest.param(
        vllm("0.33.0", HYBRID, WEIGHTS.format(51.08), LACKS, NO_CACHE),
        "h100", ("--gpu-memory-utilization 0.95 --max-num-seqs 256",), (), id="share-and-sequences",
    ),
    pytest.param(
        vllm("0.24.0", IN_BYTES, WEIGHTS.format(15.27), LENGTH.format(32768, 4.5, 2.0, 14560)),
        "4090", (f"--kv-cache-memory-bytes {9 * GIB // 2}", "--max-model-len 32768\n"), (), id="pool-in-bytes",
    ),
    pytest.param(
        vllm("0.30.0", VISION, WEIGHTS.format(58.01), ENCODER.format(16384), PROFILED, VIDEO),
        "h100", ("--max-num-batched-tokens 8192", """--limit-mm-per-prompt '{"video": 0}'"""), (), id="encoder",
    ),
    pytest.param(sglang(GPT_SGLANG, *PREFILL, PREFILLED, CHUNK), "h100", ("--chunked-prefill-size 2048",), (), id="prefill"),
    pytest.param("\n".join(LLAMA) + "\n", "2x4090", ("-ub 512", "-c 9216"), ("-c 13312",), id="compute-buffer"),
    pytest.param("\n".join(MAC).format("MTL0_Mapped") + "\n", "", ("-ctk q8_0 -ctv q8_0",), (), id="mac"),
    pytest.param(
        vllm("0.30.0", QWEN, SHARED), "4090", ("--gpu-memory-utilization 0.22 --tensor-parallel-size 8",),
        ("--quantization", "--tensor-parallel-size 2"), id="neighbour",
    ),
    pytest.param(
        vllm("0.30.0", QWEN, SHARED.replace("23.51", "79.19").replace("18.20", "30.50").replace("5.18", "48.10")),
        "h100", ("--gpu-memory-utilization 0.61\n",), (), id="neighbour-beside",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("text", "machine", "among", "never"), CASES)
def test_each_command_is_one_that_fit_takes_and_judges_to_start(
    text: str, machine: str, among: tuple[str, ...], never: tuple[str, ...], cli: Run, tmp_path: Path
) -> None:
    found = diagnose(cli, tmp_path, text, *(("--gpu", machine) if machine else ()))
    commands = [r["command"] for r in found["remedies"]]
    for words in among:
        assert any(words in f"{command}\n" for command in commands), commands
    for words in never:
        assert not any(words in f"{command}\n" for command in commands), commands
    assert found["command"] not in commands
    assert len(set(commands)) == len(commands)
    # Memory that the log states and a listed card has not is given in its own words.
    one = machine.partition("x")[2] if machine[:1].isdigit() and "x" in machine else machine
    gpu = ["--gpu", f"8x{one}"] if one else ["--vram", "51.8GiB"]
    release = ["--engine-version", found["engine_version"]] if found["engine_version"] else []
    for command in commands:
        done = cli("fit", *gpu, *release, "--offline", "--format", "json", "--", *shlex.split(command))
        assert done.stdout, (command, done.stderr)
        judged = json.loads(done.stdout)
        assert judged["start"]["starts"], (command, judged["start"])
        # SGLang serves with a cache smaller than the context; the engine's own estimate stands on its own room.
        assert judged["fits"] or found["engine"] == "sglang" or "requests longer" in str(found["remedies"]), command


NEIGHBOUR = "Process 4321 has 18.20 GiB memory in use. "
ALLOCATED = "Of the allocated memory 4.72 GiB is allocated by PyTorch, and 38.10 MiB is reserved by PyTorch but unallocated."


@pytest.mark.parametrize(
    ("said", "held", "pid", "count"),
    [
        (NEIGHBOUR + "Including non-PyTorch memory, this process has 5.18 GiB memory in use. " + ALLOCATED, 18.2, 4321, 1),
        # In a container the allocator's own process is named as others are.
        (NEIGHBOUR + "Process 5000 has 5.18 GiB memory in use. " + ALLOCATED, 18.2, 4321, 1),
        (
            "Process 7 has 512.00 MiB memory in use. " + NEIGHBOUR + "this process has 4.80 GiB memory in use. " + ALLOCATED,
            18.7,
            4321,
            2,
        ),
        ("Including non-PyTorch memory, this process has 23.4 GiB memory in use. " + ALLOCATED, 0, 0, 0),
        ("Process 5000 has 23.4 GiB memory in use. " + ALLOCATED, 0, 0, 0),
        # A message that is cut says of none which is its own.
        ("Process 123 has 77.99 GiB memory in use.", 0, 0, 0),
        ("no process at all", 0, 0, 0),
    ],
)
def test_who_else_holds_memory_of_the_gpu(said: str, held: float, pid: int, count: int) -> None:
    found = others(said)
    assert found.get("beside", 0) == pytest.approx(held * GIB, rel=1e-6)
    assert (found.get("beside pid", 0), found.get("beside count", 0)) == (pid, count)


@pytest.mark.parametrize(
    ("text", "options", "who"),
    [
        (vllm("0.30.0", QWEN, torch_oom("298.00 MiB", 23.51, "120.56 MiB", "5.18 GiB", NEIGHBOUR)), (), "process 4321 holds 18.2 GiB"),
        (sglang("model_path='Qwen/Qwen3-8B', tp_size=1", "[2026-11-02 10:00:11] Load weight begin. avail mem=6.10 GB",
                torch_oom("298.00 MiB", 23.51, "120.56 MiB", "5.18 GiB")), (), "other processes hold 18.2 GiB"),
        ("\n".join((*LLAMA[:2], "load_model: using device CUDA0 (NVIDIA GeForce RTX 4090) - 9000 MiB free", *LLAMA[3:6], *LLAMA[-2:])),
         (), "other processes hold 14.7 GiB"),
        (vllm("0.30.0", QWEN, torch_oom("298.00 MiB", 23.51, "120.56 MiB", "17179869184.00 GiB")), (), ""),
        (vllm("0.30.0", QWEN, torch_oom("298.00 MiB", 23.51, "120.56 MiB", "5.18 GiB")), (), "other processes hold 18.2 GiB"),
        (vllm("0.30.0", QWEN, torch_oom("298.00 MiB", 23.51, "120.56 MiB", "23.2 GiB")), (), ""),
        (vllm("0.30.0", QWEN, "ERROR OSError: Address already in use", NEIGHBOUR), (), ""),
    ],
)  # fmt: skip
def test_a_neighbour_is_named(text: str, options: tuple[str, ...], who: str, cli: Run, tmp_path: Path) -> None:
    found = diagnose(cli, tmp_path, text, *options)
    said = " ".join([found["cause"], *found["notes"]])
    assert (who in said) if who else ("hold" not in said), said


@pytest.mark.parametrize(
    ("buffer", "term"),
    [("MTL0_Mapped", "weights"), ("MTL0", "weights"), ("Metal_Mapped", "weights"), ("MTL0_Private", "weights"),
     ("CPU_Mapped", "weights in RAM"), ("CPU", "weights in RAM"), ("CUDA_Host", "weights in RAM"), ("CUDA0", "weights")],
)  # fmt: skip
def test_whose_memory_a_buffer_takes(buffer: str, term: str) -> None:
    log = read("\n".join(MAC).format(buffer))
    assert log.term(term) == 33206 * MIB
    assert log.memory_bytes == 55_662_790_000


OOM = "ERROR 10-20 10:01:20 [core.py:720] " + torch_oom("148.00 MiB", 23.51, "45.56 MiB", "23.46 GiB")
HTTP = '(APIServer pid=1) INFO:     127.0.0.1:33170 - "POST /v1/chat/completions HTTP/1.1" 200 OK'
STARTED = (WEIGHTS.format(15.27), "INFO 11-20 10:01:20 [gpu_worker.py:298] Available KV cache memory: 6.05 GiB",
           "INFO 11-20 10:01:30 [gpu_model_runner.py:3480] Graph capturing finished in 5 secs, took 0.62 GiB")  # fmt: skip


@pytest.mark.parametrize(
    ("text", "started"),
    [
        (f"{SERVED}\n{OOM}\n", True),
        (f"(EngineCore_DP0 pid=77) EngineCore\n{HTTP}\n{OOM}\n", True),
        (vllm("0.11.0", QWEN, *STARTED, SERVED, HTTP, OOM), True),
        (vllm("0.11.0", QWEN, *STARTED, OOM), False),
        ("[2026-11-02 10:00:00] Decode batch, #running-req: 40, #token: 9000, gen throughput (token/s): 80\n[2026-11-02] Scheduler hit an"
         " exception in sglang\n" + OOM + "\n", True),
        (sglang("model_path='Qwen/Qwen3-8B', tp_size=1", *PREFILL[:3], PREFILLED, OOM), False),
        ("slot launch_slot_: id  0 | task 12 | processing task\nsrv  update_slots: run\nCUDA error: out of memory\n", True),
        ("llama_context: n_ctx = 4096\nCUDA error: out of memory\n", False),
    ],
    ids=["vllm-tail", "vllm-requests", "vllm-whole", "vllm-before", "sglang-tail", "sglang-before", "llama-tail", "llama-before"],
)  # fmt: skip
def test_a_server_that_answered_had_started(text: str, started: bool) -> None:
    log = read(text)
    assert log.started is started
    assert (log.failure == "serving") is started


def test_one_engine_core_by_its_name_is_no_two_replicas() -> None:
    assert "--data-parallel-size" not in dict(read(f"(EngineCore_DP0 pid=77) {SERVED}\n{OOM}\n").asked)
    two = read(f"(EngineCore_DP0 pid=77) {SERVED}\n(EngineCore_DP1 pid=78) KV cache\n{OOM}\n")
    assert dict(two.asked)["--data-parallel-size"] == 2


@pytest.mark.parametrize(
    "form",
    [
        '{"log":"%s\\n","stream":"stderr","time":"2026-11-20T09:00:00.1Z"}',
        '{"log": "%s\\n", "stream": "stderr", "time": "2026-11-20T09:00:00.1Z"}',
        '{"log":"\\u001b[32m%s\\u001b[0m\\r\\n","stream":"stderr"}',
        '{"stream":"stderr","time":"2026-11-20T09:00:00.1Z","_p":"F","log":"%s\\n"}',
        '{"log":"%s',
    ],
)
def test_a_line_in_a_collector_s_json(form: str) -> None:
    said = 'INFO vLLM API server version 0.33.0: "quoted" C:\\n'
    assert list(lines(form % said.replace("\\", "\\\\").replace('"', '\\"'))) == [said]


@pytest.mark.parametrize(
    ("failed", "tried", "free"),
    [
        ("failed to allocate compute buffers", 2200, 2200 - 1372),
        ("llama_init: failed to allocate buffer for kv cache", 4600, 4600 - 2624),
    ],
)
def test_a_buffer_larger_than_predicted_is_what_a_change_has_to_free(
    failed: str, tried: int, free: int, cli: Run, tmp_path: Path
) -> None:
    """Of 16,384 tokens the fullest GPU's cache takes 2,624 MiB; the compute buffer is predicted with 1,372 MiB, within a few."""
    text = "\n".join((*LLAMA[:-2], LLAMA[-2].replace("2200.00", f"{tried}.00"), failed)) + "\n"
    small = text.replace(f"{tried}.00", "1.00")
    more, less = (diagnose(cli, tmp_path, each, "--gpu", "2x4090")["remedies"] for each in (text, small))
    kept = [{r["gives_up"]: r["headroom_bytes"] for r in each if "-ngl" in r["command"]} for each in (more, less)]
    layers = [int(next(iter(each)).split()[1]) for each in kept]
    # Each layer on the CPU frees some 250 MiB of weights and 32 MiB of cache.
    assert layers[0] > layers[1]
    assert (layers[0] - layers[1]) * 290 * MIB >= free * MIB // 2


@pytest.mark.parametrize("name", ["Qwen3-32B-Q5_K_M.gguf", "/m/Qwen3-32B-Q8_0.gguf", "models/Qwen3-8B-Q4_K_M.gguf"])
def test_a_name_is_the_same_model_for_fit_and_diagnose(name: str, cli: Run, tmp_path: Path) -> None:
    text = (
        "\n".join(MAC).format("MTL0_Mapped").replace("/m/Qwen3-32B-Q8_0.gguf", name).replace("print_info: file type   = Q8_0\n", "")
    )
    found = diagnose(cli, tmp_path, text)
    fit = json.loads(
        cli("fit", "--gpu", "m4 max", "--offline", "--format", "json", "--", "llama-server", "-m", name, "-c", "4096").stdout
    )
    terms = {t["name"]: t["predicted_bytes"] for t in found["terms"]}
    assert terms["weights"] == fit["per_gpu"]["weights_bytes"]


def test_what_the_cache_holds_is_the_longest_that_starts(cli: Run, tmp_path: Path) -> None:
    said = (
        "ERROR engine.py:366] ValueError: The model's max seq len (131072) is larger than the maximum number of tokens that can be stored"
        " in KV cache (33376)."
    )
    text = vllm(
        "0.6.3.post1",
        {"model": "meta-llama/Llama-3.1-8B-Instruct"},
        "INFO model_runner.py:1071] Loading model weights took 14.9888 GB",
        said,
    )
    assert "--max-model-len 33376" in diagnose(cli, tmp_path, text, "--gpu", "4090")["remedies"][0]["command"]


@pytest.mark.parametrize(
    ("text", "engine"),
    [
        ("usage: vllm [-h] [-v] {chat,serve} ...\nvllm: error: unrecognized arguments: --swap-space 4\n", "vllm"),
        ("usage: api_server.py [-h]\napi_server.py: error: unrecognized arguments: --swap-space 4\n", "vllm"),
        ("usage: launch_server.py [-h]\nlaunch_server.py: error: unrecognized arguments: --x\n", "sglang"),
        ("usage: sglang serve [-h]\nsglang serve: error: unrecognized arguments: --x\n", "sglang"),
    ],
)
def test_a_refused_argument_alone_is_a_log(text: str, engine: str) -> None:
    log = read(text)
    assert (log.engine, log.failure) == (engine, "flag")


def test_of_two_that_leave_as_much_the_one_that_gives_up_less(cli: Run, tmp_path: Path) -> None:
    args = {"model": "meta-llama/Llama-3.1-8B-Instruct", "max_model_len": 32768, "max_num_batched_tokens": 131072}
    text = vllm("0.30.0", args, WEIGHTS.format(14.99), PROFILED, torch_oom("7.00 GiB", 23.51, "5.50 GiB", "18.0 GiB"))
    found = diagnose(cli, tmp_path, text, "--gpu", "4090")
    spares = [(r["gives_up"], r["headroom_bytes"]) for r in found["remedies"]]
    assert len(set(spares)) == len(spares)
    assert "--max-num-batched-tokens 8192" in found["remedies"][0]["command"]
    # GPUs are taken, and not given up.
    (tmp_path / "engine.log").write_text(text, encoding="utf-8")
    page = cli("diagnose", "engine.log", "--offline", "--gpu", "4090").stdout
    assert "takes 2 times the GPUs" in page and "gives up takes" not in page and "gives up 2 times" not in page


@pytest.mark.parametrize("size", [-(1 << 30), -(100 << 20), 1 << 30])
def test_no_overhead_is_less_than_none(size: int, cli: Run, tmp_path: Path) -> None:
    kept = {"engine": "vllm", "gpu": "rtx-4090", "overhead_bytes": size, "of": "Qwen/Qwen3-8B", "engine_version": "0.33.0"}
    (tmp_path / "host.json").write_text(json.dumps(kept), encoding="utf-8")
    command = ("--", "vllm", "serve", "Qwen/Qwen3-8B", "--max-model-len", "8192")
    plain, with_it = (
        json.loads(cli("fit", "--gpu", "4090", "--offline", "--format", "json", *more, *command).stdout)["per_gpu"]
        for more in ((), ("--calibration", "host.json"))
    )
    assert with_it["overhead_bytes"] >= 0
    beside = [each["activation_bytes"] + each["overhead_bytes"] for each in (plain, with_it)]
    assert beside[1] - beside[0] == size
    assert plain["kv_room_bytes"] - with_it["kv_room_bytes"] == size
