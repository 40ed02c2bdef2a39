"""What a benchmark's file says of itself is held against the model, the storage and the machine that it is compared with."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from archcalc.analysis.speed.measured import read_bench
from archcalc.errors import UsageError
from conftest import Run


def row(**more: object) -> dict[str, object]:
    """As llama-bench -o json writes them (llama.cpp 0c1e57098, tools/llama-bench/llama-bench.cpp `test::get_fields`)."""
    return {
        "backends": "CUDA", "gpu_info": "NVIDIA GeForce RTX 4090", "model_type": "llama 8B Q4_K - Medium", "model_size": 4912898304,
        "model_n_params": 8030261248, "n_gpu_layers": 99, "n_ubatch": 512, "type_k": "f16", "type_v": "f16", "split_mode": "layer",
        "n_prompt": 0, "n_gen": 128, "n_depth": 0, "avg_ts": 130.0, **more,
    }  # fmt: skip


def served(**more: object) -> dict[str, object]:
    """As vllm bench serve --save-result writes it (vLLM 0.33, benchmarks/serve.py)."""
    return {
        "backend": "vllm", "request_rate": "inf", "completed": 160, "total_input_tokens": 163840, "total_output_tokens": 40960,
        "max_concurrency": 16, "median_tpot_ms": 8.0, "median_ttft_ms": 120.0, **more,
    }  # fmt: skip


def perf(concurrency: object = 16, **more: object) -> dict[str, object]:
    return {
        "inter_token_latency": {"avg": 8.0}, "time_to_first_token": {"avg": 120.0}, "input_sequence_length": {"avg": 1024.0},
        "output_sequence_length": {"avg": 256.0}, "input_config": {"perf_analyzer": {"stimulus": {"concurrency": concurrency}}}, **more,
    }  # fmt: skip


TABLE = """ggml_cuda_init: found 1 CUDA devices:
  Device 0: NVIDIA GeForce RTX 4090, compute capability 8.9, VMM: yes
| model                          |       size |     params | backend    | ngl |            test |                  t/s |
| ------------------------------ | ---------: | ---------: | ---------- | --: | --------------: | -------------------: |
| llama 8B Q4_K - Medium         |   4.58 GiB |     8.03 B | CUDA       |  99 |           pp512 |      9000.00 ± 20.00 |
| llama 8B Q4_K - Medium         |   4.58 GiB |     8.03 B | CUDA       |  99 |           tg128 |        130.00 ± 0.50 |

