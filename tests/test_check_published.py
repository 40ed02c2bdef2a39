"""Tables as their authors published them: every claim that a config can settle is judged, and the wrong ones are those listed here.

Each wrong claim stands with the key of the model's config that contradicts it, and what that key says; where a config says nothing, with
the paper and the formula.
"""

from __future__ import annotations

import re
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from archcalc import zoo
from archcalc.cards.check import Checked, check_file
from archcalc.cards.settings import Settings

FOLDER = Path(__file__).parent / "data" / "claims"
FILES = ("bricks.md", "knobs.md", "landscape.md", "prose.md")


class Wrong(NamedTuple):
    """A claim of a row, what it should be, and the config's key and value that say so."""

    file: str
    row: str
    field: str
    claimed: str
    right: str
    model: str
    key: str
    value: Any


WRONG = (
    # Mistral 7B v0.1 has a window; Mixtral's published config has none.
    Wrong("bricks.md", "Mistral / Mixtral", "attention", "sliding window", "GQA", "mixtral-8x7b", "sliding_window", None),
    # 128k came with Llama 3.1.
    Wrong("knobs.md", "Llama 3 8B", "context", "128k", "8k", "llama-3-8b", "max_position_embeddings", 8 * 1024),
    Wrong("knobs.md", "Llama 3 70B", "context", "128k", "8k", "llama-3-70b", "max_position_embeddings", 8 * 1024),
    Wrong("knobs.md", "Llama 3 405B", "kv_heads", "16", "8", "llama-3.1-405b", "num_key_value_heads", 8),
    # 256K, and 1M beyond it, are those of the -2507 releases. Of the release named: 32,768 tokens and 8,192 more in the config, and
    # 131,072 with YaRN (model card of Qwen/Qwen3-235B-A22B).
    Wrong("landscape.md", "Qwen3 235B", "context", "256K", "40K", "qwen3-235b-a22b", "max_position_embeddings", 40 * 1024),
    Wrong("landscape.md", "Qwen3-235B-A22B", "context", "256K", "40K", "qwen3-235b-a22b", "max_position_embeddings", 40 * 1024),
    Wrong("landscape.md", "Qwen3-235B-A22B", "context", "1M", "128K", "qwen3-235b-a22b", "rope_scaling", None),
    Wrong("landscape.md", "Qwen3-30B-A3B", "context", "256K", "40K", "qwen3-30b-a3b", "max_position_embeddings", 40 * 1024),
    # Checkpointing keeps each layer's input, 2 s b h bytes: 2 x 8,192 x 1 x 4,096 x 32 layers are 2.0 GiB (arXiv:2205.05198, section 5).
    Wrong("prose.md", "Llama 3 8B", "activations", "8 GB", "2 GB", "llama-3-8b", "num_hidden_layers", 32),
)

# Columns that no config can settle, and the cells among the others.
UNSETTLED = {"Year": "release", "Release": "release", "License": "license"}
LEFT_ALONE = {("bricks.md", "tokenizer", "o200k"), ("prose.md", "matformer", "yes")}


@cache
def checked(name: str) -> Checked:
    return check_file(str(FOLDER / name), Settings(), offline=True)


def cells(name: str) -> list[tuple[int, str, list[tuple[int, str]]]]:
    """Rows below a table's head: the line's number, its first cell, and the others with where they begin."""
    rows = []
    lines = (FOLDER / name).read_text(encoding="utf-8").splitlines()
    for number, line in enumerate(lines, 1):
        body = number > 2 and line.startswith("|") and not line.startswith("| ---")
        if body and not (number < len(lines) and lines[number].startswith("| ---")):
            bars = [match.start() for match in re.finditer(r"\|", line)]
            found = [(a + 1, line[a + 1 : b].strip()) for a, b in pairwise(bars)]
            rows.append((number, found[0][1], found[1:]))
    return rows


