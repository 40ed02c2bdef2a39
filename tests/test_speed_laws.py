"""Laws of every answer about speed, whatever is asked: bounds are bounds, and no rate is printed of what does not run."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from archcalc.analysis.fit import Ask, Plans, candidate, plans
from archcalc.analysis.speed.forecast import bound_tokens_per_s, floor_s
from archcalc.analysis.speed.plan import Wanted, of_fit, work_of
from archcalc.analysis.speed.terms import Load
from archcalc.engines.engine import server
from archcalc.errors import ArchcalcError
from archcalc.hardware import parse_spec
from archcalc.loader import load
from conftest import Run

DATA = Path(__file__).parent / "data"
MACHINES = "h100 8xh200 8xb200 2xa100-sxm4-80gb 4090 2x3090 l40s gb10-dgx-spark strix-halo mi300x m4-max-128gb apple-m5-max b580 t4".split()
MODELS = "llama-3.1-8b qwen3-0.6b qwen3-30b-a3b deepseek-r1 gpt-oss-20b gemma-3-4b qwen3-next-80b-a3b glm-4.5-air".split()
STORED = {"vllm": (None, "fp8", "w4a16"), "sglang": (None, "fp8"), "llama.cpp": ("q4_k_m", "q8_0"), "mlx": ("mlx-int4",)}


@cache
def _candidate(model: str, gpu: str, engine: str, quant: str | None) -> Any:
    ask = Ask(parse_spec(gpu), engine, quant=quant)
    try:
        return load(model).architecture, candidate(load(model).architecture, ask)
    except ArchcalcError:
        return None


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.filter_too_much])
@given(st.data())
def test_a_forecast_keeps_its_bounds_and_what_does_not_run_has_none(data: st.DataObject) -> None:
    draw = data.draw
    engine = draw(st.sampled_from(sorted(STORED)))
    gpu, model = draw(st.sampled_from(MACHINES)), draw(st.sampled_from(MODELS))
    quant = draw(st.sampled_from(STORED[engine]))
    held = _candidate(model, gpu, engine, quant)
    if held is None:
        return
    isl, osl = draw(st.integers(1, 6000)), draw(st.integers(1, 2000))
    n = draw(st.sampled_from((1, 2, 8, 64, 300, 1024, 5000)))
    wanted = Wanted(isl, osl)
    ask = Ask(parse_spec(gpu), engine, wanted.context(), n, quant=quant)
    try:
        found: Plans = plans(held[0], ask, alternatives=0, model=held[1])
    except ArchcalcError:
        return
    fit = found.best
    made = of_fit(found, fit, ask._replace(sequences=found.sequences), wanted)
    rate, bound = made.tokens_per_s, made.bound_tokens_per_s
    assert made.load.concurrency == n
    if rate is not None:
        assert bound is not None and rate.low <= rate.value <= rate.high <= bound * (1 + 1e-9)
        assert made.ttft is None or made.ttft.low <= made.ttft.value <= made.ttft.high
    if made.prompt_tokens_per_s is not None and made.floor_s:
        assert isl / made.prompt_tokens_per_s.high >= made.floor_s * (1 - 1e-9)
    if not fit.fits:
        # A server that starts and makes requests wait has a bound, of those that run.
        assert rate is None and made.prompt_tokens_per_s is None and made.ttft is None
        assert bound is None or ("at once" in (made.why or "") and fit.start.starts and fit.max_concurrency >= 1)
    limit = server(engine).at_once(ask._replace(sequences=found.sequences), fit, isl + osl)
    if int(fit.max_concurrency) < n and server(engine).torch and fit.kv_needed_bytes > fit.budget.kv_room_bytes:
        assert rate is None
    if limit is not None and limit[0] < n:
        assert rate is None
    if rate is None:
        assert made.why


@pytest.mark.parametrize("name", ["speed_rows", "speed_batched", "speed_ubatch"])
def test_no_row_of_the_project_s_data_beats_a_bound(name: str) -> None:
    seen = 0
    for line in (DATA / f"{name}.jsonl").read_text().splitlines():
        r = json.loads(line)
        if "/" in r["model"]:
            continue
        count = r.get("gpus") or 1
        spec = parse_spec(f"{count}x{r['device']}" if count > 1 else r["device"])
        engine = r.get("engine", "llama.cpp")
        ask = Ask(spec, engine if engine in ("llama.cpp", "vllm") else "llama.cpp", 8192, quant=r["quant"], tp=r.get("tp"))
        try:
            found = plans(load(r["model"]).architecture, ask, alternatives=0)
        except ArchcalcError:
            continue
        work, n = work_of(found, found.best), r.get("at_once") or r.get("concurrency") or 1
        if "tokens_per_s" in r or r.get("phase") == "decode":
            value = r.get("tokens_per_s") or r["value"]
            rate = 1000 * n / value if r.get("metric") == "tpot ms" else value
            most = bound_tokens_per_s(work, spec.device, Load(max(1, r["isl"]), 1, n))
            assert most is None or rate <= most, r
        else:
            least = floor_s(work, spec.device, engine, r["isl"])
            assert least is None or r["isl"] / r["value"] >= least, r
        seen += 1
    assert seen > 5


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("llama-3.1-405b --gpu 4090", "does not fit"),
        ("llama-3.1-405b --gpu 8xh100 --engine sglang", "does not fit"),
        ("llama-3.1-70b --gpu m4-max-64gb --engine mlx --quant mlx-int8", "does not fit"),
        ("llama-3.1-8b --gpu h100 --isl 8k --osl 1k --concurrency 200", "the cache has room for"),
        ("llama-3.1-8b --gpu h100 --engine sglang --isl 8k --osl 1k --concurrency 200", "the cache has room for"),
        ("llama-3.1-8b --gpu 4090 --engine llama.cpp --quant q4_k_m --isl 8k --osl 1k --concurrency 64", "does not fit"),
    ],
)
def test_what_does_not_run_at_once_has_no_rate_in_any_form(words: str, said: str, cli: Run) -> None:
    got = json.loads(cli("fit", *words.split(), "--format", "json", "--offline").stdout)
    speed = got["speed"]
    assert not got["fits"] and said in speed["why"] and speed["basis"] == "bound"
    assert not any(value for key, value in speed.items() if key.endswith(("_ms", "_low", "_high", "_per_s")) and "bound" not in key)
    assert got["cost"] is None or got["cost"]["usd_per_million_output_tokens"] is None
    assert said != "does not fit" or speed["bound_tokens_per_s"] is None
    page = cli("fit", *words.split(), "--offline").stdout
    assert "tokens/s each" not in page and "in all" not in page.splitlines()
    row = json.loads(cli("sweep", *words.split(), "--offline").stdout)
    assert row["tokens_per_s"] is None and row["tpot_ms"] is None and row["usd_per_million_output_tokens"] is None
