"""Claims that say themselves what they are: in items, notes and cells, and under labels of other languages and with keys in them.

The texts are made up, in the shapes that pages have; what each says is written beside it.
"""

from __future__ import annotations

import pytest

from archcalc.cards import labels
from archcalc.cards.check import check_text
from archcalc.cards.settings import Settings

ITEMS = [
    ("36 layers in all: 32 query heads and 8 KV heads", "layers=36 heads=32 kv_heads=8"),
    ("36 layers, 4096 hidden size", "layers=36 hidden_size=4096"),
    ("32 attention heads, 8 query groups (GQA)", "heads=32 kv_heads=8 attention=GQA"),
    ("**Attention**: 32 query heads, 8 KV heads (GQA)", "heads=32 kv_heads=8 attention=GQA"),
    ("A vocabulary of 151,936 entries", "vocab=151,936"),
    ("`hidden_size = 4096`, `36` layers", "hidden_size=4096 layers=36"),
    ("It shares 8 key-value heads among 32 query heads", "kv_heads=8 heads=32"),
    ("12,288 FFN hidden size and 4,096 hidden size", "intermediate_size=12,288 hidden_size=4,096"),
    # What is no claim of the model: another model's, a part's, a run's.
    ("Trained on 36T tokens for 8 weeks on 512 GPUs", ""),
    ("The vision encoder has 27 layers", ""),
    ("Recommended: a context of 32K for long documents", ""),
    ("Layers 0-2 are loaded first", ""),
    ("Distilled into 28 layers for phones", ""),
]


def said(text: str) -> set[str]:
    results = check_text(text, "card.md", Settings(), offline=True).results
    return {f"{r.field}={r.claimed}" for r in results if r.verdict == "ok" and not r.why.startswith("not understood")}


@pytest.mark.parametrize(("item", "claims"), ITEMS)
def test_an_item_says_figures_without_a_label(item: str, claims: str) -> None:
    assert said(f"# Qwen3-8B\n\n- {item}\n") == set(claims.split())
    assert [
        r for r in check_text(f"# Qwen3-8B\n\n- {item}\n", "a.md", Settings(), offline=True).results if r.verdict == "wrong"
    ] == []


def test_an_item_that_is_a_name_pins_the_items_below_it() -> None:
    text = (
        "## Models\n\n- **Qwen3-8B** (`Qwen/Qwen3-8B`)\n  - 36 layers, 4096 hidden size\n"
        "- **Qwen3-32B** (`Qwen/Qwen3-32B`)\n  - 64 layers\n"
    )
    results = check_text(text, "card.md", Settings(), offline=True).results
    assert [(r.resolved, r.field, r.claimed) for r in results if r.verdict == "ok"] == [
        ("qwen3-8b", "layers", "36"), ("qwen3-8b", "hidden_size", "4096"), ("qwen3-32b", "layers", "64"),
    ]  # fmt: skip


def test_notes_of_a_row_are_read_where_a_noun_says_what_counts() -> None:
    text = "| Model | Notes |\n| --- | --- |\n| Qwen3-8B | dense decoder, 36 layers, 8 KV heads |\n"
    assert said(text) == {"layers=36", "kv_heads=8"}


def test_a_cell_says_more_than_its_label_asks_for() -> None:
    text = "| 项目 | Mixtral-8x7B |\n| --- | --- |\n| 专家数量 | 8个（实际激活2个） |\n| 模型大小 | 46.7B（实际激活约12.9B） |\n"
    assert said(text) == {"experts=8", "active_experts=2", "total_params=46.7B", "active_params=12.9B"}


LABELS = [
    ("变换层（n_layer, num_hidden_layers）", ("layers",)),
    ("前馈隐藏层大小（ffn_hidden_size）", ("intermediate_size",)),
    ("layer_num", ("layers",)),
    ("head_num", ("heads",)),
    ("seq_length, n_ctx", ("context",)),
    ("KV channels", ("head_dim",)),
    ("#TP", ("total_params",)),
    ("#AP", ("active_params",)),
    ("每 token 激活的路由专家数", ("active_experts",)),
    ("每个专家的中间维度", ("expert_size",)),
    ("查询压缩维度", ("q_rank",)),
    ("支持上下文长度", ("context",)),
    ("滑动窗口大小", ("window",)),
    ("多 token 预测深度", ("mtp_layers",)),
    ("共享专家个数", ("shared_experts",)),
    ("稠密层数", ("dense_layers",)),
    ("MoE 层数", ("moe_layers",)),
    ("滑动窗口层数", ("window_layers",)),
    ("查询头数 $n_h$", ("heads",)),
    ("Experts (top-k)", ("experts", "active_experts")),
    ("Activated Specialized Experts", ("active_experts",)),
]


@pytest.mark.parametrize(("label", "fields"), LABELS)
def test_labels_with_keys_symbols_and_compounds(label: str, fields: tuple[str, ...]) -> None:
    found = labels.parse(label)
    assert found is not None
    assert found.fields == fields


@pytest.mark.parametrize(
    "label",
    ["Q-LoRA", "LoRA (emb)", "Full-parameter", "索引头维度", "压缩率", "每卡专家数", "视觉隐藏维度", "卸载层数", "训练序列长度"],
)
def test_labels_of_something_else(label: str) -> None:
    assert labels.parse(label) is None


def test_latex_in_labels_and_values() -> None:
    text = "| | DeepSeek-V3 |\n| --- | --- |\n| Layers $N_{\\text{layer}}$ | $61$ |\n| Total Parameters | $671\\text{B}$ |\n"
    assert said(text) == {"layers=61", "total_params=671B"}


