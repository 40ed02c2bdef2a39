"""The columns of `archcalc gpus`."""

from __future__ import annotations

from typing import Any

from archcalc import units
from archcalc.render.rows import Column, text


def _memory(value: Any) -> str:
    return units.format_bytes(value)


def _rate(value: Any) -> str:
    return "" if value is None else f"{units.format_gb(value)}/s"


def _tflops(kind: str) -> Any:
    def show(value: Any) -> str:
        rate = value[kind]
        return "" if rate is None else f"{rate:,.0f}" if rate >= 100 else f"{rate:g}"

    return show


def _price(value: Any) -> str:
    return "" if value is None else f"${value['usd_per_hour']:,.2f} {value['instance']}"


COLUMNS = (
    Column("id", "id"),
    Column("visible_bytes", "memory", _memory, right=True),
    Column("visible_basis", "basis", text, spare=5),
    Column("bandwidth_bytes_per_s", "bandwidth", _rate, right=True),
    Column("dense_tflops", "bf16 TFLOPS", _tflops("bf16"), right=True, spare=1),
    Column("dense_tflops", "fp8", _tflops("fp8"), right=True, spare=2),
    Column("link", "link", text, spare=3),
    Column("cheapest", "cheapest an hour", _price, spare=4),
)
