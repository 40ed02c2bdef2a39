"""Whole requests: no more of them a second than prompts are read, and none where the wait for the first token is not forecast."""

from __future__ import annotations

import json

import pytest

from conftest import Run


@pytest.mark.parametrize("osl", [1, 2, 16, 256])
@pytest.mark.parametrize("n", [1, 4, 16, 48])
@pytest.mark.parametrize(
    ("model", "machine"),
    [
        ("llama-3.1-8b", "--gpu h100"),
        ("llama-3.1-8b", "--gpu 2xh100 --dp 2"),
        ("llama-3.1-8b", "--gpu 4090 --quant q4_k_m --engine llama.cpp"),
        ("qwen3-30b-a3b", "--gpu 2xh100 --tp 2 --engine sglang"),
    ],
)
def test_requests_are_no_faster_than_their_prompts_are_read(model: str, machine: str, n: int, osl: int, cli: Run) -> None:
    words = [*machine.split(), "--isl", "4k", "--osl", str(osl), "--concurrency", str(n), "--offline", "--format", "json"]
    got = json.loads(cli("fit", model, *words).stdout)
    s, c = got["speed"], got["cost"]
    if s["requests_per_s"] is None:
        assert not got["fits"] or s["why"]
        return
    replicas = 2 if "--dp 2" in machine else 1
    for end, tokens in (("", "prefill_tokens_per_s"), ("_low", "prefill_tokens_per_s_low"), ("_high", "prefill_tokens_per_s_high")):
        assert s[f"requests_per_s{end}"] * s["isl"] <= 1.001 * replicas * s[tokens]
    # The matrix units' floor under a prompt is one of a request: at most so many end in a second.
    assert s["requests_per_s_high"] <= 1.001 * replicas * 1000 / s["prefill_ms_floor"]
    if osl == 1:
        # Little 1961: requests at once = requests a second x seconds of one, which is that of its first token.
        assert s["tpot_ms"] is None and s["requests_per_s"] * s["ttft_ms"] / 1000 == pytest.approx(n, rel=0.01)
    if c:
        assert c["usd_per_million_output_tokens"] == pytest.approx(
            1e6 * c["usd_per_hour"] / 3600 / s["requests_per_s"] / osl, rel=0.01
        )
        if replicas == 1:
            # A request costs its prompt at least.
            assert c["usd_per_million_output_tokens"] * osl >= 0.99 * c["usd_per_million_input_tokens"] * s["isl"]


def test_commands_agree_on_requests_of_one_token(cli: Run) -> None:
    words = ["--isl", "8k", "--osl", "1", "--concurrency", "16", "--offline", "--format", "json"]
    fit = json.loads(cli("fit", "llama-3.1-8b", "--gpu", "h100", *words).stdout)
    row = json.loads(cli("sweep", "llama-3.1-8b", "--gpu", "h100", *words).stdout)[0]
    assert row["usd_per_million_output_tokens"] == fit["cost"]["usd_per_million_output_tokens"]
    assert row["tpot_ms"] is None and row["ttft_ms"] == fit["speed"]["ttft_ms"]
    assert row["tokens_per_s"] == pytest.approx(fit["speed"]["requests_per_s"], rel=0.02)
    refused = cli("plot", "cost", "llama-3.1-8b", "--gpu", "h100", "--isl", "8k", "--osl", "1", "--offline")
    assert refused.returncode != 0 and "no time between two" in refused.stderr


@pytest.mark.parametrize(
    "words",
    [
        "--gpu h100 --max-num-batched-tokens 512",
        "--gpu m5-max --engine llama.cpp --quant q4_k_m",
        "--gpu m5-max --engine mlx --quant mlx-int4",
    ],
)
def test_without_a_first_token_no_request_is_timed_or_priced(words: str, cli: Run) -> None:
    asked = ("fit", "llama-3.1-8b", *words.split(), "--isl", "4k", "--osl", "16", "--concurrency", "1", "--offline")
    got = json.loads(cli(*asked, "--format", "json").stdout)
    assert got["speed"]["tpot_ms"] and got["speed"]["ttft_ms"] is None and got["speed"]["requests_per_s"] is None
    assert got["cost"] is None or got["cost"]["usd_per_million_output_tokens"] is None
    text = cli(*asked).stdout
    assert "their prompts included" not in text and "each begun when" not in text
