"""Which of two is faster: devices, loads and models that are as good in everything are not forecast slower."""

from __future__ import annotations

from functools import cache
from itertools import pairwise

import pytest

from archcalc.analysis.fit import Ask, candidate
from archcalc.analysis.speed.coefficients import CARDS, GENERATIONS, device_class, fitted, within
from archcalc.analysis.speed.forecast import Forecast, Interval, forecast
from archcalc.analysis.speed.rates import peak
from archcalc.analysis.speed.terms import SERVED, Load
from archcalc.analysis.speed.work import Work, work
from archcalc.engines.placement import Placement, rank_weights
from archcalc.hardware import Device, devices, parse_spec
from archcalc.loader import load

STORED = {"vllm": "w4a16", "sglang": "fp8", "tensorrt-llm": None, "llama.cpp": "q4_k_m", "mlx": "mlx-int4"}
MODELS = "llama-3.1-8b qwen3-0.6b qwen3-30b-a3b deepseek-v2-lite gpt-oss-20b qwen3-next-80b-a3b".split()
LOADS = Load(128, 128), Load(1024, 1024), Load(8192, 512, 4), Load(1024, 1024, 64)


@cache
def _work(model: str, engine: str, tp: int = 1) -> tuple[Work, str]:
    ask = Ask(
        parse_spec("apple-m4-max" if engine == "mlx" else "b200"),
        "sglang" if engine == "tensorrt-llm" else engine,
        quant=STORED[engine],
    )
    made = candidate(load(model).architecture, ask)
    at = Placement(tp, 1, 1, 1)
    return work(
        made.architecture, rank_weights(made.architecture, at, made.options, made.tensors).components, at, (2, 2)
    ), made.quant


def _forecast(model: str, engine: str, device: Device, asked: Load, tp: int = 1) -> Forecast:
    of, quant = _work(model, engine, tp)
    return forecast(of, device, quant, engine, asked)


def _rates(device: Device, engine: str) -> list[float]:
    """Everything a forecast reads of a device that is a rate, 0 where it has none."""
    made = [peak(device, kind, engine not in SERVED) for kind in ("fp16", "fp8", "int8", "nvfp4", "mxfp4-mxfp8")]
    return [device.bandwidth_bytes_per_s or 0, *(rate.flops_per_s if rate else 0 for rate in made)]


def _as_good(a: Device, b: Device, engine: str) -> bool:
    """Whether `a` is as good as `b` in every rate, and no older."""
    return a.year >= b.year and all(x >= y for x, y in zip(_rates(a, engine), _rates(b, engine), strict=True))


def _own(device: Device, engine: str, phase: str) -> bool:
    made = fitted(engine, device_class(device, engine))
    return made is not None and phase in made.errors


def _rows_disagree(a: Device, b: Device, engine: str, phase: str) -> bool:
    """Whether rows say that `a` is slower: both have some of their own, or cards with graphics memory have and data-centre GPUs too, whose
    rows stand in for those that have none."""
    cards = [device_class(d) in CARDS for d in (a, b)]
    measured = any(phase in made.errors for name in GENERATIONS if (made := fitted(engine, name)) is not None)
    return _own(b, engine, phase) and (_own(a, engine, phase) or (cards == [False, True] and measured))


def _seconds(made: Forecast, name: str, engine: str) -> float | None:
    """A step, or what comes before a first token; a local engine's forecast of that adds a step to it, of which other rows speak."""
    found: Interval | None = getattr(made, name)
    if found is None or name == "tpot" or engine in SERVED or made.tpot is None:
        return None if found is None else found.value
    return found.value - made.tpot.value


SLOWER = 1.03


@pytest.mark.parametrize("engine", STORED)
def test_a_newer_gpu_that_is_as_good_in_every_rate_is_forecast_no_slower(engine: str) -> None:
    """Unless rows of both say so: what an engine was not measured on is forecast from what it was measured on."""
    known = [d for d in devices() if d.bandwidth_bytes_per_s and d.vendor in ("nvidia", "apple", "amd")]
    pairs = [(a, b) for a in known for b in known if a is not b and a.vendor == b.vendor and _as_good(a, b, engine)]
    assert len(pairs) > 100 or engine == "mlx"
    wrong = []
    for model in MODELS:
        for asked in LOADS if engine in SERVED else LOADS[:3:2]:
            made = {d.id: _forecast(model, engine, d, asked) for d in known}
            for a, b in pairs:
                of = (("decode", "tpot"), ("ttft" if engine in SERVED else "prefill", "ttft"))
                for phase, name in of:
                    x, y = (_seconds(made[d.id], name, engine) for d in (a, b))
                    if x and y and x > SLOWER * y and not _rows_disagree(a, b, engine, phase):
                        wrong.append((a.id, b.id, model, asked, name, x / y))
    assert not wrong, wrong[:5]


