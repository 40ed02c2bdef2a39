"""`archcalc check`: what cells say, which models they speak of, what is right of them, and how it is told.

Right values are those of the models' published configs; where a convention makes a claim right, the test says which.
"""

from __future__ import annotations

import csv
import io
import json
import os
import re
import subprocess
import sys
from fractions import Fraction
from pathlib import Path
from xml.etree import ElementTree

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from archcalc import report, zoo
from archcalc.api import schema_model
from archcalc.cards import labels, reading, truth, vocabulary, words
from archcalc.cards.check import check_text
from archcalc.cards.models import load
from archcalc.cards.quantity import compare, numbers
from archcalc.cards.settings import Settings
from archcalc.cards.settings import find as find_settings
from archcalc.errors import UsageError
from archcalc.report import CheckResult
from conftest import Run

DATA = Path(__file__).parent / "data"


def judged(text: str, path: str = "card.md", settings: Settings | None = None) -> list[CheckResult]:
    return check_text(text, path, settings or Settings(), offline=True).results


def table(model: str, label: str, cell: str) -> str:
    return f"| Model | {label} |\n| --- | --- |\n| {model} | {cell} |\n"


def said(results: list[CheckResult]) -> str:
    """Results as `field=claimed`, with ! for what differs, alarm or doubt (tests/test_confirm.py tells them apart), and ? for what is not
    judged."""
    marks = {"ok": "", "wrong": "!", "doubtful": "!", "unverifiable": "?", "unknown-model": "?"}
    return "; ".join(f"{r.field}={r.claimed}{marks[r.verdict]}" for r in results)


# What a cell says


