"""Which convention a figure may be right by: windows and contexts, totals, types of a label, and one licence of rounding at a time.

The texts are made up; the figures are those of the models' published configs and cards.
"""

from __future__ import annotations

import pytest

from archcalc.cards.check import check_text
from archcalc.cards.settings import Settings


def told(text: str) -> list[tuple[str, str, str]]:
    """The field, figure and verdict of each claim."""
    results = check_text(text, "card.md", Settings(), offline=True).results
    return [(r.field, r.claimed, r.verdict) for r in results]


SENTENCES = [
    ("Qwen3-8B has a context window of 32K tokens.", [("context", "32K", "ok")]),
    ("Gemma 2 9B has a context window of 8K.", [("context", "8K", "ok")]),
    ("gpt-oss-20b has a context window of 128K tokens.", [("context", "128K", "ok")]),
    ("Mistral-7B-v0.1 has a context window of 32K tokens.", [("context", "32K", "ok")]),
    ("Llama-4-Scout, with a context window of 10M tokens, is large.", [("context", "10M", "ok")]),
    ("Qwen3-8B has a context window size of 32K tokens.", [("context", "32K", "ok")]),
    ("Llama-4-Scout has a context window of 1M tokens.", [("context", "1M", "doubtful")]),
    ("Gemma 2 9B uses a sliding window of 4096 tokens.", [("window", "4096", "ok")]),
    ("Mistral-7B-v0.1 has an attention window of 4096 tokens.", [("window", "4096", "ok")]),
    # Table 1 of arXiv:2407.21783 has 8B; 6.98 B is what is left without the embedding and the head.
    ("Llama-3.1-8B 拥有 80 亿参数。", [("total_params", "80 亿", "ok")]),
    ("Llama-3.1-8B 拥有 70 亿参数。", []),
    ("Llama-3.1-8B has 7B parameters.", []),
    # Its card: 8.2B, and 6.95B without the embedding.
    ("Qwen3-8B has 7B parameters.", [("total_params", "7B", "doubtful")]),
    ("Qwen3-8B has 7B parameters without embedding.", [("total_params", "7B", "ok")]),
    # The publisher's own name for it leaves the embedding out.
    ("Gemma-2B has 2B parameters.", [("total_params", "2B", "ok")]),
]


@pytest.mark.parametrize(("sentence", "claims"), SENTENCES)
def test_a_sentence_speaks_of_the_context_and_of_all_parameters(sentence: str, claims: list[tuple[str, str, str]]) -> None:
    assert told(f"# Notes\n\n{sentence}\n") == claims


CELLS = [
    # 16,060,522,496 bytes are 16.06 GB and 14.96 GiB: cut off, or GB for GiB, and never both.
    ("Llama-3.1-8B", "BF16 weights", "14 GB", ["wrong"]),
    ("Llama-3.1-8B", "BF16 weights", "15 GB", ["ok"]),
    ("Llama-3.1-8B", "BF16 weights", "16 GB", ["ok"]),
    ("Llama-3.1-8B", "BF16 weights", "14.9 GiB", ["ok"]),
    ("Qwen3-30B-A3B", "4-bit weights", "~17 GB", ["unverifiable"]),
    ("Qwen3-30B-A3B", "KV cache per token (BF16 / FP8)", "96 KiB / 48 KiB", ["ok", "ok"]),
    ("Qwen3-30B-A3B", "KV cache per token (FP8, BF16)", "48 KiB, 96 KiB", ["ok", "ok"]),
    ("Qwen3-30B-A3B", "Weights (BF16 / FP8)", "61 GB / 30.5 GB", ["ok", "ok"]),
    ("Qwen3-30B-A3B", "KV cache per token (BF16 / FP8)", "96 KiB", ["ok"]),
]


@pytest.mark.parametrize(("model", "label", "cell", "verdicts"), CELLS)
def test_a_size_is_right_by_one_convention(model: str, label: str, cell: str, verdicts: list[str]) -> None:
    found = told(f"## {model}\n\n| What | Value |\n|---|---|\n| {label} | {cell} |\n| Layers | 32 |\n")
    assert [verdict for field, _, verdict in found if field != "layers"] == verdicts


ITEMS = [
    ("注意力头（GQA）：Q 为 32，KV 为 8", [("heads", "32", "ok"), ("kv_heads", "8", "ok")]),
    ("注意力头：Q 头 32；KV 头 8", [("heads", "32", "ok"), ("kv_heads", "8", "ok")]),
    ("Attention heads (GQA): 32 for Q and 8 for KV", [("heads", "32", "ok"), ("kv_heads", "8", "ok")]),
    ("上下文长度：原生 32,768，使用 YaRN 可达 131,072", [("context", "32,768", "ok"), ("context", "131,072", "ok")]),
    ("上下文长度：原生支持 32,768、YaRN 扩展 131,072", [("context", "32,768", "ok"), ("context", "131,072", "ok")]),
    ("Context length: natively 32,768, with YaRN 131,072", [("context", "32,768", "ok"), ("context", "131,072", "ok")]),
]


@pytest.mark.parametrize(("item", "claims"), ITEMS)
def test_both_figures_of_an_item_are_read_by_their_words(item: str, claims: list[tuple[str, str, str]]) -> None:
    found = told(f"## Qwen3-8B\n\n- {item}\n- Layers: 36\n")
    assert [one for one in found if one[0] in ("heads", "kv_heads", "context")] == claims


ROWS = [
    ("Qwen3-30B-A3B", "30.5", "3.3", "128", "8"),
    ("DeepSeek-V3", "671", "37", "256", "8"),
    ("Mixtral-8x7B", "46.7", "12.9", "8", "2"),
]


@pytest.mark.parametrize("down", [False, True])
def test_active_beside_top_k_is_of_parameters(down: bool) -> None:
    """Bare numbers say no unit, and so nothing that can be told: they are no count of experts."""
    rows = [("Model", "Parameters", "Active", "Experts", "Top-k"), *ROWS]
    if down:
        rows = list(zip(*rows, strict=True))  # type: ignore[arg-type]
    lines = [f"| {' | '.join(row)} |" for row in rows]
    found = told("\n".join([lines[0], "|" + "---|" * len(rows[0]), *lines[1:]]) + "\n")
    assert not [one for one in found if one[2] in ("wrong", "doubtful")]
    assert {("active_experts", "8", "ok"), ("experts", "256", "ok")} <= set(found)
    assert ("active_experts", "37", "doubtful") not in found
