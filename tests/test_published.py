"""Stored elements against what the Hub showed for the publishers' repositories.

`elements` rows follow the Hub's present count, `stored_elements` rows its older one, which counted quantization scales too, and
`bytes` rows what the checkpoint's index states.
docs/published.md explains the repositories that are not among these.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from archcalc.arch import parse
from archcalc.figures.checkpoint import summary

TESTS = Path(__file__).parent
ROWS = [json.loads(line) for line in (TESTS / "data" / "published_counts.jsonl").read_text(encoding="utf-8").splitlines()]
GOLDEN = {
    row["id"]: row["config"]
    for path in (TESTS / "golden").glob("*.jsonl")
    for row in map(json.loads, path.read_text(encoding="utf-8").splitlines())
}


@pytest.mark.parametrize("row", ROWS, ids=[row["id"] for row in ROWS])
def test_elements_equal_the_published_count(row: dict[str, Any]) -> None:
    a = parse(row["config"] or GOLDEN[row["id"]])
    if a.quantization is None and "hf_quant_config" in row:
        a = a._replace(quantization=row["hf_quant_config"])
    held = summary(a)
    if "bytes" in row:
        assert held.bytes == row["bytes"]
    elif "elements" in row:
        assert held.elements == row["elements"]
    else:
        assert held.stored == row["stored_elements"]
    assert a.status in ("counted", "partial")
