"""Which plan is chosen for its speed: by the requests that it finishes, whichever command is asked, and what is said of it."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from archcalc.analysis.fit import Ask, Plans, candidate, judge
from archcalc.analysis.speed.forecast import MARGIN, Forecast
from archcalc.analysis.speed.plan import Wanted, of_fit, quickest
from archcalc.analysis.speed.targets import keeps
from archcalc.engines.placement import Placement
from archcalc.hardware import parse_spec
from archcalc.loader import load
from conftest import Run

LOADS = [
    # model, machine, prompt, output, requests at once: long prompts with few tokens behind them, and the other way round
    ("qwen3-32b", "8xh100", 16384, 32, 8),
    ("qwen3-32b", "8xh100", 1024, 1024, 256),
    ("llama-3.1-8b", "8xh100", 16384, 32, 8),
    ("llama-3.1-8b", "4xh200", 128, 2048, 64),
    ("llama-3.1-8b", "4xh200", 4096, 1, 16),
    ("gpt-oss-120b", "4xh100", 8192, 128, 16),
]
SPLITS = [Placement(tp, pp, ep, dp) for tp in (1, 2, 4, 8) for pp in (1, 2, 4, 8) for dp in (1, 2, 4, 8) for ep in (1, tp * dp)]


def forecasts(model: str, gpu: str, isl: int, osl: int, n: int) -> dict[Placement, Forecast]:
    """What is forecast of every split that fits, each judged alone."""
    spec = parse_spec(gpu)
    ask, wanted = Ask(spec, "vllm", isl + osl, n), Wanted(isl, osl)
    architecture = load(model).architecture
    made = candidate(architecture, ask)
    found: dict[Placement, Forecast] = {}
    for p in SPLITS:
        if p.tp * p.pp * p.dp != spec.count or (p.ep > 1 and architecture.facts.moe is None):
            continue
        fit = judge(made, p, ask, isl + osl, n)
        if fit.fits:
            found[p] = of_fit(Plans(made, fit, (), ()), fit, ask, wanted)
    return found


def placed(plan: dict[str, Any]) -> Placement:
    return Placement(plan["tp"], plan["pp"], plan["ep"], plan["dp"])


def asked(cli: Run, *words: str) -> Any:
    return json.loads(cli("fit", *words, "--offline", "--format", "json").stdout)


@pytest.mark.parametrize(("model", "gpu", "isl", "osl", "n"), LOADS)
def test_no_other_split_finishes_more_requests_by_the_margin(
    model: str, gpu: str, isl: int, osl: int, n: int, cli: Run
) -> None:  # fmt: skip
    """A request takes the wait for its first token and as many steps as it has other tokens: the time of one is what n of them share."""
    words = (model, "--gpu", gpu, "--isl", str(isl), "--osl", str(osl), "--concurrency", str(n))
    fit = asked(cli, *words)
    every = forecasts(model, gpu, isl, osl, n)
    rates = {p: made.requests_per_s.value for p, made in every.items() if made.requests_per_s is not None}
    assert rates
    for p, made in every.items():
        if made.tpot is not None and made.ttft is not None and made.begun is None and made.prompts_per_s is not None:
            one = made.ttft.value + (osl - 1) * made.tpot.value
            assert rates[p] == pytest.approx(min(n / one, made.prompts_per_s.value))
    chosen = placed(fit["plan"])
    assert rates[chosen] == pytest.approx(fit["speed"]["requests_per_s"], abs=1e-4)
    assert max(rates.values()) <= MARGIN * rates[chosen] + 1e-9
    # What was compared is said, in the figures that stand on the page.
    assert "requests" in fit["why"]
    assert f"{n:,} at once" in fit["why"]
    said = [float(x) for x in re.findall(r"(?<![\w.,])\d+\.\d+", fit["why"].replace(",", "")) if float(x) != MARGIN]
    assert all(any(x == pytest.approx(rate, rel=0.01) for rate in rates.values()) for x in said)
    for other in fit["runners_up"]:
        if placed(other["plan"]) in rates:
            assert other["requests_per_s"] == pytest.approx(rates[placed(other["plan"])], abs=1e-4)
    fastest = max(rates, key=lambda p: rates[p])
    shown = [chosen, *(placed(other["plan"]) for other in fit["runners_up"])]
    assert any(rates.get(p) == pytest.approx(rates[fastest]) for p in shown)


@pytest.mark.parametrize(
    ("model", "gpu", "isl", "osl", "n", "tpot", "ttft"),
    [
        ("qwen3-32b", "8xh100", 1024, 1024, 32, 0.025, None),
        ("qwen3-32b", "8xh100", 4096, 64, 8, 0.1, 2.0),
        ("llama-3.1-8b", "4xh200", 1024, 256, 64, 0.02, None),
        ("llama-3.1-8b", "4xh200", 8192, 64, 16, None, 3.0),
    ],
)
def test_under_a_target_the_plan_that_keeps_it_finishes_most(
    model: str, gpu: str, isl: int, osl: int, n: int, tpot: float | None, ttft: float | None, cli: Run
) -> None:  # fmt: skip
    words = [model, "--gpu", gpu, "--isl", str(isl), "--osl", str(osl), "--concurrency", str(n)]
    for name, value in (("--tpot", tpot), ("--ttft", ttft)):
        words += [name, f"{1000 * value}ms"] if value is not None else []
    fit = asked(cli, *words)

    def kept(made: Forecast) -> bool:
        if made.tpot is None or made.ttft is None:
            return False
        token, first = keeps(made.tpot.value, made.ttft.high)
        return (tpot is None or token <= tpot) and (ttft is None or first <= ttft)

    rates = {
        p: made.requests_per_s.value
        for p, made in forecasts(model, gpu, isl, osl, n).items()
        if kept(made) and made.requests_per_s is not None
    }
    assert rates and fit["speed"]["target"]["met"]
    assert fit["speed"]["requests_per_s"] == pytest.approx(max(rates.values()), abs=1e-4)
    # compare takes the same, and so does pick of this model.
    row = {r["key"]: r["exact"][0] for r in json.loads(cli("compare", *words, "--format", "json").stdout)["rows"]}
    assert row["requests_per_s"] == fit["speed"]["requests_per_s"]


def test_pick_takes_the_plan_that_keeps_a_target(cli: Run) -> None:
    """The plan that makes most tokens takes 21 ms a token with so many at once; others keep 15 ms."""
    words = "--gpu 8xh100 --isl 1k --osl 1k --concurrency 64 --tpot 15ms --license apache".split()
    best = json.loads(cli("pick", *words, "--format", "json").stdout)["best"]
    fit = asked(cli, best["name"], *words[:-2], "--quant", best["plan"]["quant"])
    assert fit["speed"]["target"]["met"]
    assert placed(best["plan"]) == placed(fit["plan"])
    assert best["requests_per_s"] == fit["speed"]["requests_per_s"]
    assert best["usd_per_million_output_tokens"] == fit["cost"]["usd_per_million_output_tokens"]


def test_pick_names_the_same_where_it_judges_no_more_than_it_names(cli: Run) -> None:
    few, all_ = (
        json.loads(cli("pick", "--gpu", "4090", "--license", "apache", *more, "--format", "json").stdout)
        for more in ((), ("--all",))
    )
    names = [[p["name"] for p in (got["best"], *got["runners_up"])] for got in (few, all_)]
    assert names[0] == names[1][:11]
    assert few["not_judged"] > 0 == all_["not_judged"]


def test_by_speed_forecasts_come_before_bounds(cli: Run) -> None:
    """A bound of a slow card is above what a faster one is forecast to do."""
    machines = "8xmi300x,h100,2x5090,8xh200,mi250x"
    listed = json.loads(cli("fit", "llama-3.1-8b", "--gpu", machines, "--sort", "speed", "--format", "json").stdout)
    made = [(fit["speed"]["decode_tokens_per_s"], fit["speed"]["bound_tokens_per_s"]) for fit in listed]
    assert any(rate is None for rate, _ in made) and any(rate is not None for rate, _ in made)
    assert made == sorted(made, key=lambda of: (of[0] is None, -(of[0] or of[1])))
    page = cli("fit", "llama-3.1-8b", "--gpu", machines, "--sort", "speed").stdout
    assert [("<=" in line) for line in page.splitlines()[1:6]] == [rate is None for rate, _ in made]
    # Of models: those in formats that nothing was measured with are bounds.
    words = ("fit", "--gpu", "h100", "--family", "qwen", "--ctx", "4k", "--sort", "speed", "--format", "csv")
    header, *lines = (line.split(",") for line in cli(*words).stdout.splitlines())
    rows = [dict(zip(header, line, strict=False)) for line in lines]
    rates = [row["tokens_per_s"] for row in rows if row["fits"] == "True"]
    assert rates == sorted(rates, key=lambda rate: -float(rate or 0))


def test_the_order_by_speed_is_of_whole_requests_where_their_lengths_are_asked() -> None:
    speed = json.loads('{"osl": 32, "decode_tokens_per_s": 400.0, "requests_per_s": 2.0, "bound_tokens_per_s": 900.0}')

    class Made:
        def __init__(self, **changed: Any) -> None:
            vars(self).update({**speed, **changed})

    table = [
        (Made(), True, (0.0, -64.0)),
        (Made(), False, (0.0, -400.0)),
        (Made(requests_per_s=None), True, (0.0, -400.0)),
        (Made(requests_per_s=None, decode_tokens_per_s=None), True, (1.0, -900.0)),
        (Made(requests_per_s=None, decode_tokens_per_s=None, bound_tokens_per_s=None), True, (3.0, 0.0)),
    ]
    for made, sized, key in table:
        assert quickest(made, sized) == key  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("words", "cells"),
    [
        # A machine that nobody rents out, one that nothing was measured on, one output token, and one that does not hold the model.
        ("llama-3.1-8b --gpu 2x5090 --concurrency 4", {"usd_per_million_output_tokens": "no price is listed", "ttft_ms": "("}),
        (
            "llama-3.1-8b --gpu 8xmi300x",
            {
                "tpot_ms": "at least ", "tokens_per_s": "at most ", "ttft_ms": "at least ", "requests_per_s": "not forecast",
                "usd_per_million_output_tokens": "not forecast",
            },
        ),
        ("llama-3.1-8b --gpu h100 --osl 1", {"tpot_ms": "one token has no time between two", "requests_per_s": "("}),
        ("llama-3.1-70b --gpu h100 --engine vllm --quant bf16", {"tpot_ms": "does not fit", "requests_per_s": "does not fit"}),
        ("llama-3.1-8b --gpu m5-max-36gb --quant q4_k_m", {"requests_per_s": "first token not forecast", "ttft_ms": "not forecast"}),
    ],
)  # fmt: skip
def test_a_cell_without_a_figure_says_what_is_missing(words: str, cells: dict[str, str], cli: Run) -> None:
    got = json.loads(cli("compare", *words.split(), "--format", "json").stdout)
    rows = {row["key"]: row["values"][0] for row in got["rows"]}
    for key, said in cells.items():
        assert said in rows[key], (key, rows[key])
    if rows["requests_per_s"] == "not forecast":
        assert any("not forecast: " in note for note in got["notes"])


@pytest.mark.parametrize("words", ["llama-3.1-8b --gpu h100 --ctx 11k", "qwen3-32b --gpu 4xh100 --ctx 7k --concurrency 4"])
def test_sequences_are_never_more_than_there_is_room_for(words: str, cli: Run) -> None:
    """40.31 sequences are 40.3, and none is rounded up."""
    fit = asked(cli, *words.split())
    assert fit["max_concurrency"] <= fit["kv_tokens"] / fit["context_tokens"] + 1e-6
    held = fit["max_concurrency"]
    tenths = f"{int(10 * held + 1e-6) / 10:,.1f}"
    page = cli("fit", *words.split()).stdout
    assert f"{tenths} sequences if every one" in " ".join(page.split())
    for other in fit["runners_up"]:
        assert f"{int(10 * other['max_concurrency'] + 1e-6) / 10:,.1f} sequences" in " ".join(page.split())
    swept = json.loads(cli("sweep", *words.split(), "--offline").stdout)
    assert swept["max_concurrency"] == held
    assert f" {tenths} " in cli("sweep", *words.split(), "--format", "table", env={"COLUMNS": "250"}).stdout
    assert f" {tenths} " in cli("fit", *words.split(), "--gpu", "2xmi300x", env={"COLUMNS": "250"}).stdout


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("fit llama-3.1-8b --gpu h100 --tpot 20ms --osl 1", "--osl 1"),
        ("fit llama-3.1-70b --gpu 8xh100 --tpot 2ms", "the nearest, TP 8, comes to"),
        ("fit llama-3.1-8b --gpu 8xh100 --dp 8 --concurrency 3", "5 of 8 replicas have nothing to do with 3 requests at once"),
        ("fit llama-3.1-8b --gpu 8xh100 --dp 8 --concurrency 7", "1 of 8 replicas has nothing to do with 7 requests at once"),
        ("fit llama-3.1-8b --gpu 4090 --quant bf16 --ctx 16k --concurrency 64", "the others wait"),
        (
            "fit --gpu h100 --concurrency 32 -- vllm serve gpt2 --max-num-seqs 16",
            "16 of 32 requests run at once",
        ),
        ("fit llama-3.1-8b qwen3-32b --gpu 2x5090", "no price is listed of 2xrtx-5090"),
    ],
)
def test_what_stands_in_the_way_is_said(words: str, said: str, cli: Run) -> None:
    done = cli(*words.split())
    assert said in " ".join((done.stdout + done.stderr).split())


def test_a_price_reads_alike_everywhere(cli: Run) -> None:
    """Rent over the output tokens of whole requests, in three digits, of the same machine."""
    words = "llama-3.1-8b --gpu 4xh100 --isl 4k --osl 256 --concurrency 16".split()
    fit = asked(cli, *words)
    speed, cost = fit["speed"], fit["cost"]
    dollars = cost["usd_per_hour"] / 3600 / (speed["requests_per_s"] * speed["osl"]) * 1e6
    assert cost["usd_per_million_output_tokens"] == pytest.approx(dollars, rel=1e-3)
    shown = f"{cost['usd_per_million_output_tokens']:.3g}"
    wide = {"COLUMNS": "250"}
    assert f"${shown} a million output tokens" in " ".join(cli("fit", *words, env=wide).stdout.split())
    assert f" {shown} " in cli("fit", *words, "--gpu", "8xh100", env=wide).stdout
    assert f" {shown} " in cli("sweep", *words, "--format", "table", env=wide).stdout
    assert f" {shown} (" in cli("compare", *words, env=wide).stdout
    for command in ("fit", "sweep"):
        assert cost["of"] in cli(command, *words, "--format", "csv", "--offline").stdout
