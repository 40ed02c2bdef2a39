"""What vLLM's profile run holds by release: its runners, its sampler, its workspaces, and what compiling takes."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import Any

import pytest

from archcalc import hardware, zoo
from archcalc.arch import parse
from archcalc.engines.placement import Placement
from archcalc.engines.vllm.budget import sampling_passes
from archcalc.engines.vllm.runner import benchmarked_table, counts_graphs, keeps_penalties, second_runner
from archcalc.engines.vllm.settings import Settings
from archcalc.engines.vllm.workspace import workspace
from conftest import Run

MIB, GIB = 1 << 20, 1 << 30


def fit(cli: Run, *words: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(cli("fit", "--offline", "--format", "json", *words).stdout)
    return found


@pytest.mark.parametrize(
    ("name", "gpu", "version", "second", "graphs", "penalties"),
    [
        ("llama-3.1-8b", "h100", "0.17.0", False, False, False),
        ("llama-3.1-8b", "h100", "0.24.0", False, True, False),
        ("llama-3.1-8b", "h100", "0.25.0", True, False, False),
        ("llama-3.1-8b", "h100", "0.27.0", True, False, True),
        ("llama-3.1-8b", "h100", "0.29.0", True, True, True),
        ("gpt-oss-20b", "h100", "0.28.0", False, True, False),
        ("gpt-oss-20b", "h100", "0.29.0", True, True, True),
        ("gpt-oss-20b", "arc-pro-b60-24gb", "0.29.0", True, False, True),
        ("deepseek-v2-lite", "h100", "0.25.0", True, False, False),
        ("deepseek-v4-flash", "h100", "0.26.0", False, True, False),
        ("deepseek-v4-flash", "h100", "0.28.0", True, False, True),
        ("deepseek-v4-flash", "mi355x", "0.29.0", False, True, False),
    ],
)
def test_which_runner_profiles(name: str, gpu: str, version: str, second: bool, graphs: bool, penalties: bool) -> None:
    device, a = hardware.device(gpu), parse(zoo.config(name))
    found = [f(device, a, version) for f in (second_runner, counts_graphs, keeps_penalties)]
    assert found == [second, graphs, penalties]


def test_variables_choose_runner_and_graphs() -> None:
    device, a = hardware.device("h100"), parse(zoo.config("llama-3.1-8b"))
    assert not second_runner(device, a, "0.26.0", Settings(second_runner=False))
    assert counts_graphs(device, a, "0.19.0", Settings(counts_graphs=True))
    assert not counts_graphs(device, a, "0.24.0", Settings(counts_graphs=False))


@pytest.mark.parametrize(
    ("version", "settings", "sequences", "passes"),
    [
        ("0.10.0", Settings(), 256, 9.5),
        ("0.10.0", Settings(), 64, 12.5),
        ("0.10.0", Settings(), 1, 9.5),
        ("0.10.0", Settings(fused_sampler=True), 256, 3.5),
        ("0.17.0", Settings(), 256, 3.5),
        ("0.26.0", Settings(), 256, 0.5),
        ("0.26.0", Settings(second_runner=False), 256, 3.5),
        ("0.32.0", Settings(), 256, 0.5),
        ("0.33.0", Settings(), 256, 3.5),
        ("0.33.0", Settings(fused_sampler=False), 256, 1.5),
    ],
)
def test_tensors_of_the_sampler(version: str, settings: Settings, sequences: int, passes: float) -> None:
    found = sampling_passes(hardware.device("a100"), parse(zoo.config("llama-3.1-8b")), version, settings, sequences)
    assert found == passes


@pytest.mark.parametrize(
    ("name", "tp", "version", "settings", "eager", "rows"),
    [
        ("llama-3.1-8b", 1, "0.11.1", Settings(), False, 128256),
        ("llama-3.1-8b", 4, "0.11.1", Settings(), False, 32064),
        ("llama-3.1-8b", 1, "0.11.0", Settings(), False, 0),
        ("llama-3.1-8b", 1, "0.11.1", Settings(), True, 0),
        ("llama-3.1-8b", 1, "0.11.1", Settings(compiled=False), False, 0),
        ("gemma-3-4b", 1, "0.20.0", Settings(), False, 0),
        ("gemma-3-4b", 1, "0.20.0", Settings(text_alone=True), False, 262208),
    ],
)
def test_compiling_copies_the_table(name: str, tp: int, version: str, settings: Settings, eager: bool, rows: int) -> None:
    a = parse(zoo.config(name))
    assert benchmarked_table(a, tp, version, settings, eager=eager) == 2 * rows * a.facts.hidden_size


def test_workspaces_that_stay() -> None:
    b200, h100 = hardware.device("b200-180gb"), hardware.device("h100")
    sparse, experts, fp4 = (parse(zoo.config(name)) for name in ("glm-5.2", "qwen3-30b-a3b", "gpt-oss-20b"))
    # 40 prompts' index keys of 132 B, and a MiB for the choice among them; scores for a moment.
    assert workspace(b200, sparse, Placement(4), "0.26.0", 16384, 819200) == (40 * 819200 * 132 + MIB, 512 * MIB)
    assert workspace(b200, sparse, Placement(4), "0.12.0", 16384, 819200) == (0, 0)
    # Eight experts a token: rows as wide as the model, and as what gate and up put out.
    assert workspace(h100, experts, Placement(1), "0.20.0", 8192, 40960) == (2 * 8192 * 8 * (2048 + 2048), 0)
    assert workspace(h100, experts, Placement(1), "0.13.0", 8192, 40960) == (0, 0)
    assert workspace(h100, fp4, Placement(1), "0.20.0", 8192, 40960) == (0, 0)


def test_a_long_sparse_model_holds_what_was_logged(cli: Run) -> None:
    """Four B200 with GLM-5.2 NVFP4 logged 6.31 GiB of peak activation: docs/engine-logs.md."""
    words = shlex.split("vllm serve glm-5.2 --tensor-parallel-size 4 --max-model-len 819200")
    found = fit(cli, "--gpu", "4xb200-180gb", "--engine-version", "0.26.0", "--quant", "nvfp4", "--", *words)
    assert found["per_gpu"]["activation_bytes"] / GIB == pytest.approx(6.31, rel=0.02)


def test_v4_has_no_room_for_latents_and_keeps_what_was_logged(cli: Run, tmp_path: Path) -> None:
    """vllm-project/vllm#44376: 6.66 GiB needed for 30,000 tokens."""
    written = tmp_path / "serve.py"
    written.write_text(
        'from vllm import LLM\nllm = LLM(model="deepseek-v4-flash", tensor_parallel_size=2, enable_expert_parallel=True,'
        ' max_model_len=30_000, gpu_memory_utilization=0.95, kv_cache_dtype="fp8", block_size=256)\n'
    )
    found = fit(cli, "--gpu", "2xgh200-96gb", "--engine-version", "0.22.0", "--command-file", str(written))
    assert found["per_gpu"]["kv_needed_bytes"] / GIB == pytest.approx(6.66, abs=0.005)
    assert found["per_gpu"]["activation_bytes"] < 4 * GIB