CELLS = [
    # Units, separators, decoration.
    ("Mistral 7B v0.1", "Params", "7.2B", "total_params=7.2B"),
    ("Mistral 7B v0.1", "Params", "7.5B", "total_params=7.5B!"),
    ("Mistral 7B v0.1", "Params", "**~7.2 B**[^1]", "total_params=7.2 B"),
    ("Mistral 7B v0.1", "Params", "[7.2B](https://example.org)†", "total_params=7.2B"),
    ("Mistral 7B v0.1", "Params", "7,241,732,096", "total_params=7,241,732,096"),
    ("Mistral 7B v0.1", "Params", "7,241,732,097", "total_params=7,241,732,097!"),
    ("Mistral 7B v0.1", "Params (B)", "7.24", "total_params=7.24"),
    ("Mistral 7B v0.1", "Params", "7241M", "total_params=7241M"),
    ("Mistral 7B v0.1", "Params", "7243M", "total_params=7243M!"),
    ("Mistral 7B v0.1", "Params", "7242M", "total_params=7242M"),
    ("DeepSeek-V3", "Total Params", "671 B", "total_params=671 B"),
    ("DeepSeek-V3", "Params", "671B (37B active)", "total_params=671B; active_params=37B"),
    ("DeepSeek-V3", "Params (Total / Active)", "671B / 38B", "total_params=671B; active_params=38B"),
    ("DeepSeek-V3", "Params (Total / Active)", "671B / 39B", "total_params=671B; active_params=39B!"),
    ("Kimi K2", "Params", "1T", "total_params=1T"),
    ("Kimi K2", "Params", "2T", "total_params=2T!"),
    ("MiniMax-Text-01", "Active params", "45.9B per token", "active_params=45.9B"),
    ("DeepSeek-V3", "Params", "671B (37B)", "total_params=671B; active_params=37B"),
    ("DeepSeek-V2", "Params", "236B [21B]", "total_params=236B; active_params=21B"),
    ("gpt-oss-20b", "Params", "20.9B (21B)", "total_params=20.9B; total_params=21B"),
    # What publishers say, though the tensors are fewer.
    ("Kimi K2", "Params", "1.04T", "total_params=1.04T"),
    ("Mistral 7B v0.1", "Params", "7.3B", "total_params=7.3B"),
    ("Kimi K2", "Params", "1.05T", "total_params=1.05T!"),
    # Other languages' words for powers of ten, and their commas.
    ("Qwen3-30B-A3B", "파라미터 수", "305억", "total_params=305억"),
    ("gpt-oss-120b", "파라미터 수", "1,168억", "total_params=1,168억"),
    ("gpt-oss-20b", "総パラメータ数", "219億", "total_params=219億!"),
    ("Qwen2.5-7B", "参数量（亿）", "76", "total_params=76"),
    ("Qwen2.5-7B", "参数量（亿）", "67", "total_params=67!"),
    ("Kimi K2", "总参数量", "1.04万亿", "total_params=1.04万亿"),
    ("Llama 3.1 8B", "上下文", "12.8万", "context=12.8万"),
    ("Mixtral 8x7B", "Parameter", "46,7 Mrd.", "total_params=46,7 Mrd"),
    ("Mixtral 8x7B", "Parameter", "56,7 Mrd.", "total_params=56,7 Mrd!"),
    ("Llama 3.1 8B", "Parámetros", "8.030 millones", "total_params=8.030 millones"),
    ("Phi-4", "Paramètres", "14,7 milliards", "total_params=14,7 milliards"),
    ("Phi-4", "Params", "14.7e9", "total_params=14.7e9"),
    ("Qwen3-30B-A3B", "Parameter", "30,5 Mrd. (3,3 Mrd. aktiv)", "total_params=30,5 Mrd; active_params=3,3 Mrd"),
    ("Qwen3-30B-A3B", "Params (B) / Active", "30.5 / 3.3", "total_params=30.5; active_params=3.3"),
    ("Qwen3-8B", "Gewichte (BF16)", "16,4 GB", "weights=16,4 GB"),
    # Contexts: k as 1,024 or 1,000.
    ("Llama 3.1 8B", "Context", "128k", "context=128k"),
    ("Llama 3.1 8B", "Context", "128K tokens", "context=128K"),
    ("Llama 3.1 8B", "Context", "131,072", "context=131,072"),
    ("Llama 3.1 8B", "Context", "131072", "context=131072"),
    ("Llama 3.1 8B", "Context", "131K", "context=131K"),
    ("Llama 3.1 8B", "Context", "128,000", "context=128,000"),
    ("Llama 3.1 8B", "Context", "132,072", "context=132,072!"),
    ("Llama 3.1 8B", "Context", "127k", "context=127k!"),
    ("Llama 3.1 8B", "Context", "64k", "context=64k!"),
    ("Llama 3.1 8B", "Context", "1M", "context=1M!"),
    ("Llama 4 Scout", "Context", "10M", "context=10M"),
    ("Qwen3-32B", "Context", "32K → 128K", "context=32K; context=128K"),
    ("Qwen3-32B", "Context", "32K → 256K", "context=32K; context=256K!"),
    ("Qwen3-32B", "Context length", "32,768 natively and 131,072 tokens with YaRN", "context=32,768; context=131,072; position=YaRN"),
    # Heads and how they are shared.
    ("Llama 3 8B", "Attention", "GQA (32/8)", "attention=GQA; heads=32; kv_heads=8"),
    ("Llama 3 8B", "Attention", "GQA (32/4)", "attention=GQA; heads=32; kv_heads=4!"),
    ("Llama 3 8B", "Attention", "MHA (32 heads)", "attention=MHA!; heads=32"),
    ("Llama 3 8B", "Heads (Q / KV)", "32 / 8", "heads=32; kv_heads=8"),
    ("Llama 3 8B", "Number of Attention Heads (GQA)", "32 for Q and 8 for KV", "heads=32; kv_heads=8"),
    ("Phi-4", "Q heads / KV heads", "40/10", "heads=40; kv_heads=10"),
    ("Phi-4", "Q heads / KV heads", "40/8", "heads=40; kv_heads=8!"),
    ("Llama 3 8B", "KV heads", "32 → 8", "kv_heads=32 → 8?"),
    ("DeepSeek-V3", "Head dim", "576", "head_dim=576"),
    ("MiniMax-Text-01", "Attention heads", "64 × 128 dim", "heads=64; head_dim=128"),
    ("Llama 3 8B", "GQA ratio", "4:1", "gqa_ratio=4:1"),
    # Experts.
    ("DeepSeek-V3", "MoE", "yes (256 experts, top-8)", "moe=yes; experts=256; active_experts=8"),
    ("DeepSeek-V3", "MoE", "yes (128 experts, top-6)", "moe=yes; experts=128!; active_experts=6!"),
    ("DeepSeek-V3", "MoE", "no", "moe=no!"),
    ("DeepSeek-V3", "Experts", "256+1", "experts=256; shared_experts=1"),
    ("DeepSeek-V3", "专家总数/激活", "256/8", "experts=256; active_experts=8"),
    ("DeepSeek-V3", "Experts", "256+2", "experts=256; shared_experts=2!"),
    ("DeepSeek-V3", "Routing", "Top-8 + shared", "active_experts=8; shared_experts=shared"),
    ("Mixtral 8x7B", "Routing", "Top-2 + shared", "active_experts=2; shared_experts=shared!"),
    ("DeepSeek-V3", "Share of routed experts active", "3.125% (8/256)", "expert_share=3.125%; active_experts=8; experts=256"),
    ("DeepSeek-V3", "Share of routed experts active", "4%", "expert_share=4%!"),
    # Layers and their kinds.
    ("DeepSeek-V3", "Layers", "61 (3 dense + 58 MoE)", "layers=61; dense_layers=3; moe_layers=58"),
    ("DeepSeek-V3", "Layers", "61 (4 dense + 57 MoE)", "layers=61; dense_layers=4!; moe_layers=57!"),
    ("Gemma 3 27B", "Local:global", "5:1", "layer_ratio=5:1"),
    ("Gemma 3 27B", "Local:global", "3:1", "layer_ratio=3:1!"),
    ("SmolLM3", "Layers without positional embedding", "every 4th", "nope_layers=every 4th"),
    ("SmolLM3", "Layers without positional embedding", "every 3rd", "nope_layers=every 3rd!"),
    ("gpt-oss-20b", "Sliding-window layers", "every other layer", "window_layers=every other layer"),
    # Bytes and operations.
    ("Llama 3 8B", "KV cache at 131,072 tokens, BF16", "17.2 GB", "kv_cache=17.2 GB"),
    ("Llama 3 8B", "KV cache at 131,072 tokens, BF16", "16 GiB", "kv_cache=16 GiB"),
    ("Llama 3 8B", "KV cache at 131,072 tokens, BF16", "17.2 GiB", "kv_cache=17.2 GiB!"),
    ("Llama 3 8B", "KV cache at 131,072 tokens, FP8", "8 GiB", "kv_cache=8 GiB"),
    ("Llama 3 8B", "KV cache per token", "128 KiB", "kv_per_token=128 KiB"),
    ("Llama 3 8B", "Weights in BF16", "16 GB", "weights=16 GB"),
    ("Llama 3 8B", "Weights in BF16", "32 GB", "weights=32 GB!"),
    # B alone counts parameters, unless the label or the digits speak of bytes.
    ("DeepSeek-V3", "Weights", "685B", "total_params=685B"),
    ("DeepSeek-V3", "Model weights", "671B", "total_params=671B"),
    ("DeepSeek-V3", "Weights", "400B", "total_params=400B!"),
    ("Qwen3-14B", "Weights", "14.8B (29.5 GB)", "total_params=14.8B; weights=29.5 GB"),
    ("Qwen3-14B", "Weights", "29.5G", "weights=29.5G"),
    ("Qwen3-14B", "Weights", "29.5B", "weights=29.5B"),
    ("Qwen3-14B", "Weights (GB)", "14.8", "weights=14.8!"),
    ("Qwen3-14B", "Size on disk", "14.8B", "weights=14.8B!"),
    ("Qwen3-8B", "KV cache per token", "147,456 B", "kv_per_token=147,456 B"),
    ("Qwen3-8B", "KV cache per token", "147,466 B", "kv_per_token=147,466 B!"),
    ("Llama 3 8B", "FLOPs per token", "16 GFLOPs", "flops=16 GFLOPs"),
    # Words, yes and no.
    ("OLMo 2 7B", "Norm", "RMSNorm (post)", "norm=RMSNorm; norm=post"),
    ("OLMo 2 7B", "Norm", "RMSNorm (pre)", "norm=RMSNorm; norm=pre!"),
    ("GPT-2 Small", "Activation", "SwiGLU", "activation=SwiGLU!"),
    ("GPT-2 Small", "Position", "learned", "position=learned"),
    ("Llama 3.2 1B", "Tied embeddings", "✓", "tied=✓"),
    ("Llama 3.2 1B", "Tied embeddings", "❌", "tied=❌!"),
    ("Qwen2.5-7B", "Attention bias", "yes", "attention_bias=yes"),
    ("DeepSeek-V3", "MTP", "1 layer", "mtp_layers=1"),
    ("DeepSeek-V3", "KV rank", "512", "kv_rank=512"),
    ("DeepSeek-V3", "Query rank", "1,536", "q_rank=1,536"),
    ("Llama 3 8B", "RoPE theta", "5e5", "rope_theta=5e5"),
    ("Llama 3 8B", "Vocab", "128k", "vocab=128k"),
    ("Mistral 7B v0.1", "Sliding window", "4k", "window=4k"),
    ("Mixtral 8x7B", "Sliding window", "4096", "window=4096!"),
    # What no config can tell, and what says nothing.
    ("Llama 3 8B", "License", "MIT", "license=MIT?"),
    ("Llama 3 8B", "Released", "Apr 2024", "release=Apr 2024?"),
    ("Llama 3 8B", "Layers", "many", "layers=many?"),
    ("Llama 3 8B", "Layers", "–", ""),
    ("Llama 3 8B", "Layers", "n/a", ""),
    ("Llama 3 8B", "MMLU", "66.6", ""),
    # Families: each value listed is some member's; one that none has is wrong where all members are known.
    ("Qwen3", "Type", "Dense & MoE", "type=Dense; type=MoE"),
    ("Gemma 2", "Type", "Dense & MoE", "type=Dense; type=MoE!"),
    ("Llama 4", "Context", "1M → 10M", "context=1M; context=10M"),
    ("DeepSeek (V3 / R1)", "Layers", "61", "layers=61"),
    ("DeepSeek (V3 / R1)", "Layers", "60", "layers=60!"),
    ("Llama 3 8B / 70B", "Layers", "32 / 80", "layers=32; layers=80"),
    ("Llama 3 8B / 70B", "KV heads", "8", "kv_heads=8"),
]  # fmt: skip


@pytest.mark.parametrize(("model", "label", "cell", "claims"), CELLS)
def test_what_a_cell_says(model: str, label: str, cell: str, claims: str) -> None:
    assert said(judged(table(model, label, cell))) == claims


