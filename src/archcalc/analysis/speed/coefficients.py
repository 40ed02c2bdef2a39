"""The coefficients of the terms, by engine class and device class, and the errors that they had on sources they were not fitted to.

They stand in `coefficients.json`, which `scripts/fit_speed.py` writes from published measurements.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from functools import cache
from typing import Any, NamedTuple

from archcalc.hardware import Device

FEWEST_SOURCES = 3
"""A coefficient that stands on fewer sources is none."""


class Coefficient(NamedTuple):
    """What a term's quantity is multiplied by, and the rows and sources that it stands on."""

    value: float
    rows: int
    sources: int


class Errors(NamedTuple):
    """How forecasts did on sources that were left out: what to multiply a time by for the ends of 80 %, and the absolute errors."""

    low: float
    high: float
    median: float
    p90: float
    covered: float
    rows: int
    sources: int


class Fitted(NamedTuple):
    """What is known of an engine class on a device class. A phase is `decode`, `prefill` or `ttft`."""

    engine: str
    device: str
    years: str
    terms: Mapping[str, Coefficient]
    errors: Mapping[str, Errors]


def device_class(device: Device) -> str:
    """Devices that share coefficients: data-centre GPUs by generation, cards with graphics memory of one vendor together.

    NVIDIA's data-centre cards with GDDR are the chips of its GeForce cards.
    """
    if device.vendor == "nvidia":
        if device.category != "datacenter" or device.memory_type.startswith("GDDR"):
            return "geforce"
        return device.architecture.lower().removesuffix(" ultra").replace(" ", "-")
    if device.vendor == "amd":
        return {"datacenter": "cdna", "edge": "strix"}.get(device.category, "radeon")
    return device.vendor


@cache
def _table() -> Mapping[str, Any]:
    with open(os.path.join(os.path.dirname(__file__), "coefficients.json"), "rb") as file:
        raw: Mapping[str, Any] = json.load(file)
    return raw


@cache
def fitted(engine: str, device: str) -> Fitted | None:
    """What stands in the file for an engine and a class of devices."""
    raw = _table()["classes"].get(f"{engine}/{device}")
    if raw is None:
        return None
    return Fitted(
        engine,
        device,
        raw["years"],
        {name: Coefficient(*value) for name, value in raw["terms"].items()},
        {phase: Errors(*value) for phase, value in raw["errors"].items()},
    )


def classes() -> tuple[tuple[str, str], ...]:
    """The engine and device classes that something is forecast for."""
    return tuple((name.split("/")[0], name.split("/")[1]) for name in _table()["classes"])