def test_windows_that_are_switched_off_are_lengths_and_their_layers_full(cli: Run) -> None:
    found = fit(cli, "--gpu", "h100", "--", *shlex.split("vllm serve gemma-3-27b --disable-sliding-window"))
    assert found["context_tokens"] == 1024
    # 62 layers, 16 heads of 128, keys and values in half precision; whole blocks, one of them the null block.
    assert found["per_gpu"]["kv_needed_bytes"] == pytest.approx(62 * 1024 * 16 * 128 * 2 * 2, rel=0.03)


def test_what_stops_the_first_start_alone_is_told(cli: Run) -> None:
    """vLLM 0.33, compilation/backends.py: the compiled model is saved before the room for the cache is looked at."""
    call = ("fit", "gemma-2-9b", "--gpu", "4090", "--engine", "vllm", "--max-quant", "none", "--offline", "--format", "json")
    short, long = (json.loads(cli(*call, "--ctx", ctx).stdout) for ctx in ("8k", "5k"))
    assert not short["fits"] and any("a second one finds the compiled model on disk" in note for note in short["notes"])
    assert long["fits"] and not any("compiled model" in note for note in long["notes"])
    # A cache that is given in bytes is what it is at every start.
    told = "vllm serve gemma-2-9b --max-model-len 8192 --kv-cache-memory-bytes 2200000000"
    given = json.loads(cli("fit", "--gpu", "4090", "--offline", "--format", "json", "--", *told.split()).stdout)
    assert not given["fits"] and not any("compiled model" in note for note in given["notes"])