@pytest.mark.parametrize(("model", "label", "cell", "claims"), [row for row in CELLS if row[3]])
def test_a_row_a_column_and_a_pair_say_the_same(model: str, label: str, cell: str, claims: str) -> None:
    """The same cell in a table with a model a column, and in a table of its own below a heading."""
    column = f"| | {model} |\n| --- | --- |\n| {label} | {cell} |\n"
    html = f"<table><tr><th>Model</th><th>{label}</th></tr><tr><td>{model}</td><td>{cell}</td></tr></table>\n"
    assert said(judged(column)) == claims
    assert said(judged(html)) == claims
    if "/" not in model:
        pair = f"## {model}\n\n| Field | Value |\n| --- | --- |\n| {label} | {cell} |\n"
        assert said(judged(pair)) == claims


WHY = [
    ("Qwen2.5-72B", "Params", "72.7B", "all parameters, 72,706,203,648 rounded"),
    ("Qwen3-14B", "Params", "14.7B", "14,768,307,200 cut off, not rounded"),
    ("Llama 4 Maverick", "Params", "400B", "trailing zeros"),
    ("DeepSeek-V3", "Active", "37B", "without the embedding"),
    ("DeepSeek-V3", "Total Params", "682.6B", "with the MTP layer"),
    ("DeepSeek-V3", "Total Params", "685B", "with its scales, as the Hub counted"),
    ("Qwen3-0.6B", "Non-Embedding Params", "0.44B", "without the embedding"),
    ("Llama 3.1 8B", "Context", "128k", "k as 1,024"),
    ("Llama 3.1 8B", "Context", "131k", "k as 1,000"),
    ("Llama 3.1 8B", "Context", "128,000", "k as 1,024 written out with k as 1,000"),
    ("Qwen3-32B", "Context", "128K", "with YaRN, model card of Qwen/Qwen3-32B"),
    ("Qwen3-32B", "Context", "40,960", "the config's maximum"),
    ("Llama 3 8B", "KV cache at 8k, FP8", "0.5 GB", "GB as GiB"),
    ("DeepSeek-V3", "KV heads", "1", "one latent for all heads"),
    ("Llama 3 8B", "FFN size", "28,672", "gate and up together"),
]


@pytest.mark.parametrize(("model", "label", "cell", "why"), WHY)
def test_the_convention_by_which_a_claim_is_right_is_named(model: str, label: str, cell: str, why: str) -> None:
    results = judged(table(model, label, cell))
    assert [r.verdict for r in results] == ["ok"]
    assert why in results[0].why


def test_a_wrong_claim_says_what_it_should_be_and_why() -> None:
    (result,) = judged(table("Llama 3 8B", "KV heads", "4"))
    key = zoo.config("llama-3-8b")["num_key_value_heads"]
    assert (result.verdict, result.actual, result.fix) == ("wrong", str(key), str(key))
    assert "num_key_value_heads" in result.why
    assert (result.model, result.resolved, result.field) == ("Llama 3 8B", "llama-3-8b", "kv_heads")


@given(
    value=st.integers(1, 10**14),
    mantissa=st.integers(1, 99999),
    decimals=st.integers(0, 3),
    unit=st.sampled_from([("", 1), ("K", 10**3), ("M", 10**6), ("B", 10**9), ("T", 10**12)]),
)
def test_a_number_reads_as_a_value_by_its_last_digit(value: int, mantissa: int, decimals: int, unit: tuple[str, int]) -> None:
    """Against the definition: off by half a unit in the last digit at most, or less than one above and cut off."""
    text = f"{mantissa / 10**decimals:.{decimals}f}{unit[0]}"
    number = next(numbers(text))
    step = Fraction(unit[1], 10**decimals)
    off = value - mantissa * step
    how = compare(number, value, unit[1], zeros=False)
    assume(not (mantissa == 1 and decimals == 0))  # one lone digit: 671B is no 1T
    expected = "exact" if off == 0 else "rounded" if abs(off) <= step / 2 else "cut" if 0 < off < step else None
    assert how == expected


@given(value=st.integers(1000, 10**13), digits=st.integers(2, 6))
def test_a_rounded_count_is_right_and_one_that_is_far_off_is_not(value: int, digits: int) -> None:
    exponent = len(str(value)) - digits
    assume(exponent >= 0)
    rounded = round(Fraction(value, 10**exponent)) * 10**exponent
    assert compare(next(numbers(f"{rounded:,}")), value, 1) is not None
    assert compare(next(numbers(f"{rounded + 2 * 10 ** (exponent + 1):,}")), value, 1, least=digits) is None


def test_tolerance_lets_pass_what_is_near_and_says_so() -> None:
    text = table("Llama 3 8B", "Params", "8.1B")
    assert said(judged(text)) == "total_params=8.1B!"
    (result,) = judged(text, settings=Settings(tolerance=Fraction(1, 100)))
    assert result.verdict == "ok"
    assert "tolerance" in result.why
    assert (
        said(judged(table("Llama 3 8B", "Params", "8.2B"), settings=Settings(tolerance=Fraction(1, 100)))) == "total_params=8.2B!"
    )


# Which model


NAMES = {
    "Llama 3 8B": "llama-3-8b", "Llama-3-8B": "llama-3-8b", "Meta-Llama-3-8B-Instruct": "llama-3-8b",
    "meta-llama/Meta-Llama-3-8B": "llama-3-8b",
    "**Llama 3 8B**": "llama-3-8b", "`llama-3-8b`": "llama-3-8b", "Llama 3 (8B)": "llama-3-8b", "Llama 3 8B (Meta)": "llama-3-8b",
    "Llama 3 8B[^2]": "llama-3-8b", "[Llama 3 8B](https://example.org)": "llama-3-8b", "🔥 Llama 3 8B": "llama-3-8b",
    "Qwen 2.5 72B": "qwen2.5-72b", "DeepSeek R1": "deepseek-r1", "DeepSeek-R1": "deepseek-r1", "Qwen3 235B": "qwen3-235b-a22b",
    "Qwen3-235B-A22B": "qwen3-235b-a22b", "gpt-oss 20B": "gpt-oss-20b", "Phi 4": "phi-4", "Mixtral-8x7B-v0.1": "mixtral-8x7b",
    "GPT-2 Small": "gpt2",
    # Another size, version or model of the same name is another model.
    "Llama 3 9B": None, "Llama 9 8B": None, "Qwen3-7B": None, "DeepSeek-V9": None, "Foo 9B": None, "Llama 3 8B Vision": None,
    "Llama 3 8B (13B)": None, "SuperLlama 3 8B": None, "DeepSeek-R1-Distill-Foo-9B": None,
}  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_a_name_is_one_model_or_none(name: str) -> None:
    (result,) = judged(table(name, "Layers", "32"))
    assert result.resolved == NAMES[name]
    assert (result.verdict == "unknown-model") == (NAMES[name] is None)
    if NAMES[name] is None:
        assert "names no model that the check knows" in result.why