@pytest.mark.parametrize("name", FILES)
def test_wrong_claims_are_found_and_no_others(name: str) -> None:
    rows = {number: model for number, model, _ in cells(name)}
    found = {
        (rows[r.line], r.field, r.claimed, (r.actual or "").partition(" (")[0])
        for r in checked(name).results
        if r.verdict == "wrong"
    }
    assert found == {(w.row, w.field, w.claimed, w.right) for w in WRONG if w.file == name}


@pytest.mark.parametrize("wrong", WRONG, ids=lambda w: f"{w.file}-{w.row}-{w.claimed}")
def test_the_config_contradicts_what_is_called_wrong(wrong: Wrong) -> None:
    config = zoo.config(wrong.model)
    assert config.get(wrong.key) == wrong.value
    result = next(r for r in checked(wrong.file).results if r.verdict == "wrong" and r.claimed == wrong.claimed)
    assert result.resolved
    if isinstance(wrong.value, int) and wrong.field != "activations":
        assert f"{wrong.value:,}" in result.why
    if wrong.field == "activations":
        inputs = 2 * 8192 * config["hidden_size"] * config["num_hidden_layers"]
        assert round(inputs / 2**30) == 2
        assert round(inputs / 10**9) == 2


@pytest.mark.parametrize("name", FILES)
def test_every_claim_that_a_config_can_settle_is_judged(name: str) -> None:
    """Each cell has its claims, each of which is right or wrong; the others are listed."""
    results = checked(name).results
    left = {(name, r.field, r.claimed) for r in results if r.verdict not in ("ok", "wrong") and r.field not in UNSETTLED.values()}
    assert left == {entry for entry in LEFT_ALONE if entry[0] == name}
    assert checked(name).errors == []
    for number, model, others in cells(name):
        starts = [r.column - 1 for r in results if r.line == number]
        bounds = [a for a, _ in others] + [10**6]
        silent = [
            text for (a, text), b in zip(others, bounds[1:], strict=True) if not any(a <= s < b for s in starts) and text != "–"
        ]
        # In prose.md the second column says what is claimed, and the third what it is.
        assert silent == ([others[0][1]] if name == "prose.md" else []), model


def test_claims_without_a_config_are_only_those_of_their_columns() -> None:
    for name in FILES:
        for r in checked(name).results:
            if r.field in UNSETTLED.values():
                assert r.verdict == "unverifiable"
    assert sum(r.verdict == "ok" for name in FILES for r in checked(name).results) > 340


# Claims that read as if they were wrong, and what they are right by.
RIGHT = [
    ("knobs.md", "Llama 3 70B", "total_params", "70B", "without the embedding"),
    ("knobs.md", "Llama 3 405B", "context", "128k", "k as 1,024"),
    ("knobs.md", "DeepSeek V2 236B", "context", "128k", "model card of deepseek-ai/DeepSeek-V2"),
    ("knobs.md", "Qwen 2.5 72B", "position", "YaRN", "the config does not set it"),
    ("landscape.md", "DeepSeek R1", "active_params", "37B", "without the embedding"),
    ("landscape.md", "MiniMax M2.5", "total_params", "230B", "trailing zeros"),
    ("landscape.md", "Qwen3-14B", "total_params", "14B", "without the embedding"),
    ("prose.md", "GLM-4.5", "total_params", "355B", "with MTP"),
    ("prose.md", "Qwen 3.5 397B", "vocab", "250K", "trailing zeros"),
    ("bricks.md", "Qwen (Alibaba)", "vocab", "151K", "cut off"),
]


@pytest.mark.parametrize(("name", "model", "field", "claimed", "why"), RIGHT)
def test_a_convention_that_makes_a_claim_right_is_named(name: str, model: str, field: str, claimed: str, why: str) -> None:
    found = [r for r in checked(name).results if (r.model, r.field, r.claimed) == (model, field, claimed)]
    assert {r.verdict for r in found} == {"ok"}
    assert all(why in r.why for r in found)
