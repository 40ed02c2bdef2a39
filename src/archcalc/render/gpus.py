"""The columns of `archcalc gpus`."""

from __future__ import annotations

from typing import Any

from archcalc import units
from archcalc.render.rows import Column, text


def flat(row: dict[str, Any]) -> dict[str, Any]:
    """A device with a cell for each column beside its JSON keys."""
    tilde = "~" if row["visible_basis"] == "estimated" else ""
    offer = row["cheapest"] or {"usd_per_hour": None, "instance": None}
    return row | {
        "memory": f"{tilde}{units.format_bytes(row['visible_bytes'])}",
        "bf16_tflops": row["dense_tflops"]["bf16"],
        "fp8_tflops": row["dense_tflops"]["fp8"],
        "cheapest_usd_per_hour": offer["usd_per_hour"],
        "cheapest_instance": offer["instance"],
    }


def _bandwidth(value: Any) -> str:
    return "" if value is None else f"{units.format_gb(value)}/s"


def _tflops(value: Any) -> str:
    return "" if value is None else f"{value:,.0f}" if value >= 100 else f"{value:g}"


def _price(value: Any) -> str:
    return "" if value is None else f"${value['usd_per_hour']:,.2f} {value['instance']}"


COLUMNS = (
    Column("id", "id"),
    Column("memory", "memory", right=True),
    Column("visible_basis", "basis", text, spare=5),
    Column("bandwidth_bytes_per_s", "bandwidth", _bandwidth, right=True),
    Column("bf16_tflops", "bf16 TFLOPS", _tflops, right=True, spare=1),
    Column("fp8_tflops", "fp8", _tflops, right=True, spare=2),
    Column("link", "link", text, spare=3),
    Column("cheapest", "cheapest an hour", _price, spare=4),
)
CSV = tuple(
    Column(key, key)
    for key in (
        "id", "visible_bytes", "visible_basis", "bandwidth_bytes_per_s", "bf16_tflops", "fp8_tflops", "link",
        "cheapest_usd_per_hour", "cheapest_instance",
    )
)  # fmt: skip
"""One value a cell, for programs."""
