"""Speed under an engine's own command: requests that wait, steps without graphs, and flags that no measurement was run with."""

from __future__ import annotations

import json
import shlex
from typing import Any, get_args

import pytest

from archcalc.analysis.speed import departures
from archcalc.commands import effects, speeds
from archcalc.commands.flags import TABLED, table
from archcalc.commands.words import Engine
from conftest import Run

VLLM, SGLANG = "vllm serve qwen3-8b", "python -m sglang.launch_server --model-path qwen3-8b"
LLAMA = "llama-server -m llama-3.1-8b-q4_k_m.gguf"
LENGTHS = "--isl 1k --osl 256"


def asked(cli: Run, gpu: str, options: str, command: str) -> Any:
    words = f"fit --gpu {gpu} {options} --format json --offline --"
    done = cli(*words.split(), *shlex.split(command))
    assert done.stdout, done.stderr
    return json.loads(done.stdout)


@pytest.mark.parametrize(
    ("gpu", "command", "runs", "said"),
    [
        # Each engine's own limit: vLLM 0.33, config/scheduler.py `max_num_seqs` (of a replica); SGLang 0.5.23,
        # kv_cache_configurator.py `resolve_max_num_reqs`; llama-server's slots, four of which share the cells where none are asked for;
        # Ollama 0.33, envconfig/config.go (one by default); mlx-lm 0.32.2, server.py (32 by default).
        ("h100", f"{VLLM} --max-num-seqs 8", 8, "--max-num-seqs"),
        ("4xh100", f"{VLLM} --data-parallel-size 4 --max-num-seqs 2", 8, "--max-num-seqs"),
        ("h100", f"{SGLANG} --max-running-requests 8", 8, "--max-running-requests"),
        ("4xh100", f"{SGLANG} --dp-size 4 --max-running-requests 2", 8, "--max-running-requests"),
        (
            "8xh200",
            "python -m sglang.launch_server --model-path deepseek-r1 --tp 8 --dp-size 8 --enable-dp-attention --max-running-requests 16",
            16,
            "--max-running-requests",
        ),
        ("4090", f"{LLAMA} -c 8192 -np 4", 4, "--parallel"),
        ("4090", f"{LLAMA} -c 8192", 4, "--parallel"),
        ("4090", f"{LLAMA} -c 3072", 2, "--ctx-size 3072"),
        ("4090", "OLLAMA_NUM_PARALLEL=4 ollama run llama3.1:8b", 4, "OLLAMA_NUM_PARALLEL"),
        ("4090", "ollama run llama3.1:8b", 1, "OLLAMA_NUM_PARALLEL"),
        ("m4-max-128gb", "mlx_lm.server --model llama-3.1-8b --decode-concurrency 4", 4, "--decode-concurrency"),
        ("m4-max-128gb", "mlx_lm.server --model llama-3.1-8b", 32, "--decode-concurrency"),
    ],
)
def test_requests_beyond_what_runs_at_once_are_a_bound_of_those_that_run(
    gpu: str, command: str, runs: int, said: str, cli: Run
) -> None:
    more, all_ = (asked(cli, gpu, f"{LENGTHS} --concurrency {n}", command) for n in (64, runs))
    speed = more["speed"]
    assert (speed["concurrency"], speed["tpot_ms"], speed["ttft_ms"], speed["decode_tokens_per_s"]) == (64, None, None, None)
    assert f"{runs} of 64 requests run at once ({said}" in speed["why"]
    assert more["cost"] is None or more["cost"]["usd_per_million_output_tokens"] is None
    # No more tokens than of those that run.
    assert speed["bound_tokens_per_s"] == all_["speed"]["bound_tokens_per_s"]
    assert "requests run at once" not in (all_["speed"]["why"] or "")
    if "mlx" not in command:
        assert all_["speed"]["basis"] == "fitted" and all_["speed"]["concurrency"] == runs


def test_fewer_requests_than_slots_are_forecast_as_they_are(cli: Run) -> None:
    """The memory is that of all slots, and a step that of the requests that there are."""
    two, all_ = (asked(cli, "4090", f"{LENGTHS}{n}", f"{LLAMA} -c 8192 -np 4") for n in (" --concurrency 2", ""))
    assert two["per_gpu"] == all_["per_gpu"] and two["concurrency"] == all_["concurrency"] == all_["speed"]["concurrency"] == 4
    assert two["speed"]["concurrency"] == 2 and two["speed"]["tpot_ms"] < all_["speed"]["tpot_ms"]
    assert any("2 at once (--concurrency)" in note for note in two["notes"])


