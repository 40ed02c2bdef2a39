"""Logs in the words of the engines' own format strings: version, arguments, memory and how it ended."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from archcalc.commands.logs import Logged, decoded, read
from archcalc.errors import ArchcalcError, FormatError

GIB, MIB = 1 << 30, 1 << 20
V = "(EngineCore_DP0 pid=123) INFO 09-12 10:00:0{} [gpu_worker.py:298] "

VLLM_HEAD = (
    "(APIServer pid=1) INFO 09-12 10:00:00 [api_server.py:1896] vLLM API server version 0.11.0\n"
    "(APIServer pid=1) INFO 09-12 10:00:00 [utils.py:233] non-default args: {'model_tag': 'org/model', 'model': 'org/model', 'max_"
    "model_len': 32768, 'tensor_parallel_size': 2, 'enforce_eager': True}\n"
    "(EngineCore_DP0 pid=12) INFO 09-12 10:00:05 [core.py:77] Initializing a V1 LLM engine (v0.11.0) with config: model='org/model"
    "', speculative_config=None, tokenizer='org/model', max_seq_len=32768, tensor_parallel_size=2, enforce_eager=True, kv_cache_dt"
    "ype=auto\n"
    "(Worker_TP0 pid=13) INFO 09-12 10:00:09 [gpu_model_runner.py:2602] Starting to load model org/model...\n"
    "(Worker_TP1 pid=14) INFO 09-12 10:00:19 [gpu_model_runner.py:2653] Model loading took 7.5213 GiB and 8.123456 seconds\n"
    "(Worker_TP0 pid=13) INFO 09-12 10:00:19 [gpu_model_runner.py:2653] Model loading took 7.6213 GiB and 8.123456 seconds\n"
)
VLLM_ROOM = """\
(Worker_TP0 pid=13) INFO 09-12 10:00:30 [gpu_worker.py:298] Available KV cache memory: 10.25 GiB
(Worker_TP1 pid=14) INFO 09-12 10:00:30 [gpu_worker.py:298] Available KV cache memory: 10.05 GiB
(EngineCore_DP0 pid=12) INFO 09-12 10:00:31 [kv_cache_utils.py:1087] GPU KV cache size: 146,336 tokens
(EngineCore_DP0 pid=12) INFO 09-12 10:00:31 [kv_cache_utils.py:1091] Maximum concurrency for 32,768 tokens per request: 4.47x
"""
VLLM_END = "(APIServer pid=1) INFO:     Application startup complete.\n"


def _terms(log: Logged) -> dict[str, float]:
    return {name: round(size / GIB, 3) for name, size in log.terms}


def test_vllm() -> None:
    log = read(VLLM_HEAD + VLLM_ROOM + VLLM_END)
    assert (log.engine, log.version, log.model, log.gpus) == ("vllm", "0.11.0", "org/model", 2)
    # Of the ranks the fullest's weights and the smallest room.
    assert _terms(log) == {"weights": 7.621, "room": 10.05}
    assert (log.tokens, log.concurrency, log.context_tokens, log.started, log.failure) == (146336, 4.47, 32768, True, None)
    assert dict(log.asked)["--max-model-len"] == 32768 and dict(log.asked)["--enforce-eager"] is True


@pytest.mark.parametrize("pool", ["GPU", "XPU", "CPU", "GPU + host"])
def test_vllm_on_other_devices(pool: str) -> None:
    """`update_kv_cache_capacity` of 0.33, v1/core/kv_cache_utils.py: one line, with the device and the host's share of it."""
    log = read(
        VLLM_HEAD + f"(EngineCore pid=12) INFO 11-12 10:00:31 [kv_cache_utils.py:1147] {pool} KV cache size: 146,336 tokens,"
        " Maximum concurrency for 32,768 tokens per request: 4.47x\n" + VLLM_END
    )
    assert (log.tokens, log.concurrency, log.context_tokens, log.started) == (146336, 4.47, 32768, True)


def test_vllm_s_first_engine() -> None:
    log = read(
        "INFO 01-02 llm_engine.py:237] Initializing an LLM engine (v0.6.4) with config: model='a/b', speculative_config=None,"
        " max_seq_len=20000,\n"
        "INFO 01-02 model_runner.py:1077] Loading model weights took 14.9888 GB\n"
        "INFO 01-02 worker.py:232] Memory profiling results: total_gpu_memory=23.58GiB initial_memory_usage=15.34GiB"
        " peak_torch_memory=17.06GiB"
        " memory_usage_post_profile=15.35GiB non_torch_memory=0.35GiB kv_cache_size=3.81GiB gpu_memory_utilization=0.90\n"
        "INFO 01-02 gpu_executor.py:113] # GPU blocks: 1952, # CPU blocks: 2048\n"
        "INFO 01-02 gpu_executor.py:117] Maximum concurrency for 20000 tokens per request: 1.56x\n"
    )
    assert (log.version, log.tokens, log.started) == ("0.6.4", 31232, True)
    assert _terms(log)["weights"] == 14.989 and _terms(log)["room"] == 3.81 and log.memory_bytes == round(23.58 * GIB)


