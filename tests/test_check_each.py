"""Figures of one layer, one expert or one file, products in a cell, and counts that one name's releases do not share.

The right figures are worked out by hand from the published configs, as the comments say.
"""

from __future__ import annotations

import json
import struct
from pathlib import Path

import pytest

from archcalc.cards.check import check_text
from archcalc.cards.settings import Settings
from conftest import Run

# Model, label, cell, and the verdicts of the cell's claims.
CELLS = [
    # (512 + 64) latent elements of 2 bytes.
    ("DeepSeek-V3", "KV cache per token", "1152 bytes per layer", "ok"),
    ("DeepSeek-V3", "KV cache per token", "1216 bytes per layer", "wrong"),
    # 2 x 8 heads x 128 x 2 bytes.
    ("Llama 3.1 70B", "KV cache per token", "4 KiB per layer", "ok"),
    ("Llama 3.1 70B", "KV cache per token", "4 KiB/layer", "ok"),
    ("Llama 3.1 70B", "KV cache per token", "320 KiB per layer", "wrong"),
    ("Mixtral 8x7B", "KV cache", "4 KiB/token/layer", "ok"),
    ("DeepSeek-V3", "KV cache (128k)", "0.14 GiB per layer", "ok"),
    # 3 x 7168 x 2048; with 256 of them and 58 layers.
    ("DeepSeek-V3", "Parameters per expert", "44M", "ok"),
    ("DeepSeek-V3", "Parameters per expert", "55M", "wrong"),
    ("DeepSeek-V3", "Attention params", "187M per layer", "ok"),
    # 3 x 4096 x 12288.
    ("Qwen3-8B", "FFN params", "151M per layer", "ok"),
    ("Qwen3-8B", "FFN params", "5436M per layer", "wrong"),
    # 8 x 3 x 4096 x 14336.
    ("Mixtral 8x7B", "Routed expert params", "1.41B per layer", "ok"),
    ("Mixtral 8x7B", "Routed expert params", "45.1B", "ok"),
    ("Qwen3-30B-A3B", "Experts", "6,144 in all layers", "unverifiable"),
    ("Qwen3-30B-A3B", "Experts", "16 per GPU", "unverifiable"),
    ("Qwen3-30B-A3B", "Experts", "64 per layer", "wrong"),
    ("Llama 3.1 8B", "KV heads", "1 per rank", "unverifiable"),
    ("Qwen3-8B", "Layers", "9 per stage", "unverifiable"),
    ("DeepSeek-V3", "Weights", "163 files, 4.3 GB each", "unverifiable"),
    ("DeepSeek-V3", "Weights", "4.3 GB per shard", "unverifiable"),
    ("Qwen3-8B", "Weights", "8.2 GB on each of 2 GPUs", "unverifiable"),
    ("Qwen3-8B", "Weights", "16.4 GB", "ok"),
    ("DeepSeek-V3", "FLOPs per token", "1.2 GFLOPs per layer", "unverifiable"),
    ("DeepSeek-V3", "Context", "4096 tokens per step", "unverifiable"),
    ("DeepSeek-V3", "Expert params (each)", "44M", "unverifiable"),
    ("Qwen3-8B", "KV cache (32k)", "4.5 GiB per sequence", "ok"),
    ("Qwen3-8B", "KV cache (32k)", "9 GiB per request", "wrong"),
    ("Qwen3-8B", "KV cache per token", "0.5 KiB per KV head per layer", "unverifiable"),
    # Products and equations.
    ("Gemma 3 27B", "Layers", "10 × (5 local + 1 global) + 2", "ok"),
    ("Qwen3-Next-80B-A3B", "Layers", "12 × (3 DeltaNet + 1 attention)", "ok"),
    ("Llama 3.1 8B", "Hidden size", "4096 = 32 × 128", "ok"),
    ("Llama 3.1 8B", "Hidden size", "5120 = 40 × 128", "wrong"),
    ("Llama 3.1 8B", "Hidden size", "32 × 128 = 4096", "ok"),
    ("Qwen3-8B", "FFN size", "12,288 = 3 × 4096", "ok"),
    ("Qwen3-8B", "FFN size", "3 × 4096", "ok"),
    ("Qwen3-8B", "FFN size", "2 × 12288 (gate, up)", "unverifiable"),
    ("Mixtral 8x7B", "Params", "8 × 7B", "ok"),
    ("Mixtral 8x7B", "Active params", "8x7B (about 13B)", "ok"),
    ("Mixtral 8x7B", "Params", "8 × 7B (46.7B in total)", "ok"),
    ("DeepSeek-V3", "Weights", "8 × 86 GB", "unverifiable"),
    ("Llama 3.1 8B", "Context", "8k × 16", "unverifiable"),
    ("Qwen3-30B-A3B", "Experts", "48 × 128", "unverifiable"),
    ("Qwen3-8B", "Vocab", "2^17 + 20,864", "unverifiable"),
    # A product says what it makes: 2 x 32 x 8 x 128 x 2 = 131,072; 8.03 x 2 = 16.06; 36 x 4096 is no figure of a model.
    ("Gemma 3 27B", "Layers", "10 × (5 local + 1 global)", "unverifiable"),
    ("Qwen3-8B", "Hidden size", "36 × 4096", "unverifiable"),
    ("Mixtral 8x22B", "Params", "8 x 22B", "ok"),
    ("Mixtral 8x22B", "Params", "8 x 22B = 176B", "wrong"),
    ("Mixtral 8x22B", "Params", "8 x 24B", "unverifiable"),
    ("Llama 3.1 8B", "KV cache per token", "2 × 32 × 8 × 128 × 2 bytes", "ok"),
    ("Llama 3.1 8B", "KV cache per token", "32 layers x 8 heads x 128 x 2 x 2 = 131,072 bytes per token", "ok ok"),
    ("Llama 3.1 8B", "KV cache per token", "2 × 32 × 8 × 128 × 2 B = 256 KiB", "wrong"),
    ("Llama 3.1 8B", "KV cache (8k)", "128 KiB × 8192", "ok"),
    ("Llama 3.1 8B", "Weights (bf16)", "8.03B × 2", "ok"),
    ("Llama 3.1 8B", "Hidden size", r"$32 \times 128 = 4096$", "ok"),
    ("Llama 3.1 8B", "Hidden size", r"$n_h \times d_h = 32 \times 128 = 4096$", "ok"),
    # Of heads and their size: what they make, and of an expert in each layer.
    ("Qwen3-8B", "Heads", "32 x 128 = 4,096", "ok"),
    ("Qwen3-8B", "Heads", "32 x 128 = 4,196", "wrong"),
    ("Qwen3-8B", "Heads", "2 x 32 = 64", "wrong"),
    ("Qwen3-8B", "Heads × head dim", "32 × 128", "ok ok"),
    ("Qwen3-30B-A3B", "Experts", "48 × 128 = 6,144", "ok"),
    ("Llama 3.1 8B", "KV heads", "1/4 of 32", "unverifiable"),
    ("Llama 3.1 8B", "Head dim", "4096/32", "unverifiable"),
    # What a token costs, and what a context does, in one cell: 36 x 2 x 8 x 128 x 2 bytes.
    ("Qwen3-8B", "KV cache", "144 KiB per token (bf16), 4.5 GiB at 32k, 18 GiB at 128k", "ok ok ok"),
    ("Qwen3-30B-A3B", "KV cache", "96 KiB/token; 3 GiB @ 32K", "ok ok"),
    ("Qwen3-8B", "KV cache", "144 KiB per token (bf16), 9 GiB at 32k", "ok wrong"),
    # Mixtral-8x22B-Instruct-v0.1 has 32,768, the base model 32,000.
    ("Mixtral 8x22B", "Vocab", "32768", "ok"),
    ("Mixtral 8x22B", "Vocab", "32000", "ok"),
    ("Mixtral 8x22B", "Vocab", "64000", "wrong"),
    # The model card: "natively supports a 256K context window"; max_position_embeddings is 32,768.
    ("Hunyuan-A13B", "Context", "256k", "ok"),
    ("Hunyuan-A13B", "Context", "128k", "wrong"),
    # The model card of DeepSeek-V3: 685B on the Hub, 671B of the main model and 14B of the MTP module.
    ("DeepSeek-V3", "MTP params", "14B", "ok"),
    ("DeepSeek-V3", "MTP params", "11.5B", "ok"),
    ("DeepSeek-V3", "MTP params", "20B", "wrong"),
    ("DeepSeek-V3", "Total params (with MTP)", "685B", "ok"),
]  # fmt: skip