@pytest.mark.parametrize(
    ("gpu", "command", "graphs"),
    [
        # vLLM 0.33, config/vllm.py `OPTIMIZATION_LEVEL_00`, `_01`, `_set_cudagraph_sizes`; SGLang 0.5.23, base_cuda_graph_runner.py.
        ("h100", f"{VLLM} -O0", False),
        ("h100", f"{VLLM} -O1", False),
        ("h100", f"{VLLM} -O2", True),
        ("h100", f"{VLLM} --enforce-eager", False),
        ("h100", f"{VLLM} --max-cudagraph-capture-size 8", False),
        ("h100", f"{VLLM} --max-cudagraph-capture-size 16", True),
        ("h100", f"{VLLM} --cudagraph-capture-sizes 1 2 4 8", False),
        ("h100", f"{VLLM} --cudagraph-capture-sizes 8 16", True),
        ("h100", f"{VLLM} --cuda-graph-sizes 8", False),
        ("h100", VLLM + """ --compilation-config '{"cudagraph_mode": "PIECEWISE"}'""", False),
        ("h100", VLLM + """ --compilation-config '{"cudagraph_mode": "FULL_DECODE_ONLY"}'""", True),
        ("h100", VLLM + """ --compilation-config '{"mode": 0}'""", False),
        # Two replicas of eight each.
        ("2xh100", f"{VLLM} --data-parallel-size 2 --max-cudagraph-capture-size 8", True),
        ("h100", f"{SGLANG} --disable-cuda-graph", False),
        ("h100", f"{SGLANG} --cuda-graph-max-bs 8", False),
        ("h100", f"{SGLANG} --cuda-graph-max-bs 16", True),
        ("h100", f"{SGLANG} --cuda-graph-bs 1 2 4", False),
        ("h100", f"{SGLANG} --cuda-graph-bs 1 2 16", True),
        ("4090", f"GGML_CUDA_DISABLE_GRAPHS=1 {LLAMA} -c 32768 -np 16", False),
    ],
)
def test_a_step_without_a_graph_is_a_bound(gpu: str, command: str, graphs: bool, cli: Run) -> None:
    speed = asked(cli, gpu, f"{LENGTHS} --concurrency 16", command)["speed"]
    assert (speed["basis"] == "fitted") is graphs, speed["why"]
    assert graphs or ("started one by one" in speed["why"] or "started by itself" in speed["why"])


def test_the_batches_that_sglang_captures_by_default_are_those_of_its_gpu(cli: Run) -> None:
    """SGLang 0.5.23, memory_hook.py `_handle_gpu_memory_settings`: up to 48 on a card of 24 GB; a lower cap "forced eager decode at
    bs>=32 and collapsed high-concurrency throughput"."""
    words = "fit qwen3-0.6b --gpu 4090 --engine sglang --isl 256 --osl 256 --format json --offline --concurrency".split()
    few, many = (json.loads(cli(*words, n).stdout)["speed"] for n in ("48", "64"))
    assert few["basis"] == "fitted"
    assert many["basis"] == "bound" and "graphs are captured of batches up to 48, and 64 run at once" in many["why"]


