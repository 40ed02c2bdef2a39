"""What `fit` offers beside an engine's own command that does not start or does not fit: the flag that lifts the limit, written into the
command and read back, before other machines; larger shares; a draft in other storage."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import Any

import pytest

from conftest import Run

ADDRESS = "<address-of-the-first-machine>"


def fit(cli: Run, line: str) -> dict[str, Any]:
    done = cli("fit", "--offline", "--format", "json", *shlex.split(line))
    assert done.stdout, done.stderr
    return json.loads(done.stdout)  # type: ignore[no-any-return]


def offered(got: dict[str, Any]) -> list[str]:
    return [change["options"] for change in got["would_fit"]]


DRAFT = """'{"model": "qwen3-1.7b", "num_speculative_tokens": 3%s}'"""
SGLANG_DRAFT = (
    "--gpu h100 -- sglang serve --model-path qwen3-8b --speculative-algorithm STANDALONE --speculative-draft-model-path qwen3-1.7b"
    " --speculative-num-steps 3 --speculative-eagle-topk 1 --speculative-num-draft-tokens 4"
)


# The call, the flag that lifts its limit, and what is not offered.
@pytest.mark.parametrize(
    ("line", "flag", "never"),
    [
        # vLLM 0.33, platforms/cuda.py `check_if_supports_dtype`: "You can use float16 instead by explicitly setting the `dtype` flag".
        ("--gpu t4 -- vllm serve qwen2.5-3b --dtype bfloat16", "--dtype half", "--gpu"),
        # 0.33, config/model.py `_FLOAT16_NOT_SUPPORTED_MODELS`: gemma2, gemma3, gemma3_text, glm4; plamo2 too up to 0.26.
        ("--gpu h100 -- vllm serve gemma-2-2b --dtype half", "--dtype bfloat16", "--gpu"),
        ("--gpu t4 -- vllm serve gemma-3-1b --dtype bfloat16", "--dtype float32", "--gpu"),
        # 0.8.5, v1/worker/gpu_worker.py `_check_if_gpu_supports_dtype` ("--dtype=half"), whatever `auto` finds; 0.9.0 falls back by itself.
        ("--gpu t4 --engine-version 0.8.5 -- vllm serve qwen2.5-3b", "--dtype half", "--gpu"),
        # 0.33, config/parallel.py `__post_init__`: "World size is larger than the number of available GPUs in this node".
        ("--gpu 16xh100 -- vllm serve llama-3.1-405b -tp 8 -pp 2", f"--nnodes 2 --node-rank 0 --master-addr {ADDRESS}", "--gpu"),
        # 0.6.0 to 0.10.0, config.py `SchedulerConfig._verify_args`: "max_num_batched_tokens is smaller than max_model_len".
        (
            "--gpu h100 --engine-version 0.7.3 -- vllm serve qwen2.5-7b --max-num-batched-tokens 2048 --max-model-len 16384",
            "--max-num-batched-tokens 16384", "--max-model-len",
        ),
        (
            "--gpu h100 --engine-version 0.8.5 -- env VLLM_USE_V1=0 vllm serve qwen3-8b --max-num-batched-tokens 2048 --max-model-len 9000",
            "--max-num-batched-tokens 9000", "--gpu",
        ),
    ],
)  # fmt: skip
def test_a_limit_that_a_flag_lifts_is_lifted_first(line: str, flag: str, never: str, cli: Run) -> None:
    got = fit(cli, line)
    assert not got["fits"] and got["start"]["flag"] == flag
    assert flag in offered(got) and not [options for options in offered(got) if never in options]
    words, added = shlex.split(line), shlex.split(flag.replace(ADDRESS, "host"))
    if added[0] in words:
        del words[words.index(added[0]) : words.index(added[0]) + 2]
    assert fit(cli, shlex.join([*words, *added]))["fits"]


@pytest.mark.parametrize(
    ("line", "flag"),
    [
        # vLLM 0.33, config/model.py `_verify_with_expert_parallelism`, model_loader/weight_utils.py `get_quant_config`.
        ("vllm serve qwen3-8b --enable-expert-parallel", "--enable-expert-parallel"),
        ("vllm serve qwen3-8b --quantization awq", "--quantization"),
        ("sglang serve --model-path qwen3-8b --quantization awq", "--quantization"),
    ],
)
def test_a_flag_that_is_too_many_is_left_out(line: str, flag: str, cli: Run) -> None:
    got = fit(cli, f"--gpu h100 -- {line}")
    assert not got["fits"] and got["start"]["flag"] == f"without {flag}" and offered(got) == [f"without {flag}"]
    assert fit(cli, f"--gpu h100 -- {line.partition(f' {flag}')[0]}")["fits"]


def test_a_program_of_python_is_told_in_its_arguments(cli: Run, tmp_path: Path) -> None:
    (tmp_path / "serve.py").write_text(
        'from vllm import LLM\nllm = LLM(model="Qwen/Qwen2.5-3B", dtype="bfloat16", enable_expert_parallel=True)\n',
        encoding="utf-8",
    )
    got = fit(cli, "--gpu t4 --command-file serve.py")
    assert offered(got) == ["without enable_expert_parallel dtype='half'"]


@pytest.mark.parametrize(
    "line",
    [
        # No chunks are needed where the context is long (0.8.5, engine/arg_utils.py `_set_default_args_v0`), and V1 always makes them.
        ("--engine-version 0.8.5 -- env VLLM_USE_V1=0 vllm serve qwen3-8b --max-num-batched-tokens 2048 --max-model-len 40000"),
        ("--engine-version 0.8.5 -- vllm serve qwen3-8b --max-num-batched-tokens 2048 --max-model-len 9000"),
        (
            "--engine-version 0.7.3 -- vllm serve qwen2.5-7b --max-num-batched-tokens 2048 --max-model-len 9000 --enable-chunked-prefill"
        ),
    ],
)
def test_a_step_of_the_first_engine_holds_the_longest_prompt_or_chunks(line: str, cli: Run) -> None:
    assert fit(cli, f"--gpu h100 {line}")["fits"]


def test_a_plan_of_an_old_release_says_half(cli: Run) -> None:
    """0.8.5, as above; what is printed starts."""
    for release, words in (("0.8.5", " --dtype half"), ("0.9.0", "")):
        got = fit(cli, f"qwen2.5-3b --gpu t4 --engine vllm --engine-version {release}")
        assert got["fits"] and (" --dtype half" in got["command"]) == bool(words)
        assert fit(cli, f"--gpu t4 --engine-version {release} -- {got['command']}")["fits"]


@pytest.mark.parametrize(
    ("line", "option"),
    [
        ("--gpu h100 -- vllm serve qwen3-32b --max-model-len 40960 --gpu-memory-utilization 0.9", "--gpu-memory-utilization 0.95"),
        ("--gpu h100 -- sglang serve --model-path qwen3-32b --context-length 20480 --mem-fraction-static .8", "--mem-fraction-static 0.95"),
        ("--quant q4_k_m --gpu 2x3090 -- llama-server -m llama-3.1-70b -c 8192 -ts 3,1 -ngl 99", "without -ts"),
        # Shares of two leave two more empty: llama.cpp 0c1e57098, src/llama-model.cpp `load_tensors` (`tensor_split`).
        ("--quant q8_0 --gpu 2x3090 -- llama-server -m llama-3.1-70b -c 8192 -ts 1,1 -ngl 99", "--gpu 4xrtx-3090 -- … without -ts"),
        # The share in the command is lifted together with the limit that stands before it.
        (
            "--gpu gb200-nvl72 -- vllm serve deepseek-r1 -dp 72 --enable-expert-parallel",
            f"--max-num-batched-tokens 2048 --nnodes 18 --node-rank 0 --master-addr {ADDRESS}",
        ),
    ],
)  # fmt: skip
def test_what_a_command_says_itself_may_be_said_otherwise(line: str, option: str, cli: Run) -> None:
    got = fit(cli, line)
    assert not got["fits"] and option in offered(got)


@pytest.mark.parametrize(
    ("line", "fp8"),
    [
        # vLLM 0.33, config/speculative.py: the draft's ModelConfig takes `quantization`.
        (f"--gpu h100 -- vllm serve qwen3-8b --speculative-config {DRAFT}", ', "quantization": "fp8"'),
        # SGLang 0.5.23, srt/configs/model_config.py `from_server_args`.
        (f"{SGLANG_DRAFT}%s", " --speculative-draft-model-quantization fp8"),
    ],
)  # fmt: skip
def test_a_draft_is_counted_in_what_it_is_quantized_to(line: str, fp8: str, cli: Run) -> None:
    """Qwen3-1.7B has 1.409 G weights of linear layers of 1.721 G in all (its config): FP8 takes one byte less of each."""
    half, eight = (fit(cli, line % words) for words in ("", fp8))
    spared = half["per_gpu"]["weights_bytes"] - eight["per_gpu"]["weights_bytes"]
    assert spared == pytest.approx(28 * (2 * 2048 * 2048 + 2 * 2048 * 1024 + 3 * 2048 * 6144), rel=0.01)
    assert not eight["options"]["unmodelled"]


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("--gpu h100 -- vllm serve qwen3-8b --speculative-config " + DRAFT % ', "quantization": "nonsense"', "takes auto_awq, auto_gptq"),
        (f"{SGLANG_DRAFT} --speculative-draft-model-quantization nonsense", "takes auto-round"),
    ],
)  # fmt: skip
def test_a_storage_that_no_release_has_is_an_error_with_those_it_has(line: str, said: str, cli: Run) -> None:
    done = cli("fit", "--offline", *shlex.split(line))
    assert done.returncode == 2 and said in done.stderr and "nonsense" in done.stderr


def test_a_draft_is_not_stored_in_what_it_is_quantized_to(cli: Run) -> None:
    """vLLM 0.33, config/model.py `_verify_quantization` and model_loader/weight_utils.py `get_quant_config`: no config of AWQ is there."""
    got = fit(cli, "--gpu h100 -- vllm serve qwen3-8b --speculative-config " + DRAFT % ', "quantization": "awq"')
    assert not got["start"]["starts"] and "draft" in got["start"]["limit"] and "awq" in got["start"]["limit"]


def test_attention_in_data_parallelism_divides_dense_layers_and_no_towers_of_its_own(cli: Run) -> None:
    """SGLang 0.5.23: srt/models/qwen3.py has attention of `attn_tp` and Qwen2MLP of all ranks; qwen3_vl.py a tower of `attn_tp`, which
    `--mm-enable-dp-encoder` leaves whole too."""
    way = "--tp 8 --dp 8 --enable-dp-attention --context-length 8192"
    dense = fit(cli, f"--gpu 8xh200 -- sglang serve --model-path qwen3-32b {way}")
    # Qwen3-32B's config: 64 layers, FFN 5,120 x 25,600 x 3, attention of 64 and 8 heads of 128, 151,936 tokens in, and out by all ranks
    # (`enable_dp_lm_head` is off).
    ffn, attention, table = 64 * 3 * 5120 * 25600, 64 * 5120 * 128 * (64 + 8 + 8 + 64), 151936 * 5120
    assert dense["per_gpu"]["weights_bytes"] == pytest.approx(2 * (ffn / 8 + attention + table + table / 8), rel=0.01)
    seeing = f"--gpu 8xh200 -- sglang serve --model-path qwen3-vl-235b-a22b {way}"
    held = [fit(cli, f"{seeing}{more}")["per_gpu"]["weights_bytes"] for more in ("", " --mm-enable-dp-encoder")]
    assert held[0] == held[1]


@pytest.mark.parametrize(
    ("program", "whole"),
    [("vllm serve", "--mm-encoder-tp-mode data"), ("sglang serve --model-path", "--mm-enable-dp-encoder")],
)
def test_columns_of_a_tower_divide_among_ranks(program: str, whole: str, cli: Run) -> None:
    """Qwen2.5-VL-3B's tower has 16 heads and 3,420 columns: vLLM 0.33, layers/linear.py `MergedColumnParallelLinear` ("assert
    all(output_size % self.tp_size == 0 ...)"). With the flag, and in a plan, it starts."""
    tp = "-tp" if program.startswith("vllm") else "--tp"
    line = f"--gpu 8xh100 -- {program} qwen2.5-vl-3b {tp} 8"
    done = cli("fit", "--offline", *line.split())
    assert done.returncode == 2 and "3,420 columns" in done.stderr and whole.split(maxsplit=1)[0] in done.stderr
    assert fit(cli, f"{line} {whole}")["fits"]