LAYERS = {
    "DeepSeek-V3": 61, "Llama 3.1 70B": 80, "Mixtral 8x7B": 32, "Qwen3-8B": 36, "Qwen3-30B-A3B": 48, "Llama 3.1 8B": 32,
    "Gemma 3 27B": 62, "Qwen3-Next-80B-A3B": 48, "Mixtral 8x22B": 56, "Hunyuan-A13B": 32,
}  # fmt: skip
WIDTHS = {
    "DeepSeek-V3": 7168, "Llama 3.1 70B": 8192, "Mixtral 8x7B": 4096, "Qwen3-8B": 4096, "Qwen3-30B-A3B": 2048, "Llama 3.1 8B": 4096,
    "Gemma 3 27B": 5376, "Qwen3-Next-80B-A3B": 2048, "Mixtral 8x22B": 6144, "Hunyuan-A13B": 4096,
}  # fmt: skip


@pytest.mark.parametrize(("model", "label", "cell", "verdicts"), CELLS)
def test_a_figure_is_judged_as_what_it_is_said_of(model: str, label: str, cell: str, verdicts: str) -> None:
    rows = [("Number of layers", LAYERS[model]), ("Model dimension", WIDTHS[model]), (label, cell)]
    page = f"# {model}\n\n| Field | Value |\n|---|---|\n" + "".join(f"| {left} | {right} |\n" for left, right in rows)
    found = check_text(page, "card.md", Settings(), offline=True)
    assert [r.verdict for r in found.results if r.line == 7] == verdicts.split(), [
        (r.claimed, r.actual, r.why) for r in found.results
    ]
    if "wrong" not in verdicts:
        assert found.edits == []


