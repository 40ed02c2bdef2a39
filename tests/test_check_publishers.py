"""What publishers state in their own words, and what is of no model's file: read as meant, and no alarm.

The pages are made up; the figures are those of the publishers' configs and model cards.
"""

from __future__ import annotations

import pytest

from archcalc.cards.check import check_text
from archcalc.cards.settings import Settings


def told(page: str) -> list[str]:
    """Each claim as `field=text`, with the verdict where it is not right."""
    results = check_text(page, "page.md", Settings(), offline=True).results
    return [f"{r.field}={r.claimed}{'' if r.verdict == 'ok' else f' {r.verdict}'}" for r in results if r.field != "type"]


ROTARY = [
    ("GPT-J-6B", 64, 28), ("GPT-NeoX-20B", 24, 44), ("phi-2", 32, 32), ("StableLM-2-1.6B", 16, 24), ("MiniMax-Text-01", 64, 80),
    ("Phi-4-mini", 96, 32), ("DeepSeek-V3", 64, 61), ("Qwen3-8B", 128, 36),
]  # fmt: skip


def test_a_rotary_width_is_what_is_turned_of_a_head() -> None:
    page = "| Model | RoPE dimensions | Layers |\n|---|---|---|\n" + "".join(f"| {n} | {w} | {k} |\n" for n, w, k in ROTARY)
    assert told(page) == [said for _, width, layers in ROTARY for said in (f"rope_dim={width}", f"layers={layers}")]
    assert "rope_dim=256 wrong" in told(page.replace("| GPT-J-6B | 64 |", "| GPT-J-6B | 256 |"))


ORIGINS = [
    ("VLM", "LLM", "Qwen2-VL-2B", "Qwen2-1.5B", "2.2B", "28"),
    ("MLLM", "Backbone", "Qwen2.5-VL-7B", "Qwen2.5-7B", "8.3B", "28"),
    ("", "LLM", "Qwen2-VL-2B", "Qwen2-1.5B", "2.2B", "28"),
    ("Fine-tune", "Base model", "medgemma-4b", "gemma-3-4b", "4.3B", "34"),
    ("Student", "Teacher", "Llama-3.2-1B", "Llama-3.1-8B", "1.24B", "16"),
    ("Stack", "LLM", "planner", "Llama-3.1-8B", "8.03B", "32"),
]


@pytest.mark.parametrize(("head", "origin", "model", "base", "params", "layers"), ORIGINS)
def test_what_a_row_is_made_of_is_not_its_model(head: str, origin: str, model: str, base: str, params: str, layers: str) -> None:
    page = f"| {head} | {origin} | Params | Layers |\n|---|---|---|---|\n| {model} | {base} | {params} | {layers} |\n"
    assert told(page) == [f"total_params={params}", f"layers={layers}"]


PUBLISHED = [
    # (page, what it says), each from the publisher's own card or paper.
    ("| Property | LFM2-350M | LFM2-700M | LFM2-1.2B |\n|---|---|---|---|\n| Context length | 32,768 | 32,768 | 32,768 |\n",
     ["context=32,768"] * 3),
    ("| Model | Total parameters |\n|---|---|\n| Kimi K2 | 1043B |\n| DeepSeek-V3 | 671B |\n",
     ["total_params=1043B doubtful", "total_params=671B"]),  # 1.04T, as the publisher states
    ("# GPT-J 6B\n\n| Field | Value |\n|---|---|\n| Parameters | 6053381344 |\n| Layers | 28 |\n",
     ["total_params=6053381344", "layers=28"]),
    *[(f"# Qwen2.5-{name}-Instruct\n\n- Number of parameters: {total}\n- Number of parameters (non-embedding): {rest}\n",
       [f"total_params={total}", f"total_params={rest}"])
      for name, total, rest in (("14B", "14.7B", "13.1B"), ("32B", "32.5B", "31.0B"), ("72B", "72.7B", "70.0B"))],
]  # fmt: skip


@pytest.mark.parametrize(("page", "said"), PUBLISHED)
def test_a_figure_of_the_publisher_is_right(page: str, said: list[str]) -> None:
    assert told(page) == said