@pytest.mark.parametrize("engine", STORED)
@pytest.mark.parametrize("model", ["llama-3.1-8b", "qwen3-30b-a3b", "deepseek-v2-lite", "qwen3-next-80b-a3b"])
def test_more_requests_give_no_fewer_tokens_and_longer_contexts_are_no_faster(engine: str, model: str) -> None:
    """But for the noise that rows of one source have: a request that is alone shares no step with a prompt."""
    gpu = next(d for d in devices() if d.id == ("apple-m2-ultra" if engine == "mlx" else "h100-sxm-80gb"))
    several = (1, 2, 3, 4, 8, 32, 128, 512) if engine != "mlx" else (1,)
    for osl in (1, 2, 128, 4096):
        for isl in (1, 128, 2048, 2049, 131072):
            made = [_forecast(model, engine, gpu, Load(isl, osl, n)) for n in several]
            rates = [m.output_per_s.value for m in made if m.output_per_s]
            assert all(b >= a / within("decode", True) for a, b in pairwise(rates)), (isl, osl, rates)
            waits = [m.ttft.value for m in made if m.ttft]
            assert len(waits) == len(made) and waits == sorted(waits), (isl, osl, waits)
            assert all(0 < m.tpot.low <= m.tpot.value <= m.tpot.high for m in made if m.tpot)
        for n in several[::3]:
            made = [_forecast(model, engine, gpu, Load(isl, osl, n)) for isl in (1, 128, 1024, 2048, 2049, 32768, 131072)]
            for name in ("tpot", "ttft"):
                times = [getattr(m, name).value for m in made if getattr(m, name)]
                assert times and times == sorted(times), (osl, n, name, times)


@pytest.mark.parametrize("engine", STORED)
def test_a_larger_model_of_the_same_shape_is_no_faster(engine: str) -> None:
    gpu = next(d for d in devices() if d.id == ("apple-m2-ultra" if engine == "mlx" else "a100-sxm4-80gb"))
    for names in ("qwen3-0.6b qwen3-1.7b qwen3-4b qwen3-8b qwen3-14b qwen3-32b", "llama-3.2-1b llama-3.1-8b llama-3.1-70b"):
        models = names.split()
        for asked in (Load(1, 1), Load(128, 128), Load(8192, 1024)):
            made = [_forecast(model, engine, gpu, asked) for model in models]
            for name in ("tpot", "ttft"):
                times = [getattr(m, name).value for m in made]
                assert times == sorted(times), (models, asked, name, times)


# The time to the first token of a request that is alone: tenstorrent/tt-inference-server#143 (Qwen2.5-72B on two H100 under vLLM, 41.1 and
# 35.0 ms of 128 tokens, 129.2 of 1,024).
@pytest.mark.parametrize(("isl", "least", "most"), [(128, 35.0, 41.1), (1024, 129.2, 129.2)])
def test_a_short_prompt_that_is_alone_is_answered_in_a_few_steps(isl: int, least: float, most: float) -> None:
    ask = Ask(parse_spec("2xh100"), "vllm")
    made = candidate(load("qwen2.5-72b").architecture, ask)
    at = Placement(2, 1, 1, 1)
    of = work(made.architecture, rank_weights(made.architecture, at, made.options, made.tensors).components, at, (2, 2))
    said = forecast(of, ask.gpus.device, made.quant, "vllm", Load(isl, 128)).ttft
    assert said is not None and least / 1.35 < 1000 * said.value < most * 1.35


def test_requests_at_once_on_a_device_without_a_matrix_rate_have_no_forecast() -> None:
    """What their products and the prompts of others take is not known."""
    thor = next(d for d in devices() if d.id == "jetson-thor-t4000-64gb")
    assert thor.tflops.fp16 is None
    for engine in ("vllm", "sglang", "llama.cpp"):
        one, more = (_forecast("llama-3.1-8b", engine, thor, Load(128, 128, n)) for n in (1, 4))
        assert one.tpot is not None and more.tpot is None and "matrix rate" in (more.why or "")