@pytest.mark.parametrize(
    ("model", "label", "cell"),
    [
        ("Qwen3-8B", "Heads", "4 × 8"),
        ("Llama 3.1 8B", "Hidden size", "5120 = 40 × 128"),
        ("Llama 3.1 8B", "Hidden size", "40 × 128 = 5120"),
    ],
)
def test_a_wrong_product_is_not_rewritten_piecewise(model: str, label: str, cell: str) -> None:
    page = f"# {model}\n\n| Field | Value |\n|---|---|\n| Number of layers | {LAYERS[model]} |\n| {label} | {cell} |\n"
    found = check_text(page, "card.md", Settings(), offline=True)
    assert "wrong" in [r.verdict for r in found.results]
    assert found.edits == []


def test_a_mixture_counted_from_headers_is_no_dense_model(cli: Run, tmp_path: Path) -> None:
    config = {
        "model_type": "foomoe", "hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2, "num_key_value_heads": 1,
        "vocab_size": 16, "num_experts": 2, "num_experts_per_tok": 1,
    }  # fmt: skip
    shapes = {"model.embed_tokens.weight": [16, 8], "lm_head.weight": [16, 8], "model.layers.0.self_attn.q_proj.weight": [8, 8]}
    shapes |= {f"model.layers.0.mlp.experts.{i}.{name}_proj.weight": [8, 8] for i in (0, 1) for name in ("gate", "up", "down")}
    header, at = {}, 0
    for name, shape in shapes.items():
        size = 2 * shape[0] * shape[1]
        header[name] = {"dtype": "BF16", "shape": shape, "data_offsets": [at, at + size]}
        at += size
    raw = json.dumps(header).encode()
    (tmp_path / "config.json").write_text(json.dumps(config))
    (tmp_path / "model.safetensors").write_bytes(struct.pack("<Q", len(raw)) + raw + bytes(at))
    written = cli("card", str(tmp_path)).stdout
    assert "| Type | MoE |" in written