OOM = "torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 784.00 MiB. GPU 0 has a total capacity of 31.36 GiB of which"
" 300.00 MiB is free.\n"
FAILURES = [
    ("", "in load_model\n  in create_weights\n" + OOM, "loading"),
    (
        "load",
        '  File "gpu_worker.py", line 1, in determine_available_memory\n    self.model_runner.profile_run()\n' + OOM,
        "profiling",
    ),
    ("room", '  File "gpu_model_runner.py", line 1, in capture_model\n' + OOM, "capturing"),
    ("room", '  File "gpu_model_runner.py", line 1, in initialize_kv_cache\n' + OOM, "cache"),
    (
        "room",
        "RuntimeError: CUDA out of memory occurred when warming up sampler with 1024 dummy requests. Please try lowering `max_num_seqs`\n",
        "sampling",
    ),
    ("end", OOM, "serving"),
    (
        "load",
        "INFO [gpu_worker.py:298] Available KV cache memory: -2.28 GiB\nValueError: No available memory for the cache blocks.\n",
        "no-cache",
    ),
    (
        "load",
        "ValueError: To serve at least one request with the models's max seq len (131072), (3.1 GiB KV cache is needed, which is"
        " larger than"
        " the available KV cache memory (2.44 GiB). Based on the available memory, the estimated maximum model length is 103168.\n",
        "one-request",
    ),
    (
        "load",
        "ValueError: The model's max seq len (131072) is larger than the maximum number of tokens that can be stored in KV cache"
        " (81536).\n",
        "one-request",
    ),
    (
        "room",
        "ValueError: max_num_seqs (1024) exceeds available Mamba cache blocks (512). Each decode sequence requires one\n",
        "states",
    ),
    (
        "",
        "ValueError: Free memory on device cuda:0 (20.1/23.56 GiB) on startup is less than desired GPU memory utilization (0.92,"
        " 21.68 GiB).\n",
        "share",
    ),
    ("", "ValueError: Total number of attention heads (14) must be divisible by tensor parallel size (4).\n", "heads"),
    (
        "",
        "ValueError: User-specified max_model_len (99999) is greater than the derived max_model_len (max_position_embeddings=32768 or"
        " model_max_length=None in model's config.json).\n",
        "context",
    ),
    ("", "api_server.py: error: unrecognized arguments: --max-modle-len 3\n", "flag"),
    # What PyTorch says first does not name the place: v1/worker/gpu_model_runner.py `_dummy_sampler_run`.
    (
        "room",
        OOM + "\nRuntimeError: CUDA out of memory occurred when warming up sampler with 1024 dummy requests. Please try lowering\n",
        "sampling",
    ),
    ("room", "    assert num_cache_lines >= batch\nAssertionError\n", "states"),
    ("", "    assert self.total_num_heads % tp_size == 0\nAssertionError\n", "heads"),
    ("", "ValueError: tp_size=6 must be divisible by dcp_size=4.\n", "heads"),
    ("", "ValueError: `--decode-context-parallel-size` (8) exceeds the maximum supported value (4) for `--tensor-\n", "heads"),
    (
        "load",
        "ValueError: Cannot auto-fit max_model_len: not enough GPU memory available to serve even a single token.\n",
        "no-cache",
    ),
    (
        "",
        "ValueError: Free memory on device cuda:0 (20.1/23.56 GiB) on startup is less than the engine's budget after excluding external"
        " process's weights (0.92, 21.68 GiB).\n",
        "share",
    ),
    (
        "",
        "ValueError: Chunked MM input disabled but max_tokens_per_mm_item (16384) is larger than max_num_batched_tokens (8192).\n",
        "batch",
    ),
    ("", "ValueError: Local TP/PP/PCP replica size (4) exceeds the number of visible XPU devices (2).\n", "gpus"),
    ("", "OSError: org/model is not a local folder and is not a valid model identifier listed on the Hub\n", "model"),
]


@pytest.mark.parametrize(("until", "line", "kind"), FAILURES, ids=[k for _, _, k in FAILURES])
def test_what_stopped_vllm(until: str, line: str, kind: str) -> None:
    head = VLLM_HEAD if until else "\n".join(VLLM_HEAD.splitlines()[:4]) + "\n"
    text = head + (VLLM_ROOM if until in ("room", "end") else "") + (VLLM_END if until == "end" else "") + line
    log = read(text)
    assert log.failure == kind
    assert not log.started or kind == "serving"


def test_sglang() -> None:
    log = read(
        "[2026-04-27 10:00:00] server_args=ServerArgs(model_path='a/b', tp_size=4, mem_fraction_static=0.85, context_length=None,"
        " disable_radix_cache=False)\n"
        "[2026-04-27 10:00:01 TP0] Load weight begin. avail mem=78.60 GB\n"
        "[2026-04-27 10:00:09 TP0] Load weight end. elapsed=8.1 s, type=X, dtype=torch.bfloat16, avail mem=63.32 GB, mem usage=15.28 GB.\n"
        "[2026-04-27 10:00:10 TP0] KV Cache is allocated. dtype: torch.bfloat16, #tokens: 330323, K size: 10.08 GB, V size: 10.08 GB\n"
        "[2026-04-27 10:00:10 TP0] Memory pool end. avail mem=9.69 GB\n"
        "[2026-04-27 10:00:20 TP0] Capture cuda graph end. Time elapsed: 5.00 s. mem usage=0.10 GB. avail mem=9.5 GB.\n"
        "[2026-04-27 10:00:21 TP0] max_total_num_tokens=330323, chunked_prefill_size=8192, max_prefill_tokens=16384,"
        " max_running_requests=2049, context_len=32768\n"
        "[2026-04-27 10:00:25] The server is fired up and ready to roll!\n"
    )
    assert (log.engine, log.model, log.gpus, log.tokens, log.context_tokens, log.started) == (
        "sglang",
        "a/b",
        4,
        330323,
        32768,
        True,
    )
    assert _terms(log)["weights"] == 15.28 and _terms(log)["room"] == 20.16 and _terms(log)["graphs"] == 0.1
    assert dict(log.asked) == {"--model-path": "a/b", "--tp-size": 4, "--mem-fraction-static": 0.85}


