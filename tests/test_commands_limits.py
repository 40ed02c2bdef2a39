"""What stops an engine, or a request, although memory is left: limits that a command sets itself, each where the engine's source has it.

vLLM 0.33: v1/core/kv_cache_planning.py `get_kv_cache_configs` (blocks against one request), config/scheduler.py `verify_max_model_len`
(a step against the longest prompt), utils/torch_utils.py `get_kv_cache_torch_dtype`. SGLang 0.5.23: mem_cache/kv_cache_configurator.py
(`max_total_tokens`), arg_groups/memory_hook.py (what is set aside without chunks).
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from conftest import Run


def fit(cli: Run, command: str, *options: str) -> tuple[int, dict[str, Any]]:
    done = cli("fit", "--format", "json", "--offline", *options, "--", *command.split())
    return done.returncode, json.loads(done.stdout)


@pytest.mark.parametrize(
    ("command", "starts", "flag"),
    [
        ("vllm serve qwen3-8b --num-gpu-blocks-override 100", False, "--num-gpu-blocks-override 2561"),
        ("vllm serve qwen3-8b --max-num-batched-tokens 2048 --no-enable-chunked-prefill", False, "--max-num-batched-tokens 40960"),
        ("python -m sglang.launch_server --model-path qwen3-8b --max-total-tokens 1000", True, "--max-total-tokens 40960"),
    ],
)
def test_a_limit_of_the_command_s_own_is_no_fit(cli: Run, command: str, starts: bool, flag: str) -> None:
    status, got = fit(cli, command, "--gpu", "h100")
    assert (status, got["fits"]) == (1, False)
    assert (got["start"]["starts"], got["start"]["flag"]) == (starts, flag)
    name, value = flag.split()
    words = command.split()
    words[words.index(name) + 1] = value
    assert fit(cli, " ".join(words), "--gpu", "h100")[1]["fits"]


def test_without_chunks_a_step_is_the_longest_prompt(cli: Run) -> None:
    whole = fit(cli, "vllm serve llama-3.1-8b --no-enable-chunked-prefill", "--gpu", "a100-40gb")[1]
    named = fit(cli, "vllm serve llama-3.1-8b --max-num-batched-tokens 131072", "--gpu", "a100-40gb")[1]
    assert whole["per_gpu"] == named["per_gpu"] and not whole["fits"]
    # Releases whose first engine is gone chunk all the same until 0.12.
    old = fit(cli, "vllm serve llama-3.1-8b --no-enable-chunked-prefill", "--gpu", "a100-40gb", "--engine-version", "0.11.0")[1]
    assert old["fits"]


def test_a_cache_is_kept_in_the_dtype_that_is_asked_for(cli: Run) -> None:
    half, full = (
        fit(cli, f"vllm serve llama-3.1-8b --dtype {dtype} --max-model-len 32768", "--gpu", "h100")[1]
        for dtype in ("bfloat16", "float32")
    )
    assert full["kv_tokens"] and half["per_gpu"]["kv_needed_bytes"] * 2 == pytest.approx(
        full["per_gpu"]["kv_needed_bytes"], rel=0.001
    )


def test_sglang_without_chunks_sets_a_batch_aside_and_no_context(cli: Run) -> None:
    command = "python -m sglang.launch_server --model-path llama-3.1-8b --chunked-prefill-size"
    without, largest = fit(cli, f"{command} -1", "--gpu", "h100")[1], fit(cli, f"{command} 16384", "--gpu", "h100")[1]
    assert without["fits"] and without["per_gpu"] == largest["per_gpu"]


@pytest.mark.parametrize("variable", ["CUDA_VISIBLE_DEVICES", "HIP_VISIBLE_DEVICES"])
def test_a_command_has_the_gpus_that_its_environment_leaves(cli: Run, variable: str, tmp_path: Path) -> None:
    """CUDA and HIP number the devices of a process by these variables: others do not exist for it."""
    alone = fit(cli, f"env {variable}=0 llama-server -m qwen3-8b -c 8192", "--gpu", "2x4090")[1]
    assert alone["gpus"] == 1 and any(variable in note for note in alone["notes"])
    (tmp_path / "serve.sh").write_text(f"export {variable}=1\nvllm serve qwen3-0.6b -tp 2\n", encoding="utf-8")
    done = cli("fit", "--offline", "--gpu", "2x4090", "--command-file", "serve.sh")
    assert done.returncode == 2 and f"runs on 2 GPUs, and {variable}=1 leaves it 1 GPU" in done.stderr
    done = cli("fit", "--offline", "--gpu", "4090", "--", f"{variable}=0,1", "llama-server", "-m", "qwen3-8b", "-c", "8192")
    assert done.returncode == 2 and "leaves the command 2 GPUs, and 1 is named" in done.stderr
    assert fit(cli, f"{variable}=0,1 vllm serve qwen3-0.6b", "--gpu", "4090")[1]["fits"]


def test_a_length_that_vllm_lowers_by_itself_starts(cli: Run) -> None:
    """vLLM 0.14, v1/core/kv_cache_utils.py `_auto_fit_max_model_len`; 0.13 has no such function."""
    status, got = fit(cli, "vllm serve llama-3.1-8b --max-model-len auto", "--gpu", "4090")
    assert status == 0 and 4096 < got["context_tokens"] < 131072 and got["own_context"]["context_tokens"] == 131072
    assert fit(cli, "vllm serve llama-3.1-8b --max-model-len -1", "--gpu", "4090")[1]["context_tokens"] == got["context_tokens"]
    done = cli(
        "fit",
        "--offline",
        "--gpu",
        "4090",
        "--engine-version",
        "0.13.0",
        "--",
        "vllm",
        "serve",
        "llama-3.1-8b",
        "--max-model-len",
        "-1",
    )
    assert done.returncode == 2 and "--max-model-len -1: vLLM 0.13.0 takes more than 0" in done.stderr


_IMAGE = "vllm/vllm-openai:v0.33.0 --model qwen3-0.6b --max-model-len 8192"
_POD = """apiVersion: v1
kind: Pod
metadata: {name: a}
spec:
  containers:
  - name: a
    image: vllm/vllm-openai:v0.33.0
    args: [--model, qwen3-0.6b, --max-model-len, "8192", -tp, "2"]
    resources: {limits: {nvidia.com/gpu: COUNT}}
