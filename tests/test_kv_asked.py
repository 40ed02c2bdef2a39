"""`archcalc kv` of an engine's own command counts what the command sets, and of its options what the engine takes."""

from __future__ import annotations

import json

import pytest

from conftest import Run

LLAMA = ("llama-server", "-m", "qwen3-8b", "-c", "32768")
VLLM = ("vllm", "serve", "Qwen/Qwen3-8B")
TOKEN = 36 * 8 * 128
"""Elements of keys, and as many of values, that Qwen3 8B keeps of a token."""


@pytest.mark.parametrize(
    ("words", "size"),
    [
        # Rows of 32 elements take 34 bytes in Q8_0 (ggml-common.h `block_q8_0`).
        ((*LLAMA, "-ctk", "q8_0"), 32768 * (TOKEN * 34 // 32 + TOKEN * 2)),
        ((*LLAMA, "-ctv", "q8_0"), 32768 * (TOKEN * 34 // 32 + TOKEN * 2)),
        ((*LLAMA, "-ctk", "q8_0", "-ctv", "q8_0"), 32768 * TOKEN * 2 * 34 // 32),
        # The cache follows the model's dtype (vLLM, config/cache.py `cache_dtype` auto).
        ((*VLLM, "--max-model-len", "32768", "--dtype", "float32"), 32768 * TOKEN * 2 * 4),
        # Without groups sliding layers keep all tokens: 62 layers of 16 heads of 128.
        (
            ("vllm", "serve", "google/gemma-3-27b-it", "--max-model-len", "32768", "--disable-hybrid-kv-cache-manager"),
            32768 * 62 * 16 * 128 * 2 * 2,
        ),
    ],
)
def test_what_a_command_sets_is_counted(cli: Run, words: tuple[str, ...], size: int) -> None:
    made = cli("kv", "--offline", "--format", "json", "--", *words)
    assert json.loads(made.stdout)["bytes"] == size, made.stderr


@pytest.mark.parametrize(
    ("arguments", "says", "then"),
    [
        (("--engine", "vllm", "--block-size", "7"), "no attention backend with such blocks", "a multiple of 16"),
        (("--engine", "vllm", "--block-size", "7", "--engine-version", "0.10.0"), "takes 1, 8, 16, 32, 64, 128, 256", "name one"),
        (("--engine", "llama.cpp", "--np", "300"), "up to 256 sequences", "--np 256"),
        (("--engine", "llama.cpp", "--batch", "257", "--ctx", "1k"), "up to 256 sequences", "--np 256"),
        (("--engine", "vllm", "--pp", "64"), "--pp 64", "36 at most"),
        (("--", *VLLM, "--kv-cache-dtype", "turboquant_k8v4"), "is not modelled", "counted are auto"),
        (("--", *VLLM, "--block-size", "7"), "no attention backend with such blocks", "a multiple of 16"),
        (
            ("--", *VLLM, "--num-gpu-blocks-override", "100"),
            "2,561 blocks, and 100 are asked for",
            "--num-gpu-blocks-override 2561",
        ),
        (("--", *LLAMA, "-ctv", "q8_0", "-fa", "off"), "values in q8_0 need flash attention", "f16"),
    ],
)
def test_what_the_engine_refuses_is_refused(cli: Run, arguments: tuple[str, ...], says: str, then: str) -> None:
    source = () if "--" in arguments else ("qwen3-8b",)
    made = cli("kv", "--offline", *source, *arguments)
    assert (made.returncode, made.stdout) == (2, "")
    message, _, hint = made.stderr.partition("\n")
    assert says in message
    assert then in hint


@pytest.mark.parametrize(
    ("arguments", "note"),
    [
        (
            ("qwen3-8b", "--ctx", "32k", "--engine", "llama.cpp", "--np", "8", "--batch", "2"),
            "a sequence has 8,192 tokens, not 32,768",
        ),
        (("qwen3-8b", "--ctx", "32k", "--engine", "llama.cpp", "--np", "2", "--batch", "8"), "2 of the 8 sequences run at once"),
        (("--engine-version", "0.10.2", "--", *VLLM, "--num-gpu-blocks-override", "100"), "starts, and serves none so long"),
        (("--", "mlx_lm.server", "--model", "qwen3-8b", "--kv-bits", "3"), "not taken into account: --kv-bits"),
    ],
)
def test_what_is_served_otherwise_is_told(cli: Run, arguments: tuple[str, ...], note: str) -> None:
    made = cli("kv", "--offline", "--format", "json", *arguments)
    assert any(note in each for each in json.loads(made.stdout)["notes"]), made.stdout


def test_a_cache_that_is_not_split_says_so(cli: Run) -> None:
    rows = cli("kv", "qwen3-8b", "--ctx", "32k", "--tp", "2", "--offline", "--format", "csv").stdout.splitlines()
    ranks = {row.split(",")[2]: row.split(",")[4] for row in rows[1:]}
    split = {"textbook": "1", "vllm": "2", "sglang": "2", "llama.cpp": "1", "transformers": "1", "mlx": "1"}
    assert {name: ranks[name] for name in split} == split
    text = " ".join(cli("kv", "qwen3-8b", "--ctx", "32k", "--tp", "2", "--offline").stdout.split())
    assert (text.count("the whole cache, not split"), text.count("on each of 2 GPUs")) == (4, 2)
