"""What brackets of a label say, tables of models made from others, models side by side, and labels in other languages.

Figures are those of the published configs, or worked out from them as the comments say.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from archcalc.cards import labels
from archcalc.cards.check import check_text
from archcalc.cards.quantity import numbers
from archcalc.cards.settings import Settings
from archcalc.report import CheckResult
from conftest import Run


def judged(text: str) -> list[CheckResult]:
    return check_text(text, "card.md", Settings(), offline=True).results


def table(*rows: tuple[str, ...]) -> str:
    lines = ["| " + " | ".join(row) + " |" for row in rows]
    return "\n".join((lines[0], "|" + "---|" * len(rows[0]), *lines[1:])) + "\n"


def alarmed(text: str) -> list[tuple[str, str]]:
    return [(r.field, r.claimed) for r in judged(text) if r.verdict in ("wrong", "doubtful")]


# Model, label, its figure, what the label asks for.
QUALIFIED = [
    ("Qwen3-30B-A3B", "Hidden size (MoE)", "768", "expert_size"),
    ("Qwen3-30B-A3B", "Hidden size (experts)", "768", "expert_size"),
    ("Qwen3-30B-A3B", "Hidden (expert)", "768", "expert_size"),
    ("Qwen3-30B-A3B", "Hidden size [per expert]", "768", "expert_size"),
    ("Llama 3.1 8B", "Hidden dim (MLP)", "14336", "intermediate_size"),
    ("Llama 3.1 8B", "Hidden size (FFN)", "14336", "intermediate_size"),
    ("GLM-4.5-Air", "Hidden size (dense FFN)", "10944", "intermediate_size"),
    ("GLM-4.5-Air", "Layers (MoE)", "45", "moe_layers"),
    ("GLM-4.5-Air", "Layers (dense)", "1", "dense_layers"),
    ("Gemma 2 9B", "Layers (sliding)", "21", "window_layers"),
    ("Gemma 2 9B", "Layers (global)", "21", "full_layers"),
    ("Qwen3-30B-A3B", "Heads (KV)", "4", "kv_heads"),
    ("Qwen3-30B-A3B", "Heads (Q)", "32", "heads"),
    ("Qwen3-30B-A3B", "Dim (head)", "128", "head_dim"),
    ("DeepSeek-V3", "Head dim (V)", "128", "v_dim"),
    ("DeepSeek-V3", "Experts (shared)", "1", "shared_experts"),
    ("DeepSeek-V3", "Experts (active)", "8", "active_experts"),
    ("DeepSeek-V3", "Experts (per token)", "8", "active_experts"),
    ("Qwen3-30B-A3B", "Params (active)", "3.3B", "active_params"),
    # 256,000 x 3,584.
    ("Gemma 2 9B", "Params (embedding)", "0.92B", "embedding_params"),
    # 36 x (2 x 4096 x 4096 + 2 x 4096 x 1024), and 36 x 3 x 4096 x 12288.
    ("Qwen3-8B", "Params (attention)", "1.51B", "attention_params"),
    ("Qwen3-8B", "Params (MLP)", "5.44B", "ffn_params"),
    ("Qwen3-8B", "Size (vocab)", "151936", "vocab"),
    ("GLM-4.5-Air", "隐藏维度（专家）", "1408", "expert_size"),
    ("GLM-4.5-Air", "层数（MoE）", "45", "moe_layers"),
    ("GLM-4.5-Air", "头数（KV）", "8", "kv_heads"),
    # What changes nothing.
    ("Qwen3-8B", "Layers (total)", "36", "layers"),
    ("Qwen3-8B", "Layers (L)", "36", "layers"),
    ("Qwen3-8B", "Layers (num_hidden_layers)", "36", "layers"),
    ("Qwen3-8B", "Context (tokens)", "40960", "context"),
    ("Qwen3-8B", "KV heads (GQA)", "8", "kv_heads"),
    ("Qwen3-8B", "Layers (decoder)", "36", "layers"),
    ("GLM-4.5-Air", "Layers (dense layer included)", "46", "layers"),
]


@pytest.mark.parametrize(("model", "label", "cell", "field"), QUALIFIED)
def test_brackets_mean_what_their_words_mean(model: str, label: str, cell: str, field: str) -> None:
    """The same in a column, in a row and in an item; what is wrong is an alarm about the field that the whole label asks for."""
    pages = (
        table(("Model", "Name", label), (model, "x", cell)),
        table(("", model), (label, cell)),
        f"# {model}\n\n- {label}: {cell}\n",
    )
    for page in pages:
        assert [(r.field, r.verdict) for r in judged(page) if r.claimed == cell] == [(field, "ok")], page
    false = cell.replace(cell[0], "7" if cell[0] != "7" else "5", 1)
    wrong = [r for r in judged(table(("Model", label), (model, false))) if r.verdict in ("wrong", "doubtful")]
    assert [r.field for r in wrong] == [field]


@pytest.mark.parametrize(
    "label",
    [
        "Layers (frozen)", "Layers (pruned)", "Layers (per stage, PP 4)", "Layers (Δ)", "Heads (pruned)", "Context (served)",
        "Vocab (extended)", "Params (trainable)", "Hidden size (projector)", "Layers (vision)", "Hidden (ViT)", "Layers (draft)",
        "Experts (per GPU)", "KV heads (on each rank)", "Layers (after)", "层数（冻结）", "层数（剪枝后）",
    ],
)  # fmt: skip
def test_brackets_that_are_not_understood_raise_no_alarm(label: str) -> None:
    """Whatever stands below them: it may be of something else."""
    for cell in ("9", "12", "1152", "24000"):
        assert not alarmed(table(("Model", "Hidden size", label), ("Llama 3.1 8B", "4096", cell), ("Qwen3-8B", "4096", cell)))


def test_a_right_figure_below_unclear_brackets_is_right() -> None:
    found = judged(table(("Model", "Layers (as trained)"), ("Llama 3.1 8B", "32"), ("Qwen3-8B", "37")))
    assert [(r.claimed, r.verdict) for r in found] == [("32", "ok")]
    label = labels.parse("Layers (as trained)")
    assert label is not None
    assert label.unsure


@pytest.mark.parametrize(
    ("label", "cell", "said"),
    [
        ("Heads (KV)", "32 (8)", {"heads": "32", "kv_heads": "8"}),
        ("Heads (KV)", "32 / 8", {"heads": "32", "kv_heads": "8"}),
        ("Heads", "32 (KV: 8)", {"heads": "32", "kv_heads": "8"}),
        ("Heads (Q / KV)", "32 / 8", {"heads": "32", "kv_heads": "8"}),
        ("Hidden size (FFN)", "4096 (14336)", {"hidden_size": "4096", "intermediate_size": "14336"}),
    ],
)
def test_a_cell_of_two_numbers(label: str, cell: str, said: dict[str, str]) -> None:
    """The first is of the label without its brackets."""
    found = judged(table(("Model", label), ("Llama 3.1 8B", cell)))
    assert {r.field: r.claimed for r in found} == said
    assert {r.verdict for r in found} == {"ok"}


ORIGINS = (
    "Base", "Base model", "Teacher", "Pruned from", "Initialized from", "Distilled from", "LLM", "Policy", "Parent", "Source model",
    "Built on", "基座模型", "教师模型",
)  # fmt: skip


@pytest.mark.parametrize("head", ORIGINS)
@pytest.mark.parametrize(
    "name", ["Llama-3.1-8B", "[Llama-3.1-8B](https://huggingface.co/meta-llama/Llama-3.1-8B)", "meta-llama/Llama-3.1-8B"]
)
def test_a_model_is_not_what_it_was_made_from(head: str, name: str) -> None:
    """The base's figures are right of it, others may be its own: none is an alarm, and none is mended."""
    text = table(
        ("Model", head, "Layers", "Hidden size", "Vocab", "Params"),
        ("Tiny-A", name, "16", "4096", "128256", "4.5B"),
        ("Tiny-B", "Qwen2.5-7B", "20", "3584", "170000", "5.6B"),
    )
    checked = check_text(text, "card.md", Settings(), offline=True)
    assert not checked.edits
    assert not [r for r in checked.results if r.verdict in ("wrong", "doubtful")]
    assert [r.claimed for r in checked.results if r.verdict == "ok" and r.line == 4] == ["3584"]