KV = "| Field | Value |\n| --- | --- |\n| Layers | 12 |\n"
HF = "https://huggingface.co/openai-community/gpt2"
# A card whose one claim, 12 layers, is that of gpt2 by some statement of the card.
STATED = {
    "heading": f"# Card for gpt2\n\n{KV}",
    "a heading above others": f"# gpt2\n\n## Architecture\n\n{KV}",
    "caption": f"Details of gpt2-124m and gpt2:\n\ngpt2\n\n{KV}",
    "comment": f"# Ours\n\n<!-- archcalc: gpt2 -->\n\n{KV}",
    "comment in the heading": f"# Ours <!-- archcalc: gpt2 -->\n\n{KV}",
    "comment in the cell": table("Ours <!-- archcalc: gpt2 -->", "Layers", "12"),
    "comment on a name": f"<!-- archcalc: Ours 9B = gpt2 -->\n\n{table('Ours 9B', 'Layers', '12')}",
    "front matter": f"---\narchcalc: gpt2\n---\n\n{KV}",
    "front matter with a mark before it": f"\ufeff---\narchcalc: gpt2\n---\n\n{KV}",
    "front matter with fields": "---\narchcalc:\n  source: gpt2\n  layers: 12\n---\n",
    "front matter with claims": "---\nlanguage: en\nclaims:\n  model: gpt2\n  layers: 12\n---\n",
    "link": table(f"[Ours]({HF})", "Layers", "12"),
    "HTML link": table(f'<a href="{HF}">Ours</a>', "Layers", "12"),
    "column of links": f"| Model | Layers | Weights |\n| --- | --- | --- |\n| Ours | 12 | [hub]({HF}) |\n",
    "column of repositories": "| Model | Repository | Layers |\n| --- | --- | --- |\n| Ours | openai-community/gpt2 | 12 |\n",
    "list": "# gpt2\n\n- **Layers**: 12\n",
    "nested list": "# Models\n\n- gpt2\n  - Layers: 12\n",
    "paragraph": "# gpt2\n\n**Layers**: 12\n",
    "quote": "> # gpt2\n>\n> | Field | Value |\n> | --- | --- |\n> | Layers | 12 |\n",
    "line that states it": f"# Facts\n\n- Model: gpt2\n\n{KV}",
    "table without outer pipes": "Model | Layers\n--- | ---\ngpt2 | 12\n",
}


@pytest.mark.parametrize("case", STATED)
def test_how_a_card_names_its_model(case: str) -> None:
    results = [r for r in judged(STATED[case]) if r.field == "layers"]
    assert [(r.resolved, r.verdict) for r in results] == [("gpt2", "ok")]
    results = [r for r in judged(STATED[case].replace("12", "13")) if r.field == "layers"]
    assert [(r.resolved, r.verdict, r.actual) for r in results] == [("gpt2", "wrong", "12")]


def test_a_comment_holds_for_its_section() -> None:
    text = f"# A\n\n## Ours\n\n<!-- archcalc: gpt2 -->\n\n{KV}\n### Below\n\n{KV}\n## Other\n\n{KV}"
    assert [r.resolved for r in judged(text)] == ["gpt2", "gpt2", None]


def test_two_models_in_a_heading_are_ambiguous() -> None:
    (result,) = judged(f"# Mistral Nemo 12B against Llama 3 8B\n\n{KV}")
    assert (result.verdict, result.resolved) == ("unknown-model", None)
    assert "several models" in result.why


def test_comments_turn_checking_off() -> None:
    wrong = table("Llama 3 8B", "Layers", "33")
    assert judged(f"<!-- archcalc:off -->\n\n{wrong}") == []
    assert len(judged(f"<!-- archcalc:off -->\n\n{wrong}\n<!-- archcalc:on -->\n\n{wrong}")) == 1
    assert [r.line for r in judged(f"<!-- archcalc:ignore -->\n\n{wrong}\n{wrong}")] == [9]
    # What is shown as code is no comment.
    assert len(judged(f"Write `<!-- archcalc:off -->` above a table.\n\n{wrong}")) == 1
    assert len(judged(f"```\n<!-- archcalc:off -->\n```\n\n{wrong}")) == 1


def test_a_table_about_something_else_makes_no_claims() -> None:
    assert judged("| Name | Size |\n| --- | --- |\n| Berlin | 892 |\n") == []
    assert judged("```\n" + table("Llama 3 8B", "Layers", "33") + "```\n") == []
    assert judged("<!-- " + table("Llama 3 8B", "Layers", "33") + " -->\n") == []


def write_config(folder: Path, **changes: object) -> None:
    folder.mkdir(exist_ok=True)
    (folder / "config.json").write_text(json.dumps({**zoo.config("llama-3-8b"), **changes}), encoding="utf-8")


def test_the_config_beside_a_card_is_its_model(cli: Run, tmp_path: Path) -> None:
    write_config(tmp_path / "a", num_hidden_layers=12)
    (tmp_path / "a" / "README.md").write_text(KV, encoding="utf-8")
    (tmp_path / "README.md").write_text(KV, encoding="utf-8")
    results = json.loads(cli("check", "a/README.md", "README.md", "-f", "json", "--offline").stdout)["results"]
    assert [(r["file"], r["resolved"], r["verdict"]) for r in results] == [
        ("a/README.md", "./a/config.json", "ok"),
        ("README.md", None, "unknown-model"),
    ]
    (tmp_path / "b.md").write_text("<!-- archcalc: ./a/config.json -->\n\n" + KV, encoding="utf-8")
    assert cli("check", "b.md", "--offline").returncode == 0
    write_config(tmp_path / "a", num_hidden_layers=13)
    assert cli("check", "b.md", "--offline").returncode == 1
    assert cli("check", "README.md", "--model", "./a", "--offline").returncode == 1
    assert cli("check", "README.md", "--model", "gpt2", "--offline").returncode == 0


def test_a_source_that_cannot_be_had_fails(cli: Run, tmp_path: Path) -> None:
    """Whether or not a claim needs it."""
    cases = {
        "<!-- archcalc: no-such -->\n\ntext\n": "'no-such'",
        "---\narchcalc: no-such\n---\n\ntext\n": "'no-such'",
        "<!-- archcalc: Foo = ./absent/config.json -->\n\ntext\n": "absent/config.json",
        table("Foo <!-- archcalc: no-such -->", "Layers", "3"): "'no-such'",
        "<!-- archcalc: org/absent -->\n\ntext\n": "org/absent",
    }
    for text, named in cases.items():
        (tmp_path / "card.md").write_text(text, encoding="utf-8")
        done = cli("check", "card.md", "--offline")
        assert done.returncode == 1, text
        assert named in done.stderr
        assert done.stderr.count("archcalc: ") == 1
    done = cli("check", "card.md", "--model", "no-such", "--offline")
    assert (done.returncode, done.stdout) == (2, "")


# JSON and YAML


TREES = {
    "a.json": '{\n  "model": "Llama 3 8B",\n  "layers": 33,\n  "context": "8k",\n  "attention": {"type": "GQA", "kv_heads": 4}\n}\n',
    "b.json": '[{"name": "Llama 3 8B", "layers": 33, "n": {"kv_heads": 4}}, {"name": "Foo", "layers": 1}]',
    "c.json": '{"models": {"Llama 3 8B": {"layers": 33, "claims": {"kv_heads": 4}}, "Foo": {"layers": 1}}}',
    "d.yaml": "model: Llama 3 8B\nlayers: 33  # wrong\nspecs:\n  kv_heads: '4'\n",
    "e.yml": "Llama 3 8B:\n  layers: 33\n  kv_heads: 4\nFoo:\n  layers: 1\n",
    "f.yaml": "- source: llama-3-8b\n  layers: 33\n- archcalc: llama-3-8b\n  kv_heads: 4\n",
    "g.yaml": "base: &base\n  layers: 33\nLlama 3 8B:\n  <<: *base\n  kv_heads: 4\n",
    "h.yaml": "---\nmodel: Llama 3 8B\nlayers: 33\n---\nmodel: Llama 3 8B\nkv_heads: 4\n",
    "i.json": '{\n\t"model": "Llama 3 8B \\ud83d\\ude00",\n\t"layers": 33,\n\t"kv_heads": 4\n}',
}


@pytest.mark.parametrize("path", TREES)
def test_claims_in_json_and_yaml(path: str) -> None:
    text = TREES[path]
    wrong = [r for r in judged(text, path) if r.verdict == "wrong"]
    assert [(r.resolved, r.field, r.claimed) for r in wrong] == [("llama-3-8b", "layers", "33"), ("llama-3-8b", "kv_heads", "4")]
    lines = text.split("\n")
    for r in wrong:
        assert lines[r.line - 1][r.column - 1 :].startswith(r.claimed)
    assert {r.verdict for r in judged(text, path) if r.claimed == "1"} <= {"unknown-model"}


