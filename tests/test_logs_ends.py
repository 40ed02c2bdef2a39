"""Logs as they are pasted: heads and ends cut, ranks interleaved, words of others in them. Each names the cause that its lines show.

Lines: vLLM 0.11.0 (v1/engine/core.py, v1/core/kv_cache_utils.py, v1/worker/gpu_worker.py, v1/worker/gpu_model_runner.py, config/), SGLang
0.5.23 (srt/managers/scheduler.py, srt/model_executor/), llama.cpp b6000 (src/llama.cpp, ggml/src/ggml-cuda), Ollama 0.12 (llm/server.go).
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from conftest import Run

API = (
    "(APIServer pid=101) INFO 11-20 10:00:01 [api_server.py:1971] vLLM API server version 0.11.0\n(APIServer pid=101) INFO 11-20 10:00:01"
    " [utils.py:233] non-default args: {'model_tag': 'qwen3-32b', 'model': 'qwen3-32b', 'max_model_len': 32768}\n"
)
CORE = "(EngineCore_DP0 pid=200) "
SERVER = "[2025-11-20 10:00:00] server_args=ServerArgs(model_path='qwen3-8b', tp_size=1, mem_fraction_static=0.9)\n"
FULL = "torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 250.00 MiB. GPU 1 has a total capacity of 23.53 GiB of which 1 MiB is free.\n"  # noqa: E501
LOADING = f"{CORE}INFO 11-20 10:00:11 [gpu_model_runner.py:2602] Starting to load model qwen3-32b...\nLoading safetensors checkpoint shards:  35% Completed | 6/17 [00:07<00:14,  1.3s/it]\n"  # noqa: E501
UP = "(APIServer pid=101) INFO:     Application startup complete.\n"
LOGS = [
    ("an end that is cut", API + LOADING, "unknown", "predicted: one request of the longest length needs more cache"),
    ("a process that was killed", API + LOADING + "Killed\n", "stopped", "RAM runs out"),
    (
        "ranks interleaved",
        API
        + "".join(
            f"(Worker_TP{n} pid=30{n}) ERROR 11-20 [multiproc_executor.py:597] {line}"
            for line in ('  File "/x/vllm/v1/worker/gpu_worker.py", line 213, in load_model\n', FULL)
            for n in (1, 0)
        ),
        "oom", "while loading the weights",
    ),
    (
        "a head that is cut",
        f"{CORE}ERROR [core.py:708] ValueError: To serve at least one request with the models's max seq len (32768), (8.0 GiB KV cache is"
        " needed, which is larger than the available KV cache memory (2.10 GiB). Based on the available memory, the estimated maximum model"
        " length is 8592.\n",
        "refused", "8.00 GiB for 32,768 tokens, and 2.10 GiB are there",
    ),
    ("no block", API + f"{CORE}ValueError: No available memory for the cache blocks.\n", "refused", "leave no memory for the cache"),
    (
        "the sampler", API + f"{CORE}RuntimeError: CUDA out of memory occurred when warming up sampler with 1024 dummy requests.\n",
        "oom", "warming up the sampler",
    ),
    (
        "other processes",
        API + f"{CORE}ValueError: Free memory on device (10.2/23.53 GiB) on startup is less than desired GPU memory utilization (0.9, 21.17"
        " GiB).\n",
        "refused", "less memory is free",
    ),
    ("while it serves", API + UP + f"{CORE}ERROR [core.py:710] {FULL}", "started", "while serving"),
    (
        "a prompt that speaks of it",
        API + UP + "(APIServer pid=101) INFO [logger.py:43] Received request c-1: prompt: 'why CUDA out of memory. Tried to allocate 2.00"
        " GiB', params: SamplingParams(n=1)\n",
        "started", None,
    ),
    ("what was installed before", "Collecting vllm==0.9.2\nSuccessfully installed vllm-0.9.2\n" + API + UP, "started", None),
    ("SGLang's weights", SERVER + "[10:00:05] Load weight begin. avail mem=23.10 GB\n" + FULL, "oom", "while loading the weights"),
    (
        "SGLang's graphs",
        SERVER + "[10:00:27 TP0] Capture cuda graph begin. avail mem=1.00 GB\nException: Capture cuda graph failed: CUDA out of memory."
        " Tried to allocate 594.00 MiB.\n",
        "oom", "while capturing graphs",
    ),
    (
        "an architecture of a later build",
        "llama_model_load: error loading model: error loading model architecture: unknown model architecture: 'qwen3next'\n"
        "llama_load_model_from_file: failed to load model\n",
        "refused", "architecture",
    ),
    (
        "llama.cpp's cache",
        "llama_context: n_ctx         = 40960\nggml_backend_cuda_buffer_type_alloc_buffer: allocating 5760.00 MiB on device 0: cudaMalloc"
        " failed: out of memory\nllama_init_from_model: failed to initialize the context: failed to allocate buffer for kv cache\n",
        "oom", "allocating the cache",
    ),
    (
        "Ollama's RAM",
        'time=2025-11-20T10:00:00.000Z level=INFO source=routes.go:1544 msg="Listening on [::]:11434 (version 0.12.11)"\n'
        'time=2025-11-20T10:00:12.000Z level=INFO source=sched.go:470 msg="Load failed" error="model requires more system memory (60.0 GiB)'
        ' than is available (20.0 GiB)"\n',
        "oom", "60.0 GiB against 20.0 GiB",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("text", "outcome", "cause"), [each[1:] for each in LOGS], ids=[each[0] for each in LOGS])
def test_how_a_log_ends(cli: Run, tmp_path: Path, text: str, outcome: str, cause: str | None) -> None:
    (tmp_path / "a.log").write_text(text, encoding="utf-8")
    done = cli("diagnose", str(tmp_path / "a.log"), "--offline", "--gpu", "h100", "-f", "json")
    made = json.loads(done.stdout)
    assert (made["outcome"], done.returncode) == (outcome, 0 if outcome == "started" else 1)
    assert cause in (made["cause"] or "") if cause else made["cause"] is None
    assert made["engine_version"] in (None, "0.11.0", "0.12.11")
