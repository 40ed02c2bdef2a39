"""What pages say of speed: targets against plans for a named number, bounds of requests, what is not forecast, and narrow pages."""

from __future__ import annotations

import json
import re

import pytest

import archcalc
from archcalc.errors import UsageError
from conftest import Run


def _fit(cli: Run, words: str) -> dict[str, object]:
    return json.loads(cli("fit", *words.split(), "--offline", "--format", "json").stdout)  # type: ignore[no-any-return]


@pytest.mark.parametrize(
    "words",
    [
        "qwen3-0.6b --gpu l4 --ctx 8k --isl 128 --osl 128 --ttft 1s",
        "llama-3.1-8b --gpu h100 --ctx 32k --tpot 40ms",
        "llama-3.1-8b --gpu 4090 --ctx 4k --tpot 200ms",
    ],
)
def test_no_plan_for_one_request_more_keeps_a_target(words: str, cli: Run) -> None:
    """The most requests that keep a target are the most of which a plan for a named number keeps it."""
    made = _fit(cli, words)
    assert made["speed"]["target"]["met"]  # type: ignore[index]
    most = made["concurrency"]
    assert isinstance(most, int)
    same, more = (_fit(cli, f"{words} --engine vllm --quant bf16 --concurrency {n}") for n in (most, most + 1))
    assert same["command"] == made["command"]
    assert not more["fits"] or not more["speed"]["target"]["met"]  # type: ignore[index]


@pytest.mark.parametrize(
    ("split", "said"), [("", "256 run at once so, and"), ("--dp 8", "256 run at once so in each of 8 replicas")]
)
def test_fewer_sequences_are_those_of_a_replica(split: str, said: str, cli: Run) -> None:
    """vLLM counts --max-num-seqs for each engine core, of which every replica has one (0.33, v1/core/sched/scheduler.py)."""
    words = (
        "kimi-linear-48b-a3b --gpu 8xh200 --concurrency 781 --dp 8"
        if split
        else "llama-3.1-8b --gpu h100 --ctx 32k --concurrency 14"
    )
    assert any(said in note for note in _fit(cli, words)["notes"])  # type: ignore[attr-defined]


@pytest.mark.parametrize("n", [8, 16])
def test_a_bound_of_requests_is_above_their_forecast_with_a_shorter_context(n: int, cli: Run) -> None:
    long, short = (_fit(cli, f"llama-3.1-8b --gpu 4090 --ctx {ctx} --concurrency {n}")["speed"] for ctx in ("32k", "4k"))
    assert short["decode_tokens_per_s"] <= long["bound_tokens_per_s"]  # type: ignore[index]
    exact = _fit(cli, f"llama-3.1-8b --gpu 4090 --ctx 32k --isl 31k --osl 1k --concurrency {n}")["speed"]
    assert exact["bound_tokens_per_s"] < long["bound_tokens_per_s"]  # type: ignore[index]


def test_a_first_token_that_nothing_forecasts_is_no_miss(cli: Run) -> None:
    """No matrix rate of the M5 is published: a larger target changes nothing."""
    made = json.loads(
        cli("pick", "--gpu", "m5-max", "--ttft", "1000s", "--family", "gemma", "--offline", "--format", "json").stdout
    )
    assert made["best"] is None and "whose forecast misses the target" not in made["left_out"]
    assert any("leave --ttft out" in note for note in made["notes"]) and not any("larger --tpot" in note for note in made["notes"])


def test_what_is_held_is_not_rounded_up(cli: Run) -> None:
    words = "gemma-3-27b --gpu mi300x --quant q8_0 --ctx 8k --concurrency 64"
    held = _fit(cli, words)["kv_tokens"]
    assert isinstance(held, int)
    shown = re.search(r"([\d.]+) sequences if", " ".join(cli("fit", *words.split(), "--offline").stdout.split()))
    assert shown and float(shown[1]) <= held / 8192


def test_a_plan_that_fits_and_is_not_forecast_is_named(cli: Run) -> None:
    why = _fit(cli, "deepseek-v3 --gpu 16xh100 --tpot 45ms --concurrency 60")["speed"]["target"]["why"]  # type: ignore[index]
    assert "is forecast to keep it" in why and "DP" in why and "nothing is forecast of it" in why


@pytest.mark.parametrize("words", ["llama-3.1-70b --gpu dgx-spark", "llama-3.1-8b --gpu h100", "llama-3.1-8b --gpu 4090"])
def test_no_end_of_an_interval_is_above_the_bound(words: str, cli: Run) -> None:
    s = _fit(cli, words)["speed"]
    assert s["decode_tokens_per_s_high"] <= s["bound_tokens_per_s"]  # type: ignore[index]


@pytest.mark.parametrize("engine", ["vllm", "sglang", "llama.cpp"])
def test_a_prompt_of_the_whole_context_is_read_alone(engine: str, cli: Run) -> None:
    """`llama-bench -p 4096` has a context of as many (llama.cpp 0c1e57098, tools/llama-bench/llama-bench.cpp `to_llama_cparams`)."""
    made = _fit(cli, f"llama-2-7b --gpu h100 --engine {engine} --isl 4096 --osl 1")
    assert made["context_tokens"] == 4096 and any("a server refuses such a request" in note for note in made["notes"])  # type: ignore[attr-defined]
    assert cli("fit", "llama-2-7b", "--gpu", "h100", "--isl", "4096", "--osl", "2", "--offline").returncode != 0


@pytest.mark.parametrize("name", ["vLLM", "SGLang", "VLLM"])
def test_engines_are_named_in_any_case(name: str, cli: Run) -> None:
    assert _fit(cli, f"llama-3.1-8b --gpu h100 --engine {name}")["engine"] == name.lower()
    assert archcalc.fit("llama-3.1-8b", gpu="h100", engine=name, offline=True).engine == name.lower()
    assert archcalc.sweep("llama-3.1-8b", gpu="h100", engine=name)[0]["engine"] == name.lower()


def test_python_is_answered_in_its_own_words() -> None:
    with pytest.raises(UsageError) as engine:
        archcalc.fit("llama-3.1-8b", gpu="h100", engine="nosuch", offline=True)
    assert "--engine" not in str(engine.value) and "engine=nosuch" in str(engine.value)
    with pytest.raises(UsageError) as models:
        archcalc.sweep([], gpu="h100")
    assert "4k" not in str(models.value) and "llama" in str(models.value)


@pytest.mark.parametrize("width", [20, 40, 70])
@pytest.mark.parametrize(
    "words",
    [
        "fit llama-3.1-8b --gpu h100", "fit llama-3.1-8b --gpu 4090 --ctx 32k --concurrency 16", "fit llama-3.1-70b --gpu dgx-spark",
        "inspect llama-3.1-8b", "kv llama-3.1-8b", "compare llama-3.1-8b qwen3-8b",
    ],
)  # fmt: skip
def test_a_narrow_page_has_every_figure_of_a_wide_one(words: str, width: int, cli: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def figures(columns: int) -> set[str]:
        monkeypatch.setenv("COLUMNS", str(columns))
        return set(re.findall(r"\S*\d\S*", cli(*words.split(), "--offline").stdout))

    assert not figures(400) - figures(width)
