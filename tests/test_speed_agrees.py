"""One forecast, whichever command is asked: fit, compare, sweep, pick, and the points of a Pareto chart."""

from __future__ import annotations

import json
from typing import Any

import pytest

from archcalc.analysis import charts
from archcalc.analysis.fit import Ask
from archcalc.analysis.speed.plan import Wanted
from archcalc.hardware import parse_spec
from archcalc.loader import load
from conftest import Run

ISL, OSL = 1024, 1024
POINTS = [
    # model, machine, engine, options, requests at once
    ("llama-3.1-8b", "h100", "vllm", "", 1),
    ("llama-3.1-8b", "h100", "vllm", "", 64),
    ("llama-3.1-8b", "h100", "sglang", "", 16),
    ("llama-3.1-8b", "4xh100", "vllm", "--tp 2 --dp 2", 32),
    ("llama-3.1-8b", "2xa100-sxm4-80gb", "vllm", "--tp 2", 8),
    ("qwen3-32b", "2xh200", "vllm", "--quant fp8 --tp 2", 16),
    ("qwen3-30b-a3b", "h200", "vllm", "", 32),
    ("deepseek-r1", "8xb200", "sglang", "--tp 8", 64),
    ("deepseek-r1", "8xb200", "vllm", "--dp 8 --ep 8", 128),
    ("gpt-oss-120b", "h100", "vllm", "", 32),
    ("llama-3.1-8b", "4090", "llama.cpp", "--quant q4_k_m", 1),
    ("llama-3.1-8b", "4090", "llama.cpp", "--quant q4_k_m", 8),
    ("qwen3-30b-a3b", "strix-halo", "llama.cpp", "--quant q4_k_m", 1),
    ("llama-3.1-8b", "m4-max-64gb", "mlx", "--quant mlx-int4", 1),
    # Of what is not forecast all say the same, too.
    ("llama-3.1-8b", "mi300x", "vllm", "", 16),
    ("llama-3.1-8b", "b580", "llama.cpp", "--quant q4_k_m", 1),
]
NAMES = ("tp", "pp", "ep", "dp", "quant")


@pytest.mark.parametrize(("model", "gpu", "engine", "options", "n"), POINTS)
def test_every_command_says_the_same_of_one_plan(model: str, gpu: str, engine: str, options: str, n: int, cli: Run) -> None:
    words = f"{model} --gpu {gpu} --engine {engine} {options} --isl {ISL} --osl {OSL} --concurrency {n} --offline".split()

    def asked(command: str, *more: str) -> Any:
        return json.loads(cli(command, *words, *more, "--format", "json").stdout)

    fit = asked("fit")
    speed, dollars = fit["speed"], (fit["cost"] or {}).get("usd_per_million_output_tokens")
    assert fit["fits"] and speed["concurrency"] == n
    said = (speed["tpot_ms"], speed["ttft_ms"], dollars)
    swept = json.loads(cli("sweep", *words).stdout)
    assert (swept["tpot_ms"], swept["ttft_ms"], swept["usd_per_million_output_tokens"]) == said
    assert (swept["tpot_ms_low"], swept["tpot_ms_high"], swept["tokens_per_s"], swept["bound_tokens_per_s"]) == (
        speed["tpot_ms_low"], speed["tpot_ms_high"], speed["decode_tokens_per_s"], speed["bound_tokens_per_s"],
    )  # fmt: skip
    # compare chooses the split.
    told = {} if "--tp" in options or "--dp" in options else {row["key"]: row["exact"][0] for row in asked("compare")["rows"]}
    assert not told or tuple(told.get(key) for key in ("tpot_ms", "ttft_ms", "usd_per_million_output_tokens")) == said
    # The same plan is among the points of a chart, and of them alone which fit.
    given = dict(zip(options.split()[::2], options.split()[1::2], strict=True))
    values: dict[str, Any] = {k[2:]: v if k == "--quant" else int(v) for k, v in given.items()}
    ask = Ask(parse_spec(gpu), engine, fit["context_tokens"], **values)
    made, why = charts.points(load(model), ask, Wanted(ISL, OSL))
    if speed["tpot_ms"] is None:
        assert not made and why == speed["why"]
        return
    at = [p for p in made if p.concurrency == n]
    # The output of whole requests, which the price is of too.
    rate, count = speed["requests_per_s"] * OSL, fit["gpus"]
    assert dollars is None or dollars == pytest.approx(fit["cost"]["usd_per_hour"] / 3600 * 1e6 / rate, rel=1e-3)
    assert swept["requests_per_s"] == speed["requests_per_s"] and told.get("requests_per_s", rate / OSL) == rate / OSL
    assert any(
        p.gpu * count == pytest.approx(rate, rel=1e-3) and 1000 / p.user == pytest.approx(speed["tpot_ms"], rel=1e-3) for p in at
    )


