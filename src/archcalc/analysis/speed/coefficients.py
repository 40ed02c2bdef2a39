"""The coefficients of the terms, by engine class and device class, and the errors that they had on sources they were not fitted to.

They stand in `coefficients.json`, which `scripts/fit_speed.py` writes from published measurements.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from functools import cache
from typing import Any

from archcalc.analysis.speed.terms import SERVED
from archcalc.hardware import Device
from archcalc.records import NamedTuple

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
    """What is known of an engine class on a device class. A phase is `decode`, `prefill` or `ttft`.

    `elsewhere` are the phases that were not measured there: other classes stand in, which their errors count as sources; `few` are the
    rows and sources, fewer than three, of those that were measured too little. `batch` is the most sequences of a replica that one
    measured step had. `stand_ins` are the coefficients of the classes that stand in for one that the engine was not measured on, and
    whether they are newer than it. `others` are the errors of decoding of classes that were left out whole.
    """

    engine: str
    device: str
    years: str
    terms: Mapping[str, Coefficient]
    errors: Mapping[str, Errors]
    elsewhere: frozenset[str] = frozenset()
    few: Mapping[str, tuple[int, int]] = {}
    batch: int = 0
    stand_ins: tuple[tuple[Mapping[str, Coefficient], ...], bool] = ((), False)
    others: Errors | None = None

    def of(self, phase: str, quantities: Mapping[str, float]) -> Mapping[str, Coefficient]:
        """The coefficients of a phase. Where other classes stand in they are those that give the longest time of newer classes and of any,
        or the shortest of older ones: a GPU that is newer and as good in every rate is forecast no slower."""
        found, newer = self.stand_ins
        if phase not in self.elsewhere or not found:
            return self.terms
        none = Coefficient(0.0, 0, 0)
        best = max if newer else min
        return best(
            ({**self.terms, **of} for of in (({}, *found) if newer else found)),
            key=lambda of: sum(q * of.get(name, none).value for name, q in quantities.items()),
        )


CARDS = "geforce", "geforce-blackwell"
"""NVIDIA's cards with graphics memory, older and newer."""
STACKED = "datacenter"
"""NVIDIA's GPUs with stacked memory, of all generations."""


def device_class(device: Device, engine: str | None = None) -> str:
    """Devices that share coefficients: data-centre GPUs by generation, cards with graphics memory of one vendor together.

    NVIDIA's data-centre cards with GDDR are the chips of its GeForce cards, of which those of compute capability 12 are a class apart.
    Under engines that serve one request its GPUs with stacked memory are one class: such a request keeps too few bytes under way for their
    bandwidth (ggml-org/llama.cpp#9816: wider loads gained 27 % on an H100 and 1 % with GDDR), on each generation alike.
    """
    if device.vendor == "nvidia":
        if device.category != "datacenter" or device.memory_type.startswith("GDDR"):
            return CARDS[(device.compute or "").startswith("12")]
        if engine is not None and engine not in SERVED:
            return STACKED
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
    return None if raw is None else _read(raw, engine, device)


@cache
def known(engine: str, device: Device) -> Fitted | None:
    """What is known of an engine on a device's class, and for what was not measured there what stands in for it.

    That is the same engine on other GPUs of NVIDIA, whose libraries serve them all, with the errors of classes that were left out of a fit
    whole, and no faster than newer classes that it was measured on (`stand_ins`). Nothing stands in for other vendors': what engines reach
    of their published rates differs by more than an interval of use holds.
    """
    name = device_class(device, engine)
    own = fitted(engine, name)
    if device.vendor != "nvidia":
        return own
    found: Fitted | None = None
    for at in ("nvidia", name):
        if raw := _table()["near"].get(f"{engine}/{at}"):
            more = _read(raw, engine, name)._replace(elsewhere=frozenset(raw["errors"]), few=raw["few"])
            # Coefficients of a class that was measured too little are of no class: its errors alone are its own.
            found = more if found is None else _over(more._replace(terms=found.terms), found)
    others = None if found is None else found.errors.get("decode")
    found = found if own is None else _over(own, found)
    return None if found is None else found._replace(stand_ins=_stand_ins(engine, device_class(device)), others=others)


GENERATIONS = "volta", "ampere", "hopper", "blackwell"
"""NVIDIA's data-centre GPUs, in order of their years."""


def stand_ins(device: str, measured: Iterable[str]) -> tuple[list[str], bool]:
    """Which classes that an engine was measured on stand in for another, and whether they are newer than it.

    They are the newer ones of the data centre, all of them for cards with graphics memory, a class of which holds many years; the older
    ones where none is newer; such cards where the engine was measured on no other, the older of them for what is older than Blackwell.
    """
    known = set(measured)
    found = [name for name in GENERATIONS if name in known]
    if not found:
        cards = [name for name in CARDS if name in known]
        return cards[: None if device not in GENERATIONS[:-1] else 1], False
    age = -1 if device in CARDS else GENERATIONS.index(device) if device in GENERATIONS else len(GENERATIONS)
    newer = [name for name in found if GENERATIONS.index(name) > age]
    return newer or found, bool(newer)


@cache
def _stand_ins(engine: str, device: str) -> tuple[tuple[Mapping[str, Coefficient], ...], bool]:
    names = [name.split("/")[1] for name in _table()["classes"] if name.startswith(f"{engine}/")]
    found, newer = stand_ins(device, (name for name in names if name != device))
    return tuple(of.terms for name in found if (of := fitted(engine, name)) is not None), newer


def _over(first: Fitted, second: Fitted | None) -> Fitted:
    """What the first knows, and of the second what it does not."""
    if second is None:
        return first
    return first._replace(
        terms={**second.terms, **first.terms},
        errors={**second.errors, **first.errors},
        elsewhere=first.elsewhere | (second.elsewhere - frozenset(first.errors)),
        few={**second.few, **first.few},
    )


def kinds_left_out(served: bool) -> Errors:
    """The errors of decoding with a kind of layer that a fit had seen in no model."""
    return Errors(*_table()["kinds"]["served" if served else "local"])


def within(phase: str, served: bool) -> float:
    """The end of 80 % around the middle of a source's own rows: what one measurement of a host leaves open.

    `phase` is decode or prefill, which of a server is the time to the first token.
    """
    kind = ("served ttft" if served else "local prefill") if phase == "prefill" else f"{'served' if served else 'local'} decode"
    return float(_table()["within"][kind])


def batched() -> Errors:
    """The errors of decoding several sequences at once under llama.cpp, which nothing was fitted to."""
    return Errors(*_table()["batched"])


def _read(raw: Mapping[str, Any], engine: str, device: str) -> Fitted:
    return Fitted(
        engine,
        device,
        raw["years"],
        {name: Coefficient(*value) for name, value in raw["terms"].items()},
        {phase: Errors(*value) for phase, value in raw["errors"].items()},
        batch=raw.get("batch", 0),
    )


def classes() -> tuple[tuple[str, str], ...]:
    """The engine and device classes that something is forecast for."""
    return tuple((name.split("/")[0], name.split("/")[1]) for name in _table()["classes"])
