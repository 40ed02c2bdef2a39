"""Kinds of pages that were misread once: each with what must be said of it.

The texts are made up; the figures are those of the models' published configs.
"""

from __future__ import annotations

import pytest

from archcalc.cards.check import check_text
from archcalc.cards.settings import Settings

KINDS = [
    # A line that is a label and a number, with the model in front of it or in it, as a paragraph or as an item.
    ("# Caches\n\nLlama 3.1 70B: KV cache per token (bf16): 320 KiB\n\nQwen3-8B: layers: 36\n",
     ["kv_per_token=320 KiB", "layers=36"]),
    ("# Caches\n\n- Llama 3.1 70B: KV cache per token (bf16): 160 KiB\n- KV cache of Qwen3-8B at 32k tokens: 4.5 GiB\n",
     ["kv_per_token=160 KiB wrong", "kv_cache=4.5 GiB"]),
    ("# Qwen3-8B\n\nKV cache per token (bf16): 144 KiB\n\nContext length:\n32768 tokens were measured.\n", ["kv_per_token=144 KiB"]),
    # Of a cache, what one layer keeps.
    ("| | Qwen3-8B | Llama 3.1 8B |\n|---|---|---|\n| Layers | 36 | 32 |\n| KV cache per token per layer | 4 KiB | 8 KiB |\n"
     "| KV cache per layer at 8k | 32 MiB | 32 MiB |\n",
     ["layers=36", "layers=32", "kv_per_token=4 KiB", "kv_per_token=8 KiB wrong", "kv_cache=32 MiB", "kv_cache=32 MiB"]),
    # A number may end its sentence in any script.
    ("# DeepSeek-V3\n\n总参数量为 6710 亿。\n\n上下文长度为 128K。\n\n模型层数为 61。\n",
     ["total_params=6710 亿", "context=128K", "layers=61"]),
    ("# DeepSeek-V3\n\n- 总参数量：671B；激活 37B。\n", ["total_params=671B", "active_params=37B"]),
    # What stands below such a heading is of no decoder.
    *[(f"# Qwen2.5-VL-7B\n\n### {heading}\n\n| Field | Value |\n|---|---|\n| Hidden size | 5120 |\n| Layers | 2 |\n", [])
      for heading in ("Projector", "The multimodal projector", "MLP connector", "Patch merger")],
    # A machine beside a name makes it no other model.
    ("# Memory of Qwen3-8B on one RTX 4090\n\n| Part | Size |\n|---|---|\n| Weights | 16.4 GB |\n| KV cache (8k) | 1.125 GiB |\n",
     ["weights=16.4 GB", "kv_cache=1.125 GiB"]),
    ("# Qwen3-8B on 2x H100 80GB\n\n- Layers: 36\n- Heads: 31\n", ["layers=36", "heads=31 wrong"]),
    # The component that is the language model is the model.
    ("# Gemma 3 12B\n\n| Component | Layers | Width |\n|---|---|---|\n| Vision encoder | 27 | 1152 |\n| Language model | 48 | 3840 |\n",
     ["layers=27 unknown-model", "hidden_size=1152 unknown-model", "layers=48", "hidden_size=3840"]),
    # A column named by the size of the page's one model.
    ("# Granite-3.3-8B-Instruct\n\n| Model | 8B Dense |\n|---|---|\n| Number of layers | 40 |\n| Embedding size | 4096 |\n",
     ["layers=40", "hidden_size=4096"]),
    # A plan's context is its own where it is within the model's, and wrong where it is beyond.
    ("| Model | GPUs | TP | KV cache per token | Max context |\n|---|---|---|---|---|\n| Llama-3.3-70B | 4 | 4 | 320 KiB | 65536 |\n"
     "| Qwen2.5-72B | 8 | 8 | 320 KiB | 131072 |\n",
     ["kv_per_token=320 KiB", "context=65536 doubtful", "kv_per_token=320 KiB", "context=131072"]),
    # Caches by context: what a token keeps, and a column with a gap.
    ("# KV caches (bf16)\n\n| Model | per token | 8k | 128k |\n|---|---|---|---|\n| Llama-3.3-70B | 320 KiB | 2.5 GiB | 40 GiB |\n"
     "| Phi-4 | 200 KiB | 1.56 GiB | – |\n",
     ["kv_per_token=320 KiB", "kv_cache=2.5 GiB", "kv_cache=40 GiB", "kv_per_token=200 KiB", "kv_cache=1.56 GiB"]),
    # What a token keeps is of no batch, which another item has.
    ("# Llama-3.3-70B\n\n- Layers: 80\n- Hidden size: 8192\n- KV cache (8k, batch 4): 10 GiB\n- KV cache per token: 640 KiB\n",
     ["layers=80", "hidden_size=8192", "kv_cache=10 GiB", "kv_per_token=640 KiB wrong"]),
    ("# Llama-3.3-70B\n\n- 层数：80\n- 权重（BF16）：141 GB\n", ["layers=80", "weights=141 GB"]),
    ("# DeepSeek-V3\n\n- 61 层，前 3 层为稠密层\n- 路由专家 256 个，共享专家 1 个\n- 专家中间维度 2048\n",
     ["layers=61", "dense_layers=3", "experts=256", "shared_experts=1", "expert_size=2048"]),
    ("# Phi-4\n\n| Property | Value |\n|---|---|\n| Layers | 40 |\n| FFN | SwiGLU, 17,920 |\n",
     ["layers=40", "ffn=SwiGLU", "intermediate_size=17,920"]),
    # llama.cpp's converter writes 2^20 for hybrids of Mamba, whatever the config says.
    ("## granite-4.0-h-tiny\n\n### GGUF parameters\n\n| Parameter | Value |\n|---|---|\n| context_length | 1048576 |\n| layers | 40 |\n",
     ["context=1048576 doubtful", "layers=40"]),
    ("## granite-4.0-h-tiny\n\n| Parameter | Value |\n|---|---|\n| context_length | 1048576 |\n| layers | 40 |\n",
     ["context=1048576 wrong", "layers=40"]),
    # 7.57 B parameters in BF16 are 15.1 GB; twice the eight billion of its name are 16.
    ("| Model | Repo | Weights | hidden |\n|---|---|---|---|\n| Qwen3-Embedding 8B | `Qwen/Qwen3-Embedding-8B` | 16 GB | 4096 |\n",
     ["weights=16 GB doubtful", "hidden_size=4096"]),
    # LaTeX's words begin like escapes.
    ("# Llama-3.1-8B\n\n| Property | Value |\n|---|---|\n| Parameters | $\\approx 8.03\\text{B}$ |\n| Layers | 32 |\n",
     ["total_params=8.03B", "layers=32"]),
    # What the last of two counts the first does too.
    ("| | Qwen3-8B | Gemma-2-9B |\n|---|---|---|\n| Layers | 36 | 42 |\n| Query / KV heads | 32 / 8 | 16 / 9 |\n",
     ["layers=36", "layers=42", "heads=32", "kv_heads=8", "heads=16", "kv_heads=9 wrong"]),
    ("| Model | Routed / shared experts |\n|---|---|\n| DeepSeek-V3 | 256 / 1 |\n", ["experts=256", "shared_experts=1"]),
    # Brackets are of the number in them.
    ("# Qwen3-8B\n\n- 层数：36\n- 最大上下文：32768（YaRN 后 131072）\n",
     ["layers=36", "context=32768", "position=YaRN", "context=131072"]),
    ("# Qwen2.5-7B\n\n| Layers | 28 |\n|---|---|\n| Context | 32768 (extended to 131072) |\n",
     ["layers=28", "context=32768", "context=131072"]),
    # Which layer, not how many; a right number of them all the same.
    ("| Model | Layer | Width |\n|---|---|---|\n| Gemma-2-9B | 20 | 3584 |\n| Qwen3-8B | 36 | 4096 |\n",
     ["layers=20 doubtful", "hidden_size=3584", "layers=36", "hidden_size=4096"]),
    ("| Model | Layers | Width |\n|---|---|---|\n| Gemma-2-9B | 20 | 3584 |\n| Qwen3-8B | 36 | 4096 |\n",
     ["layers=20 wrong", "hidden_size=3584", "layers=36", "hidden_size=4096"]),
    # What a rank has, beside a column of ranks.
    ("| Model | heads | head_dim | TP |\n|---|---|---|---|\n| Llama-3.1-70B | 8 | 128 | 8 |\n| Llama-3.1-8B | 32 | 128 | 1 |\n"
     "| Qwen3-32B | 60 | 128 | 4 |\n",
     ["heads=8 doubtful", "head_dim=128", "heads=32", "head_dim=128", "heads=60 wrong", "head_dim=128"]),
    # A window of no stated kind may be the context.
    ("| Model | Layers | Window (tokens) |\n|---|---|---|\n| Llama-2-7B | 32 | 4,096 |\n| Mistral-7B-v0.1 | 32 | 4,096 |\n"
     "| Qwen3-8B | 36 | 2,048 |\n",
     ["layers=32", "context=4,096", "layers=32", "window=4,096", "layers=36", "window=2,048 wrong"]),
    ("| Model | Layers | Sliding window |\n|---|---|---|\n| Mistral-7B-v0.1 | 32 | 8,192 |\n| Gemma-2-9B | 42 | 4,096 |\n",
     ["layers=32", "window=8,192 wrong", "layers=42", "window=4,096"]),
    # On is no yes where words follow.
    ("| Model | Layers | QK-norm |\n|---|---|---|\n| DeepSeek-V3 | 61 | on latents |\n| Qwen3-8B | 36 | on |\n",
     ["layers=61", "qk_norm=on latents unverifiable", "layers=36", "qk_norm=on"]),
    # Twice 37 billion.
    ("| Model | Params | FLOPs per token |\n|---|---|---|\n| DeepSeek-V3 | 671B (37B active) | 74 GFLOPs |\n"
     "| Llama-3.1-8B | 8.03B | 32 GFLOPs |\n",
     ["total_params=671B", "active_params=37B", "flops=74 GFLOPs doubtful", "total_params=8.03B", "flops=32 GFLOPs wrong"]),
    # The config holds 8,192 more than the publisher states.
    ("| Model | Layers | Sequence length |\n|---|---|---|\n| Qwen3-Embedding-8B | 36 | 32K |\n", ["layers=36", "context=32K"]),
    # A type named above a table or list is that of its sizes; where several are, each size is of one.
    ("# Qwen3-8B\n\nKV cache per sequence, fp8 E4M3 (half of what bf16 takes):\n\n| Context | KV cache |\n|---|---|\n"
     "| 8k | 576 MiB |\n| 32k | 2.25 GiB |\n| 40k | 9 GiB |\n",
     ["kv_cache=576 MiB", "kv_cache=2.25 GiB", "kv_cache=9 GiB doubtful"]),
    ("Weights at int8:\n\n| Model | Layers | Size |\n|---|---|---|\n| Qwen3-8B | 36 | 8.2 GB |\n| Qwen3-14B | 40 | 14.8 GB |\n"
     "| Qwen3-32B | 64 | 49 GB |\n",
     ["layers=36", "weights=8.2 GB", "layers=40", "weights=14.8 GB", "layers=64", "weights=49 GB wrong"]),
    ("# Llama-3.3-70B\n\n## FP8 build\n\n- Layers: 80\n- Weights: 70.6 GB\n- KV cache at 8k: 2.5 GiB\n",
     ["layers=80", "weights=70.6 GB", "kv_cache=2.5 GiB"]),
    # A table of a tower is no claim about the model whose tower it is.
    ("# Qwen2.5-VL-7B-Instruct\n\n- Layers: 28\n\n## Details of the vision tower\n\n| Parameter | Value |\n|---|---|\n| depth | 32 |\n"
     "| hidden_size | 1280 |\n| num_heads | 16 |\n",
     ["layers=28"]),
    # Pieces of documents, how many of them, and what embeds them.
    ("# RAG with Qwen3-8B\n\n| Setting | Value |\n|---|---|\n| Chunk size | 512 |\n| Chunk overlap | 64 |\n| top_k | 5 |\n"
     "| Embedding dimension | 1024 |\n| Max context tokens | 6000 |\n",
     []),
    ("| Pipeline | LLM | Embedding dim | Chunk size | Context | top-k |\n|---|---|---|---|---|---|\n"
     "| small | Qwen3-8B | 1024 | 512 | 4096 | 5 |\n| large | Qwen3-32B | 4096 | 1024 | 40960 | 10 |\n",
     ["context=40960"]),
    ("# Qwen3-235B-A22B on 8 H100\n\n- Weights per GPU (TP=8): 58.8 GB\n- Layers: 94\n- Layers per stage: 24\n",
     ["weights=58.8 GB", "layers=94"]),
]  # fmt: skip


@pytest.mark.parametrize(("page", "claims"), KINDS)
def test_a_kind_of_page_is_read_as_it_is_meant(page: str, claims: list[str]) -> None:
    results = check_text(page, "card.md", Settings(), offline=True).results
    said = [f"{r.field}={r.claimed.lstrip('≈ ')}{'' if r.verdict == 'ok' else f' {r.verdict}'}" for r in results]
    assert said == claims, results


@pytest.mark.parametrize("above", ["## Ablation experiments", "## Pruned models"])
def test_what_stands_above_a_table_is_its_own(above: str) -> None:
    """Tables with the same heads and models: only below a heading that says so may a figure be of something else."""
    table = "| Model | Layers | Hidden size |\n|---|---|---|\n| Qwen3-8B | {} | 4096 |\n| Qwen3-4B | 36 | 2560 |\n"
    page = f"# Models\n\n## Sizes\n\n{table.format(35)}\n{above}\n\n{table.format(33)}"
    results = check_text(page, "card.md", Settings(), offline=True).results
    assert [(r.claimed, r.verdict) for r in results if r.verdict != "ok"] == [("35", "wrong"), ("33", "doubtful")]