AFTER_GRAPHS = (
    "[2026-10-01 10:00:00] server_args=ServerArgs(model_path='a/b', tp_size=1, mem_fraction_static=0.85)\n"
    "[2026-10-01 10:00:01] Load weight begin. avail mem=78.60 GB\n"
    "[2026-10-01 10:00:09] Load weight end. elapsed=8.1 s, type=X, avail mem=63.32 GB, mem usage=15.28 GB.\n"
    "[2026-10-01 10:00:10] KV Cache VA upper bound. dtype: torch.bfloat16, #tokens: 500000, K size: 34.3 GB, V size: 34.3 GB\n"
    "[2026-10-01 10:00:15] Capture target decode CUDA graph begin. backend=full, num_tokens_per_req=1, avail mem=60.69 GB\n"
)


def test_a_pool_that_is_sized_once_graphs_are_captured() -> None:
    """SGLang 0.5.18 to 0.5.23, model_executor/model_runner_components/kv_pool_runtime.py."""
    log = read(
        AFTER_GRAPHS + "[2026-10-01 10:00:20] Post-capture KV sizing: KV cache allocated. dtype: torch.bfloat16, #tokens: 330323,"
        " KV size: 45.37 GB, avail mem=10.50 GB\n"
        "[2026-10-01 10:00:20] Post-capture KV sizing: draft KV cache allocated. dtype: torch.bfloat16, #tokens: 400000, KV size: 2.5 GB\n"
    )
    assert log.tokens == 330323 and _terms(log)["room"] == 45.37
    assert read(AFTER_GRAPHS + "  in capture\n" + OOM + "\n").failure == "capturing"


def test_the_tokens_of_a_pool_of_windows_are_not_those_of_the_cache() -> None:
    """mem_cache/allocator/unified_hybrid_swa.py and managers/scheduler.py of SGLang 0.5.15."""
    log = read(
        "[2026-06-01 10:00:20 TP0] max_total_num_tokens=330323, chunked_prefill_size=8192, context_len=32768\n"
        "[2026-06-01 10:00:21 TP0] [unified-memory-pool] UnifiedSWATokenToKVPoolAllocator ready: full_max_total_num_tokens=330323,"
        " swa_max_total_num_tokens=41290, joint_available=41290 slots\n"
        "[2026-06-01 10:00:25] The server is fired up and ready to roll!\n"
    )
    assert log.tokens == 330323


@pytest.mark.parametrize(
    ("line", "kind"),
    [
        (
            "RuntimeError: Not enough memory. Please try to increase --mem-fraction-static. Current value: mem_fraction_static=0.8",
            "no-cache",
        ),
        ("Exception: Capture cuda graph failed: CUDA out of memory. Tried to allocate 1.00 GiB.", "capturing"),
        ("Exception: Capture prefill CUDA graph failed: CUDA out of memory. Tried to allocate 1.00 GiB.", "capturing"),
        # Raised of any error (model_executor/runner/decode_cuda_graph_runner.py `__init__`); what Triton and CUDA say.
        ("Exception: Capture cuda graph failed: CUDA error: no kernel image is available for execution on the device", "kernel"),
        ("Exception: Capture cuda graph failed: Triton Error [CUDA]: device kernel image is invalid", "kernel"),
        (
            "Exception: Capture cuda graph failed: Internal Triton PTX codegen error: ptxas fatal   : Value 'sm_120' is not defined for "
            "option 'gpu-name'",
            "kernel",
        ),
        ("Exception: Capture cuda graph failed: list index out of range", "other"),
        ("Exception: Capture cuda graph failed: No module named 'flash_mla'", "other"),
        # 0.5.23: mem_cache/kv_cache_configurator.py, model_executor/pool_configurator.py, mem_cache/unified_memory_pool.py,
        # managers/tp_worker.py, model_executor/model_runner_components/moe_ep_setup.py, arg_groups/attention_hook.py; models/qwen2.py.
        (
            "RuntimeError: Not enough GPU memory for hybrid (mamba/linear-attention) state cache. Computed max_mamba_cache_size=0",
            "states",
        ),
        ("AssertionError: Not enough space for mamba cache, try to increase --mamba-full-memory-ratio", "states"),
        ("ValueError: SWA pool (900 tokens) cannot hold even one request: the prefill admission floor is", "one-request"),
        (
            "RuntimeError: SWA pool cap (9 tokens, 7 GiB) leaves no room for the full KV pool within the available 5 GiB.",
            "no-cache",
        ),
        (
            "RuntimeError: [unified-memory-pool] x: byte budget 7 cannot fit ONE worst-case request (bs=1 floor 7 = 7).",
            "one-request",
        ),
        ("AssertionError: Memory pool size is too small", "no-cache"),
        ("ValueError: tp_size 6 must be divisible by ep_size 4", "heads"),
        (
            "ValueError: moe_intermediate_size 768 must be divisible by moe_tp_size (7) which is tp_size (7) divided by moe_ep_size (1).",
            "heads",
        ),
        (
            "ValueError: For quantized MoE models, please make sure (moe_intermediate_size=1536 / moe_tp_size=8) % weight_block_size_n=128",
            "heads",
        ),
        ("ValueError: --dcp-size 3 must divide --tp-size 8.", "heads"),
        ("    assert self.total_num_heads % tp_size == 0\nAssertionError", "heads"),
    ],
)
def test_what_stopped_sglang(line: str, kind: str) -> None:
    text = f"Load weight begin. avail mem=23.1 GB\nLoad weight end. type=X, avail mem=3.1 GB, mem usage=20.0 GB.\n{line}\n"
    log = read(text)
    assert (log.engine, log.failure, log.started) == ("sglang", kind, False)