@pytest.mark.parametrize(("gpu", "engine", "n"), [("h100", "vllm", 16), ("4090", "llama.cpp", 1), ("8xb200", "sglang", 64)])
def test_a_pick_says_what_fit_says_of_its_plan(gpu: str, engine: str, n: int, cli: Run) -> None:
    load_ = f"--gpu {gpu} --engine {engine} --isl {ISL} --osl {OSL} --concurrency {n} --offline --format json".split()
    picked = json.loads(cli("pick", *load_).stdout)
    for one in [picked["best"], *picked["runners_up"][:2]]:
        split = [word for name in NAMES[:4] for word in (f"--{name}", str(one["plan"][name]))]
        got = json.loads(cli("fit", one["name"], *load_, "--ctx", str(one["context_tokens"]), *split, *_stored(one)).stdout)
        speed = got["speed"]
        assert (one["tpot_ms"], one["tokens_per_s"]) == (speed["tpot_ms"], speed["decode_tokens_per_s"]), one["name"]
        assert (one["requests_per_s"], one["max_concurrency"]) == (speed["requests_per_s"], got["max_concurrency"])
        assert (one["usd_per_hour"], one["usd_per_million_output_tokens"], one["price_of"]) == (
            got["cost"]["usd_per_hour"], got["cost"]["usd_per_million_output_tokens"], got["cost"]["of"],
        )  # fmt: skip


def _stored(one: Any) -> list[str]:
    """What is no storage to ask for is the checkpoint's own."""
    quant, own = one["plan"]["quant"], load(one["name"], offline=True).architecture.quantization
    if own is not None and own.get("quant_method") == quant:
        return []
    return ["--quant", quant] if quant in ("fp8", "w4a16", "bf16") or quant.startswith("q") else []


@pytest.mark.parametrize(
    ("model", "gpu", "engine"),
    [("llama-3.1-8b", "h100", "vllm"), ("llama-3.1-8b", "4090", "llama.cpp"), ("qwen3-30b-a3b", "2xh100", "sglang")],
)
def test_the_ends_of_a_front_are_plans_that_fit_and_no_larger_one_does(model: str, gpu: str, engine: str, cli: Run) -> None:
    """The most requests that fit lie between two steps of a chart, and are its top: `fit` says the same of them."""
    quant = "q4_k_m" if engine == "llama.cpp" else None
    made, _ = charts.points(load(model), Ask(parse_spec(gpu), engine, ISL + OSL, quant=quant), Wanted(ISL, OSL))
    most = max(p.concurrency for p in made)
    words = f"fit {model} --gpu {gpu} --engine {engine} --isl {ISL} --osl {OSL} --ctx {ISL + OSL} --offline --format json".split()
    words += ["--quant", quant] if quant else []
    top, beyond = (json.loads(cli(*words, "--concurrency", str(n)).stdout) for n in (most, most + 1))
    assert top["fits"] and not (beyond["fits"] and beyond["speed"]["basis"] == "fitted")
    rates = [p.gpu * top["gpus"] for p in made if p.concurrency == most]
    assert any(rate == pytest.approx(top["speed"]["requests_per_s"] * OSL, rel=1e-3) for rate in rates)