@pytest.mark.parametrize(
    ("gpu", "command", "said"),
    [
        ("2xh100", f"{VLLM} --tensor-parallel-size 2 --disable-custom-all-reduce", "--disable-custom-all-reduce"),
        ("h100", f"{VLLM} --disable-custom-all-reduce", ""),
        ("h100", f"{VLLM} --attention-backend TRITON_ATTN", "--attention-backend"),
        ("h100", f"VLLM_ATTENTION_BACKEND=XFORMERS {VLLM}", "VLLM_ATTENTION_BACKEND"),
        ("h100", f"CUDA_LAUNCH_BLOCKING=1 {VLLM}", "CUDA_LAUNCH_BLOCKING"),
        ("h100", f"CUDA_LAUNCH_BLOCKING=0 {VLLM}", ""),
        ("h100", f"{VLLM} --no-enable-chunked-prefill", "--no-enable-chunked-prefill"),
        ("h100", f"{VLLM} --kv-offloading-size 10", "--kv-offloading-size"),
        (
            "h100",
            VLLM + """ --kv-transfer-config '{"kv_connector": "LMCacheConnectorV1", "kv_role": "kv_both"}'""",
            "--kv-transfer-config",
        ),
        ("h100", f"{VLLM} --enable-lora", "--enable-lora"),
        ("h100", f"{VLLM} --model-impl transformers", "--model-impl"),
        ("h100", f"{VLLM} --cpu-offload-gb 4", "CPU's memory"),
        ("h100", f"{VLLM} --no-enable-prefix-caching --stream-interval 20 --seed 1 --disable-log-requests", ""),
        ("h100", f"{VLLM} --enable-prefix-caching --performance-mode balanced", ""),
        ("2xh100", f"{SGLANG} --tp 2 --disable-custom-all-reduce", "--disable-custom-all-reduce"),
        ("h100", f"{SGLANG} --attention-backend torch_native", "--attention-backend"),
        ("h100", f"{SGLANG} --attention-backend fa3", ""),
        ("h100", f"{SGLANG} --chunked-prefill-size -1", "--chunked-prefill-size -1"),
        ("h100", f"{SGLANG} --enable-torch-compile", "--enable-torch-compile"),
        ("h100", f"{SGLANG} --disable-overlap-schedule", "--disable-overlap-schedule"),
        ("h100", f"{VLLM} --no-async-scheduling", "--no-async-scheduling"),
        ("h100", f"{VLLM} --async-scheduling", ""),
        ("h100", f"{VLLM} --prefill-schedule-interval 4", "--prefill-schedule-interval"),
        ("h100", f"{VLLM} --prefill-schedule-interval 1", ""),
        ("h100", f"{VLLM} --max-num-partial-prefills 4", "--max-num-partial-prefills"),
        ("h100", f"{SGLANG} --enable-hierarchical-cache --hicache-ratio 2", "--enable-hierarchical-cache"),
        ("h100", f"{SGLANG} --disable-radix-cache --schedule-policy fcfs --moe-runner-backend triton", ""),
        ("4090", f"{LLAMA} -c 32768 -np 16 --no-cont-batching", "--no-cont-batching"),
        ("4090", f"{LLAMA} -c 32768 -np 16 --rpc 10.0.0.2:50052", "--rpc"),
        ("4090", f"{LLAMA} -c 32768 -np 16 --swa-full -t 8 --no-webui", ""),
        ("4090", "llama-server -m gemma-3-4b-q4_k_m.gguf -c 32768 -np 16 --swa-full", "--swa-full"),
    ],
)
def test_a_flag_that_nothing_was_measured_with_is_a_bound(gpu: str, command: str, said: str, cli: Run) -> None:
    speed = asked(cli, gpu, f"{LENGTHS} --concurrency 16", command)["speed"]
    assert (speed["basis"] == "bound") is bool(said), speed["why"]
    assert said in (speed["why"] or "") and (not said or speed["bound_tokens_per_s"] > 0)


@pytest.mark.parametrize(
    ("flags", "isl", "concurrency", "forecast"),
    [
        # vLLM 0.33, v1/core/sched/scheduler.py `schedule`: a prompt takes what the others' tokens leave of a step, a threshold at most.
        ("", 8192, 4, True),
        ("--long-prefill-token-threshold 64", 8192, 4, False),
        ("--long-prefill-token-threshold 0", 8192, 4, True),
        ("--long-prefill-token-threshold 4096", 8192, 4, True),
        ("--long-prefill-token-threshold 1024", 512, 4, True),
        ("--max-num-scheduled-tokens 512", 8192, 4, False),
        ("--max-num-batched-tokens 512", 8192, 4, False),
        ("--max-num-batched-tokens 2048", 8192, 4, True),
        ("--max-num-batched-tokens 1024", 1024, 64, False),
        ("--max-num-batched-tokens 1086", 1024, 64, False),
        ("--max-num-batched-tokens 1087", 1024, 64, True),
        ("--max-num-batched-tokens 1024", 1024, 1, True),
        ("--max-num-batched-tokens 1023", 1024, 1, False),
    ],
)
def test_prompts_in_smaller_steps_than_were_measured(flags: str, isl: int, concurrency: int, forecast: bool, cli: Run) -> None:
    lengths = f"--isl {isl} --osl 256 --concurrency {concurrency}"
    speed = asked(cli, "h100", lengths, f"vllm serve llama-3.1-8b --max-model-len 16384 {flags}")["speed"]
    assert speed["tpot_ms"] is not None
    assert (speed["ttft_ms"] is not None) is forecast and (speed["prefill_tokens_per_s"] is not None) is forecast
    assert forecast or "tokens of a step" in speed["why"]