@pytest.mark.parametrize(
    "text",
    [
        table(("Base", "Our model", "Layers"), ("Llama-3.1-8B", "Tiny-A", "16"), ("Qwen2.5-7B", "Tiny-B", "20")),
        table(("Teacher", "Student", "Layers"), ("Llama-3.1-8B", "Tiny-A", "16"), ("Qwen2.5-7B", "Tiny-B", "20")),
        table(("Model", "Backbone", "Layers"), ("Tiny-A", "Llama-3.1-8B", "16"), ("Tiny-B", "Qwen2.5-7B", "20")),
    ],
)
def test_the_base_may_stand_first(text: str) -> None:
    assert not alarmed(text)


def test_a_family_before_its_member_is_no_base() -> None:
    found = judged(
        table(
            ("Family", "Model", "Layers", "Hidden size"),
            ("Llama", "Llama-3.1-8B", "33", "4096"),
            ("Qwen", "Qwen3-8B", "36", "4096"),
        )
    )
    assert [(r.claimed, r.verdict) for r in found if r.field == "layers"] == [("33", "wrong"), ("36", "ok")]


# Pages of models made from a base that they name: no alarm, nothing to mend.
DERIVED = [
    "---\nbase_model: Qwen/Qwen2.5-7B-Instruct\n---\n# Sahara-7B\n\n- Base model: Qwen/Qwen2.5-7B-Instruct\n- Parameters: 7.9B\n"
    "- Layers: 28\n- Vocabulary size: 180,224\n- Hidden size: 3584\n",
    "# Llama-3.1-8B pruned\n\n- Layers: 24\n- Parameters: 6.3B\n- Hidden size: 4096\n- KV heads: 8\n",
    "# Compressed models\n\n" + table(("Model", "Layers", "Params", "Hidden size"), ("Llama-3.1-8B", "24", "6.3B", "4096")),
    # A row for each method, of which the first is the model itself.
    table(
        ("Method", "Model", "Params", "Layers"), ("Dense", "Llama-2-7B", "6.7B", "32"), ("Cut late", "Llama-2-7B", "4.9B", "23"),
        ("Cut early", "Llama-2-7B", "5.4B", "26"),
    ),
    table(("Model", "Method", "KV cache at 32K"), ("Llama-3.1-8B", "Full", "4 GiB"), ("Llama-3.1-8B", "Evict 20%", "0.8 GiB")),
    "<table><tr><th rowspan=2>Model</th><th colspan=2>Before pruning</th><th colspan=2>After pruning</th></tr>"
    "<tr><th>Layers</th><th>Params</th><th>Layers</th><th>Params</th></tr>"
    "<tr><td>Llama-3.1-8B</td><td>32</td><td>8.03B</td><td>24</td><td>6.3B</td></tr></table>\n",
    "# Expanded\n\n" + table(("Model", "Layers (Δ)", "Params"), ("Qwen3-8B", "+4", "8.19B"), ("Gemma-2-9B", "+10", "9.24B")),
    table(("Model", "Layers", "Hidden size"), ("Llama-3.1-8B (ours)", "40", "4096"), ("Qwen3-8B", "36", "4096")),
    table(("Model", "Layers", "Params"), ("Qwen3-8B", "+4", "+0.16B"), ("Gemma-2-9B", "+10", "+1.21B")),
]  # fmt: skip