LLAMA = """\
build: 6123 (cdedb70a) with cc (Ubuntu) for x86_64-linux-gnu
llama_model_load_from_file_impl: using device CUDA0 (NVIDIA GeForce RTX 3090) (0000:01:00.0) - 23869 MiB free
llama_model_loader: loaded meta data with 30 key-value pairs and 400 tensors from /models/Qwen3.5-9B-Q4_K_M.gguf (version GGUF V3 (latest))
print_info: general.name     = Qwen3.5 9B
load_tensors: offloading 32 repeating layers to GPU
load_tensors: offloaded 33/33 layers to GPU
load_tensors:        CUDA0 model buffer size =  5060.88 MiB
load_tensors:   CPU_Mapped model buffer size =   545.62 MiB
llama_context: n_seq_max     = 2
llama_context: n_ctx         = 262144
llama_context: n_ubatch      = 512
llama_context: flash_attn    = 1
llama_context: kv_unified    = true
llama_kv_cache:      CUDA0 KV buffer size =  4352.00 MiB
llama_kv_cache: size = 4352.00 MiB (262144 cells,   8 layers,  2/1 seqs), K (q8_0): 2176.00 MiB, V (q8_0): 2176.00 MiB
llama_memory_recurrent:      CUDA0 RS buffer size =   100.50 MiB
llama_context:      CUDA0 compute buffer size =   808.02 MiB
llama_context:  CUDA_Host compute buffer size =   264.02 MiB
main: server is listening on http://127.0.0.1:8080 - starting the main loop
"""


def test_llama_cpp() -> None:
    log = read(LLAMA)
    assert (log.engine, log.version, log.model, log.gpus, log.started) == (
        "llama.cpp",
        "b6123",
        "/models/Qwen3.5-9B-Q4_K_M.gguf",
        1,
        True,
    )
    assert log.gpu and "3090" in log.gpu
    sizes = {name: round(size / MIB, 2) for name, size in log.terms}
    assert sizes["weights"] == 5060.88 and sizes["cache"] == 4352 and sizes["states"] == 100.5 and sizes["compute"] == 808.02
    assert sizes["weights in RAM"] == 545.62
    asked = dict(log.asked)
    assert (
        asked["--ctx-size"] == 262144
        and asked["--cache-type-k"] == "q8_0"
        and asked["--kv-unified"] is True
        and asked["--flash-attn"] is True
    )


@pytest.mark.parametrize(
    ("keep", "line", "kind"),
    [
        (
            5,
            "ggml_backend_cuda_buffer_type_alloc_buffer: allocating 59851.68 MiB on device 0: cudaMalloc failed: out of memory\n"
            "llama_model_load: error loading model: unable to allocate CUDA0 buffer\n",
            "loading",
        ),
        (13, "llama_init_from_model: failed to initialize the context: failed to allocate buffer for kv cache\n", "cache"),
        (16, "graph_reserve: failed to allocate compute buffers\n", "compute"),
        (19, "CUDA error: out of memory\n", "serving"),
        (1, "error: invalid argument: --ctx\nllama_model_loader: x\n", "flag"),
        # ggml-alloc.c, ggml-vulkan.cpp, ggml-metal, llama-memory-recurrent.cpp, llama-context.cpp, ggml-backend.cpp, llama-mmap.cpp.
        (16, "ggml_gallocr_reserve_n_impl: failed to allocate CUDA0 buffer of size 321654784\n", "compute"),
        (6, "ggml_vulkan: Device memory allocation of size 2147483648 failed.\nggml_vulkan: ErrorOutOfDeviceMemory\n", "loading"),
        (13, "ggml_metal_buffer_init: error: failed to allocate buffer, size = 8192.00 MiB\n", "loading"),
        (15, "llama_init_from_model: failed to initialize the context: failed to allocate buffer for rs cache\n", "cache"),
        (15, "output_reserve: failed to allocate output buffer of size 300.00 MiB\n", "compute"),
        (6, "llama_model_load: error loading model: unable to allocate CPU buffer\n", "ram"),
        (6, "llama_model_load: error loading model: mmap failed: Cannot allocate memory\n", "ram"),
        (6, "terminate called after throwing an instance of 'std::bad_alloc'\n  what():  std::bad_alloc\n", "ram"),
        (13, "llama_init_from_model: K cache type q4_0 with block size 32 does not divide n_embd_head_k=80\n", "quant"),
        (13, "mtmd_init_from_file: error: Failed to load CLIP model from /models/mmproj.gguf\n", "other"),
        (4, "error: failed to get file from huggingface: 401\n", "model"),
    ],
)
def test_what_stopped_llama_cpp(keep: int, line: str, kind: str) -> None:
    log = read("\n".join(LLAMA.splitlines()[:keep]) + "\n" + line)
    assert (log.engine, log.failure) == ("llama.cpp", kind)