@pytest.mark.parametrize(
    ("flag", "said"),
    [("-O0", "no graphs are captured"), ("-O1", "in pieces alone"), ("--enforce-eager", "no graphs are captured"),
     ("""--compilation-config '{"cudagraph_mode": "PIECEWISE"}'""", "in pieces alone"),
     ("""--compilation-config '{"cudagraph_mode": "NONE"}'""", "no graphs are captured")],
)  # fmt: skip
def test_what_is_captured_is_said(flag: str, said: str, cli: Run) -> None:
    """vLLM 0.33, config/vllm.py `OPTIMIZATION_LEVEL_00` (NONE) and `_01` (PIECEWISE)."""
    why = asked(cli, "h100", LENGTHS, f"{VLLM} {flag}")["speed"]["why"]
    assert said in why and "kernels are started one by one" in why


@pytest.mark.parametrize("engine", get_args(Engine))
def test_every_flag_of_every_release_does_something_known_to_speed(engine: Engine) -> None:
    """Nothing, what a forecast reads, or what no measurement was run with; and no list names a flag that there is not."""
    if engine == "ollama":
        return
    names = set(table(engine).rows)
    of = {name: speeds.speed(engine, name) for name in names}
    assert {"nothing", "known"} <= set(of.values())
    told = {
        "nothing": "--host --port --api-key --log-level --trust-remote-code --chat-template --temp --alias --seed",
        "known": "--max-model-len --max-num-seqs --context-length --tp-size --kv-cache-dtype --ctx-size --parallel --decode-concurrency",
        "unmeasured": "--speculative-config --speculative-algorithm --model-draft --draft-model --enable-lora --rpc --adapter-path",
    }
    for what, flags in told.items():
        assert all(of[flag] == what for flag in flags.split() if flag in names)
    for row in speeds._UNMEASURED[engine]:
        for pattern in row.flags.split():
            assert any(speeds.fnmatchcase(name, pattern) for name in names), pattern
    for pattern in (*speeds._NOTHING[engine].split(), *speeds._KNOWN[engine].split()):
        assert any(speeds.fnmatchcase(name, pattern) for name in names), pattern


@pytest.mark.parametrize("command", [f"{VLLM} --max-num-batched-tokens 512", f"{SGLANG} --chunked-prefill-size 512"])
def test_prompts_in_smaller_steps_than_were_measured_are_not_forecast(command: str, cli: Run) -> None:
    speed = asked(cli, "h100", f"{LENGTHS} --concurrency 16", command)["speed"]
    assert speed["ttft_ms"] is None and speed["prefill_tokens_per_s"] is None and "not 512" in speed["why"]
    # A prompt that one step holds is read as ever.
    assert asked(cli, "h100", "--isl 256 --osl 256 --concurrency 16", command)["speed"]["ttft_ms"] is not None


@pytest.mark.parametrize(
    ("words", "forecast"),
    [
        ("llama-3.1-8b --gpu h100 --isl 1k --osl 1k --concurrency 256", True),
        # Graphs of up to 48 on two cards of 24 GB (memory_hook.py), and room for more requests.
        ("qwen3-8b --gpu 2x4090 --engine sglang --isl 1k --osl 1k --concurrency 128", False),
    ],
)
def test_what_is_said_to_be_forecast_is(words: str, forecast: bool, cli: Run) -> None:
    why = json.loads(cli("fit", *words.split(), "--format", "json", "--offline").stdout)["speed"]["why"]
    assert ("; --concurrency" in why) is forecast
    if forecast:
        n = why.split("--concurrency ")[1].split()[0]
        again = json.loads(cli("fit", *words.split()[:-1], n, "--format", "json", "--offline").stdout)["speed"]
        assert again["basis"] == "fitted"