build: 0c1e57098 (10000)
"""
RADEON = TABLE.replace("NVIDIA GeForce RTX 4090, compute capability 8.9", "AMD Radeon RX 7900 XTX, gfx1100 (0x1100)")
FOUND = "  Device 0: NVIDIA GeForce RTX 4090, compute capability 8.9, VMM: yes"
VULKAN = TABLE.replace(FOUND, "ggml_vulkan: 0 = NVIDIA GeForce RTX 3090 (NVIDIA)")
METAL = TABLE.replace(FOUND, "ggml_metal_init: GPU name:   Apple M2 Ultra")


@pytest.mark.parametrize(
    ("held", "model", "options", "said"),
    [
        ([row()], "llama-3.1-8b", "--gpu 4090 --quant q4_k_m", ""),
        # The storage that the file states is taken where none is named.
        ([row()], "llama-3.1-8b", "--gpu 4090", ""),
        ([row()], "llama-3.1-8b", "--gpu 4090 --quant q8_0", "the file is of weights in q4_k_m (model_type), and --quant is q8_0"),
        ([row(model_type="llama 8B F16", model_size=16068891648)], "llama-3.1-8b", "--gpu 4090 --quant bf16", "faster than the band"),
        ([row(model_type="llama 8B F16", model_size=16068891648, avg_ts=55)], "llama-3.1-8b", "--gpu 4090 --quant bf16", ""),
        ([row(model_type="qwen3 8B Q4_K - Medium")], "llama-3.1-8b", "--gpu 4090", "a qwen3 (model_type), and llama-3.1-8b is a llama"),
        ([row(model_size=8 << 30)], "llama-3.1-8b", "--gpu 4090", "8.00 GiB of weights (model_size)"),
        ([row(backends="ROCm", gpu_info="")], "llama-3.1-8b", "--gpu 4090", "the back end ROCm (backends)"),
        ([row(backends="Metal,BLAS", gpu_info="")], "llama-3.1-8b", "--gpu 4090", "the back end Metal"),
        ([row(backends="CUDA", gpu_info="")], "llama-3.1-8b", "--gpu 7900-xtx", "the back end CUDA"),
        ([row(backends="CUDA", gpu_info="")], "llama-3.1-8b", "--gpu m4-max-64gb", "the back end CUDA"),
        ([row(backends="Vulkan")], "llama-3.1-8b", "--gpu 4090", ""),
        ([row(backends="CPU", gpu_info="")], "llama-3.1-8b", "--gpu 4090", "on the CPU (backends CPU)"),
        ([row(backends="CUDA,RPC")], "llama-3.1-8b", "--gpu 4090", "on other machines (backends RPC)"),
        ([row(tensor_buft_overrides="exps=CPU")], "llama-3.1-8b", "--gpu 4090", "on the CPU (tensor_buft_overrides"),
        ([row(split_mode="row")], "llama-3.1-8b", "--gpu 4090", "cut across GPUs (split_mode row)"),
        ([row(gpu_info="NVIDIA GeForce RTX 4090, NVIDIA GeForce RTX 4090")], "llama-3.1-8b", "--gpu 4090", "the file is of 2 GPUs"),
        ([row(gpu_info="NVIDIA GeForce RTX 4090, NVIDIA GeForce RTX 4090")], "llama-3.1-8b", "--gpu 2x4090", ""),
        ([row(type_k="q8_0", type_v="q8_0")], "llama-3.1-8b", "--gpu 4090 --kv-dtype f16", "a cache in q8_0"),
        ([row(type_k="q8_0", type_v="q8_0")], "llama-3.1-8b", "--gpu 4090", ""),
        ([row(), row(model_type="llama 8B Q8_0")], "llama-3.1-8b", "--gpu 4090", "q4_k_m and q8_0 (model_type)"),
        # Prompts read 2,048 at once are compared with a forecast of that (tests/data/speed_ubatch.jsonl).
        ([row(n_prompt=2048, n_gen=0, n_ubatch=2048, avg_ts=10000)], "llama-3.1-8b", "--gpu 4090", ""),
        (TABLE, "llama-3.1-8b", "--gpu 4090", ""),
        (TABLE, "llama-3.1-8b", "--gpu 3090", "the file is of NVIDIA GeForce RTX 4090"),
        (TABLE, "llama-3.1-8b", "--gpu 4090 --quant q8_0", "q4_k_m (model_type)"),
        (TABLE, "qwen3-8b", "--gpu 4090", "8.03 B parameters"),
        (TABLE.replace("|  99 |", "|  10 |"), "llama-3.1-8b", "--gpu 4090", "n_gpu_layers 10 of 32"),
        (TABLE.replace("CUDA       |", "CPU        |"), "llama-3.1-8b", "--gpu 4090", "on the CPU (backends CPU)"),
        (RADEON, "llama-3.1-8b", "--gpu 4090", "AMD Radeon RX 7900 XTX"),
        (VULKAN, "llama-3.1-8b", "--gpu 4090", "NVIDIA GeForce RTX 3090"),
        (METAL, "llama-3.1-8b", "--gpu m4-max-64gb", "Apple M2 Ultra"),
        # A request that the model is too short for: what to change is the file's model, and there is no --ctx here.
        ([row(n_depth=200000)], "llama-3.1-8b", "--gpu 4090", "the file's requests are of 200,000 and 128 tokens"),
        (served(total_input_tokens=16 * 10**6), "qwen3-8b", "--gpu h100", "the file's requests are of 100,000"),
        ([served(), served(max_concurrency=32, median_tpot_ms=10.0)], "llama-3.1-8b", "--gpu h100", ""),
        ([perf(1, inter_token_latency={"avg": 6.6}), perf(32)], "llama-3.1-8b", "--gpu h100 --engine vllm", ""),
    ],
)  # fmt: skip
def test_a_file_says_of_what_it_is(held: object, model: str, options: str, said: str, cli: Run, tmp_path: Path) -> None:
    file = tmp_path / "bench"
    file.write_text(held if isinstance(held, str) else json.dumps(held))
    done = cli("calibrate", str(file), model, *options.split(), "--offline")
    told = " ".join(done.stderr.split())
    assert done.returncode == (2 if said else 0), told
    assert said in told and "--ctx" not in told and "Traceback" not in told


PRINTED = """
============ Serving Benchmark Result ============
Successful requests:                     {done}
Maximum request concurrency:             {n}
Total input tokens:                      102400
Total generated tokens:                  102400
Median TTFT (ms):                        120.00
Median TPOT (ms):                        {tpot}
==================================================
"""


@pytest.mark.parametrize(
    "text",
    [
        json.dumps([served(max_concurrency=n) for n in (1, 16, 64)]),
        "\n".join(json.dumps(served(max_concurrency=n)) for n in (1, 16, 64)),
        "\n".join(json.dumps(served(max_concurrency=n), indent=2) for n in (1, 16, 64)),
        json.dumps([perf(n) for n in (1, 16, 64)]),
        "".join(PRINTED.format(n=n, done=100, tpot=8.0) for n in (1, 16, 64)),
        "".join(PRINTED.format(n=n, done=100, tpot=8.0).replace("Maximum", "Max") for n in (1, 16, 64)),
    ],
)  # fmt: skip
def test_runs_of_several_concurrencies_are_all_read(text: str, tmp_path: Path) -> None:
    file = tmp_path / "bench"
    file.write_text(text)
    assert [m.concurrency for m in read_bench(str(file)) if m.phase == "decode"] == [1, 16, 64]
    assert sum(m.phase == "ttft" for m in read_bench(str(file))) == 3


def test_what_a_tool_logs_before_its_json_is_passed_over(tmp_path: Path) -> None:
    file = tmp_path / "bench"
    file.write_text("ggml_cuda_init: found 1 CUDA devices:\n  Device 0: NVIDIA GeForce RTX 4090\n" + json.dumps([row()], indent=2))
    assert [m.phase for m in read_bench(str(file))] == ["decode"]


@pytest.mark.parametrize(
    ("held", "key"),
    [
        *(([row(**{key: value})], key) for key in ("avg_ts", "n_gen") for value in (-1, float("nan"), float("inf"), "x", None, True)),
        ([row(avg_ts=0)], "avg_ts"),
        ([row(avg_ts=1e300)], "avg_ts"),
        ([row(n_gen=1.5)], "n_gen"),
        ([row(n_gen=1 << 40)], "n_gen"),
        ([row(n_depth=-5)], "n_depth"),
        ([row(model_n_params=-7)], "model_n_params"),
        ([row(model_size="x")], "model_size"),
        ([row(n_ubatch=0.5)], "n_ubatch"),
        *((served(median_tpot_ms=value), "median_tpot_ms") for value in (0, -1, None, "8", float("nan"), 1e300)),
        (served(median_ttft_ms=0), "median_ttft_ms"),
        (served(completed=0), "completed"),
        (served(completed=1.5), "completed"),
        (served(completed=8), "completed is 8"),
        (served(total_input_tokens=0), "total_input_tokens"),
        (served(total_output_tokens=-1), "total_output_tokens"),
        (served(total_input_tokens=1e14), "total_input_tokens"),
        (served(max_concurrency=None), "max_concurrency"),
        (served(max_concurrency=1e9), "max_concurrency"),
        (served(max_concurrency=2.5), "max_concurrency"),
        # Requests that come at a rate are as many at once as it happens.
        (served(request_rate=2.0), "request_rate is 2"),
        (perf(0), "input_config"),
        (perf(True), "input_config"),
        (perf(1 << 30), "concurrency"),
        (perf(inter_token_latency={"avg": -1}), "inter_token_latency.avg"),
        (perf(inter_token_latency={"avg": 0}), "inter_token_latency.avg"),
        (perf(time_to_first_token={"avg": float("nan")}), "time_to_first_token.avg"),
        (perf(output_sequence_length={"avg": 1e12}), "output_sequence_length"),
        (TABLE.replace("130.00", "0.00"), "avg_ts"),
        (PRINTED.format(n=0, done=100, tpot=8.0), "max_concurrency"),
        (PRINTED.format(n=4, done=100, tpot=0.0), "median_tpot_ms"),
        (PRINTED.format(n=64, done=10, tpot=8.0), "completed is 10"),
    ],
)  # fmt: skip
def test_an_absurd_value_is_refused_by_its_key(held: object, key: str, tmp_path: Path) -> None:
    file = tmp_path / "bench"
    file.write_text(held if isinstance(held, str) else json.dumps(held))
    with pytest.raises(UsageError) as caught:
        read_bench(str(file))
    assert key in str(caught.value)


def sglang(**more: object) -> dict[str, object]:
    """A line of SGLang's benchmark/serving.py, 0.5.23."""
    return {**served(backend="sglang", max_concurrency=32, median_tpot_ms=10.0), "concurrency": 31.0, "accept_length": None, **more}


