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


BASE = ["layers=28", "hidden_size=3584", "heads=28"]
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


SILENT = [
    # The experts that a token visits, and some of them.
    ("# Mixtral-8x7B\n\n- Layers: 32\n- **Routing:** each token goes to 2 experts\n- **Architecture:** 12.9B active with 2 experts\n",
     ["layers=32", "active_experts=2", "active_params=12.9B", "active_experts=2"]),
    ("# Qwen3-30B-A3B\n\n- Layers: 48\n- KV heads: 4\n- **Offloading:** 100 experts live on the CPU\n- **Pruned to:** 96 experts\n"
     "- **Fast mode:** 4 experts per token\n",
     ["layers=48", "kv_heads=4", "experts=100 doubtful", "experts=96 doubtful", "active_experts=4 doubtful"]),
    # Tags and files, of eight bits or four, as `ollama list` and the pages of its library have them.
    ("| Tag | Size | Context |\n|---|---|---|\n| gemma3:270m | 292MB | 32K |\n| qwen3:0.6b | 523MB | 40K |\n"
     "| llama3.2:1b | 1.3GB | 128K |\n",
     ["weights=292MB doubtful", "context=32K", "weights=523MB doubtful", "context=40K", "weights=1.3GB doubtful", "context=128K"]),
    # What a checkpoint of a training holds.
    ("# BLOOM-176B\n\n- Layers: 70\n- Heads: 112\n- Checkpoint size: the full checkpoint with optimizer states is 2.3TB\n",
     ["layers=70", "heads=112", "weights=2.3TB doubtful"]),
    # Encoders by their publishers: 675M in one release's paper is of all of them.
    ("| Model | Vision params | Layers |\n|---|---|---|\n| Qwen2-VL-2B | 675M | 28 |\n| MiniCPM-V-2.6 | 400M | 28 |\n",
     ["vision_params=675M doubtful", "layers=28", "vision_params=400M doubtful", "layers=28"]),
    # Members of families, of which not all are known.
    ("| Models | Sizes | Layers |\n|---|---|---|\n| LLaVA-1.5 | 7B/13B | 32 |\n| Llama-3.1-8B | 8B/70B | 32 |\n",
     ["active_params=7B", "total_params=13B doubtful", "layers=32", "active_params=8B", "total_params=70B doubtful", "layers=32"]),
    # A part of what stands before the bracket.
    ("# DeepSeek-V3\n\n- Layers: 61\n- Active parameters: 36.7B (including 0.9B for the embedding and 0.9B for the output head)\n",
     ["layers=61", "active_params=36.7B doubtful", "embedding_params=0.9B", "active_params=0.9B doubtful"]),
    # What is used, and of which model.
    *[(f"# Qwen2.5-7B\n\n- Layers: 28\n- Hidden size: 3584\n- Heads: 28\n- {label}: {text}\n", [*BASE, *said])
      for label, text, said in (
          ("Context used", "16k", []), ("Layers used", "20", []), ("推理上下文长度", "8192", []), ("剪枝后层数", "20", []),
          ("学生模型层数", "16", []), ("裁剪后词表大小", "64000", []), ("Training context", "4096", ["context=4096 doubtful"]),
          ("隐藏层 dropout", "0.1", []),
          ("Value heads", "1", ["v_dim=1 doubtful"]),
      )],
    # What is made of a model may hold more than it.
    ("| Method | LLM | Params | Layers |\n|---|---|---|---|\n| Ours | Qwen2.5-7B | 7.9B | 28 |\n| Plain | Llama-3.1-8B | 8.03B | 32 |\n",
     ["total_params=7.9B doubtful", "layers=28", "total_params=8.03B", "layers=32"]),
]  # fmt: skip


@pytest.mark.parametrize(("page", "said"), SILENT)
def test_what_is_of_something_else_raises_no_alarm(page: str, said: list[str]) -> None:
    assert told(page) == said


WRONG = [
    ("# Mixtral-8x7B\n\n- Layers: 32\n- KV heads: 8\n- Experts: 16\n", "experts=16 wrong"),
    ("| Model | Layers | Weights (BF16) |\n|---|---|---|\n| llama3.2:1b | 16 | 1.9 GB |\n", "weights=1.9 GB wrong"),
    ("# Qwen2.5-7B\n\n- Layers: 28\n- Heads: 28\n- Context length: 98304\n", "context=98304 wrong"),
    ("| VLM | LLM | Params | Layers |\n|---|---|---|---|\n| Qwen2-VL-2B | Qwen2-1.5B | 3.1B | 28 |\n", "total_params=3.1B wrong"),
]


@pytest.mark.parametrize(("page", "said"), WRONG)
def test_what_is_wrong_is_an_alarm_all_the_same(page: str, said: str) -> None:
    assert said in told(page)


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