@pytest.mark.parametrize(
    "text",
    [
        VLLM_HEAD + VLLM_ROOM + VLLM_END + "    assert x.size % block == 0\nAssertionError\n",
        LLAMA + "srv  alloc: failed to allocate memory for prompt cache state: std::bad_alloc\n",
    ],
    ids=["vllm", "llama.cpp"],
)
def test_a_request_that_fails_stops_no_server(text: str) -> None:
    """llama.cpp, tools/server/server-task.cpp, goes on without the state that it would have kept."""
    log = read(text)
    assert log.started and log.failure is None


@pytest.mark.parametrize(
    ("line", "stored"),
    [
        ("print_info: file type   = Q4_K - Medium", "q4_k_m"),
        ("print_info: file type   = Q2_K - Medium", "q2_k"),
        ("print_info: file type   = Q3_K - Large", "q3_k_l"),
        ("print_info: file type   = Q6_K", "q6_k"),
        ("print_info: file type   = all F32 (guessed)", "f32"),
        ("print_info: file type   = IQ4_XS - 4.25 bpw", "iq4_xs"),
        ("print_info: file type   = IQ3_S mix - 3.66 bpw", "iq3_m"),
        ("print_info: file type   = TQ2_0 - 2.06 bpw ternary", "tq2_0"),
        ("print_info: file type   = MXFP4 MoE", "mxfp4_moe"),
        ("print_info: file type   = unknown, may not work", None),
        ('level=INFO source=ggml.go:136 msg="" architecture=qwen3 file_type=Q4_K_M name="Qwen3 14B" num_tensors=443', "q4_k_m"),
        ('level=INFO source=ggml.go:136 msg="" architecture=gptoss file_type=MXFP4 name="" num_tensors=315', "mxfp4"),
    ],
)
def test_how_a_gguf_file_is_stored(line: str, stored: str | None) -> None:
    """`llama_model_ftype_name` of src/llama-model-loader.cpp, and Ollama's ml/backend/ggml/ggml.go."""
    assert read(f"llama_model_loader: loaded\n{line}\n").file_type == stored


def test_ollama() -> None:
    log = read(
        'time=2026-01-01T00:00:00Z level=INFO source=routes.go:1500 msg="Listening on 127.0.0.1:11434 (version 0.12.6)"\n'
        'time=2026-01-01T00:00:00Z level=INFO source=types.go:60 msg="inference compute" id=GPU-1 library=CUDA compute=8.6 name=CUDA0'
        ' description="NVIDIA GeForce RTX 3090" total="24.0 GiB" available="23.3 GiB"\n'
        'time=2026-01-01T00:00:01Z level=INFO source=device.go:206 msg="model weights" device=CUDA0 size="4.9 GiB"\n'
        'time=2026-01-01T00:00:01Z level=INFO source=device.go:217 msg="kv cache" device=CUDA0 size="576.0 MiB"\n'
        'time=2026-01-01T00:00:01Z level=INFO source=device.go:228 msg="compute graph" device=CUDA0 size="150.0 MiB"\n'
        'time=2026-01-01T00:00:02Z level=INFO source=server.go:1289 msg="llama runner started in 1.50 seconds"\n'
    )
    assert (log.engine, log.version, log.started) == ("ollama", "0.12.6", True)
    assert {n: round(s / MIB) for n, s in log.terms} == {"weights": 5018, "cache": 576, "compute": 150}


@pytest.mark.parametrize(
    "wrap",
    [
        lambda text: text.encode("utf-16"),
        lambda text: b"\xef\xbb\xbf" + text.encode(),
        lambda text: text.replace("\n", "\r\n").encode(),
        lambda text: "".join(f"\x1b[36m{line}\x1b[0m\n" for line in text.splitlines()).encode(),
        lambda text: "".join(f"vllm-1  | {line}\n" for line in text.splitlines()).encode(),
        lambda text: "".join(
            '{"log":"' + line.replace('"', '\\"') + '\\n","stream":"stderr"}\n' for line in text.splitlines()
        ).encode(),
        lambda text: ("\n".join(text.splitlines()[3:])).encode(),
        lambda text: text.encode() + b"\xff\xfe\x00broken",
    ],
    ids=["utf-16", "mark", "crlf", "colours", "compose", "docker json", "no head", "broken bytes"],
)
def test_the_same_log_in_every_wrapping(wrap: Any) -> None:
    log = read(decoded(wrap(VLLM_HEAD + VLLM_ROOM + VLLM_END)))
    assert log.engine == "vllm" and _terms(log) == {"weights": 7.621, "room": 10.05} and log.started


def test_another_program_s_log_is_refused() -> None:
    with pytest.raises(FormatError, match="no line of vLLM"):
        read("GET / 200\nnginx started\n")


def test_a_long_log_is_read_at_both_ends() -> None:
    middle = b"x" * 70 + b"\n"
    data = VLLM_HEAD.encode() + middle * (50 << 20 >> 6) + (VLLM_ROOM + VLLM_END).encode()
    assert len(decoded(data)) < 49 << 20


@given(st.binary(max_size=400))
def test_any_bytes_are_a_log_or_one_message(data: bytes) -> None:
    try:
        read(decoded(data))
    except ArchcalcError as error:
        assert error.message