"""
_COMPOSE = """services:
  a:
    image: vllm/vllm-openai:v0.33.0
    command: --model qwen3-0.6b --max-model-len 8192 -tp 2
    deploy: {resources: {reservations: {devices: [{driver: nvidia, GIVEN, capabilities: [gpu]}]}}}
"""


@pytest.mark.parametrize(
    ("text", "gpus", "said"),
    [
        (f"docker run --gpus '\"device=0\"' {_IMAGE} -tp 2", 1, '--gpus "device=0"'),
        (f"docker run --gpus 1 {_IMAGE} -tp 2", 1, "--gpus 1"),
        (f"docker run --gpus 2 {_IMAGE} -tp 2", 2, ""),
        (f"docker run --gpus '\"device=1,3\"' {_IMAGE} -tp 2", 2, ""),
        (f"podman run --device nvidia.com/gpu=0 {_IMAGE} -tp 2", 1, "--device nvidia.com/gpu=0"),
        (f"docker run --runtime nvidia -e NVIDIA_VISIBLE_DEVICES=0 {_IMAGE} -tp 2", 1, "NVIDIA_VISIBLE_DEVICES=0"),
        (f"docker run --gpus 2 -e CUDA_VISIBLE_DEVICES=0 {_IMAGE} -tp 2", 1, "CUDA_VISIBLE_DEVICES=0"),
        (_POD.replace("COUNT", "1"), 1, "nvidia.com/gpu: 1"),
        (_POD.replace("COUNT", "2"), 2, ""),
        (_COMPOSE.replace("GIVEN", "count: 1"), 1, "count: 1"),
        (_COMPOSE.replace("GIVEN", "device_ids: ['0']"), 1, "device_ids: [0]"),
        (_COMPOSE.replace("GIVEN", "count: 2"), 2, ""),
    ],
)  # fmt: skip
def test_a_command_has_the_gpus_that_its_container_gets(cli: Run, tmp_path: Path, text: str, gpus: int, said: str) -> None:
    """What -tp 2 asks for beyond its container is refused with both numbers; a bare name takes the container's count."""
    (tmp_path / "given").write_text(text, encoding="utf-8")
    for named in ("4x4090", "4090"):
        done = cli("fit", "--offline", "--gpu", named, "--command-file", "given", "--format", "json")
        if gpus == 1:
            assert done.returncode == 2 and f"runs on 2 GPUs, and {said} leaves it 1 GPU" in done.stderr, done.stderr
        else:
            assert done.returncode == 0 and json.loads(done.stdout)["gpus"] == 2, done.stderr