@pytest.mark.parametrize("text", DERIVED)
def test_figures_of_variants_are_no_alarms(text: str, cli: Run, tmp_path: Path) -> None:
    assert not [r for r in judged(text) if r.verdict == "wrong"]
    (tmp_path / "card.md").write_text(text, encoding="utf-8")
    assert cli("check", "card.md", "--offline", "--fix").returncode == 0
    assert (tmp_path / "card.md").read_text(encoding="utf-8") == text


def test_a_compressed_cache_is_no_compressed_model() -> None:
    text = table(("Model", "KV compression dim", "Layers", "Hidden size"), ("DeepSeek-V3", "512", "62", "7168"))
    assert [(r.field, r.verdict) for r in judged(text)] == [("kv_rank", "ok"), ("layers", "wrong"), ("hidden_size", "ok")]


def test_routed_experts_beside_active_ones_and_a_total() -> None:
    row = ("DeepSeek-V3", "671B", "256", "8", "256")
    found = judged(table(("Model", "Total (params)", "Total (experts)", "Active (experts)", "Experts (routed)"), row))
    assert {r.verdict for r in found} == {"ok"}
    assert [r.field for r in found] == ["total_params", "experts", "active_experts", "experts"]


def test_no_layers_of_another_kind() -> None:
    text = table(("Model", "Layers", "Layers (linear)", "Layers (Mamba)"), ("Qwen3-Next-80B-A3B", "48", "36", "0"))
    assert [r.verdict for r in judged(text)] == ["ok", "ok", "doubtful"]


