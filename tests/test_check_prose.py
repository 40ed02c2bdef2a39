"""Sentences, and tables and lists in uncommon shapes: what is read of them, of whom, and that nothing wrong is called right.

The texts are made up; the figures are those of the models' published configs.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from archcalc.cards.check import check_text
from archcalc.cards.settings import Settings
from conftest import Run


def told(text: str) -> list[str]:
    """The claims that are right, with their models, and all others with their verdict."""
    results = check_text(text, "card.md", Settings(), offline=True).results
    return [f"{r.resolved} {r.field}={r.claimed}{'' if r.verdict == 'ok' else f' {r.verdict}'}" for r in results]


SENTENCES = [
    ("Mistral Small 3.1 24B comes with 40 layers and a vocabulary of 131,072 tokens.",
     "mistral-small-3.1-24b layers=40;mistral-small-3.1-24b vocab=131,072"),
    ("DeepSeek-V3 activates 37B of 671B parameters; DeepSeek-V2 had 236B parameters and 160 experts.",
     "deepseek-v3 active_params=37B;deepseek-v3 total_params=671B;deepseek-v2 total_params=236B;deepseek-v2 experts=160"),
    ("GLM-4.5-Air uses 128 routed experts, 8 of them active, with a context of 128K tokens.",
     "glm-4.5-air experts=128;glm-4.5-air active_experts=8;glm-4.5-air context=128K"),
    ("With 30.5B total parameters and 3.3B active, Qwen3-30B-A3B is small.",
     "qwen3-30b-a3b total_params=30.5B;qwen3-30b-a3b active_params=3.3B"),
    ("Kimi-K2 是一个总参数为 1T, 激活参数为 32B 的模型", "kimi-k2 total_params=1T;kimi-k2 active_params=32B"),
    # A generation's name is that of its members: a figure is right of those that have it.
    ("The Qwen3 series spans 94 layers at the top.",
     "qwen3-235b-a22b, qwen3-235b-a22b-instruct-2507, qwen3-235b-a22b-thinking-2507 layers=94"),
    ("gpt-oss comes as 120B-A5.1B and 20.9B-A3.6B.",
     "gpt-oss-120b, gpt-oss-safeguard-120b total_params=120B;gpt-oss-120b, gpt-oss-safeguard-120b active_params=5.1B;"
     "gpt-oss-20b, gpt-oss-safeguard-20b total_params=20.9B;gpt-oss-20b, gpt-oss-safeguard-20b active_params=3.6B"),
    ("Gemma 3 27B has 62 layers, and Gemma 3 4B 34 layers. Foo-7B has 62 layers.",
     "gemma-3-27b layers=62;gemma-3-4b layers=34"),
    ("Scaled up from Qwen3-4B's 36 layers.", "qwen3-4b layers=36"),
    ("Llama-3.1-8B takes 16 GB in bf16, and its KV cache 128 KiB per token.",
     "llama-3.1-8b weights=16 GB;llama-3.1-8b kv_per_token=128 KiB"),
    ("The KV cache of Llama-3.1-8B takes 64 KiB per token in fp8.", "llama-3.1-8b kv_per_token=64 KiB"),
    # What is of something else is not called right.
    ("Unlike Qwen3-8B, our Foo-9B has 36 layers and 32 attention heads.", ""),
    ("Qwen3-8B was our teacher: the student has 36 layers.", ""),
    ("Qwen3-8B-VL has 36 layers.", ""),
    ("Qwen3-8B was trained for 36 days on 32 GPUs with a batch of 4096.", ""),
    ("We serve Qwen3-8B with a context of 40960 tokens.", ""),
]  # fmt: skip


@pytest.mark.parametrize(("sentence", "claims"), SENTENCES)
def test_a_sentence_is_read_by_value(sentence: str, claims: str) -> None:
    assert told(f"# Notes\n\n{sentence}\n") == [claim for claim in claims.split(";") if claim]


# A cache of several sequences is as many times that of one; a sliding window is no context. Llama-3.1-70B's rows of keys and values:
# 2 x 8 x 128 x 2 B x 80 layers, 320 KiB a token; Llama-3.1-8B's 128 KiB; Mistral 7B v0.1's window is 4096 (arXiv:2310.06825, table 1).
OF_ONE = [
    ("# Llama-3.1-70B\n\n- Layers: 80\n- KV cache at 128k, batch 4: 160 GiB\n", "160 GiB", "ok"),
    ("# Llama-3.1-70B\n\n- Layers: 80\n- KV cache at 128k, batch 4: 40 GiB\n", "40 GiB", "wrong"),
    ("# Llama-3.1-70B\n\n- Layers: 80\n- KV cache at 128k: 40 GiB\n", "40 GiB", "ok"),
    ("| Model | KV cache at 32k, batch 8 |\n|---|---|\n| Llama-3.1-8B | 32 GiB |\n", "32 GiB", "ok"),
    ("| Model | KV cache at 32k, batch 8 |\n|---|---|\n| Llama-3.1-8B | 4 GiB |\n", "4 GiB", "doubtful"),
    ("Llama-3.1-8B has a KV cache of 32 GiB at 32k tokens for 8 sequences.\n", "32 GiB", "ok"),
    ("Llama-3.1-8B has a KV cache of 4 GiB at 32k tokens for 8 sequences.\n", "4 GiB", None),
    ("Mistral 7B v0.1 has 32 layers, with a sliding window of 4096 tokens.\n", "4096", "ok"),
    ("Mistral 7B v0.1 has 32 layers, with a sliding window of 8192 tokens.\n", "8192", "doubtful"),
    # Mixtral-8x7B has 46,702,792,704 parameters, Qwen3-235B-A22B 94 layers.
    ("Mixtral 8x7B hat 46,7 Mrd. Parameter.\n", "46,7 Mrd", "ok"),
    ("Mixtral 8x7B hat 56 Mrd. Parameter.\n", "56 Mrd", "doubtful"),
    ("Mixtral 8x7B a 46,7 milliards de paramètres.\n", "46,7 milliards", "ok"),
    ("Mixtral 8x7B a 56 milliards de paramètres.\n", "56 milliards", "doubtful"),
    ("Llama-3.1-8B hat 33 Schichten.\n", "33", "doubtful"),
    ("Llama-3.1-8B a 32 couches.\n", "32", "ok"),
    ("Qwen3-235B-A22B 共 96 层。\n", "96", "doubtful"),
    ("Qwen3-235B-A22B 总参数量为 2530 亿，共 94 层。\n", "2530 亿", "doubtful"),
    ("| Modell | Schichten |\n|---|---|\n| Llama-3.1-8B | 32 |\n", "32", "ok"),
]


@pytest.mark.parametrize(("text", "claimed", "verdict"), OF_ONE)
def test_what_a_figure_is_of(text: str, claimed: str, verdict: str | None) -> None:
    results = check_text(text, "card.md", Settings(), offline=True).results
    assert next((r.verdict for r in results if r.claimed == claimed), None) == verdict


DOUBTED = [
    ("Qwen3-8B has 37 layers.", "qwen3-8b layers=37"),
    ("Qwen3-8B has 367 layers and 32 heads.", "qwen3-8b layers=367"),
    ("Qwen3-8B has 9.2B parameters.", "qwen3-8b total_params=9.2B"),
    ("Mixtral 8x7B has 56B parameters.", "mixtral-8x7b total_params=56B"),
    ("Llama 3.1 70B has 80 layers, 64 heads and 16 KV heads.", "llama-3.1-70b kv_heads=16"),
    ("Gemma 2 9B: 42 layers, sliding window 4096, 16K context.", "gemma-2-9b context=16K"),
    ("The model Qwen3-8B (Alibaba, 2025) consists of 37 transformer layers.", "qwen3-8b layers=37"),
    ("With 9.2B parameters, Qwen3-8B is small.", "qwen3-8b total_params=9.2B"),
    ("Qwen3-8B's hidden size is 4097.", "qwen3-8b hidden_size=4097"),
    ("Qwen3-8B, a 37-layer model, is small.", "qwen3-8b layers=37"),
    ("Qwen3-8B 有 37 层，32 个注意力头。", "qwen3-8b layers=37"),
    ("DeepSeek-V3 是一个总参数为 761B 的 MoE 模型。", "deepseek-v3 total_params=761B"),
    ("DeepSeek-V3 activates 32B parameters per token.", "deepseek-v3 active_params=32B"),
    ("Mixtral 8x7B has 8 experts and uses 3 experts per token.", "mixtral-8x7b active_experts=3"),
    ("GLM-4.5 routes each token to 4 experts.", "glm-4.5 active_experts=4"),
    ("gpt-oss-20b has 24 layers; gpt-oss-120b has 24 layers.", "gpt-oss-120b layers=24"),
    ("Qwen3-8B is built from 37 layers.", "qwen3-8b layers=37"),
    ("Qwen3-8B needs 30 GB in bf16.", "qwen3-8b weights=30 GB"),
    ("Qwen3-8B needs about 14 GB of memory in bf16.", "qwen3-8b weights=14 GB"),
    ("The KV cache of Llama-3.1-8B takes 64 KiB per token.", "llama-3.1-8b kv_per_token=64 KiB"),
    ("The KV cache of Qwen3-8B at 32k takes 9 GB in bf16.", "qwen3-8b kv_cache=9 GB"),
    # Of a part, of a run, of another model, or with a word that leaves it open.
    ("Qwen3-8B needs 20 GB in bf16.", ""),
    ("Qwen3-8B needs 60 GB in bf16 for training.", ""),
    ("Qwen3-8B takes 30 GB in bf16 with a context of 32k.", ""),
    ("The KV cache of Llama-3.1-8B takes 4 KiB per token per layer.", ""),
    ("Qwen3-8B needs at least 14 GB in bf16.", ""),
    ("Qwen3-8B takes 5 GB in int4 and 64 KiB per token.", ""),
    ("Mixtral 8x7B has 8 experts; ours uses 3 experts per token.", ""),
    ("Qwen3-8B with 36 layers, Qwen3-14B has 37 layers.", ""),
    ("Qwen3-8B has 4 more layers than ours.", ""),
    ("Qwen3-8B has 18 layers on each GPU.", ""),
    ("Qwen3-8B has 12 frozen layers, and the first 12 layers of Qwen3-8B are kept.", ""),
    ("Qwen3-8B, pruned by us, has 30 layers.", ""),
    ("Unlike Qwen3-8B, it has 37 layers.", ""),
    ("Qwen3-8B and Foo-9B have 37 layers.", ""),
    ("Qwen3-8B could have 37 layers.", ""),
    ("Qwen3-8B has a draft model of 4 layers.", ""),
    ("We serve Qwen3-8B with a context of 16384 tokens.", ""),
    ("Qwen3 has 37 layers.", ""),
    ("Qwen3-8B has 36 layers and Foo has 40 layers.", ""),
    ("DeepSeek-V3 has 256 experts in 8 groups of 32 experts.", ""),
    ("Qwen3-8B uses GQA: 4 query heads share one KV head.", ""),
    ("Qwen3-8B uses 36 layers, of which 12 layers are updated.", ""),
    ("Qwen3-30B-A3B has 30B parameters, using 3B parameters at inference.", ""),
]  # fmt: skip


@pytest.mark.parametrize(("sentence", "claims"), DOUBTED)
def test_a_wrong_figure_of_a_model_that_a_sentence_names_is_doubtful(sentence: str, claims: str) -> None:
    said = [claim for claim in told(f"# Notes\n\n{sentence}\n") if claim.endswith((" doubtful", " wrong"))]
    assert said == [f"{claim} doubtful" for claim in claims.split(";") if claim]


def test_a_sentence_raises_no_alarm_and_fails_a_strict_check(cli: Run, tmp_path: Path) -> None:
    page = tmp_path / "a.md"
    page.write_text("Qwen3-8B has 37 layers.\n")
    done = cli("check", str(page))
    assert done.returncode == 0 and "37" in done.stdout and "a sentence may speak of something else" in done.stdout
    assert cli("check", "--strict", str(page)).returncode == 1
    assert cli("check", "--fix", str(page)).returncode == 0 and page.read_text() == "Qwen3-8B has 37 layers.\n"


def test_a_sentence_without_a_name_is_of_the_one_before_it_or_of_the_page() -> None:
    assert told("Kimi-K2 is large. It has 384 experts.\n") == ["kimi-k2 experts=384"]
    said = ["qwen3-8b layers=36", "qwen3-8b heads=48 doubtful"]
    assert told("# Qwen3-8B\n\nThe model has 36 layers. It has 48 heads.\n") == said


SPOKEN_OF = [
    ("It uses 12 KV heads.", "kv_heads=12 doubtful"),
    ("It uses 8 KV heads.", "kv_heads=8"),
    ("The model has 40 layers, and its hidden size is 5120.", "layers=40 doubtful;hidden_size=5120 doubtful"),
    ("This network stacks 37 transformer layers.", "layers=37 doubtful"),
    ("Its vocabulary has 32,000 tokens.", ""),
    ("Its hidden size is 5120.", "hidden_size=5120 doubtful"),
    ("The architecture (a decoder) features 12 KV heads.", "kv_heads=12 doubtful"),
    ("It is a 7B model with 40 layers.", "total_params=7B doubtful;layers=40 doubtful"),
    ("We ran it on one GPU. The model supports a context of 64K tokens.", "context=64K doubtful"),
    ("It takes 40 GB in bf16.", "weights=40 GB doubtful"),
    ("该模型有 48 层，使用 12 个 KV 头。", "layers=48 doubtful"),
    # Of one device, of a part, of a run, of something else.
    ("It needs 40 GB in bf16 per GPU.", ""),
    ("Each GPU holds 8 KV heads and 16.4 GB in bf16.", ""),
    ("With TP=4 it keeps 8 heads on each GPU.", ""),
    ("每张卡需要 40 GB。", ""),
    ("It adds 4 layers.", ""),
    ("It might have 40 layers.", ""),
    ("The model was trained with 40 layers frozen.", ""),
    ("Foo-7B is new. It has 40 layers.", ""),
    ("We trained a student. The model has 12 layers.", ""),
    ("Qwen3-14B and Qwen3-32B are larger. It has 48 layers.", ""),
    ("Our server uses 12 layers of caching.", ""),
    ("It has a vision tower of 27 layers.", ""),
]  # fmt: skip


@pytest.mark.parametrize(("sentence", "claims"), SPOKEN_OF)
@pytest.mark.parametrize("page", ["# Qwen3-8B\n\n", "# Notes\n\n<!-- archcalc: qwen3-8b -->\n\n"])
def test_a_figure_of_the_model_that_a_page_is_about(page: str, sentence: str, claims: str) -> None:
    """Its name need not stand in the sentence; a wrong one is doubtful, and that of one device is no claim of the model."""
    assert told(f"{page}{sentence}\n") == [f"qwen3-8b {claim}" for claim in claims.split(";") if claim]


def test_a_figure_of_the_model_that_the_caller_names() -> None:
    results = check_text("It uses 12 KV heads and 36 layers.\n", "a.md", Settings(), offline=True, model="qwen3-8b").results
    assert [(r.field, r.claimed, r.verdict) for r in results] == [("kv_heads", "12", "doubtful"), ("layers", "36", "ok")]


def test_a_right_sentence_confirms_no_alarm() -> None:
    table = "| Model | Max tokens |\n| --- | --- |\n| Qwen3-8B | 4096 |\n"
    before = [claim for claim in told(table) if "wrong" in claim]
    assert [claim for claim in told(f"Qwen3-8B has 36 layers.\n\n{table}") if "wrong" in claim] == before == []


SHAPES = [
    # A corner that is half of the label.
    ("| Layers | OLMo-2-7B | Phi-4 |\n|---|---|---|\n| count | 32 | 40 |\n", "olmo-2-7b layers=32;phi-4 layers=40"),
    ("| Hidden | Yi-34B | Mixtral-8x22B |\n|---|---|---|\n| size | 7168 | 6144 |\n",
     "yi-34b hidden_size=7168;mixtral-8x22b hidden_size=6144"),
    # Families above sizes.
    ("| | Llama 3.1 || Qwen3 ||\n|---|---|---|---|---|\n| | 8B | 70B | 8B | 32B |\n| Layers | 32 | 80 | 36 | 64 |\n",
     "llama-3.1-8b layers=32;llama-3.1-70b layers=80;qwen3-8b layers=36;qwen3-32b layers=64"),
    ("<table><tr><th rowspan=2>Spec</th><th colspan=2>gpt-oss</th></tr><tr><th>20B</th><th>120B</th></tr>"
     "<tr><td>Layers</td><td>24</td><td>36</td></tr></table>\n", "gpt-oss-20b layers=24;gpt-oss-120b layers=36"),
    # Symbols, and a row of figures below nothing but fields.
    ("# DeepSeek-V2\n\n| $n_{\\text{layer}}$ | $d_{\\mathrm{model}}$ | $n_h$ | Params |\n|---|---|---|---|\n"
     "| 60 | $5120$ | 128 | $236\\text{B}$ |\n",
     "deepseek-v2 layers=60;deepseek-v2 hidden_size=5120;deepseek-v2 heads=128;deepseek-v2 total_params=236B"),
    ("Table 1: Mixtral 8x22B\n\n| Heads (Q/KV) | Experts (total/active) |\n|---|---|\n| 48/8 | 8/2 |\n",
     "mixtral-8x22b heads=48;mixtral-8x22b kv_heads=8;mixtral-8x22b experts=8;mixtral-8x22b active_experts=2"),
    # Several facts in a cell: a figure is of the noun beside it, whatever the column.
    ("| Model | Architecture |\n|---|---|\n| Qwen3-235B-A22B | 94 layers, 128 experts (8 active), GQA 64/4 |\n",
     "qwen3-235b-a22b layers=94;qwen3-235b-a22b experts=128;qwen3-235b-a22b active_experts=8;"
     "qwen3-235b-a22b attention=GQA;qwen3-235b-a22b heads=64;qwen3-235b-a22b kv_heads=4"),
    ("| Model | #AP / #TP |\n|---|---|\n| DeepSeek-V2-Lite | 2.4B / 15.7B |\n",
     "deepseek-v2-lite active_params=2.4B;deepseek-v2-lite total_params=15.7B"),
    ("<details><summary>Qwen3-14B</summary>\n\n- 40 layers\n\n</details>\n\n- 40 layers\n",
     "qwen3-14b layers=40;None layers=40 unknown-model"),
    # A name at the beginning of an item, in brackets behind a figure, or by its publisher.
    ("- Qwen3-8B 一共有 36 层，隐藏维度为 4096\n", "qwen3-8b layers=36;qwen3-8b hidden_size=4096"),
    ("# Llama 3\n\n- **Extended context**: up to 128K tokens (Llama 3.1)\n",
     "llama-3.1-8b, llama-3.1-70b, llama-3.1-405b, llama-3.1-8b-instruct, llama-3.1-70b-instruct, llama-3.1-405b-instruct context=128K"),
    ("| Model | Layers |\n|---|---|\n| Mistral 8x7B | 32 |\n", "mixtral-8x7b layers=32"),
    ("- Recipe for DeepSeek-V2-Lite (16B, 2.4B active), 27 layers\n", "deepseek-v2-lite active_params=2.4B;deepseek-v2-lite layers=27"),
    ("# DeepSeek V2\n\n- Recipe for DeepSeek-V2-Lite, 27 layers\n", "deepseek-v2-lite layers=27"),
    ("# Qwen3-14B\n\n- Hidden size of 5120, vocabulary of 151,936\n", "qwen3-14b hidden_size=5120;qwen3-14b vocab=151,936"),
    ("1. Yi-34B: 60 layers; hidden 7168; 56 heads\n", "yi-34b layers=60;yi-34b hidden_size=7168;yi-34b heads=56"),
    # What is struck out is no claim, and no row of the model above.
    ("| Model | Layers | FFN |\n|---|---|---|\n| Llama-3.2-1B | 16 | 8192 |\n| ~~Old-1B~~ | 12 | 2048 |\n",
     "llama-3.2-1b layers=16;llama-3.2-1b intermediate_size=8192"),
    # A head below another, and labels of two.
    ("| Model | Attention | | FFN | |\n|---|---|---|---|---|\n"
     "| | Q heads | Head dim | Dim | Experts |\n| gpt-oss-20b | 64 | 64 | 2880 | 33 |\n",
     "gpt-oss-20b heads=64;gpt-oss-20b head_dim=64;gpt-oss-20b intermediate_size=2880;gpt-oss-20b experts=33 wrong"),
    ("- DeepSeek-V3: 128 heads / 256+1 experts\n",
     "deepseek-v3 heads=128;deepseek-v3 experts=256;deepseek-v3 shared_experts=1"),
    ("| Model | Active share |\n|---|---|\n| gpt-oss-120b | 4.4% |\n| DeepSeek-V3 | 4.4% |\n",
     "gpt-oss-120b active_share=4.4%;deepseek-v3 active_share=4.4% wrong"),
    # Caches by token, and of several sequences.
    ("| Model | KV bytes per token | KV/token fp8 |\n|---|---|---|\n| Qwen3-8B | 147,456 | 72 KiB |\n",
     "qwen3-8b kv_per_token=147,456;qwen3-8b kv_per_token=72 KiB"),
    ("# KV cache of Llama-3.1-8B\n\n| Context | Batch 1 | Batch 8 |\n|---|---|---|\n| 32k | 4 GiB | 32 GiB |\n",
     "llama-3.1-8b kv_cache=4 GiB;llama-3.1-8b kv_cache=32 GiB"),
    ("# Llama-3.1-8B\n\n| Batch size | Context | KV cache (GB) |\n|---|---|---|\n| 16 | 8192 | 17.2 |\n",
     "llama-3.1-8b kv_cache=17.2"),
    # What another release has is an alarm where the figures around it are this one's alone.
    ("# Phi-4\n\n- Parameters: 14.7B\n- Layers: 32\n- Hidden size: 5120\n",
     "phi-4 total_params=14.7B;phi-4 layers=32 wrong;phi-4 hidden_size=5120"),
    ("| Family | Context |\n|---|---|\n| Gemma 3 | 32K (1B), 128K |\n",
     "gemma-3-1b, gemma-3-4b, gemma-3-12b, gemma-3-27b, medgemma-27b and 2 more context=32K;"
     "gemma-3-1b, gemma-3-4b, gemma-3-12b, gemma-3-27b, medgemma-27b and 2 more context=128K"),
    ("# Qwen3-8B\n\n- Uses QK LayerNorm\n- No bias anywhere\n", "qwen3-8b attention=QK LayerNorm"),
    # What one of several ranks holds: whole heads, at least one, and a latent whole.
    ("| Model | KV cache at 128K, per GPU at TP 8 |\n|---|---|\n| Llama-3.1-70B | 5 GiB |\n| DeepSeek-V3 | 8.58 GiB |\n",
     "llama-3.1-70b kv_cache=5 GiB;deepseek-v3 kv_cache=8.58 GiB"),
    ("| Model | TP | KV cache per GPU at 128K |\n|---|---|---|\n| Llama-3.1-70B | 4 | 10 GiB |\n| Llama-3.1-70B | 16 | 5 GiB |\n"
     "| Llama-3.1-70B | 2 | 10 GiB |\n",
     "llama-3.1-70b kv_cache=10 GiB;llama-3.1-70b kv_cache=5 GiB;llama-3.1-70b kv_cache=10 GiB wrong"),
    ("| 模型 | 每卡 KV 缓存（TP=4，32K） |\n|---|---|\n| Qwen3-32B | 2 GiB |\n", "qwen3-32b kv_cache=2 GiB"),
    ("# Qwen3-4B\n\n- KV cache per GPU at 32k with TP 4: 1.13 GiB\n", "qwen3-4b kv_cache=1.13 GiB"),
    # Of how many ranks is not said: nothing to judge.
    ("| Model | Layers | KV cache per GPU at 128K |\n|---|---|---|\n| Llama-3.1-70B | 80 | 5 GiB |\n", "llama-3.1-70b layers=80"),
    # No digit of a nought counts.
    ("| Model | KV cache at 4K | KV cache at 128K |\n|---|---|---|\n| Llama-3.1-8B | 0 GiB | 0 GiB |\n| Qwen3-8B | 0.6 GiB | 18 GiB |\n",
     "llama-3.1-8b kv_cache=0 GiB unverifiable;llama-3.1-8b kv_cache=0 GiB wrong;qwen3-8b kv_cache=0.6 GiB;qwen3-8b kv_cache=18 GiB"),
    # Tables without their line of dashes, and labels and values in a line.
    ("## Qwen3-8B\n\nLayers | Hidden | Heads | KV\n36 | 4096 | 32 | 9\n",
     "qwen3-8b layers=36;qwen3-8b hidden_size=4096;qwen3-8b heads=32;qwen3-8b kv_heads=9 wrong"),
    ("## Models\n\n| Model | Layers | Q | KV |\n| Qwen3-8B | 36 | 32 | 8 |\n| Qwen3-14B | 40 | 40 | 8 |\n",
     "qwen3-8b layers=36;qwen3-8b heads=32;qwen3-8b kv_heads=8;qwen3-14b layers=40;qwen3-14b heads=40;qwen3-14b kv_heads=8"),
    ("## Qwen3-8B\n\nLayers: 36 | Hidden: 4096 | KV heads: 9\n",
     "qwen3-8b layers=36;qwen3-8b hidden_size=4096;qwen3-8b kv_heads=9 wrong"),
    ("## Qwen3-8B\n\n层数：36，隐藏维度：4096\n", "qwen3-8b layers=36;qwen3-8b hidden_size=4096"),
    # A family that spans the rows of its members, and a name that spans a table.
    ('<table><tr><th>Family</th><th>Model</th><th>Layers</th><th>Heads</th></tr>\n<tr><td rowspan="2">Qwen3</td><td>8B</td><td>36</td>'
     "<td>32</td></tr>\n<tr><td>14B</td><td>40</td><td>41</td></tr></table>\n",
     "qwen3-8b layers=36;qwen3-8b heads=32;qwen3-14b layers=40;qwen3-14b heads=41 wrong"),
    ("<table><tr><td rowspan=2>Qwen3-8B</td><td>Layers</td><td>36</td></tr>\n<tr><td>KV heads</td><td>9</td></tr></table>\n",
     "qwen3-8b layers=36;qwen3-8b kv_heads=9 wrong"),
    # Words that mean one thing in a note, and what stands beside labels and values.
    ("| Model | Key features |\n|---|---|\n| Qwen3-8B | a dense model with 40K context, GQA and SwiGLU |\n",
     "qwen3-8b context=40K;qwen3-8b attention=GQA;qwen3-8b activation=SwiGLU"),
    ("# Qwen3-8B\n\n| Parameter | Value | Notes |\n|---|---|---|\n| KV heads | 8 | GQA with 4:1 ratio |\n",
     "qwen3-8b kv_heads=8;qwen3-8b attention=GQA"),
    # 32K is not said where 32B is.
    ("| Model | Params | Notes |\n|---|---|---|\n| Qwen3-32B | 32B | up to 32K context |\n",
     "qwen3-32b total_params=32B;qwen3-32b context=32K"),
    ("| 模型 | 专家数量 |\n|---|---|\n| Mixtral 8x7B | 8个（实际激活2个） |\n", "mixtral-8x7b experts=8;mixtral-8x7b active_experts=2"),
    # What was tried is not what it is made for.
    ("# Qwen3-8B\n\n- 支持上下文长度：32K（实测可达128K）\n", "qwen3-8b context=32K"),
    ("## DeepSeek-V3 / R1 (DeepSeek)\n\n- **Layers**: 61\n", "deepseek-v3, deepseek-r1 layers=61"),
    ("| Model | Params | Context |\n|---|---|---|\n| Llama 3.2 Quantized | 1B | 128K |\n",
     "llama-3.2-1b total_params=1B;llama-3.2-1b context=128K"),
    ("| Family | Model | Layers |\n|---|---|---|\n| Gemma 3 | 4B | 34 |\n| | 12B | 48 |\n", "gemma-3-4b layers=34;gemma-3-12b layers=48"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "claims"), SHAPES)
def test_a_shape(text: str, claims: str) -> None:
    got = told(text)
    assert sorted(got) == sorted(claims.split(";"))


NO_CLAIMS = [
    # A tower's, an experiment's, a title's and a difference's figures.
    "# Qwen3-8B\n\n### Vision Stack\n\nThe config exposes:\n\n- `depth = 27`\n- `hidden_size = 1152`\n- `num_heads = 16`\n",
    "# Qwen3-8B\n\nThe audio encoder has:\n\n- `d_model = 1280`\n",
    "| Benchmark | MHA | MLA |\n|---|---|---|\n| # Total Params | 15.8B | 15.7B |\n| # Layers | 27 | 27 |\n",
    "* [Blog: Announcing Foo-7B-8K: 8K context length](https://example.org/foo)\n",
    "# Qwen3-14B\n\n| Weights | [Qwen/Qwen3-14B](https://huggingface.co/Qwen/Qwen3-14B) |\n|---|---|\n",
    "| Model | Max output | Context |\n|---|---|---|\n| DeepSeek-V3 | 8K | 64K |\n| Kimi-K2 | 16K | 100K |\n",
    "Llama-3.1-8B was tuned with 32 layers skipped.\n",
    # Settings of a run in other languages and in lists; what an engine's downloads take.
    "| 模型 | 学习率 | 批大小 | 序列长度 |\n|---|---|---|---|\n| Qwen2.5-7B | 3e-4 | 4M | 4096 |\n| Llama-3.1-8B | 3e-4 | 8M | 8192 |\n",
    "# Serving Qwen3-32B\n\n- Context: 16384\n- Max tokens: 2048\n- Concurrency: 64\n",
    "| Model | Context | Logged MiB |\n|---|---|---|\n| qwen3-8b | 8192 | 498 |\n| qwen3-8b | 16384 | 808 |\n| phi-4 | 4096 | 588 |\n",
    "| Model | Max num seqs |\n|---|---|\n| gpt-oss-120b | 128 |\n| Llama-3.1-70B | 256 |\n",
    "| Model | Size |\n|---|---|\n| Phi 4 | 9.1GB |\n| Mistral 7B v0.3 | 4.1GB |\n",
    "- **VRAM budget**: 21.2 GB weights + 400 MB KV cache\n",
    "# Qwen3-8B\n\ntop_k: 20 | temperature: 0.6 | max_tokens: 4096\n",
    "# Qwen3-8B\n\n| a | b | c |\n| 1 | 2 | 3 |\n",
    # A setting of an engine, a context that was tried, and words that only tell of what else is spoken of.
    "- Qwen3-8B needs `gpu_layers=36`\n",
    "# Qwen3-8B\n\n- RMSNorm kernels\n- SwiGLU Clamping 的内部机制\n- SwiGLU 的定义\n- RoPE may hurt\n",
]  # fmt: skip


@pytest.mark.parametrize("text", NO_CLAIMS)
def test_what_is_no_claim_of_the_model(text: str) -> None:
    assert [claim for claim in told(text) if "doubtful" not in claim] == []


def test_a_size_that_no_bundled_member_has_is_not_known() -> None:
    """OLMo 2 has a 1B that is not bundled."""
    assert not [
        claim
        for claim in told("| Model | Sizes |\n|---|---|\n| OLMo 2 | 1B, 7B, 13B, 32B |\n")
        if "wrong" in claim or "doubt" in claim
    ]


FAMILIES = [
    # A name that several releases begin with is all of them: a figure is right if it is right of one, and sizes name members.
    ("| Qwen3.5 | 397B | 60 |", "qwen3.5-397b-a17b total_params=397B;qwen3.5-397b-a17b layers=60"),
    ("| qwen3.5 | 0.8B | 24 |", "qwen3.5-0.8b total_params=0.8B;qwen3.5-0.8b layers=24"),
    ("| Gemma-3n | E2B, E4B | 30 |", "gemma-3n-e2b, gemma-3n-e4b layers=30"),
    ("| Qwen3-Coder | 30B | 48 |", "qwen3-coder-30b-a3b total_params=30B;qwen3-coder-30b-a3b layers=48"),
    ("| Qwen3-Coder | 480B / 30B | 62 |",
     "qwen3-coder-480b-a35b, qwen3-coder-30b-a3b total_params=480B;qwen3-coder-480b-a35b, qwen3-coder-30b-a3b total_params=30B;"
     "qwen3-coder-480b-a35b, qwen3-coder-30b-a3b layers=62"),
    ("| Phi-3 | 3.8B, 14B | 40 |",
     "phi-3-mini, phi-3-medium total_params=3.8B;phi-3-mini, phi-3-medium total_params=14B;phi-3-mini, phi-3-medium layers=40"),
    # Digits keep their boundaries.
    ("| Qwen 34B | 34B | 48 |", "None total_params=34B unknown-model;None layers=48 unknown-model"),
    ("| Mistral-8*7B | 47B | 32 |", "None total_params=47B unknown-model;None layers=32 unknown-model"),
    # A name that another release's begins with means itself, and raises no alarm for what is right of the other.
    ("| DeepSeek-V2 | 236B | 60 |", "deepseek-v2 total_params=236B;deepseek-v2 layers=60"),
    ("| DeepSeek-V2 | 15.7B | 27 |", "deepseek-v2 total_params=15.7B doubtful;deepseek-v2 layers=27 doubtful"),
    ("| DeepSeek-V2 | 236B | 61 |", "deepseek-v2 total_params=236B;deepseek-v2 layers=61 wrong"),
]  # fmt: skip


@pytest.mark.parametrize(("row", "claims"), FAMILIES)
def test_a_family_is_a_set(row: str, claims: str) -> None:
    got = [claim for claim in told(f"| Model | Params | Layers |\n| --- | --- | --- |\n{row}\n") if "unverifiable" not in claim]
    assert got == claims.split(";")