# What is no matter of memory, in the words of the libraries: vLLM 0.19 config/parallel.py, config/scheduler.py, config/model.py,
# platforms/cuda.py, model_executor/models/registry.py; PyTorch's c10; NCCL; CPython; transformers' configuration_auto.py.
APART_LINES = [
    ("Value error, World size (4) is larger than the number of available GPUs (2) in this node. If this is intentional", "gpus"),
    ("Value error, max_num_batched_tokens (2048) is smaller than max_model_len (40960). This effectively limits", "batch"),
    ("RuntimeError: Failed to infer device type, please set the environment variable `VLLM_LOGGING_LEVEL=DEBUG`", "device"),
    ("RuntimeError: The NVIDIA driver on your system is too old (found version 12020). Please update", "device"),
    ("torch.AcceleratorError: CUDA error: no kernel image is available for execution on the device", "kernel"),
    ("ValueError: Bfloat16 is only supported on GPUs with compute capability of at least 8.0. Your Tesla T4 GPU", "kernel"),
    ("ValueError: The quantization method fp8 is not supported for the current GPU. Minimum capability: 75.", "kernel"),
    (
        "triton.runtime.errors.OutOfResources: out of resource: shared memory, Required: 106496, Hardware limit: 101376. Reducing",
        "kernel",
    ),
    ("Value error, The checkpoint you are trying to load has model type `x` but Transformers does not recognize this"
     " architecture. This could", "architecture"),
    ("ValueError: Model architectures ['XForCausalLM'] are not supported for now. Supported architectures: []", "architecture"),
    ("ValueError: Quantization method specified in the model config (awq) does not match the quantization method", "quant"),
    ("OSError: [Errno 98] Address already in use", "port"),
    ("OSError: [Errno 28] No space left on device", "disk"),
    ("RuntimeError: NCCL error: unhandled system error (run with NCCL_DEBUG=INFO for details)", "network"),
    ("Bus error (core dumped)", "shared-memory"),
    # NCCL 2.27, src/misc/shmutils.cc `ncclShmOpen`; Python of a file there.
    ("Error while creating shared memory segment /dev/shm/nccl-xyz (size 33030528), error: No space left on device (28)", "shared-memory"),
    ("Call to posix_fallocate failed: No space left on device, /dev/shm/nccl-xyz", "shared-memory"),
    ("OSError: [Errno 28] No space left on device: '/dev/shm/torch_1_2'", "shared-memory"),
    ("Killed", "killed"),
    # c10/core/impl/alloc_cpu.cpp `alloc_cpu`, on Linux and on Windows.
    (
        "RuntimeError: [enforce fail at alloc_cpu.cpp:117] err == 0. DefaultCPUAllocator: can't allocate memory: you tried to allocate"
        " 1073741824 bytes. Error code 12 (Cannot allocate memory)",
        "ram",
    ),
    ("RuntimeError: [enforce fail at alloc_cpu.cpp:80] data. DefaultCPUAllocator: not enough memory: you tried to allocate 8 B", "ram"),
    ("RuntimeError: Engine core initialization failed. See root cause above. Failed core proc(s): {'EngineCore': -9}", "killed"),
    ("KeyError: 'layers.0.mlp.down_proj.weight'\nRuntimeError: Engine core initialization failed. See root cause above.", "other"),
    ("OSError: You are trying to access a gated repo.", "model"),
    ("OSError: We couldn't connect to 'https://huggingface.co' to load the files, and couldn't find them", "model"),
    ("ValueError: Weight input_size_per_partition = 6848 is not divisible by min_thread_k = 128. Consider reducing", "heads"),
    ("ValueError: LoRA rank 64 is greater than max_lora_rank 16.", "flag"),
    ("AssertionError: Error in memory profiling. Initial free memory 21.5 GiB, current free memory 22.1 GiB. This happens", "neighbour"),
    ("ncclUnhandledCudaError: Call to CUDA function failed.\nLast error:\nCuda failure 2 'out of memory'", "memory"),
]  # fmt: skip


@pytest.mark.parametrize(("line", "kind"), APART_LINES, ids=[line[:40] for line, _ in APART_LINES])
def test_what_stopped_it_beside_memory(line: str, kind: str) -> None:
    head = "\n".join(VLLM_HEAD.splitlines()[:3]) + "\n"
    log = read(head + "".join(f"(EngineCore_DP0 pid=12) ERROR 09-12 10:00:07 [core.py:9] {each}\n" for each in line.split("\n")))
    assert (log.failure, log.started) == (kind, False)
    # What is said begins where the line does, or its message.
    assert log.said.startswith(("(EngineCore", line[:10])) and len(log.said) <= 402


@pytest.mark.parametrize(
    ("lines", "kind"),
    [
        # src/llama-context.cpp `llama_init_from_model`, in the words of its releases.
        ("llama_init_from_model: quantized V cache requires flash_attn to be enabled", "quant"),
        ("llama_init_from_model: V cache quantization requires flash_attn", "quant"),
        # common/common.cpp `common_init_from_params`, tools/server/server.cpp.
        ("common_init_from_params: failed to create context with model '/models/a.gguf'", "other"),
        ("main: exiting due to model loading error", "other"),
    ],
)
def test_llama_server_ends_with_its_cause(lines: str, kind: str) -> None:
    end = (
        "common_init_from_params: failed to create context with model '/models/a.gguf'\nmain: exiting due to model loading error\n"
    )
    loaded = (
        "build: 9800 (0c1e57098) with GNU 13.3.0 for Linux x86_64\nload_tensors:        CUDA0 model buffer size =  4455.34 MiB\n"
    )
    log = read(loaded + lines + "\n" + ("" if lines.startswith("main") else end))
    assert (log.engine, log.failure, log.started, log.said) == ("llama.cpp", kind, False, lines)