@pytest.mark.parametrize(
    ("held", "options", "said"),
    [
        # Written where tokens were drafted: SGLang 0.5.23 benchmark/serving.py, vLLM 0.33 benchmarks/serve.py.
        (sglang(accept_length=3.2), "", "accept_length is 3.2: tokens were drafted"),
        (sglang(), "", ""),
        (served(spec_decode_acceptance_length=3.1), "", "spec_decode_acceptance_length is 3.1: tokens were drafted"),
        (served(spec_decode_acceptance_rate=70.0, spec_decode_num_drafts=9), "", "spec_decode_acceptance_rate is 70.0"),
        (sglang(server_info={"speculative_algorithm": "EAGLE"}), "", "server_info.speculative_algorithm is EAGLE"),
        (sglang(server_info={"internal_states": [{"avg_spec_accept_length": 3.2}]}), "", "avg_spec_accept_length is 3.2"),
        (sglang(server_info={"speculative_algorithm": None, "tp_size": 1}), "", ""),
        (PRINTED.format(n=16, done=100, tpot=8.0).replace("Total in", "Accept length:      3.20\nTotal in"), "", "accept_length is 3.2"),
        (PRINTED.format(n=16, done=100, tpot=8.0).replace("Total in", "Acceptance length:  3.20\nTotal in"), "", "were drafted"),
        # What the server was started with.
        (sglang(server_info={"tp_size": 4}), "", "the file is of 4 GPUs (server_info), and --gpu is 1"),
        (sglang(server_info={"tp_size": 1, "dp_size": 2}), "", "the file is of 2 GPUs"),
        (sglang(server_info={"tp_size": 2, "dp_size": 2, "enable_dp_attention": True}), "", "the file is of 2 GPUs"),
        (sglang(server_info={"tp_size": 1, "quantization": "fp8"}), "", "quantized by fp8 (server_info), and those asked about are in"),
        (sglang(server_info={"tp_size": 1, "quantization": "fp8"}), "--quant fp8", ""),
        (sglang(server_info={"tp_size": 1, "quantization": "awq"}), "--quant fp8", "quantized by awq"),
        # How many ran at once, measured.
        (sglang(concurrency=12.0), "", "concurrency is 12: so many ran at once on average, and max_concurrency is 32"),
        (sglang(concurrency=31.9), "", ""),
        (TABLE.replace("130.00 ± 0.50", "nan ± 0"), "", "t/s of tg128 is 'nan ± 0'"),
    ],
)  # fmt: skip
def test_a_run_of_another_kind_is_refused_by_its_key(held: object, options: str, said: str, cli: Run, tmp_path: Path) -> None:
    file = tmp_path / "bench"
    file.write_text(held if isinstance(held, str) else json.dumps(held))
    done = cli("calibrate", str(file), "llama-3.1-8b", "--gpu", "h100", *options.split(), "--offline")
    told = " ".join(done.stderr.split())
    assert done.returncode == (2 if said else 0), told
    assert said in told and "Traceback" not in told
