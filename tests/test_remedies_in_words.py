"""What would make an engine's command fit is said in the engine's words, and holds: each change as it is printed, applied to the command,
is accepted and fits."""

from __future__ import annotations

import json
import re
import shlex

import pytest

from archcalc.commands.flags import table
from archcalc.engines.engine import servers
from conftest import Run

COMMANDS = [
    ("2xh100", "vllm serve llama-3.1-70b --tensor-parallel-size 2"),
    ("1xh100", "vllm serve llama-3.1-70b"),
    ("l4", "vllm serve qwen3-8b --max-model-len 32768"),
    ("l4", "vllm serve qwen3-8b --max-model-len 40960 --gpu-memory-utilization 0.8 --max-num-batched-tokens 16384"),
    ("4xh100", "vllm serve deepseek-v3 -tp 4"),
    ("8xh100", "vllm serve deepseek-v3 -tp 4 -dp 2 --enable-expert-parallel"),
    ("4090", "vllm serve gemma-3-27b --max-model-len 8192"),
    ("2x3090", "vllm serve qwen3-32b -tp 2 --kv-cache-dtype auto --max-model-len 16384"),
    ("1xh100", "python -m sglang.launch_server --model-path llama-3.1-70b"),
    ("8xh100", "python -m sglang.launch_server --model-path deepseek-v3 --tp 8"),
    ("4xh200", "python -m sglang.launch_server --model-path deepseek-v3 --tp 4 --dp 4 --enable-dp-attention"),
    ("l40s", "python -m sglang.launch_server --model-path qwen3-32b --context-length 8192"),
    ("4090", "llama-server -m qwen3-32b-Q8_0.gguf -c 65536 -ngl 99"),
    ("4090", "llama-server -m qwen3-8b-Q8_0.gguf -c 163840 -np 4"),
    ("3060", "llama-server -m qwen3-30b-a3b-Q4_K_M.gguf -c 16384 -ngl 99"),
    ("2x3060", "llama-server -m qwen3-30b-a3b-Q4_K_M.gguf -c 65536 -np 2"),
    ("m4-16gb", "llama-server -m qwen3-14b-Q8_0.gguf -c 16384"),
    ("4090", "ollama run qwen3:32b"),
]
OWN = re.compile(r"--(?:ctx|tp|pp|ep|dp|kv-dtype|utilization|batched-tokens|engine|max-quant)\b(?!-)")
"""Options of `archcalc fit` that are refused beside a command."""
SHORT = {"-tp": "--tensor-parallel-size", "--tp": "--tp-size"}


def fit(cli: Run, gpu: list[str], words: list[str]) -> dict:  # type: ignore[type-arg]
    return json.loads(cli("fit", "--offline", "--format", "json", *gpu, "--", *words).stdout)  # type: ignore[no-any-return]


def applied(words: list[str], flags: list[str]) -> list[str]:
    """The command with the flags in place of what it said."""
    if "=" in flags[0]:
        return [*flags, *words]
    named = {word for word in flags if word.startswith("-") and not word[1:].isdecimal()}
    kept, at = list[str](), 0
    while at < len(words):
        if SHORT.get(words[at], words[at]) in named:
            at += 2
            continue
        kept.append(words[at])
        at += 1
    return [*kept, *flags]


@pytest.mark.parametrize(("gpu", "command"), COMMANDS)
def test_every_remedy_as_it_is_printed_is_accepted_and_fits(gpu: str, command: str, cli: Run) -> None:
    words = shlex.split(command)
    got = fit(cli, ["--gpu", gpu], words)
    assert not got["fits"] and got["would_fit"], got["verdict"]
    for change in got["would_fit"]:
        front, _, behind = change["options"].rpartition(" -- … ")
        if not front and behind.split()[0] in ("--gpu", "--ram", "--quant", "--concurrency"):
            front, behind = behind, ""
        assert not (command.startswith(("vllm", "python")) and OWN.search(change["options"].replace("--tp-size", "")))
        options = shlex.split(front) if front.startswith("--gpu") else ["--gpu", gpu, *shlex.split(front)]
        flags = behind.split()
        then = fit(cli, options, applied(words, flags) if flags else words)
        assert then["fits"], (change, then["verdict"])
        assert then["per_gpu"]["headroom_bytes"] == change["headroom_bytes"]


def test_flags_of_remedies_are_the_engines_own() -> None:
    from archcalc.commands.change import FLAGS

    assert set(FLAGS) <= set(servers())
    for engine, names in FLAGS.items():
        known = table(engine).rows
        assert not [flag for flags in names.values() for flag in flags if flag not in known]