def test_replicas_share_a_batch_that_is_too_large_for_the_graphs_of_one(cli: Run) -> None:
    words = "fit llama-3.1-8b --gpu 8xh100 --isl 1k --osl 1k --concurrency 1024 --format json --offline".split()
    got = json.loads(cli(*words).stdout)
    assert got["speed"]["basis"] == "fitted" and got["plan"]["dp"] >= 2 and "is not forecast" in got["why"]
    one = json.loads(cli(*words, "--tp", "8").stdout)["speed"]
    assert one["basis"] == "bound" and "graphs are captured of batches up to 512" in one["why"]


@pytest.mark.parametrize(
    ("engine", "quant", "measured"),
    [("vllm", "nf4", False), ("vllm", "fp32", False), ("vllm", "bf16", True), ("vllm", "fp8", True), ("llama.cpp", "q4_k_m", True)],
)
def test_storages_whose_products_nobody_measured_are_bounds(engine: str, quant: str, measured: bool, cli: Run) -> None:
    """bitsandbytes widens a block before each product, and single precision has no matrix units: no row of a server has them."""
    words = f"fit qwen3-8b --gpu h100 --engine {engine} --quant {quant} --isl 1k --osl 1k --format json --offline".split()
    speed = json.loads(cli(*words).stdout)["speed"]
    assert (speed["basis"] == "fitted") is measured and speed["bound_tokens_per_s"] > 0
    assert measured or f"with weights in {quant}" in speed["why"]


def test_a_command_that_leaves_every_gpu_alone_is_no_plan_for_one(cli: Run) -> None:
    """llama.cpp 0c1e57098, common/arg.cpp `parse_device_list`: "none" is no device."""
    done = cli("fit", "--gpu", "4090", "--offline", "--", *shlex.split(f"{LLAMA} -c 4096 -np 1 --device none"))
    assert done.returncode and "--device none: the command runs on the CPU alone" in done.stderr


@pytest.mark.parametrize(
    ("flags", "why"),
    [
        # llama.cpp 0c1e57098, ggml/CMakeLists.txt `GGML_CUDA_FA_QUANTS`: "q4_0-q4_0;q8_0-q8_0;f16-f16;bf16-bf16" are compiled.
        ("", None),
        ("-ctk q8_0 -ctv q8_0", None),
        ("-ctk q4_0 -ctv q4_0", None),
        ("-ctk bf16 -ctv bf16", None),
        ("-ctk f32 -ctv f32", "converts a cache in f32 to f16"),
        ("-ctk q8_0 -ctv f16", "converts keys in q8_0 and values in f16"),
        ("-ctk f16 -ctv q8_0", "converts keys in f16 and values in q8_0"),
        ("-ctk q5_1 -ctv q5_1", "converts a cache in q5_1"),
        # fattn.cu `ggml_cuda_fattn_kv_type_supported` has no iq4_nl.
        ("-ctk iq4_nl -ctv iq4_nl", "no kernel of CUDA reads a cache in iq4_nl"),
        ("-fa off", "without flash attention"),
        # common/arg.cpp: both set `params.embedding`.
        ("--rerank", "writes no tokens"),
        ("--reranking", "writes no tokens"),
        ("--embedding", "writes no tokens"),
        ("--embeddings", "writes no tokens"),
    ],
)
def test_attention_by_other_kernels_and_pooling_are_not_forecast(flags: str, why: str | None, cli: Run) -> None:
    speed = asked(cli, "4090", "--quant q4_k_m", f"{LLAMA} -c 8192 -np 1 {flags}")["speed"]
    assert (speed["why"] is None) is (why is None) and (why or "") in (speed["why"] or "")


def test_no_list_of_flags_has_a_second_spelling_alone() -> None:
    """A command's flags are read by their full names: a list that has another spelling of one alone never finds it."""
    for engine in TABLED:
        newest = table(engine).at(None)
        for named in (set(departures._POOLS) | set(departures._APART), set(effects._USED[engine].split())):
            for flag in named & set(newest):
                assert newest[flag][1] or newest[flag][0].name in named, flag