def test_what_a_model_was_trained_on_may_be_shorter() -> None:
    """Llama 3.1 was trained on 8,192 tokens and stretched to 131,072: `original_max_position_embeddings`."""
    found = judged(
        table(("Model", "Context (train)", "Context (max)"), ("Llama-3.1-8B", "8192", "131072"), ("Qwen3-8B", "32768", "40960"))
    )
    assert {r.verdict for r in found} == {"ok"}


# Heads, a row, and the model that each figure is of.
SIDE_BY_SIDE = [
    (("Model", "Layers", "", "Model", "Layers"), ("Llama-3.1-8B", "32", "", "Qwen3-8B", "36")),
    (("Small", "Layers", "Large", "Layers"), ("Llama-3.1-8B", "32", "Llama-3.1-70B", "80")),
    (("Teacher", "Layers", "Student", "Layers"), ("Llama-3.1-405B", "126", "Llama-3.1-8B", "32")),
    (("Model", "Layers", "Hidden size", "Model", "Layers", "Hidden size"), ("Qwen3-8B", "36", "4096", "Qwen3-32B", "64", "5120")),
]


@pytest.mark.parametrize(("heads", "row"), SIDE_BY_SIDE)
def test_models_side_by_side(heads: tuple[str, ...], row: tuple[str, ...]) -> None:
    found = judged(table(heads, row))
    assert {r.verdict for r in found} == {"ok"}
    assert len(found) == sum(cell.isdecimal() for cell in row)
    assert {r.model for r in found} == {cell for cell in row if "-" in cell}


def test_figures_of_an_unknown_second_model_are_not_the_first_ones() -> None:
    found = judged(
        table(
            ("Teacher", "Layers", "Student", "Layers"), ("Llama-3.1-8B", "32", "Tiny-A", "16"), ("Qwen3-8B", "36", "Tiny-B", "12")
        )
    )
    assert [r.verdict for r in found] == ["ok", "unknown-model"] * 2


