"""Where vLLM of 0.8.0 to 0.10.2 takes its first engine, and what it refuses beside `VLLM_USE_V1=1`.

Expected values are each release's engine/arg_utils.py `_is_v1_supported_oracle`, `_raise_or_fallback` ("VLLM_USE_V1=1 is not supported
with ...") and platforms/cuda.py `is_kv_cache_dtype_supported`.
"""

from __future__ import annotations

import json

import pytest

from conftest import Run

FP8 = "--kv-cache-dtype fp8"
ORACLE = [
    # No cache but the model's own type before 0.8.2, then FlashAttention 3's fp8 on Hopper, of 0.10.0 on any on Blackwell's B200.
    ("0.8.1", "h100", FP8, "--kv-cache-dtype fp8"),
    ("0.8.2", "h100", FP8, ""),
    ("0.8.5", "a100-80gb", FP8, "--kv-cache-dtype fp8"),
    ("0.10.1", "4090", FP8, "--kv-cache-dtype fp8"),
    ("0.10.1", "h100", FP8, ""),
    ("0.10.0", "b200", FP8, ""),
    ("0.9.2", "b200", FP8, "--kv-cache-dtype fp8"),
    ("0.9.2", "mi300x", FP8, ""),
    # GPUs before Ampere, until 0.10.2.
    ("0.10.1", "t4", "--dtype half", "Compute Capability < 8.0"),
    ("0.10.2", "t4", "--dtype half", ""),
    # Flags, each until the release that no longer asks.
    ("0.9.2", "4090", "--preemption-mode swap", "--preemption-mode swap"),
    ("0.10.0", "4090", "--num-scheduler-steps 8", "--num-scheduler-steps 8"),
    ("0.9.1", "4090", "--scheduling-policy priority", "--scheduling-policy priority"),
    ("0.9.2", "4090", "--scheduling-policy priority", ""),
    ("0.9.2", "4090", "--scheduling-policy fcfs", ""),
    ("0.8.2", "4090", "--cpu-offload-gb 2", "--cpu-offload-gb 2"),
    ("0.8.3", "4090", "--cpu-offload-gb 2", ""),
    ("0.8.5", "2x4090", "--pipeline-parallel-size 2", "Pipeline Parallelism"),
    ("0.9.0", "2x4090", "--pipeline-parallel-size 2", ""),
]


def fit(cli: Run, version: str, gpu: str, command: str) -> dict:  # type: ignore[type-arg]
    done = cli("fit", "--offline", "--format", "json", "--gpu", gpu, "--engine-version", version, "--", *command.split())
    return json.loads(done.stdout)  # type: ignore[no-any-return]


@pytest.mark.parametrize(("version", "gpu", "flags", "lacks"), ORACLE)
def test_the_second_engine_is_refused_or_left_where_it_lacks_something(
    version: str, gpu: str, flags: str, lacks: str, cli: Run
) -> None:
    command = f"vllm serve qwen2.5-1.5b-instruct --max-model-len 4096 {flags}"
    forced = fit(cli, version, gpu, f"VLLM_USE_V1=1 {command}")
    assert forced["start"]["starts"] == (not lacks), forced["verdict"]
    assert f"refuses VLLM_USE_V1=1 with {lacks}" in forced["verdict"] or not lacks
    left = fit(cli, version, gpu, command)
    assert left["fits"], left["verdict"]
    assert any(f"(V0), as its second has not {lacks}" in note for note in left["notes"]) == bool(lacks)
    told = fit(cli, version, gpu, f"VLLM_USE_V1={0 if lacks else 1} {command}")
    assert left["per_gpu"] == told["per_gpu"]


@pytest.mark.parametrize(
    ("version", "gpu", "flags"),
    [
        # `_warn_or_fallback`: not by itself, and where it is asked for.
        ("0.8.2", "4090", "--enable-lora"),
        ("0.8.2", "2x4090", "--pipeline-parallel-size 2"),
        ("0.9.1", "mi300x", ""),
    ],
)
def test_what_the_second_engine_has_for_those_who_ask(version: str, gpu: str, flags: str, cli: Run) -> None:
    command = f"vllm serve qwen2.5-1.5b-instruct --max-model-len 4096 {flags}"
    assert fit(cli, version, gpu, f"VLLM_USE_V1=1 {command}")["fits"]
    assert any("first engine here (V0)" in note for note in fit(cli, version, gpu, command)["notes"])
