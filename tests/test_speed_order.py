"""Which of two is faster: devices, loads and models that are as good in everything are not forecast slower."""

from __future__ import annotations

from functools import cache
from typing import Any

import pytest

from archcalc.analysis.fit import Ask, candidate
from archcalc.analysis.speed.coefficients import GENERATIONS, device_class, fitted
from archcalc.analysis.speed.forecast import Forecast, forecast
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
    ask = Ask(parse_spec("apple-m4-max" if engine == "mlx" else "b200"), "sglang" if engine == "tensorrt-llm" else engine, quant=STORED[engine])
    made = candidate(load(model).architecture, ask)
    at = Placement(tp, 1, 1, 1)
    return work(made.architecture, rank_weights(made.architecture, at, made.options, made.tensors).components, at, 2), made.quant


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


def _measured(device: Device, engine: str, phase: str) -> bool:
    own = fitted(engine, device_class(device))
    return own is not None and phase in own.errors