def test_sglang_s_ranks_with_unequal_memory() -> None:
    """srt/distributed/bootstrap.py `_check_tp_memory_balance`: raised, or logged as a warning where the check is turned off."""
    said = "The memory capacity is unbalanced. Some GPUs may be occupied by other processes. pre_model_load_memory=10.2"
    head = "[2026-11-20 09:00:00] server_args=ServerArgs(model_path='Qwen/Qwen3-32B', tp_size=2, mem_fraction_static=0.88)\n"
    assert read(f"{head}RuntimeError: {said}\n").failure == "neighbour"
    assert read(f"{head}[2026-11-20 09:00:05 TP0] {said}\n").failure is None


@pytest.mark.parametrize(
    ("said", "kind"),
    [
        ("Scheduler watchdog timeout (self.watchdog_timeout=300, self.soft=False)", "other"),
        ("DetokenizerManager watchdog timeout (self.watchdog_timeout=300)", "other"),
        ("Scheduler watchdog timeout (self.watchdog_timeout=300, self.soft=True)", "killed"),
    ],
)
@pytest.mark.parametrize("served", ["", "[2026-11-20 09:01:00] The server is fired up and ready to roll!\n"])
def test_sglang_s_own_watchdog_is_the_cause(said: str, kind: str, served: str) -> None:
    """srt/utils/watchdog.py `_watchdog_once`: it ends the server, of which the shell tells then."""
    head = "[2026-11-20 09:00:00] server_args=ServerArgs(model_path='Qwen/Qwen3-32B', tp_size=2, mem_fraction_static=0.88)\n"
    log = read(f"{head}{served}[2026-11-20 09:10:05 TP0] {said}\n\nKilled\n")
    assert log.failure == kind


def test_a_lone_line_of_llama_server() -> None:
    """common/arg.cpp `common_params_parse`: it stops before it says which build it is."""
    log = read("error: invalid argument: --ctx-sizes\n")
    assert (log.engine, log.failure) == ("llama.cpp", "flag")


def test_a_runner_that_the_system_ended() -> None:
    """Ollama 0.12, llm/server.go."""
    log = read(
        'time=2026-04-12T10:11:12Z level=INFO source=routes.go:1595 msg="Listening on [::]:11434 (version 0.12.6)"\n'
        'time=2026-04-12T10:12:42Z level=ERROR source=server.go:273 msg="llama runner terminated" error="signal: killed"\n'
    )
    assert (log.engine, log.failure, log.started) == ("ollama", "killed", False)


def test_a_served_request_that_is_refused_is_no_end() -> None:
    """Errors of requests, and what users wrote, stand in the log of a server that serves on."""
    sent = (
        "(APIServer pid=1) ERROR 09-12 11:00:00 [serving_chat.py:200] Error in preprocessing prompt inputs\n"
        "(APIServer pid=1) ValueError: This model's maximum context length is 32768 tokens. However, you requested 50000 tokens\n"
        "(APIServer pid=1) INFO 09-12 11:00:01 [logger.py:39] Received request chatcmpl-1: prompt: 'torch.OutOfMemoryError: CUDA out of"
        " memory. Tried to allocate 2.00 GiB', params: SamplingParams(n=1)\n"
    )
    log = read(VLLM_HEAD + VLLM_ROOM + VLLM_END + sent)
    assert (log.started, log.failure) == (True, None)
    died = "(EngineCore_DP0 pid=12) ERROR 09-12 11:00:02 [core.py:9] EngineCore encountered a fatal error.\nRuntimeError: CUDA error: an"
    log = read(VLLM_HEAD + VLLM_ROOM + VLLM_END + died + " illegal memory access was encountered\n")
    assert (log.started, log.failure) == (True, "other") and "illegal memory access" in log.said


def test_the_last_of_several_starts_is_read() -> None:
    failed = VLLM_HEAD + "Traceback (most recent call last):\n" + FAILURES[7][1]
    whole = VLLM_HEAD.replace("32768", "16384") + VLLM_ROOM.replace("32,768", "16,384") + VLLM_END
    log = read(failed + failed + whole)
    assert (log.started, log.failure, log.context_tokens, dict(log.figures)["starts"]) == (True, None, 16384, 3)
    assert _terms(log)["room"] == 10.05
    # One that has only begun says nothing: the one before it says how it went.
    log = read(failed + "\n".join(VLLM_HEAD.splitlines()[:3]))
    assert (log.started, log.failure, _terms(log)["room"]) == (False, "one-request", 2.44)


def test_the_release_in_the_banner() -> None:
    line = "(APIServer pid=1) INFO 09-12 10:00:00 [utils.py:299]  ▄▄ ▄█ █     █     █ ▀▄▀ █  version 0.19.0\n"
    assert (
        read(line + "ValueError: Total number of attention heads (14) must be divisible by tensor parallel size (4).\n").version
        == "0.19.0"
    )


LISTENER = "main: HTTP server is listening, hostname: 127.0.0.1, port: 8080, http threads: 31\nmain: loading model\n"