def test_front_matter_states_more_than_claims() -> None:
    """What a card's metadata says for other purposes is no claim; its license is one that no config settles."""
    text = "---\nlicense: mit\nbase_model: gpt2\ntags:\n- x\nmodel-index:\n- name: y\n  results: []\n---\n# gpt2\n\nText.\n"
    assert {(r.field, r.verdict) for r in judged(text)} <= {("license", "unverifiable")}


# Places


@pytest.mark.parametrize(
    "path", sorted(path for folder in ("cards", "claims") for path in (DATA / folder).glob("*.md")), ids=lambda p: p.name
)
def test_line_and_column_are_those_of_the_cell(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    lines = text.split("\n")
    for r in check_text(text, str(path), Settings(), offline=True).results:
        assert 1 <= r.line <= len(lines)
        there = lines[r.line - 1][r.column - 1 :]
        # Markup inside a claim stands in the file and not in the claim.
        plain = re.sub(r"[*_`\\\[\]]|\(https?:[^)]*\)|<[^>]*>", "", there)
        bare = re.sub(r"[*_`\\\[\]]", "", r.claimed)
        assert there.startswith(r.claimed) or plain.startswith(bare.split()[0][:8]), (r, there)


@pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"])
def test_places_with_any_line_ends_and_characters(newline: str) -> None:
    text = (
        "# Über 模型 🔥\n\n| Model | 🔥 | Layers |\n|---|---|---|\n| Llama 3 8B | 🔥🔥 | **33** |\n\n<table>\n"
        "<tr><th>Model</th><th>Layers</th></tr>\n<tr><td>模 &amp; x</td><td>\n\n33</td></tr>\n"
        "<tr><td>Llama 3 8B</td>\n<td>34</td></tr></table>\n"
    )
    wrong = [r for r in judged(text.replace("\n", newline)) if r.verdict == "wrong"]
    lines = text.split("\n")
    assert [(r.claimed, lines[r.line - 1][r.column - 1 :][:2]) for r in wrong] == [("33", "33"), ("34", "34")]


# Reports


@pytest.fixture
def card(tmp_path: Path) -> Path:
    """A card with one claim of each verdict; names and cells hold what formats have to escape."""
    path = tmp_path / "a card, 100%.md"
    path.write_text(
        "| Model | Layers | KV heads | License |\n| --- | --- | --- | --- |\n| Llama 3 8B | 33 | 8 | MIT |\n"
        '| 50% Foo: 9B, "x" <&> y | 9 | - | - |\n',
        encoding="utf-8",
    )
    return path


def test_the_table(card: Path, cli: Run) -> None:
    done = cli("check", card.name, "--offline")
    assert done.returncode == 1
    lines = done.stdout.splitlines()
    assert lines[0] == card.name
    assert lines[1].split() == "3:16 wrong Llama 3 8B: layers is '33' and should be '32': layers of the decoder: 32".split()
    assert "names no model that the check knows" in done.stdout
    assert lines[-1] == "1 file, 4 claims: 1 right, 1 wrong, 1 not verifiable, 1 of unknown models"
    explained = cli("check", card.name, "--explain", "--offline")
    assert explained.returncode == 1
    assert "KV heads '8' is right: num_key_value_heads" in explained.stdout
    assert "license 'MIT' is left alone: a config states no license" in explained.stdout
    assert explained.stdout.splitlines()[-1] == lines[-1]


def test_json_is_what_its_schema_says(card: Path, cli: Run) -> None:
    (card.parent / "bad.md").write_bytes(b"\xff")
    done = cli("check", card.name, "bad.md", "--format", "json", "--offline")
    assert (done.returncode, done.stderr) == (1, "")
    data = json.loads(done.stdout)
    schema_model(report.CheckReport).model_validate(data, strict=True)
    assert json.loads(cli("schema", "check").stdout)["properties"].keys() == data.keys()
    counts = {
        verdict: sum(r["verdict"] == verdict for r in data["results"])
        for verdict in ("ok", "wrong", "doubtful", "unverifiable", "unknown-model")
    }
    assert counts == {
        "ok": data["ok"],
        "wrong": data["wrong"],
        "doubtful": data["doubtful"],
        "unverifiable": data["unverifiable"],
        "unknown-model": data["unknown_model"],
    }
    assert (data["files"], data["claims"], counts["wrong"]) == (1, len(data["results"]), 1)
    assert [(e["file"], e["code"]) for e in data["errors"]] == [("bad.md", "format")]
    lines = [json.loads(line) for line in cli("check", card.name, "-f", "jsonl", "--offline").stdout.splitlines()]
    assert lines == data["results"]


def unescaped(text: str) -> str:
    for code, char in (("%0D", "\r"), ("%0A", "\n"), ("%3A", ":"), ("%2C", ","), ("%25", "%")):
        text = text.replace(code, char)
    return text


def test_github_annotations(card: Path, cli: Run) -> None:
    """Workflow commands: properties end at commas and colons, so theirs are escaped (actions/toolkit, core/src/command.ts)."""
    done = cli("check", card.name, "absent.md", "--format", "github", "--offline")
    assert done.returncode == 1
    *commands, unknown, _ = done.stdout.splitlines()
    assert "names no model that the check knows (1 claim not judged)" in unknown
    commands = [re.fullmatch(r"::(\w+) ([^:]*)::(.*)", line) for line in commands]
    assert all(commands)
    found = []
    for command in commands:
        assert command is not None
        properties = dict(part.split("=", 1) for part in command[2].split(","))
        found.append((command[1], {key: unescaped(value) for key, value in properties.items()}, unescaped(command[3])))
    error, wrong = found
    assert error[0] == wrong[0] == "error"
    assert (error[1]["file"], error[1]["line"]) == ("absent.md", "1")
    assert (wrong[1]["file"], wrong[1]["line"], wrong[1]["col"]) == ("a card, 100%.md", "3", "16")
    assert wrong[2] == "Llama 3 8B: layers is '33' and should be '32': layers of the decoder: 32"
    assert '50% Foo: 9B, "x" <&> y' in unknown
    assert done.stdout.splitlines()[-1].startswith("1 file, 4 claims")


def test_sarif(card: Path, cli: Run, tmp_path: Path) -> None:
    """SARIF 2.1.0: the properties that its schema requires, and what code scanning asks for beside them."""
    done = cli("check", card.name, str(card), "absent.md", "--format", "sarif", "--offline")
    assert done.returncode == 1
    log = json.loads(done.stdout)
    assert log["version"] == "2.1.0"
    assert log["$schema"].endswith("sarif-2.1.0.json")
    (run,) = log["runs"]
    driver = run["tool"]["driver"]
    assert driver["name"] == "archcalc"
    ids = [rule["id"] for rule in driver["rules"]]
    assert len(ids) == len(set(ids))
    assert all(rule["shortDescription"]["text"] for rule in driver["rules"])
    levels = []
    for result in run["results"]:
        assert ids[result["ruleIndex"]] == result["ruleId"]
        assert result["message"]["text"]
        (location,) = result["locations"]
        where = location["physicalLocation"]
        assert where["artifactLocation"] == {"uri": "a%20card%2C%20100%25.md", "uriBaseId": "%SRCROOT%"}
        assert where["region"]["startLine"] >= 1
        assert where["region"]["startColumn"] >= 1
        levels.append((result["level"], where["region"]["startLine"]))
    assert set(levels) == {("error", 3)}
    (invocation,) = run["invocations"]
    assert invocation["executionSuccessful"] is False
    assert [n["level"] for n in invocation["toolExecutionNotifications"]] == ["error", "note", "note"]
    outside = cli("check", str(DATA / "claims" / "knobs.md"), "--format", "sarif", "--offline")
    uris = {
        r["locations"][0]["physicalLocation"]["artifactLocation"]["uri"] for r in json.loads(outside.stdout)["runs"][0]["results"]
    }
    assert uris == {(DATA / "claims" / "knobs.md").as_uri()}


def test_junit(card: Path, cli: Run) -> None:
    (card.parent / "odd.md").write_text(table("Llama 3 8B", "Layers", "33 \x1b[31m"), encoding="utf-8")
    done = cli("check", card.name, "odd.md", "absent.md", "--format", "junit", "--offline")
    assert done.returncode == 1
    root = ElementTree.fromstring(done.stdout)
    assert root.tag == "testsuites"
    suites = list(root)
    for counts, cases in [(root.attrib, list(root.iter("testcase"))), *((s.attrib, list(s)) for s in suites)]:
        assert int(counts["tests"]) == len(cases)
        for name, tag in (("failures", "failure"), ("errors", "error"), ("skipped", "skipped")):
            assert int(counts[name]) == sum(case.find(tag) is not None for case in cases)
    assert [suite.attrib["name"] for suite in suites] == [card.name, "odd.md", "absent.md"]
    assert (root.attrib["failures"], root.attrib["errors"]) == ("2", "1")
    messages = [case.find("failure") for case in root.iter("testcase")]
    assert next(m.attrib["message"] for m in messages if m is not None).endswith("layers of the decoder: 32")


def test_lists_for_other_programs(card: Path, cli: Run) -> None:
    rows = list(csv.DictReader(io.StringIO(cli("check", card.name, "-f", "csv", "--offline").stdout)))
    assert [rows[0][key] for key in ("field", "claimed", "verdict", "fix")] == ["layers", "33", "wrong", "32"]
    assert len(rows) == 4
    page = cli("check", card.name, "-f", "markdown", "--offline").stdout
    assert page.count("\n") == 6
    assert all(line.startswith("|") for line in page.splitlines())


def test_what_a_cell_holds_does_not_steer_a_terminal(cli: Run, tmp_path: Path) -> None:
    (tmp_path / "x.md").write_text(table("Llama 3 8B \x1b]0;owned\x07", "Layers", "33"), encoding="utf-8")
    done = cli("check", "x.md", "--offline", "--explain")
    assert "\x1b" not in done.stdout + done.stderr
    assert "\x07" not in done.stdout + done.stderr


# Exit statuses and files


RIGHT, WRONG, NOTHING = table("Llama 3 8B", "Layers", "32"), table("Llama 3 8B", "Layers", "33"), "# Text\n\nNo tables.\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, text in (
        ("right.md", RIGHT),
        ("wrong.md", WRONG),
        ("nothing.md", NOTHING),
        ("docs/a.md", RIGHT),
        ("docs/deep/b.markdown", WRONG),
    ):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text, encoding="utf-8")
    (tmp_path / "docs" / "note.txt").write_text(WRONG, encoding="utf-8")
    (tmp_path / "docs" / ".hidden").mkdir()
    (tmp_path / "docs" / ".hidden" / "c.md").write_text(WRONG, encoding="utf-8")
    (tmp_path / "empty").mkdir()
    return tmp_path


