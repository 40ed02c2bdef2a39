"""Labels that spell a key of a config are of that key, and what publishers count otherwise is no alarm."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest

from archcalc import zoo
from archcalc.cards.check import check_text
from archcalc.cards.settings import Settings

_TOWER = re.compile("vision|audio|talker|image|video")


def _keys(config: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    """The keys of a text model, nested ones before those that they hold."""
    for key, value in config.items():
        if isinstance(value, dict):
            if not _TOWER.search(key):
                yield from _keys(value)
        elif isinstance(value, (int, float, str)):
            yield key, value


def told(text: str) -> list[str]:
    results = check_text(text, "card.md", Settings(), offline=True).results
    return [f"{r.field}={r.claimed} {r.verdict}{f' {r.fix}' if r.fix else ''}" for r in results]


def test_a_key_of_the_config_with_its_value_is_right() -> None:
    """Of every bundled config every key, as it is and in words."""
    wrong = []
    for name in zoo.names():
        rows = [f"| {label} | {value} |" for key, value in _keys(zoo.config(name)) for label in (key, key.replace("_", " "))]
        text = "\n".join((f"# {name}", "", "| Key | Value |", "| --- | --- |", *rows))
        results = check_text(text, "card.md", Settings(), offline=True, model=name).results
        wrong += [(name, rows[r.line - 5], r.actual) for r in results if r.verdict in ("wrong", "doubtful")]
    assert wrong == []


@pytest.mark.parametrize(
    ("model", "row", "claims"),
    [
        # The keys of these configs on huggingface.co: the row's key, and another that its words might be taken for.
        ("DeepSeek-V3.2", "Index top-k | 2048", "index_topk=2048 ok"),
        ("DeepSeek-V3.2", "Indexer top-k | 1024", "index_topk=1024 wrong 2048"),
        ("GLM-5", "index_topk | 2048", "index_topk=2048 ok"),
        ("GLM-5", "Index heads | 32", "index_heads=32 ok"),
        ("GLM-5", "Index head dim | 128", "index_head_dim=128 ok"),
        ("DeepSeek-V3", "n_group | 8", "kv_heads=8 ok"),
        ("DeepSeek-V3", "Expert groups | 8", "expert_groups=8 ok"),
        ("DeepSeek-V3", "Top-k groups | 8", "topk_groups=8 wrong 4"),
        ("DeepSeek-V3", "num_experts_per_tok | 8 of 256", "active_experts=8 ok;experts=256 ok"),
        ("Nemotron 3 Nano 30B A3B", "Mamba heads | 64", "linear_heads=64 ok"),
        ("Nemotron 3 Nano 30B A3B", "Conv kernel | 4", "conv_size=4 ok"),
        ("Nemotron 3 Nano 30B A3B", "State size | 64", "state_size=64 wrong 128"),
        ("LFM2-1.2B", "conv_dim | 2048", ""),
        ("Qwen2-57B-A14B", "Shared expert intermediate size | 20480", "shared_expert_size=20480 ok"),
        # `use_sliding_window` turns it off: the key is right, and a model with a window has none.
        ("Qwen2.5-7B", "sliding_window | 131072", "window=131072 ok"),
        ("Qwen2.5-7B", "Sliding window | 4096", "window=4096 wrong"),
    ],
)
def test_a_label_is_judged_as_the_key_that_it_spells(model: str, row: str, claims: str) -> None:
    got = told(f"# {model}\n\n| Field | Value |\n| --- | --- |\n| Layers | {_layers(model)} |\n| {row} |\n")[1:]
    assert got == [claim for claim in claims.split(";") if claim]


def _layers(name: str) -> int:
    entry = zoo.find(name.replace(" ", "-"))
    assert entry is not None
    config = zoo.config(entry.name)
    return int(config.get("text_config", config)["num_hidden_layers"])


PARTS = [
    # Table 1 of arXiv:2503.19786: the tower without its projector, what embeds with it, the rest.
    ("Gemma 3 1B", "302M", "698M", ""),
    ("Gemma 3 4B", "675M", "3,209M", "417M"),
    ("Gemma 3 12B", "1,012M", "10,759M", "417M"),
    ("Gemma 3 27B", "1,416M", "25,600M", "417M"),
    # Table 1 of arXiv:2408.00118.
    ("Gemma 2 2B", "590M", "2,024M", ""),
    ("Gemma 2 9B", "918M", "8,324M", ""),
    ("Gemma 2 27B", "1,180M", "26,047M", ""),
]


@pytest.mark.parametrize(("model", "embedding", "rest", "tower"), PARTS)
def test_parts_as_publishers_count_them(model: str, embedding: str, rest: str, tower: str) -> None:
    head = "| Model | Embedding parameters | Non-embedding parameters | Vision encoder |\n| --- | --- | --- | --- |\n"
    got = told(f"{head}| {model} | {embedding} | {rest} | {tower} |\n")
    assert [claim.split()[1] for claim in got] == ["ok"] * (3 if tower else 2)
    assert "wrong" in told(f"{head}| {model} | {embedding.translate(_OTHER)} | {rest} | |\n")[0]


_OTHER = str.maketrans("123456789", "234567892")


@pytest.mark.parametrize(
    ("size", "verdict"),
    [
        # 61 layers of 576 in bf16; and index keys of 128, in bf16 or in fp8 with a scale: 132 bytes.
        ("70 KB", "ok"), ("78 KB", "ok"), ("86 KB", "ok"), ("76.5 KiB", "ok"), ("35 KB", "wrong 86"), ("140 KB", "wrong 86"),
    ],
)  # fmt: skip
def test_a_cache_with_or_without_the_keys_of_its_indexer(size: str, verdict: str) -> None:
    text = f"# DeepSeek-V3.2\n\n| Field | Value |\n| --- | --- |\n| Layers | 61 |\n| KV cache per token (bf16) | {size} |\n"
    assert told(text)[1] == f"kv_per_token={size} {verdict}"
