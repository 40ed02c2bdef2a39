"""The free choice and its blocks: what a forced split can, the free one can, and every command that is printed holds its own row."""

from __future__ import annotations

import json
import shlex
from typing import Any

import pytest

from conftest import Run


def _fit(cli: Run, *words: str) -> dict[str, Any]:
    done = cli("fit", "--offline", "--format", "json", *words)
    assert done.returncode in (0, 1), done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


@pytest.mark.parametrize(
    ("model", "gpu", "engine"),
    [
        ("qwen3-vl-8b", "4090", "sglang"), ("qwen2.5-vl-7b", "4090", "sglang"), ("qwen3-vl-4b", "rtx-3060-12gb", "sglang"),
        ("muse-glimmer-30b", "4090", "vllm"), ("gemma-3-27b", "5090", "vllm"), ("qwen3-14b", "3060", "llama.cpp"),
        ("gpt-oss-20b", "4080", "llama.cpp"), ("qwen3-8b", "3060", "transformers"), ("llama-3.1-8b", "4080", "vllm"),
    ],
)  # fmt: skip
def test_every_command_of_the_formats_holds_its_row(cli: Run, model: str, gpu: str, engine: str) -> None:
    found = _fit(cli, model, "--gpu", gpu, "--engine", engine)
    rows = [row for row in found["formats"] if row["command"]]
    assert rows or not found["formats"]
    for row in rows:
        words = shlex.split(row["command"])
        if row["engine"] == "transformers" or words[0] not in ("vllm", "python", "llama-server"):
            continue
        # What stands in angle brackets, or is a file to be made, is the model in this storage.
        put = [model if (word.startswith("<") and word.endswith(">")) or word.endswith(".gguf") else word for word in words]
        quant = () if row["as_published"] and row["engine"] != "llama.cpp" else ("--quant", row["quant"])
        again = _fit(cli, "--gpu", gpu, *(quant if "--quantization" not in words else ()), "--", *put)
        assert again["fits"], row
        assert again["per_gpu"]["headroom_bytes"] == row["headroom_bytes"], row
        assert again["context_tokens"] == row["context_tokens"], row


@pytest.mark.parametrize(
    ("model", "gpu", "engine", "forced"),
    [
        ("deepseek-v3", "4xgb200", "sglang", ["--tp 4", "--pp 4", "--tp 2", "--tp 4 --ep 4"]),
        ("llama-3.1-70b", "2xh100", "sglang", ["--tp 2", "--pp 2"]),
        ("llama-3.1-70b", "4xa100-40gb", "vllm", ["--tp 4", "--pp 4", "--tp 2"]),
        ("mixtral-8x22b", "4xa100-80gb", "vllm", ["--tp 4", "--pp 4", "--tp 4 --ep 4"]),
        ("gpt-oss-120b", "2xl40s", "sglang", ["--tp 2", "--pp 2", "--tp 2 --ep 2"]),
        ("qwen3-235b-a22b", "8xa100-80gb", "sglang", ["--tp 8", "--pp 8", "--tp 4", "--tp 8 --ep 8"]),
        ("minimax-m3", "8xh200", "vllm", ["--tp 8", "--tp 4", "--tp 8 --ep 8"]),
    ],
)  # fmt: skip
def test_a_forced_split_never_holds_what_the_free_choice_does_not(
    cli: Run, model: str, gpu: str, engine: str, forced: list[str]
) -> None:
    asked = (model, "--gpu", gpu, "--engine", engine)
    free = _fit(cli, *asked)
    for split in forced:
        done = cli("fit", "--offline", "--format", "json", *asked, *split.split())
        if done.returncode == 2:
            continue
        found = json.loads(done.stdout)
        assert free["fits"] or not found["fits"], split
        assert not found["fits"] or found["context_tokens"] <= free["context_tokens"], split