CALLS = [
    (["right.md"], 0, 1),
    (["wrong.md"], 1, 1),
    (["right.md", "wrong.md"], 1, 2),
    (["nothing.md"], 0, 1),
    (["nothing.md", "--require-claims"], 1, 1),
    (["right.md", "--require-claims"], 0, 1),
    (["right.md", "nothing.md", "--require-claims"], 1, 2),
    (["right.md", "right.md", "./right.md"], 0, 2),
    (["*.md"], 1, 3),
    (["r*.md"], 0, 1),
    (["**/*.md"], 1, 4),
    (["docs"], 1, 2),
    (["docs/a.md", "docs"], 1, 2),
    (["absent.md"], 2, 0),
    (["x*.md"], 2, 0),
    (["right.md", "absent.md"], 1, 1),
    (["empty"], 2, 0),
    (["docs/note.txt"], 1, 1),
    ([], 2, None),
    (["right.md", "--format", "pdf"], 2, None),
    (["right.md", "--tolerance", "lots"], 2, None),
    (["right.md", "--tolerance", "1e-999999999"], 2, None),
    (["right.md", "--tolerance", "120%"], 2, None),
    (["right.md", "--config", "absent.toml"], 2, None),
    (["-", "--fix"], 2, None),
    (["wrong.md", "--tolerance", "5%"], 0, 1),
]


@pytest.mark.parametrize(("arguments", "status", "files"), CALLS, ids=lambda v: " ".join(v) if isinstance(v, list) else "")
def test_exit_statuses(arguments: list[str], status: int, files: int | None, folder: Path, cli: Run) -> None:
    done = cli("check", *arguments, "--offline", *([] if "--format" in arguments else ["-f", "json"]))
    assert done.returncode == status
    if files is None:
        assert done.stdout == ""
        assert done.stderr
    else:
        assert json.loads(done.stdout)["files"] == files
    assert "internal" not in done.stderr


def test_a_card_without_claims_says_so(folder: Path, cli: Run) -> None:
    done = cli("check", "nothing.md", "--offline")
    assert (done.returncode, done.stdout, done.stderr) == (0, "1 file, no claims\n", "")
    done = cli("check", "nothing.md", "--require-claims", "--offline")
    assert done.returncode == 1
    assert "nothing.md holds no claims" in done.stderr


def test_strict_fails_for_unknown_models(folder: Path, cli: Run) -> None:
    (folder / "foo.md").write_text(table("Foo 9B", "Layers", "3"), encoding="utf-8")
    assert cli("check", "foo.md", "--offline").returncode == 0
    assert cli("check", "foo.md", "--strict", "--offline").returncode == 1


def test_standard_input(cli: Run) -> None:
    done = cli("check", "-", "--offline", stdin=WRONG.encode())
    assert done.returncode == 1
    assert done.stdout.startswith("-\n")


@pytest.mark.skipif(not hasattr(os, "openpty"), reason="no terminals here")
def test_a_bar_on_a_terminal_where_there_are_many_files(tmp_path: Path) -> None:
    for i in range(25):
        (tmp_path / f"{i}.md").write_text(RIGHT, encoding="utf-8")
    for files, shown in (("*.md", True), ("1.md", False)):
        ours, theirs = os.openpty()
        done = subprocess.run(
            [sys.executable, "-m", "archcalc", "check", files, "--offline"],
            cwd=tmp_path, stdout=subprocess.PIPE, stderr=theirs, check=False, env={**os.environ, "TERM": "xterm"},
        )  # fmt: skip
        os.write(theirs, b".")
        bar = os.read(ours, 1 << 16)
        os.close(ours)
        os.close(theirs)
        assert done.returncode == 0
        assert done.stdout.decode().endswith("0 wrong, 0 not verifiable\n")
        assert (b"checking" in bar) == shown


# Settings