@pytest.mark.parametrize(
    "text",
    [
        f"docker run --gpus all {_IMAGE} -tp 2",
        "docker run --gpus 1 --entrypoint bash vllm/vllm-openai:v0.33.0 -c 'ray start --head; vllm serve qwen3-0.6b"
        " --max-model-len 8192 -tp 2'",
        f"docker run --gpus 1 {_IMAGE} -tp 2 --nnodes 2 --node-rank 0 --master-addr h",
    ],
)
def test_a_container_that_is_one_of_several_or_has_all_gpus_limits_nothing(cli: Run, tmp_path: Path, text: str) -> None:
    (tmp_path / "given.sh").write_text(text, encoding="utf-8")
    assert cli("fit", "--offline", "--gpu", "2x4090", "--command-file", "given.sh").returncode == 0


@pytest.mark.parametrize(
    ("program", "flags"),
    [
        (
            "vllm serve llama-3.1-8b",
            "--max-model-len -tp -pp -dp -dcp --nnodes --max-num-seqs --max-num-batched-tokens --block-size",
        ),
        (
            "python -m sglang.launch_server --model-path llama-3.1-8b",
            "--context-length --tp --pp-size --dp-size --ep-size --page-size --max-running-requests --max-total-tokens",
        ),
    ],
)
def test_nothing_is_no_number_of_tokens_or_ranks(program: str, flags: str, cli: Run) -> None:
    """vLLM 0.33, config/model.py `validate_model_config_after`, config/parallel.py (`Field(ge=1)`)."""
    for flag in flags.split():
        done = cli("fit", "--gpu", "h100", "--offline", "--", *program.split(), flag, "0")
        assert done.returncode == 2 and re.search(" 0: (a number |vLLM 0.33.0 takes (1 or )?more)", done.stderr), (
            flag,
            done.stdout[:200],
            done.stderr,
        )


@pytest.mark.parametrize(
    "flags",
    [
        "--enable-lora --max-lora-rank 48",
        "--enable-lora --max-loras 0",
        "--enable-lora --max-lora-rank 1 --engine-version 0.11.0",
        "--data-parallel-size-local 2",
        "--cpu-offload-gb -3",
    ],
)
def test_values_that_the_configuration_of_vllm_refuses(flags: str, cli: Run) -> None:
    """vLLM 0.33, config/lora.py `MaxLoRARanks`, config/parallel.py `_validate_parallel_config`, config/offload.py."""
    told, _, version = flags.partition(" --engine-version ")
    options = ["--engine-version", version] if version else []
    done = cli("fit", "--gpu", "h100", "--offline", *options, "--", "vllm", "serve", "qwen3-8b", *told.split())
    assert done.returncode == 2 and f"archcalc: {told.split()[-2]} " in done.stderr, (done.stdout[:200], done.stderr)