@pytest.mark.parametrize(
    ("keep", "line", "kind"),
    [
        (4, "ggml_backend_cuda_buffer_type_alloc_buffer: allocating 59851.68 MiB on device 0: cudaMalloc failed: out of memory", "loading"),
        (4, "llama_model_load: error loading model: error loading model architecture: unknown model architecture: 'x'", "architecture"),
        (4, "llama_model_load: error loading model: tensor 'a' data is not in the bounds, model is corrupted or incomplete", "file"),
        (5, "Killed", "killed"),
        (13, "llama_init_from_model: V cache quantization requires flash_attn", "quant"),
        (1, "main: couldn't bind HTTP server socket, hostname: 127.0.0.1, port: 8080", "port"),
        (18, "CUDA error: no kernel image is available for execution on the device", "kernel"),
    ],
)  # fmt: skip
def test_a_listener_is_there_before_the_model(keep: int, line: str, kind: str) -> None:
    """llama.cpp b6500, tools/server/server.cpp: its HTTP server is started, then the model is loaded."""
    lines = LLAMA.splitlines()
    log = read("\n".join([lines[0], *LISTENER.splitlines(), *lines[1:keep], line]))
    assert (log.engine, log.failure, log.started) == ("llama.cpp", kind, False)


@pytest.mark.parametrize(
    ("line", "kind", "started"),
    [
        (
            "ValueError: Loaded weights leave no GPU memory for the KV cache under --mem-fraction-static=0.6. Raise --mem-fraction-static"
            " above 0.885 (minimum viable = 1 - available/pre = 0.8846).",
            "no-cache",
            False,
        ),
        ("RuntimeError: Hybrid (mamba/linear-attention) state cache is too small to serve any requests. max_mamba_cache_size=2,"
         " mamba_ratio=3, resulting max_num_reqs=0.", "states", False),
        ("RuntimeError: Rank 0 scheduler died during initialization (exit code: -9). If exit code is -9 (SIGKILL), a common cause is the"
         " OS OOM killer. Run `dmesg -T | grep -i oom` to check.", "killed", False),
        ("AssertionError", "other", False),
        ("The server is fired up and ready to roll!\nDecode out of memory. Try to lower your batch size.", "pool", True),
        ("The server is fired up and ready to roll!\nWatchdog timeout (self.watchdog_timeout=300)", "other", True),
    ],
)  # fmt: skip
def test_more_that_stopped_sglang(line: str, kind: str, started: bool) -> None:
    """SGLang 0.5.23, mem_cache/kv_cache_configurator.py, entrypoints/engine.py, mem_cache/allocation.py, utils/watchdog.py."""
    text = f"Load weight begin. avail mem=23.1 GB\nLoad weight end. type=X, avail mem=3.1 GB, mem usage=20.0 GB.\n{line}\n"
    log = read(text)
    assert (log.engine, log.failure, log.started) == ("sglang", kind, started)


SEVERAL = (
    "build: 7000 (79c1160b) with gcc\n"
    "llama_model_loader: loaded meta data with 28 key-value pairs and 399 tensors from /m/Qwen3-8B-Q8_0.gguf (version GGUF V3 (latest))\n"
    "llama_context: n_seq_max     = 4\n"
    "llama_context: n_ctx         = 40960\n"
    "llama_context: n_ctx_seq     = {of_one}\n"
    "llama_context: kv_unified    = {unified}\n"
    "llama_kv_cache: size = 5760.00 MiB ( {of_one} cells,  36 layers,  4/{streams} seqs), K (f16): 2880.00 MiB, V (f16): 2880.00 MiB\n"
)


@pytest.mark.parametrize("lost", [(), ("n_ctx   ",), ("n_ctx   ", "n_seq_max"), ("n_ctx   ", "n_ctx_seq"), ("n_ctx   ", " cells")])
@pytest.mark.parametrize("unified", [False, True])
def test_the_context_of_all_sequences(lost: tuple[str, ...], unified: bool) -> None:
    """llama.cpp 0c1e57098, src/llama-context.cpp: `n_ctx_seq` is `n_ctx` where the cache is one stream, and a part of it elsewhere."""
    text = SEVERAL.format(of_one=40960 if unified else 10240, unified=str(unified).lower(), streams=1 if unified else 4)
    log = read("\n".join(line for line in text.splitlines() if not any(sign in line for sign in lost)))
    asked = dict(log.asked)
    assert (asked["--ctx-size"], asked["--parallel"], asked.get("--kv-unified", False)) == (40960, 4, unified)


def test_lines_of_older_builds() -> None:
    """llama.cpp of 2024, src/llama.cpp `llm_load_tensors` and `llm_load_print_meta`, as in ollama/ollama#5913."""
    log = read(
        "Jul 24 21:50:06 v ollama[1]: llm_load_print_meta: model ftype      = Q6_K\n"
        "Jul 24 21:50:06 v ollama[1]: llm_load_tensors: offloaded 43/81 layers to GPU\n"
        "Jul 24 21:50:06 v ollama[1]: llm_load_tensors:      ROCm0 buffer size = 21533.93 MiB\n"
        "Jul 24 21:50:06 v ollama[1]: llm_load_tensors:        CPU buffer size = 41850.31 MiB\n"
    )
    assert log.file_type == "q6_k"
    assert (log.term("weights"), log.term("weights in RAM")) == (round(21533.93 * 2**20), round(41850.31 * 2**20))


def test_an_answer_says_that_ollama_serves() -> None:
    log = read(
        "May 24 22:58:23 p ollama[1]: load_tensors:        CUDA0 model buffer size =   511.43 MiB\n"
        'May 24 22:58:30 p ollama[1]: [GIN] 2025/05/24 - 22:58:30 | 200 |  5.1s | 127.0.0.1 | POST     "/api/chat"\n'
        "May 24 22:59:30 p systemd[1]: ollama.service: Main process exited, code=killed, status=9/KILL\n"
    )
    assert (log.started, log.failure) == (True, "killed")