def test_settings_ignore_rules_and_sources(folder: Path, cli: Run) -> None:
    (folder / "foo.md").write_text(table("Foo 9B", "Layers", "32") + "\n" + table("Llama 3 8B", "KV heads", "4"), encoding="utf-8")
    body = """
sources = { "Foo 9B" = "./model/config.json" }
ignore = [
  { file = "wrong.md", model = "Llama 3 *", field = "layers", reason = "ours differs" },
  { field = "kv_heads" },
]
exclude = ["docs/**"]
"""
    write_config(folder / "model")
    (folder / "archcalc.toml").write_text(body, encoding="utf-8")
    (folder / "own.toml").write_text(body, encoding="utf-8")
    (folder / "pyproject.toml").write_text('[project]\nname = "x"\n', encoding="utf-8")
    assert cli("check", "wrong.md", "foo.md", "--strict", "--offline").returncode == 0
    assert cli("check", "**/*.md", "--strict", "--offline").returncode == 0
    write_config(folder / "model", num_hidden_layers=31)
    assert cli("check", "foo.md", "--offline").returncode == 1
    (folder / "archcalc.toml").unlink()
    assert cli("check", "wrong.md", "--offline").returncode == 1
    assert cli("check", "wrong.md", "--config", "own.toml", "--offline").returncode == 0
    table_ = body.replace("\nsources", "[tool.archcalc]\nsources", 1)
    (folder / "pyproject.toml").write_text(table_, encoding="utf-8")
    assert cli("check", "wrong.md", "--offline").returncode == 0


def test_settings_name_files_and_options(folder: Path, cli: Run) -> None:
    (folder / "archcalc.toml").write_text('files = ["*.md"]\nexclude = ["wrong.md"]\nrequire-claims = true\n', encoding="utf-8")
    done = cli("check", "--offline")
    assert done.returncode == 1
    assert "2 files" in done.stdout
    assert "nothing.md holds no claims" in done.stderr
    # What is excluded is left out even where it is named, as hooks name the files of a commit.
    done = cli("check", "wrong.md", "--offline")
    assert (done.returncode, done.stdout) == (0, "0 files, no claims\n")
    (folder / "archcalc.toml").write_text('tolerance = "5%"\n', encoding="utf-8")
    assert cli("check", "wrong.md", "--offline").returncode == 0
    assert cli("check", "wrong.md", "--tolerance", "0", "--offline").returncode == 1


BAD_SETTINGS = {
    "colour = 1": "'colour'",
    "files = 'a.md'": "files",
    "ignore = [1]": "ignore",
    'ignore = [{ fields = "x" }]': "fields",
    "ignore = [{ field = 1 }]": "ignore",
    'tolerance = "many"': "many",
    "tolerance = true": "True",
    "sources = { a = 1 }": "sources",
    "require-claims = 1": "require-claims",
    "[tool]\narchcalc = 5": "tool.archcalc",
    "files = [": "not TOML",
    "[tool.archcalc]\nfile = []": "'file'",
}


@pytest.mark.parametrize("text", BAD_SETTINGS)
def test_settings_that_cannot_be(text: str, folder: Path, cli: Run) -> None:
    (folder / "archcalc.toml").write_text(text, encoding="utf-8")
    done = cli("check", "right.md", "--offline")
    assert (done.returncode, done.stdout) == (2, "")
    assert "archcalc.toml" in done.stderr or "tolerance" in done.stderr
    assert BAD_SETTINGS[text] in done.stderr
    assert done.stderr.count("archcalc: ") == 1


def test_another_projects_settings_do_not_matter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for text in ("", "tool = 3", "[tool.other]\nx = 1", "not toml"):
        (tmp_path / "pyproject.toml").write_text(text, encoding="utf-8")
        assert find_settings(None) == Settings()
    with pytest.raises(UsageError, match="not TOML"):
        find_settings("pyproject.toml")


# Mending


MENDED = [
    ("| Mistral 7B v0.1 | 7.5B |", "Params", "| Mistral 7B v0.1 | 7.2B |"),
    ("| Mistral 7B v0.1 | 7.32 B |", "Params", "| Mistral 7B v0.1 | 7.24 B |"),
    ("| Mistral 7B v0.1 | **~8.3B**[^1] |", "Params", "| Mistral 7B v0.1 | **~7.2B**[^1] |"),
    ("| Mistral 7B v0.1 | 7,500,000,000 |", "Params", "| Mistral 7B v0.1 | 7,241,732,096 |"),
    ("| Mistral 7B v0.1 | 7500M |", "Params", "| Mistral 7B v0.1 | 7242M |"),
    ("| Mistral 7B v0.1 |  9  |", "Params (B)", "| Mistral 7B v0.1 |  7  |"),
    ("| Kimi K2 | 2T |", "Params", "| Kimi K2 | 1T |"),
    ("| DeepSeek-V3 | 1.5T |", "Params", "| DeepSeek-V3 | 0.7T |"),
    ("| Llama 3 8B | 128k | 128 |", "Context", "| Llama 3 8B | 8k | 128 |"),
    ("| Llama 3 8B | 128K tokens | 128 |", "Context", "| Llama 3 8B | 8K tokens | 128 |"),
    ("| Llama 3 8B | 131,072 | 128 |", "Context", "| Llama 3 8B | 8,192 | 128 |"),
    ("| Llama 3 8B | 131072 | 128 |", "Context", "| Llama 3 8B | 8192 | 128 |"),
    ("| Llama 3.1 8B | 8192 | 128 |", "Context", "| Llama 3.1 8B | 131072 | 128 |"),
    ("| Llama 3.1 8B | 8k | 128 |", "Context", "| Llama 3.1 8B | 128k | 128 |"),
    ("| Llama 3 405B | GQA (128/16) |", "Attention", "| Llama 3 405B | GQA (128/8) |"),
    ("| Llama 3 8B | MHA (32 heads) |", "Attention", "| Llama 3 8B | GQA (32 heads) |"),
    ("| Llama 3 8B | 17.2 GiB |", "KV cache at 131,072 tokens", "| Llama 3 8B | 16.0 GiB |"),
    ("| Llama 3 8B | 32GB |", "Weights in BF16", "| Llama 3 8B | 16GB |"),
    ("| DeepSeek-V3 | 61 (4 dense) |", "Layers", "| DeepSeek-V3 | 61 (3 dense) |"),
    ("| DeepSeek-V3 | yes (128 experts, top-4) |", "MoE", "| DeepSeek-V3 | yes (256 experts, top-8) |"),
    ("| Gemma 3 27B | 3 : 1 |", "Local:global", "| Gemma 3 27B | 5 : 1 |"),
    ("| Qwen2.5-7B | No |", "Attention bias", "| Qwen2.5-7B | Yes |"),
    ("| Llama 3.2 1B | ❌ |", "Tied embeddings", "| Llama 3.2 1B | ✅ |"),
    ("| Gemma 2 9B | yes |", "MoE", "| Gemma 2 9B | no |"),
    ("| OLMo 2 7B | LayerNorm |", "Norm", "| OLMo 2 7B | RMSNorm |"),
]


@pytest.mark.parametrize(
    ("row", "label", "mended", "newline"), [(*case, "\r\n" if i % 2 else "\n") for i, case in enumerate(MENDED)]
)
def test_fix_rewrites_the_wrong_cell_in_its_own_style(
    row: str, label: str, mended: str, newline: str, cli: Run, tmp_path: Path
) -> None:
    around = [
        "# Über",
        "",
        "text | 128k | 33 ",
        "",
        f"| Model | {label} | Head dim |" if label == "Context" else f"| Model | {label} |",
        "|:--|--:|--:|" if label == "Context" else "|:--|--:|",
        "ROW",
        "",
        "[^1]: 7.3B, 128k",
        "no end of line",
    ]
    before = newline.join(around).replace("ROW", row).encode()
    (tmp_path / "card.md").write_bytes(before)
    shown = cli("check", "card.md", "--fix", "--diff", "--offline")
    assert shown.returncode == 1
    assert (tmp_path / "card.md").read_bytes() == before
    assert f"-{row}" in shown.stdout
    assert f"+{mended}" in shown.stdout
    done = cli("check", "card.md", "--fix", "--offline")
    assert done.returncode == 0, done.stdout
    assert (tmp_path / "card.md").read_bytes() == newline.join(around).replace("ROW", mended).encode()
    again = cli("check", "card.md", "--fix", "--offline")
    assert again.returncode == 0
    assert "0 cells rewritten" in again.stderr


