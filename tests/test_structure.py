"""Small configs of structures that few configs have, against what transformers 5.24 builds of them: the total alone."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from archcalc.analysis.params import components
from archcalc.arch import parse
from archcalc.errors import ConfigError
from conftest import Run

ROWS = [json.loads(line) for line in (Path(__file__).parent / "data" / "structure.jsonl").read_text(encoding="utf-8").splitlines()]


@pytest.mark.parametrize("row", ROWS, ids=[f"{row['config']['architectures'][0]}: {row['what']}" for row in ROWS])
def test_the_total_is_the_reference_s(row: dict[str, Any]) -> None:
    a = parse(row["config"])
    assert (a.status, a.unmodelled_keys) == ("counted", ())
    assert sum(c.total for c in components(a) if c.part != "mtp") == row["total"]


DATA = Path(__file__).parent
# What a token reads of a table: a row where it is one for all layers, one for each hash or head and length of n-gram elsewhere.
LOOKED_UP = (
    ("golden/gemma3n_text.jsonl", "embed_tokens_per_layer.weight", 1),
    ("golden/gemma4_text.jsonl", "embed_tokens_per_layer.weight", 1),
    ("golden/qwen4_exp_text.jsonl", "ngram_embedding.weight", None),
    ("golden/blt.jsonl", "encoder_hash_tok_embedding.weight", 6),
    ("data/deepseek-v4.1-flash.json", "engram.embed.weight", (4 - 1) * 8),
)


@pytest.mark.parametrize(("path", "name", "rows"), LOOKED_UP)
def test_a_table_read_by_index_is_active_by_the_rows_that_a_token_reads(path: str, name: str, rows: int | None) -> None:
    rows_of = [json.loads(line) for line in (DATA / path).read_text(encoding="utf-8").splitlines()]
    # The last row of a file is the one with the most keys turned on.
    config = rows_of[-1].get("config", rows_of[-1])
    a = parse(config)
    if rows is None:
        rows = (config.get("ngram_size", 3) - 1) * config.get("heads_per_ngram", 8)
    found = [(t, n) for part, t, n in a.each_tensor() if t.name.endswith(name) and part != "mtp"]
    assert found and all(t.visited == rows * t.shape[1] for t, _ in found)
    unread = sum((t.elements - rows * t.shape[1]) * n for t, n in found)
    routed = sum(
        t.elements // t.experts.total * (t.experts.total - t.experts.active) * n
        for part, t, n in a.each_tensor()
        if t.experts and part != "mtp" and t.counted
    )
    parts = [c for c in components(a) if c.part != "mtp"]
    assert sum(c.total - c.active for c in parts) == unread + routed


@pytest.mark.parametrize(
    ("claim", "value", "right"),
    [("Total parameters", "552B", True), ("Total parameters", "749B", True), ("Active parameters", "16B", True),
     ("Active parameters", "214B", False), ("Total parameters", "600B", False)],
)  # fmt: skip
def test_a_card_may_count_the_tables_or_not(cli: Run, tmp_path: Path, claim: str, value: str, right: bool) -> None:
    card = tmp_path / "card.md"
    card.write_text(f"# DeepSeek-V4.1-Flash\n\n| | |\n| --- | --- |\n| {claim} | {value} |\n", encoding="utf-8")
    done = cli("check", str(card), "--model", str(DATA / "data" / "deepseek-v4.1-flash.json"), "--offline")
    assert done.returncode == (0 if right else 1), done.stdout


@pytest.mark.parametrize("model_type", ["deepseek_vl_hybrid", "got_ocr2"])
def test_heads_that_do_not_divide_a_tower_are_refused(model_type: str) -> None:
    """The reference builds such a SAM tower, and its forward pass fails: no count of it is right (modeling_got_ocr2.py, `forward`)."""
    rows = (Path(__file__).parent / "golden" / f"{model_type}.jsonl").read_text(encoding="utf-8").splitlines()
    config = json.loads(rows[0])["config"]
    field = "high_res_vision_config" if model_type == "deepseek_vl_hybrid" else "vision_config"
    parse(config)
    wrong = {**config, field: {**(config.get(field) or {}), "hidden_size": 768, "num_attention_heads": 36}}
    with pytest.raises(ConfigError, match=r"768.*36"):
        parse(wrong)