def test_sizes_of_single_layers() -> None:
    """(16 + 16) x 256 x 3584 + 2 x 8 x 256 x 3584 + 3 x 3584 x 14336: 198M, of one layer of Gemma 2 9B."""
    text = table(("Model", "Layer", "Window", "Params"), ("Gemma-2-9B", "0", "4096", "198M"), ("Gemma-2-9B", "1", "-", "198M"))
    assert not [r for r in judged(text) if r.verdict == "wrong"]
    assert [r.verdict for r in judged(text) if r.field == "total_params"] == ["ok", "ok"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("# DeepSeek-V3\n\nDeepSeek-V3 has 384 routed experts.\n", [("experts", "doubtful")]),
        ("# DeepSeek-V3\n\nDeepSeek-V3 has 256 routed experts.\n", [("experts", "ok")]),
        ("# DeepSeek-V3\n\nDeepSeek-V3 activates 8 routed experts.\n", [("active_experts", "ok")]),
        ("# List\n\n- [Mixtral 8x7B](x) - 46.7B total / 12.9B active, 32K context\n",
         [("total_params", "ok"), ("active_params", "ok"), ("context", "ok")]),
        ("# Mixtral 8x7B\n\n- MoE block: 8 experts\n", [("experts", "ok")]),
        (table(("🤖 Model", "📚 Layers", "⚙️ KV heads"), ("🦙 Llama-3.1-8B", "32", "8")), [("layers", "ok"), ("kv_heads", "ok")]),
        # Groups are counted, or measured.
        (table(("Model", "GQA group"), ("Qwen2.5-7B", "7"), ("Llama-3.1-8B", "8")), [("gqa_ratio", "ok"), ("kv_heads", "ok")]),
    ],
)  # fmt: skip
def test_what_a_page_says(text: str, said: list[tuple[str, str]]) -> None:
    assert [(r.field, r.verdict) for r in judged(text)] == said


LANGUAGES = [
    ("layers 36", "층 수|Слои|Число слоёв|Camadas|Número de camadas"),
    ("hidden_size 4096", "은닉 크기|Скрытый размер|Размерность модели|Dimensão oculta"),
    ("intermediate_size 12288", "FFN 차원|Размер FFN|Dimensão intermediária|d_ffn|$d_{ffn}$"),
    ("heads 32", "어텐션 헤드 수|Головы внимания|Число голов внимания|Cabeças de atenção"),
    ("kv_heads 8", "KV 헤드 수|키-값 헤드|KV-головы|Cabeças KV"),
    ("head_dim 128", "헤드 차원|Размерность головы|Dimensão da cabeça"),
    ("vocab 151936", r"어휘 크기|Размер словаря|Vocabulário|\V\ "),
    ("context 40960", "최대 컨텍스트|Длина контекста|Comprimento do contexto"),
    ("total_params 8.2B", "총 파라미터|Всего параметров|Total de parâmetros"),
    ("rope_theta 1000000", r"$\theta$|RoPE $\theta$"),
]


@pytest.mark.parametrize(("asked", "heads"), LANGUAGES)
def test_labels_of_languages(asked: str, heads: str) -> None:
    field, cell = asked.split()
    for head in heads.split("|"):
        label = head if head != "\\V\\ " else r"\|V\|"
        assert [(r.field, r.verdict) for r in judged(table(("Model", label), ("Qwen3-8B", cell)))] == [(field, "ok")], label


@pytest.mark.parametrize(("text", "power"), [("5 × 10^{5}", 5), ("1 × 10^10", 10), ("7.3*10**9", 9), ("2 x 10^6 base", 6)])
def test_powers_of_ten(text: str, power: int) -> None:
    assert [number.scale for number in numbers(text)] == [power]


def test_a_power_of_ten_in_a_cell() -> None:
    rows = ("OLMo 2 7B", r"$5 \times 10^{5}$", "32", "4096"), ("Qwen3-8B", "1 × 10^5", "36", "4096")
    found = judged(table(("Model", "RoPE base", "Layers", "Hidden size"), *rows))
    assert [r.verdict for r in found if r.field == "rope_theta"] == ["ok", "wrong"]