@pytest.mark.parametrize(
    "row",
    [
        "| Mistral / Mixtral | 33 |",  # of several models, right of none
        "| Mistral 7B v0.1 | &#51;3 |",  # an entity in the number
        "| Llama 3 8B / Llama 3 70B | 32 |",
    ],
)
def test_fix_leaves_what_it_cannot_mend(row: str, cli: Run, tmp_path: Path) -> None:
    text = f"| Model | Layers |\n| --- | --- |\n{row}\n"
    (tmp_path / "card.md").write_text(text, encoding="utf-8")
    done = cli("check", "card.md", "--fix", "--offline")
    assert (tmp_path / "card.md").read_text(encoding="utf-8") == text
    assert "0 cells rewritten" in done.stderr


@pytest.mark.parametrize("path", TREES)
def test_fix_in_json_and_yaml(path: str, cli: Run, tmp_path: Path) -> None:
    (tmp_path / path).write_text(TREES[path], encoding="utf-8")
    assert cli("check", path, "--fix", "--offline").returncode == 0
    text = (tmp_path / path).read_text(encoding="utf-8")
    assert text == TREES[path].replace("33", "32").replace('kv_heads": 4', 'kv_heads": 8').replace(
        "kv_heads: 4", "kv_heads: 8"
    ).replace("'4'", "'8'")


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_fix_keeps_the_encoding(encoding: str, cli: Run, tmp_path: Path) -> None:
    (tmp_path / "card.md").write_bytes(f"# Ü\n\n{WRONG}".encode(encoding))
    assert cli("check", "card.md", "--fix", "--offline").returncode == 0
    assert (tmp_path / "card.md").read_bytes() == f"# Ü\n\n{RIGHT}".encode(encoding)


@pytest.mark.parametrize("name", ["knobs.md", "landscape.md", "bricks.md", "prose.md"])
def test_fix_of_published_tables_changes_wrong_claims_alone(name: str, cli: Run, tmp_path: Path) -> None:
    before = (DATA / "claims" / name).read_text(encoding="utf-8")
    (tmp_path / name).write_text(before, encoding="utf-8")
    wrong = {(r.line, r.claimed) for r in judged(before) if r.fix}
    cli("check", name, "--fix", "--offline")
    after = (tmp_path / name).read_text(encoding="utf-8")
    changed = {i for i, (a, b) in enumerate(zip(before.split("\n"), after.split("\n"), strict=True), 1) if a != b}
    assert changed == {line for line, _ in wrong}
    assert not [r for r in judged(after) if r.verdict == "wrong" and r.fix]
    assert sum(r.verdict == "ok" for r in judged(after)) >= sum(r.verdict == "ok" for r in judged(before)) + len(wrong)


def test_a_failed_write_leaves_the_file(cli: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    for name in ("a.md", "b.md"):
        (tmp_path / name).write_text(WRONG, encoding="utf-8")
    monkeypatch.setattr(os, "replace", full)
    done = cli("check", "a.md", "b.md", "--fix", "--offline")
    assert done.returncode == 1
    assert done.stderr.count("cannot be written: No space left on device") == 2
    assert "0 cells rewritten" in done.stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.md", "b.md"]
    assert (tmp_path / "a.md").read_text(encoding="utf-8") == WRONG


def test_a_file_that_may_not_be_written_is_not_replaced(cli: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Renaming another file over it needs no permission of the file's own."""
    (tmp_path / "a.md").write_text(WRONG, encoding="utf-8")
    monkeypatch.setattr(os, "access", lambda path, mode: mode != os.W_OK)
    done = cli("check", "a.md", "--fix", "--offline")
    assert done.returncode == 1
    assert "a.md cannot be written: Permission denied" in done.stderr
    assert [path.read_text(encoding="utf-8") for path in tmp_path.iterdir()] == [WRONG]


def test_many_edits_of_which_one_does_not_hold(cli: Run, tmp_path: Path) -> None:
    """A cell that two rows share and that cannot be right for both stays; the others are mended."""
    rows = "".join(f"<tr><td>Llama 2 7B</td><td>{n}</td></tr>\n" for n in range(33, 53))
    shared = '<tr><td>Llama 3 8B</td><td rowspan="2">60</td></tr>\n<tr><td>Llama 3 70B</td></tr>\n'
    text = f"<table>\n<tr><th>Model</th><th>Layers</th></tr>\n{rows}{shared}</table>\n"
    (tmp_path / "card.md").write_text(text, encoding="utf-8")
    done = cli("check", "card.md", "--fix", "--offline")
    assert done.returncode == 1
    after = (tmp_path / "card.md").read_text(encoding="utf-8")
    assert after == re.sub(r"<td>\d\d</td>", "<td>32</td>", text)
    assert "20 cells rewritten" in done.stderr


SECTIONS = ("labels", "words", "behind a number", "before a number", "parts of labels", "open labels", "symbols", "roles")


@pytest.mark.parametrize("title", SECTIONS)
def test_what_languages_name_is_a_field(title: str) -> None:
    named = {re.split("[?!]", field)[0] for field, _ in vocabulary.section(title) if field[0] not in "@-"}
    named |= {line.split()[0] for field, line in vocabulary.section(title) if title == "roles"}
    assert named
    assert named <= vocabulary.fields().keys()


def test_every_word_has_a_meaning_and_every_field_a_reader_and_a_truth() -> None:
    model = load("qwen3-8b", offline=True)
    for kind, line in vocabulary.section("words"):
        assert words.judge(model, line.split()[0]).why, (kind, line)
    for name, field in vocabulary.fields().items():
        assert field.reader == "-" or field.reader in reading._READERS, name
        if field.kinds[0] in ("count", "int", "tokens", "bytes", "flops", "share", "factor"):
            assert name in truth._finders(), name


@pytest.mark.parametrize(
    ("language", "label", "field"),
    [
        ("de", "Größe", "total_params"),
        ("de", "KV-Köpfe", "kv_heads"),
        ("de", "Verborgene Dimension", "hidden_size"),
        ("fr", "Nombre de couches", "layers"),
        ("fr", "Têtes KV", "kv_heads"),
        ("es", "Cabezas de atención", "heads"),
        ("pt", "Janela de contexto", "context"),
        ("it", "Contesto", "context"),
        ("ru", "Число слоев", "layers"),
        ("ja", "語彙サイズ", "vocab"),
        ("ja", "アクティブエキスパート数", "active_experts"),
        ("ja", "中間層サイズ", "intermediate_size"),
        ("ko", "어텐션 헤드 수", "heads"),
        ("ko", "KV 헤드", "kv_heads"),
        ("ko", "슬라이딩 윈도우", "window"),
        ("zh", "隐藏层大小", "hidden_size"),
        ("zh", "每 token 激活的路由专家数", "active_experts"),
    ],
)
def test_labels_of_other_languages(language: str, label: str, field: str) -> None:
    found = labels.parse(label)
    assert found is not None
    assert found.fields == (field,)