def test_caches_across_contexts() -> None:
    """Full keys and values of every layer: 2 x 36 layers x 8 heads x 128 x 2 bytes = 147,456 a token."""
    text = "The KV cache, fp16:\n\n| context | 4k | 8k |\n| --- | --- | --- |\n| Qwen3-8B | 576 MiB | 1152 MiB |\n"
    assert said(text) == {"kv_cache=576 MiB", "kv_cache=1152 MiB"}
    part = "The KV cache of the full layers alone:\n\n| context | 4k |\n| --- | --- |\n| gemma-3-27b | 320MB |\n"
    assert check_text(part, "card.md", Settings(), offline=True).results == []


def test_sizes_beside_a_family_name_members() -> None:
    text = "| Model | Parameters | Experts |\n| --- | --- | --- |\n| gpt-oss | 116.8B | 128 |\n| gpt-oss | 20.9B | 32 |\n"
    results = check_text(text, "card.md", Settings(), offline=True).results
    assert [(r.resolved, r.verdict) for r in results if r.field == "experts"] == [("gpt-oss-120b", "ok"), ("gpt-oss-20b", "ok")]


def test_a_table_without_a_name_is_of_the_model_that_its_figures_are_of() -> None:
    text = (
        "Mixtral 8x7B follows Mistral 7B v0.1:\n\n| Parameter | Value |\n| --- | --- |\n| dim | 4096 |\n| n_layers | 32 |\n"
        "| head_dim | 128 |\n| n_kv_heads | 8 |\n| num_experts | 8 |\n| top_k_experts | 2 |\n"
    )
    results = check_text(text, "card.md", Settings(), offline=True).results
    assert {(r.resolved, r.verdict) for r in results} == {("mixtral-8x7b", "ok")}
    other = check_text(text.replace("8x7B", "9x9B"), "card.md", Settings(), offline=True).results
    assert {r.resolved for r in other} == {None}


def test_two_names_above_a_list_are_its_models() -> None:
    text = "# Yi-34B and Code Llama\n\nCode Llama 7B / 13B:\n\n* Layers: 32 / 40\n* Hidden size: 4096 / 5120\n* Context: 16K\n"
    results = check_text(text, "card.md", Settings(), offline=True).results
    assert [(r.resolved, r.field, r.verdict) for r in results] == [
        ("codellama-7b", "layers", "ok"), ("codellama-13b", "layers", "ok"), ("codellama-7b", "hidden_size", "ok"),
        ("codellama-13b", "hidden_size", "ok"), ("codellama-7b, codellama-13b", "context", "ok"),
    ]  # fmt: skip


def test_a_column_of_structure_is_notes() -> None:
    text = (
        "| 模型 | 结构要点 | 参数 |\n| --- | --- | --- |\n"
        "| GLM-4.5 | MoE，160 个路由专家 + 1 个共享专家，激活 8 个；92 层 | 355B / 激活 32B |\n"
        "| Kimi-K2 | MoE，384 个专家，激活 8 个；61 层 | 1T / 激活 32B |\n"
    )
    assert {"experts=160", "layers=92", "total_params=355B", "active_params=32B", "experts=384", "layers=61"} <= said(text)


def test_cache_of_a_token_in_chinese() -> None:
    """512 + 64 elements of 2 bytes in each of 61 layers: 70,272 bytes."""
    text = "| 模型 | KV Cache 每 Token (BF16) |\n| --- | --- |\n| DeepSeek-V3 (MLA) | 70.272 KB |\n| LLaMA-3.1 405B (GQA) | 516.096 KB |\n"
    assert said(text) == {"kv_per_token=70.272 KB", "kv_per_token=516.096 KB"}


@pytest.mark.parametrize(
    ("said", "resolved"),
    [
        ("Mistral Large 2", "mistral-large-2-123b"),
        ("Qwen3-30B-A3B-Instruct-2507", "qwen3-30b-a3b-instruct-2507, qwen3-30b-a3b"),
        ("Qwen3.6 35B-A3B (`Qwen/Qwen3.6-35B-A3B`)", "qwen3.6-35b-a3b"),
        ("Llama 2 70B (Qwen/Qwen3-8B)", None),
        ("Magistral-Small-2506", "magistral-small-2506"),
        ("Magistral-Small-2509", None),
        ("DeepSeekMoE", None),
        ("command", None),
    ],
)
def test_names_of_models_without_a_card(said: str, resolved: str | None) -> None:
    """A release goes with what it was tuned from; another date, another repository and a word that begins one name are not it."""
    text = f"| Model | Hidden size | Layers |\n| --- | --- | --- |\n| {said} | 1 | 1 |\n| Qwen3-8B | 4096 | 36 |\n"
    results = check_text(text, "card.md", Settings(), offline=True).results
    assert {r.resolved for r in results if r.line == 3} == {resolved}


@pytest.mark.parametrize(
    ("model", "context"),
    [("Mistral Small 3 (24B)", "128K"), ("Llama-2-70B", "4K")],
)
def test_what_another_release_of_a_name_has_is_no_alarm(model: str, context: str) -> None:
    """70B is a name for 68,976,648,192 parameters, and Mistral Small 3.1 has the context that 3 has not."""
    size = "24B" if "24B" in model else "70B"
    text = f"| Model | Parameters | Context |\n| --- | --- | --- |\n| {model} | {size} | {context} |\n| Qwen3-8B | 8.2B | 40K |\n"
    results = check_text(text, "card.md", Settings(), offline=True).results
    assert "wrong" not in {r.verdict for r in results}
    assert {r.verdict for r in results if r.field == "total_params"} == {"ok"}