@pytest.mark.parametrize(
    ("gpu", "nodes", "count"), [("8xh100", 2, 16), ("16xh100", 2, 16), ("4xh100", 2, 8), ("h100", 2, 2), ("p5.48xlarge", 2, 16)]
)
def test_nodes_are_so_many_of_the_machine(gpu: str, nodes: int, count: int, cli: Run) -> None:
    got = fit(cli, f"qwen3-8b --gpu {gpu} --nodes {nodes} --ctx 8k --engine vllm")
    assert got["gpus"] == count and any(f"{count} GPUs are {nodes} machines" in note for note in got["notes"])


def test_nodes_against_a_number_of_machines_that_is_said_are_refused(cli: Run) -> None:
    for line in ("--gpu 32xh100 --nodes 2", "--gpu gb200-nvl72 --nodes 2", "--vram 24GiB --nodes 2"):
        done = cli("fit", "qwen3-8b", "--offline", *line.split())
        assert done.returncode == 2 and "--nodes 2" in done.stderr


@pytest.mark.parametrize(
    ("line", "first"),
    [
        # vLLM 0.33, config/offload.py `cpu_offload_gb` (GiB of each GPU) and config/cache.py `kv_offloading_size` (GiB of all ranks);
        # SGLang 0.5.23, srt/server_args.py `cpu_offload_gb`, `hicache_size` (GB of each rank).
        (
            "--gpu 8xh100 --ram 127GiB -- vllm serve glm-4.5-air -tp 8 --cpu-offload-gb 16",
            ["--cpu-offload-gb", "--cpu-offload-gb 15"],
        ),
        (
            "--gpu 4xh100 --ram 40GiB -- python -m sglang.launch_server --model-path glm-4.5-air --tp 4 --cpu-offload-gb 16",
            ["--cpu-offload-gb", "--cpu-offload-gb 10"],
        ),
        ("--gpu 2xh100 --ram 16GiB -- vllm serve qwen3-8b -tp 2 --kv-offloading-size 20", ["--kv-offloading-size"]),
        (
            "--gpu 2xh100 --ram 16GiB -- sglang serve --model-path qwen3-8b --tp 2 --enable-hierarchical-cache --hicache-size 30",
            ["--enable-hierarchical-cache"],
        ),
    ],
)
def test_less_in_the_cpu_s_memory_goes_before_other_machines(line: str, first: list[str], cli: Run) -> None:
    got = fit(cli, line)
    assert "the CPU's memory is too small" in got["verdict"]
    assert offered(got)[: len(first)] == [f"without {first[0]}", *first[1:]]
    for flag in first[1:]:
        name = flag.split()[0]
        words = line.split()
        words[words.index(name) + 1] = flag.split()[1]
        assert fit(cli, " ".join(words))["fits"]
