"""Which mismatches are alarms: pages made in the shapes that raise false ones, and the same shapes with something truly wrong.

The shapes are those found when `archcalc check` was run over Markdown files of public repositories; the texts here are made up.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from archcalc.cards import fix
from archcalc.cards.check import Checked, check_text
from archcalc.cards.settings import Settings
from conftest import Run


def checked(text: str) -> Checked:
    return check_text(text, "card.md", Settings(), offline=True)


def marked(text: str) -> list[str]:
    """What differs, as `field=claimed verdict`."""
    return [f"{r.field}={r.claimed} {r.verdict}" for r in checked(text).results if r.verdict in ("wrong", "doubtful")]


NO_ALARM = {
    "a run's sequence length": (
        "| Model | GPUs | Micro batch | Sequence Length |\n| --- | --- | --- | --- |\n| Llama-3.1-405B | 128 | 1 | 8192 |\n"
    ),
    "a sampler": "## Qwen3-8B\n\n| Parameter | Value |\n| --- | --- |\n| temperature | 0.6 |\n| top_p | 0.95 |\n| top_k | 20 |\n",
    "a sampler, by model": (
        "| Parameter | Devstral-Small-2507 | Qwen3-30B-A3B |\n| --- | --- | --- |\n| temperature | 0.15 | 0.7 |\n| top_k | 64 | 20 |\n"
    ),
    "a quantized file": "| Model | Size | Quant |\n| --- | --- | --- |\n| Qwen3-8B | 8.7G | Q8_0 |\n| Llama-3.1-8B | 4.9G | Q4_K_M |\n",
    "another technique of the model above": (
        "| Model | Technique | Model Size (GB) |\n| --- | --- | --- |\n| Llama-3-8B | bfloat16 | 16.06 |\n| | codebook-4-64 | 4.98 |\n"
    ),
    "a vision tower": (
        "# MiniMax-Text-01\n\n- Hidden size: 6144\n- Number of layers: 80\n\nThe vision encoder (ViT):\n\n- Number of layers: 24\n"
        "- Hidden size: 1024\n"
    ),
    "a module for MTP": "## GLM-4.5\n\n- **Layers:** 92\n- **Vocabulary:** 151,552\n- MTP with 1 layer\n",
    "a gloss on a term": (
        "## GLM-4.5\n\n- **Layers**: 92\n- **Vocabulary**: 151,552\n- **RMSNorm**: a layer normalization without centring\n"
    ),
    "a remark on code": "# Llama-2-7B\n\n- Grouped Query Attention is taken as the config says it\n",
    "the first number of a pair": (
        "| Model | Dim | Layers | Experts (top-k) |\n| --- | --- | --- | --- |\n| Kimi-K2 | 7168 | 61 | 384 (top-8) |\n"
    ),
    "groups of experts": (
        "# DeepSeek-V3\n\n| Field | Value |\n| --- | --- |\n| Layers | 61 |\n| Hidden size | 7168 |\n| kv_lora_rank | 512 |\n"
        "| Routed Experts | 256 (8 groups of 32, top-4 groups, 8 experts per token) |\n"
    ),
    "a reason in brackets": "# Gemma-2-9B\n\n- Layers: 42\n- Sliding window: off (head_dim=256 is too much for the kernel)\n",
    "a variant under its generation": "# DeepSeek V2\n\n- recipe for DeepSeek-V2-Lite (16B parameters, 2.4B active)\n",
    "figures of something new": "## Log\n\nAfter DeepSeekV3, we built:\n\n- **8 routed experts, top-2 routing** with sigmoid gates\n",
    "a longer name said before": (
        "We serve Qwen3-30B-A3B-2507.\n\n| Parameter | Qwen3-30B-A3B | Qwen3-8B |\n| --- | --- | --- |\n| context | 256K | 40K |\n"
        "| active params | 3.3B | 8.2B |\n"
    ),
    "a general name": (
        "| Model | Context | Active params |\n| --- | --- | --- |\n| Qwen3-Coder | 256K | 3.3B |\n| Kimi-K2 | 128K | 32B |\n"
        "| DeepSeek-V3 | 160K | 37B |\n"
    ),
    "a type in another sense": (
        "| Model | Type | Arch |\n| --- | --- | --- |\n| Qwen3-8B | Hybrid | Dense |\n| Qwen3-30B-A3B | Hybrid | MoE |\n"
    ),
    "rounded parameters times bytes": (
        "| Model | Params | VRAM (FP16 weights) |\n| --- | --- | --- |\n| Phi-4 | 14B | 28 GB |\n| Llama-3.1-8B | 8B | 16 GB |\n"
    ),
    "a part's key among those of the text model": (
        "| Config | gemma-3-4b-it | gemma-3-12b-it |\n| --- | --- | --- |\n| num_hidden_layers | 34 | 48 |\n| hidden_size | 2560 | 3840 |\n"
        "| head_dim | 256 | 256 |\n| vision hidden_size | 1152 | 1152 |\n"
    ),
    "an engine's word for layers that carry a state": "# Qwen3.5-9B\n\n- model type: hybrid attention + Mamba cache\n- Layers: 32\n",
    "what one device has": (
        "# DeepSeek-R1\n\n- Model: deepseek-ai/DeepSeek-R1\n- Layers: 61\n- num_heads per rank: 8\n- Experts per rank: 16\n"
        "- heads: 128/16 = 8 query heads per GPU\n"
    ),
    "a length that a command sets": (
        "# DeepSeek-R1\n\n- Model: deepseek-ai/DeepSeek-R1\n- Layers: 61\n- Context: 32768 (set with --max-model-len)\n"
    ),
    "sequences of runs beside architectures": (
        "| Model | #Layers | Hidden | #GPUs | TP | PP | SeqLen | GBS |\n| --- | --- | --- | --- | --- | --- | --- | --- |\n"
        "| Llama3-70B | 80 | 8192 | 64 | 4 | 4 | 8192 | 128 |\n| DeepSeek-V3 | 61 | 7168 | 1024 | 2 | 16 | 4096 | 8192 |\n"
    ),
    "a published count that differs a little for every member": (
        "# Gemma 3\n\n| Model | Vision Encoder | Embedding Parameters | Non-embedding Parameters |\n| --- | --- | --- | --- |\n"
        "| 4B | 417M | 675M | 3,209M |\n| 12B | 417M | 1,012M | 10,759M |\n| 27B | 417M | 1,416M | 25,600M |\n"
    ),
    "a padded vocabulary": "# GPT-2 (gpt2)\n\n- n_layer: 12\n- n_embd: 768\n- n_head: 12\n- vocab_size: 50304\n",
    "experts of two models in one item": (
        "# GLM 4.5\n\n- **Mixture-of-Experts (MoE)**: sparse, with 160/128 experts of which only 8 work on a token\n"
    ),
    "a list under another model's name": (
        "# Llama-2-7B\n\n- Layers: 32\n- Hidden size: 4096\n\nGuanaco-65B:\n\n- Layers: 80\n- Hidden size: 4096\n"
    ),
    "a list under another model's heading": "# Llama-2-7B\n\n## Vicuna-13B Chat\n\n- Layers: 40\n- Hidden size: 5120\n- Context: 4096\n",
    "a heading of two": "# Yi-34B and Falcon\n\n## Yi-34B and Code Llama\n\n- Layers: 32\n- Hidden size: 7168\n- Context: 4K\n",
    "what a service offers": (
        "| Model | Params | Context | Input $/M | Output $/M |\n| --- | --- | --- | --- | --- |\n"
        "| DeepSeek-R1 | 671B | 64K | 0.55 | 2.19 |\n"
        "| Qwen3-235B-A22B | 235B | 128K | 0.20 | 0.60 |\n"
    ),
    "what fits a machine": (
        "| GPU | Model | Quantization | Max context |\n| --- | --- | --- | --- |\n| RTX 3060 | Qwen3-14B | Q4_K_M | 16K |\n"
        "| RTX 4090 | Qwen3-32B | Q4_K_M | 32K |\n"
    ),
    "a speculator": "# Qwen3-32B\n\n- Layers: 64\n- KV heads: 8\n\n## Speculator (EAGLE-3)\n\n- Layers: 1\n- Hidden size: 5120\n",
    "labels of other layers, in Chinese": (
        "# 对比\n\n| 指标 | DeepSeek V3 | Kimi K2 |\n| --- | --- | --- |\n| 层数 | 61 | 61 |\n"
        "| 稠密层数 | 3 | 1 |\n| 卸载层数 | 30 | 30 |\n"
        "| 共享专家数 | 1 | 1 |\n| 冗余专家数 | 32 | 32 |\n"
    ),
    "a product": (
        "# Qwen3.5-27B\n\n- 64 layers\n- 24 query heads, 4 KV heads, head_dim 256\n- State per sequence: 48 layers x 48 heads x 128 x 128\n"
    ),
    "a context of a deployment, in Chinese": (
        "# Qwen3-32B\n\n| 参数 | 值 |\n| --- | --- |\n| 层数 | 64 |\n| KV 头数 | 8 |\n"
        "| 最大上下文 (部署) | 16384 |\n"
    ),
    "two totals, one with a part": "# DeepSeek-V3\n\n- **总参数量**：671B（含 MTP 为 685B）\n- **层数**：61 层\n- **激活参数**：37B\n",
    "copies of experts": "# DeepSeek-R1\n\n- Experts: 256 + 32 redundant = 288\n- Layers: 61\n- Heads: 128\n",
    "a key of the config that another turns off": (
        "| key | Qwen2.5-0.5B |\n| --- | --- |\n| hidden_size | 896 |\n| num_attention_heads | 14 |\n| sliding_window | 32768 |\n"
    ),
    "bytes read for a token": (
        "| Model | Active params | Bytes per token (FP8) |\n| --- | --- | --- |\n"
        "| Llama-3.1-70B | 70.6B | 70.6 GB |\n| DeepSeek-V3 | 37B | 37 GB |\n"
    ),
    "a part counted between two ways": (
        "| | Ministral 3 3B |\n| --- | --- |\n| Layers | 26 |\n| Hidden size | 3072 |\n| Vision encoder params | 410M |\n"
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", NO_ALARM)
def test_no_alarm(case: str) -> None:
    found = checked(NO_ALARM[case])
    assert [(r.field, r.claimed, r.why) for r in found.results if r.verdict == "wrong"] == []
    mended = fix.mend(found, checked)
    assert (mended.text, mended.made) == (NO_ALARM[case], 0)


ALARM = {
    "a figure of another family in a column of right ones": (
        "| Spec | Gemma 3 4B | Gemma 3 12B |\n| --- | --- | --- |\n| **Layers** | 34 | 48 |\n| **Vocabulary size** | 32,064 | 262,208 |\n",
        ["vocab=32,064 wrong"],
    ),
    "one wrong word among right figures": (
        "# Phi-3.5-MoE\n\n- **Layers:** 32\n- **Hidden Size:** 4096\n- **Experts:** 16\n- **Normalization:** RMSNorm\n",
        ["norm=RMSNorm wrong"],
    ),
    "a context that the column is right of elsewhere": (
        "| Model | Params | Context |\n| --- | --- | --- |\n| Qwen3-32B | 32.8B | 40K |\n| Qwen3-Next-80B-A3B | 80B | 40K |\n",
        ["context=40K wrong"],
    ),
    "two columns that are swapped": (
        "| Model | Active | Shared experts | Total experts | Active experts |\n| --- | --- | --- | --- | --- |\n"
        "| DeepSeek-V3 | 37B | 1 | 256 | 8 |\n| Kimi-K2 | 32B | 8 | 384 | 1 |\n",
        ["shared_experts=8 wrong", "active_experts=1 wrong"],
    ),
    "a page that names its model, and a plain label": ("# Llama-3.1-8B\n\n- **Layers**: 33\n", ["layers=33 wrong"]),
    "a sequence length without a run": (
        "| Model | Layers | Hidden | Context |\n| --- | --- | --- | --- |\n"
        "| Llama3-70B | 80 | 8192 | 8K |\n| Mixtral-8x7B | 32 | 4096 | 4K |\n",
        ["context=4K wrong"],
    ),
    "a total that is the active one": (
        "| Model | Total params | Active params | Experts |\n| --- | --- | --- | --- |\n| GLM-4.5-Air | 12B | 12B | 128 |\n"
        "| GLM-4.5 | 355B | 32B | 160 |\n",
        ["total_params=12B wrong"],
    ),
    "a word in a list": ("# Yi-34B\n\n- **Layers**: 60\n- **Hidden size**: 7168\n- **Attention**: MHA\n", ["attention=MHA wrong"]),
    "one part of a pair": (
        "# Qwen3-8B\n\n- Number of Layers: 36\n- Number of Attention Heads (GQA): 32 for Q and 4 for KV\n- Parameters: 8.2B\n",
        ["kv_heads=4 wrong"],
    ),
    "a count of experts in Chinese": (
        "# DeepSeek-V3 结构\n\n| 参数 | 取值 |\n| --- | --- |\n| 层数 | 61 |\n| 路由专家数 | 256 |\n| 共享专家数 | 2 |\n",
        ["shared_experts=2 wrong"],
    ),
    "symbols and thousands of LaTeX": (
        "| Symbol | Meaning | Kimi K2 |\n| --- | --- | --- |\n| $L$ | layers | $61$ |\n| $d_{model}$ | hidden size | $7{,}186$ |\n"
        "| $N_r$ | routed experts | $384$ |\n",
        ["hidden_size=7{,}186 wrong"],
    ),
    "a pinned model": ("<!-- archcalc: gpt2 -->\n\n- **Vocabulary**: 32,000\n", ["vocab=32,000 wrong"]),
}


@pytest.mark.parametrize("case", ALARM)
def test_an_alarm(case: str) -> None:
    text, alarms = ALARM[case]
    assert marked(text) == alarms


@pytest.mark.parametrize("case", ALARM)
def test_what_is_mended_is_right_and_stays(case: str) -> None:
    mended = fix.mend(checked(ALARM[case][0]), checked).text
    assert marked(mended) == []
    again = fix.mend(checked(mended), checked)
    assert (again.text, again.made) == (mended, 0)


def test_a_pin_of_an_item_ends_with_it() -> None:
    text = (
        "# Two models\n\n- <!-- archcalc: qwen3-8b --> Small\n  - Layers: 36\n  - KV heads: 8\n- Big <!-- archcalc: qwen3-32b -->\n"
        "  - Layers: 64\n- Others\n  - Layers: 12\n"
    )
    assert [(r.resolved, r.claimed, r.verdict) for r in checked(text).results] == [
        ("qwen3-8b", "36", "ok"), ("qwen3-8b", "8", "ok"), ("qwen3-32b", "64", "ok"), (None, "12", "unknown-model"),
    ]  # fmt: skip
    failed = checked("- <!-- archcalc: ./missing.json --> Small\n  - Layers: 36\n")
    assert [error.line for error in failed.errors] == [1]


def test_a_mended_figure_keeps_its_style() -> None:
    text = ALARM["symbols and thousands of LaTeX"][0]
    assert fix.mend(checked(text), checked).text == text.replace("7{,}186", "7{,}168")


def test_a_doubt_is_shown_with_its_reason_and_fails_only_if_asked_to(cli: Run, tmp_path: Path) -> None:
    (tmp_path / "card.md").write_text("| Model | Context |\n| --- | --- |\n| Llama 3 8B | 128k |\n", encoding="utf-8")
    done = cli("check", "card.md", "--offline")
    assert done.returncode == 0
    assert "doubtful" in done.stdout
    assert "too far off" in done.stdout.replace("\n", " ")
    assert "1 doubtful" in done.stdout
    assert cli("check", "card.md", "--offline", "--strict").returncode == 1
    fixed = cli("check", "card.md", "--offline", "--fix")
    assert (fixed.returncode, "128k" in (tmp_path / "card.md").read_text()) == (0, True)


def test_a_right_neighbour_makes_it_an_alarm() -> None:
    assert marked("| Model | Context | Layers |\n| --- | --- | --- |\n| Llama 3 8B | 128k | 32 |\n") == ["context=128k wrong"]


def test_most_of_a_block_wrong_is_another_model() -> None:
    text = "# Qwen3-8B\n\n- Layers: 28\n- Hidden size: 2048\n- KV heads: 4\n- Vocabulary: 151,936\n"
    assert {line.rpartition(" ")[2] for line in marked(text)} == {"doubtful"}


def test_a_baseline_leaves_out_what_stands_and_nothing_else(cli: Run, tmp_path: Path) -> None:
    card = tmp_path / "card.md"
    card.write_text("| Model | Layers | KV heads |\n| --- | --- | --- |\n| Llama 3 8B | 33 | 8 |\n", encoding="utf-8")
    assert cli("check", "card.md", "--offline", "--write-baseline", "standing.json").returncode == 0
    kept = cli("check", "card.md", "--offline", "--baseline", "standing.json")
    assert (kept.returncode, "1 mismatch of standing.json left out" in kept.stderr) == (0, True)
    (tmp_path / "archcalc.toml").write_text('baseline = "standing.json"\n', encoding="utf-8")
    assert cli("check", "card.md", "--offline").returncode == 0
    card.write_text(card.read_text() + "| Llama 3 70B | 80 | 4 |\n| Llama 3 8B | 33 | 8 |\n", encoding="utf-8")
    done = cli("check", "card.md", "--offline", "--format", "json")
    assert [(r["line"], r["field"]) for r in json.loads(done.stdout)["results"] if r["verdict"] == "wrong"] == [
        (4, "kv_heads"),
        (5, "layers"),
    ]


def test_a_strict_baseline_leaves_out_unknown_models_too(cli: Run, tmp_path: Path) -> None:
    """What fails under --strict is written with it, and no more is."""
    card = tmp_path / "card.md"
    card.write_text("# Zyx-9B\n\n- Layers: 36\n- Attention heads: 32\n", encoding="utf-8")
    for strict, status in (((), 1), (("--strict",), 0)):
        assert cli("check", "card.md", "--offline", "--write-baseline", "standing.json", *strict).returncode == 0
        assert cli("check", "card.md", "--offline", "--baseline", "standing.json", "--strict").returncode == status, strict
    card.write_text(card.read_text(encoding="utf-8") + "- Hidden size: 4096\n", encoding="utf-8")
    assert cli("check", "card.md", "--offline", "--baseline", "standing.json", "--strict").returncode == 1


def test_a_baseline_knows_a_file_however_it_is_spelt_and_tells_what_is_gone(cli: Run, tmp_path: Path) -> None:
    (tmp_path / "docs").mkdir()
    (tmp_path / "ci").mkdir()
    card = tmp_path / "docs" / "card.md"
    card.write_text("| Model | Layers | KV heads |\n| --- | --- | --- |\n| Llama 3 8B | 33 | 8 |\n", encoding="utf-8")
    assert cli("check", "docs", "--offline", "--write-baseline", "ci/standing.json").returncode == 0
    for spelt in ("docs/card.md", "./docs/card.md", "docs", ".", str(card), "docs/../docs/card.md"):
        assert cli("check", spelt, "--offline", "--baseline", "ci/standing.json").returncode == 0, spelt
    # As it was written before, with files as seen from the working folder.
    written = (tmp_path / "ci" / "standing.json").read_text(encoding="utf-8")
    assert '"../docs/card.md"' in written
    (tmp_path / "ci" / "older.json").write_text(written.replace("../docs", "docs"), encoding="utf-8")
    assert cli("check", "docs", "--offline", "--baseline", "ci/older.json").returncode == 0
    fixed = cli("check", "docs", "--offline", "--fix")
    assert "1 cell rewritten" in fixed.stderr
    done = cli("check", "docs", "--offline", "--baseline", "ci/standing.json")
    assert (done.returncode, "1 of ci/standing.json no longer stand" in done.stderr) == (0, True)


def test_a_baseline_is_written_over_no_file_that_is_checked_and_leaves_out_none(cli: Run, tmp_path: Path) -> None:
    card = tmp_path / "card.md"
    card.write_text("| Model | Layers |\n| --- | --- |\n| Llama 3 8B | 33 |\n", encoding="utf-8")
    before = card.read_text(encoding="utf-8")
    done = cli("check", "card.md", "--offline", "--write-baseline", "card.md")
    assert (done.returncode, card.read_text(encoding="utf-8")) == (2, before)
    assert "--write-baseline card.md is read as a source" in done.stderr
    for files, status in ((["absent.md"], 2), (["card.md", "absent.md"], 1)):
        done = cli("check", *files, "--offline", "--write-baseline", "standing.json")
        assert (done.returncode, (tmp_path / "standing.json").exists()) == (status, False)
        assert "absent.md" in done.stderr


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
@pytest.mark.parametrize("option", ["--baseline", "--config"])
def test_what_never_ends_or_is_too_deep_is_told(option: str, run: Run, tmp_path: Path) -> None:
    (tmp_path / "card.md").write_text("# gpt2\n\n- Layers: 12\n", encoding="utf-8")
    os.mkfifo(tmp_path / "pipe")
    deep = "[" * 100_000 + "]" * 100_000
    (tmp_path / "deep").write_text(deep if option == "--baseline" else f"a = {deep}", encoding="utf-8")
    (tmp_path / "digits").write_text("9" * 5000 if option == "--baseline" else f"a = {'9' * 5000}", encoding="utf-8")
    (tmp_path / "large").write_text(" " * (16 * 2**20 + 1), encoding="utf-8")
    for name, said in (
        ("pipe", "is a pipe"), ("/dev/zero", "is a device"), ("deep", "nested too deeply"), ("digits", "digits"), ("large", "MiB"),
    ):  # fmt: skip
        done = run("check", "card.md", "--offline", option, name)
        assert (done.returncode, said in done.stderr, name in done.stderr) == (2, True, True), done.stderr


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"version": 1, "claims": [{}]}', '{"version": 2, "claims": []}', '{"version": 1, "claims": 3}']
)
def test_what_is_no_baseline_is_told(text: str, cli: Run, tmp_path: Path) -> None:
    (tmp_path / "card.md").write_text("# gpt2\n\n- Layers: 12\n", encoding="utf-8")
    (tmp_path / "b.json").write_text(text, encoding="utf-8")
    done = cli("check", "card.md", "--offline", "--baseline", "b.json")
    assert done.returncode == 2
    assert "b.json" in done.stderr
    assert "--write-baseline" in done.stderr


def test_ignore_takes_a_text_or_a_line(cli: Run, tmp_path: Path) -> None:
    (tmp_path / "card.md").write_text(
        "| Model | Layers | KV heads |\n| --- | --- | --- |\n| Llama 3 8B | 33 | 8 |\n", encoding="utf-8"
    )
    for rule, status in (('text = "33"', 0), ("line = 3", 0), ('text = "34"', 1), ("line = 4", 1)):
        (tmp_path / "archcalc.toml").write_text(f"[[ignore]]\n{rule}\n", encoding="utf-8")
        assert cli("check", "card.md", "--offline").returncode == status
    (tmp_path / "archcalc.toml").write_text('[[ignore]]\nline = "3"\n', encoding="utf-8")
    assert cli("check", "card.md", "--offline").returncode == 2


def test_what_is_of_a_batch_or_of_another_release_is_no_alarm(cli: Run, tmp_path: Path) -> None:
    """A cache of several sequences, one rank's share of it, and an item that begins with another name: none is mended."""
    page = (
        "<!-- archcalc: deepseek-v3 -->\n# DeepSeek-V3\n\n- 671B total, 37B active, 61 layers\n\nOthers:\n\n"
        "* MiniMax-M2: 230B total, 10B active\n* GLM-4.6: 355B/A32B, 200K context\n\n## Memory\n\n"
        "| Model | Batch | Context | KV cache |\n| --- | --- | --- | --- |\n| Llama-3.1-8B | 16 | 8192 | 16 GiB |\n"
        "| Llama-3.1-70B | 16 | 8192 | 40 GiB |\n\n| Llama-3.1-8B | |\n| --- | --- |\n| KV cache per token (TP 2) | 64 KB |\n"
        "| Layers | 32 |\n| KV 缓存（32K，批大小 8） | 34.4 GB |\n"
    )  # fmt: skip
    (tmp_path / "page.md").write_text(page, encoding="utf-8")
    done = cli("check", "page.md", "--offline")
    assert done.returncode == 0 and " wrong  " not in done.stdout and "doubtful" in done.stdout
    cli("check", "page.md", "--offline", "--fix")
    assert (tmp_path / "page.md").read_text(encoding="utf-8") == page
    # What no batch explains stands.
    (tmp_path / "page.md").write_text(page.replace("61 layers", "62 layers"), encoding="utf-8")
    assert cli("check", "page.md", "--offline").returncode == 1


def test_a_long_corner_is_read_in_time(cli: Run, tmp_path: Path) -> None:
    """What looks for a name at the head of an item or table goes back over it: it is given the beginning alone."""
    table = f"| {'a1' * 30_000}§ | value |\n| --- | --- |\n| Attention heads | 32 |\n| Layers | 99 |\n"
    (tmp_path / "long.md").write_text(f"<!-- archcalc: llama-3.1-8b -->\n# Llama\n\n{table}", encoding="utf-8")
    assert "layers '99' is not '32'" in cli("check", "long.md", "--offline").stdout
