"""How many GPUs a command's surroundings give it, against what it asks for."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from conftest import Run


@pytest.fixture
def run(cli: Run) -> Run:
    """In this process: each call of its own would cost the start of an interpreter."""
    return cli


DOCKER = "docker run --runtime nvidia {} vllm/vllm-openai:v0.12.0 --model Qwen/Qwen3-8B {}"
COMPOSE = """
services:
  vllm:
    image: vllm/vllm-openai:v0.12.0
    command: --model Qwen/Qwen3-8B {}
    deploy:
      resources:
        reservations:
          devices:
            - driver: nvidia
              {}
              capabilities: [gpu]
"""
POD = """
kind: Pod
spec:
  containers:
    - name: vllm
      image: vllm/vllm-openai:v0.12.0
      args: [--model, Qwen/Qwen3-8B, {}]
      resources:
        limits: {{nvidia.com/gpu: {}}}
"""


@pytest.mark.parametrize(
    ("text", "gpus", "said"),
    [
        (DOCKER.format("--gpus '\"device=0\"'", ""), 1, ""),
        (DOCKER.format("--gpus '\"device=0\"'", "-tp 2"), 0, "leaves it 1 GPU"),
        (DOCKER.format("--gpus '\"device=0,1\"'", "-tp 2"), 2, ""),
        (DOCKER.format("--gpus=1", "-tp 2"), 0, "--gpus 1"),
        (DOCKER.format("--gpus all", "-tp 2"), 2, ""),
        (DOCKER.format("--gpus '\"device=1,2\",capabilities=utility'", "-tp 4"), 0, "leaves it 2 GPUs"),
        (COMPOSE.format("-tp 2", "count: 1"), 0, "count: 1 leaves it 1 GPU"),
        (COMPOSE.format("-tp 2", "count: all"), 2, ""),
        (COMPOSE.format("-tp 2", "device_ids: ['0']"), 0, "leaves it 1 GPU"),
        (POD.format("-tp, '2'", 1), 0, "nvidia.com/gpu: 1 leaves it 1 GPU"),
        (POD.format("-tp, '2'", "'2'"), 2, ""),
    ],
)
def test_a_container_gives_as_many_gpus_as_the_command_runs_on(text: str, gpus: int, said: str, run: Run, tmp_path: Path) -> None:
    place = tmp_path / "command"
    place.write_text(text)
    done = run("fit", "--offline", "--gpu", "4xh100", "--format", "json", "--command-file", str(place))
    if gpus:
        assert done.returncode == 0, done.stderr
        assert json.loads(done.stdout)["gpus"] == gpus
    else:
        assert done.returncode == 2
        assert said in done.stderr
