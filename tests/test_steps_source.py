"""How decoders compute what no tensor shows, against the reference's source (`scripts/build_steps.py`, transformers 5.24).

Beside `test_steps.py`, which holds what autograd saved of some types: here stands a row of every class whose file says it in a way that is
known.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from archcalc.arch import parse
from archcalc.model import Architecture, Layer

HERE = Path(__file__).parent
READ = {row["class"]: row for row in map(json.loads, (HERE / "data" / "steps.jsonl").read_text(encoding="utf-8").splitlines())}
ROWS = [
    row
    for path in sorted((HERE / "golden").glob("*.jsonl"))
    for row in map(json.loads, path.read_text(encoding="utf-8").splitlines())
    if row.get("class") in READ
]


def layers(a: Architecture) -> list[Layer]:
    return [layer for s in a.stacks if s.part == "decoder" for layer in s.kinds]


@pytest.mark.parametrize("row", ROWS, ids=[row["id"] for row in ROWS])
def test_steps_are_those_of_the_source(row: dict[str, Any]) -> None:
    a, read = parse(row["config"]), READ[row["class"]]
    hidden = (a.facts.hidden_size,)
    norms = {
        t.norm
        for layer in layers(a)
        for t in layer.tensors
        if t.role == "norm" and t.shape == hidden and t.norm and "indexer" not in t.name
    }
    if "norm" in read and norms:
        assert norms == {read["norm"]}, read["file"]
    softmax = {layer.scores().softmax for layer in layers(a) if layer.attends}
    if "softmax" in read and softmax:
        assert softmax == {read["softmax"]}, read["file"]
    # A latent attention joins what turns and what does not itself, as do some where part of a head turns.
    whole = (layer for layer in layers(a) if not any(cache.kind == "latent" for cache in layer.caches))
    for turn in filter(None, (layer.rotation() for layer in whole)):
        assert "joined" not in read or read["joined"] == turn.joined or a.facts.position.share < 1, read["file"]
    routers = {routing.kind for layer in layers(a) if (routing := layer.routing())}
    if "router" in read and routers:
        assert routers == {read["router"]}, read["file"]


def test_much_was_read() -> None:
    """Each kind of step in many rows, so that a change of the extractor that reads nothing is noticed."""
    found = [key for row in ROWS for key in READ[row["class"]]]
    assert all(found.count(key) >= least for key, least in (("norm", 300), ("softmax", 300), ("joined", 200), ("router", 80)))
    kinds = {READ[row["class"]].get("norm") for row in ROWS}
    assert kinds >= {"rms", "rms-fp32", "rms-cast-gain", "rms-1p", "layer", "layer-fp32"}