# Of Llama-3.1-8B a token keeps 2 x 32 layers x 8 heads x 128 x 2 bytes = 128 KiB: 1 GiB at 8k, 512 MiB at 4k; a batch keeps so
# many of it.
SEQUENCES = [
    ("KV cache for 32 users at 8k", "34 GB", "ok"),
    ("KV cache for 32 users at 8k", "68 GB", "wrong"),
    ("KV cache per user (8k)", "1.07 GB", "ok"),
    ("KV cache per request (8k)", "2 GiB", "wrong"),
    ("KV cache per sequence at 128k", "16 GiB", "ok"),
    ("KV cache (bs=8)", "8.6 GB", "unverifiable"),
    ("KV cache (bs=8, 8k)", "8.6 GB", "ok"),
    ("KV cache (batch 16, 4k)", "8.6 GB", "ok"),
    ("KV cache (batch 16, 4k)", "17 GB", "wrong"),
    ("KV cache at 8k, batch size 8", "8.6 GB", "ok"),
    ("KV cache (8k, batch 1)", "1 GiB", "ok"),
    ("KV cache (8k, 32 concurrent requests)", "32 GiB", "ok"),
    ("KV cache (8k context × 32 sequences)", "32 GiB", "ok"),
    ("KV cache, 16 sequences of 4096 tokens", "8 GiB", "ok"),
    ("KV cache (sequence length 8192, batch 4)", "4 GiB", "ok"),
    ("KV cache for 8 concurrent users at 128k context", "128 GiB", "ok"),
    ("Batch 16, 4k KV cache", "8 GiB", "ok"),
    ("32 用户的 KV 缓存 (8k)", "32 GiB", "ok"),
    ("KV 缓存（8K，批大小 16）", "16 GiB", "ok"),
    ("KV cache (8k)", "1 GiB x 32 users = 32 GiB", "ok"),
    ("KV cache (8k)", "32 GiB for 32 users", "ok"),
    ("KV cache", "8 GiB (batch 16, 4k)", "ok"),
    ("KV cache", "batch 16, 4k: 8 GiB", "ok"),
    ("KV cache", "0.5 GiB at 4k, 16 GiB at 4k with batch 32", "ok ok"),
]


@pytest.mark.parametrize(("label", "cell", "verdicts"), SEQUENCES)
def test_a_cache_of_a_batch_is_so_many_of_one_sequence(label: str, cell: str, verdicts: str) -> None:
    page = f"# Llama 3.1 8B\n\n| Field | Value |\n|---|---|\n| Layers | 32 |\n| Hidden size | 4096 |\n| {label} | {cell} |\n"
    results = check_text(page, "card.md", Settings(), offline=True).results
    assert [r.verdict for r in results if r.line == 7] == verdicts.split(), results


# DeepSeek-V3's checkpoint on the Hub has 688.6 GB: 86.1 GB on each of 8, 43.0 GB on each of 16.
SHARES = [
    ("Weights per GPU (TP=8)", "86 GB", "ok"),
    ("Weights per GPU (TP=16)", "43 GB", "ok"),
    ("Weights per GPU (8 GPUs)", "86 GB", "ok"),
    ("Weights per GPU, 8x H200", "86 GB", "ok"),
    ("Weights (TP=8)", "86 GB/GPU", "ok"),
    ("Weights", "86 GB per GPU (TP=8)", "ok"),
    ("Weights", "86 GB per GPU on 8x H200", "ok"),
    # Engines keep norms, routers and some tables whole on every device.
    ("Weights per GPU (TP=8)", "90 GB", "unverifiable"),
    ("Weights per GPU (TP=8)", "689 GB", "wrong"),
    # Of how many devices is not said: no claim.
    ("Weights per GPU", "86 GB", ""),
    ("Weights", "86 GB/GPU", "unverifiable"),
    # A machine's memory is none of the weights.
    ("Weights", "689 GB on 8x H200 141GB", "ok"),
    ("Weights", "689 GB, does not fit on a single 80 GB card", "ok"),
    ("Weights", "689 GB: more than eight 80 GB GPUs have", "ok"),
]


@pytest.mark.parametrize(("label", "cell", "verdicts"), SHARES)
def test_what_one_device_holds_is_a_share_of_a_stated_number(label: str, cell: str, verdicts: str) -> None:
    page = f"# DeepSeek-V3\n\n| Field | Value |\n|---|---|\n| Layers | 61 |\n| Hidden size | 7168 |\n| {label} | {cell} |\n"
    results = check_text(page, "card.md", Settings(), offline=True).results
    assert [r.verdict for r in results if r.line == 7] == verdicts.split(), results


def test_the_row_says_over_how_many_devices() -> None:
    page = (
        "| Model | TP | Weights per GPU |\n|---|---|---|\n| DeepSeek-V3 | 8 | 86 GB |\n| Llama-3.1-70B | 4 | 35 GB |\n"
        "| Llama-3.1-70B | 8 | 35 GB |\n\n| Model | GPUs | Weights |\n|---|---|---|\n| Llama-3.1-8B | 2x RTX 3090 24GB | 8 GB/GPU |\n"
        "| Llama-3.1-70B | 2x H100 80GB | 141 GB |\n"
    )
    results = check_text(page, "card.md", Settings(), offline=True).results
    assert [r.verdict for r in results] == ["ok", "ok", "wrong", "ok", "ok"], results
