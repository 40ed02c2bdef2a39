"""Columns that say what the figures beside them are of: a type, a machine, a run.

The texts are made up; the figures are those of the models' published configs, and of ggml's blocks.
"""

from __future__ import annotations

import pytest

from archcalc.cards.check import check_text
from archcalc.cards.settings import Settings

LLAMA, QWEN = "Llama-3.1-8B", "Qwen3-8B"
SIZES = "kv_cache", "weights"


def told(page: str, name: str = "page.md") -> list[str]:
    """Each claim that is a number as `field=text`, with the verdict where it is not right."""
    results = check_text(page, name, Settings(), offline=True).results
    return [f"{r.field}={r.claimed}{'' if r.verdict == 'ok' else f' {r.verdict}'}" for r in results if r.field != "data"]


def table(*heads: str) -> str:
    return f"# Figures\n\n| Model | {' | '.join(heads)} |\n|{'---|' * (len(heads) + 1)}\n"


TYPES = [
    # 2 x 32 layers x 8 heads x 128 elements a token: 65,536 of them.
    *[
        (table(head, "KV cache at 32K"), [(kind, size, right) for kind, size, right in rows])
        for head, rows in {
            "Cache dtype": [("BF16", "4 GiB", "ok"), ("FP8", "2 GiB", "ok"), ("FP8", "4 GiB", "wrong")],
            "--kv-cache-dtype": [("auto", "4 GiB", "ok"), ("fp8_e4m3", "2 GiB", "ok"), ("fp8_e5m2", "4 GiB", "wrong")],
            "KV type": [("bf16", "4 GiB", "ok"), ("int4", "1 GiB", "ok"), ("int4", "1.25 GiB", "unverifiable")],
            "bits": [("16", "4 GiB", "ok"), ("8", "2 GiB", "ok"), ("4", "1 GiB", "ok"), ("8", "4 GiB", "wrong")],
            # ggml-common.h: 34 bytes for 32 elements, 18 for 32; a pair that differs is not counted.
            "ctk/ctv": [
                ("f16/f16", "4096 MiB", "ok"), ("q8_0/q8_0", "2176 MiB", "ok"), ("q4_0/q4_0", "1152 MiB", "ok"),
                ("f16/q8_0", "3136 MiB", "unverifiable"),
            ],
            "缓存精度": [("FP16", "4 GiB", "ok"), ("FP8", "2 GiB", "ok")],
        }.items()
    ],
    # 8,030,261,248 parameters; with 525,336,576 each of the embedding and of the head in two bytes where a release keeps them so.
    (table("Precision", "Weights"),
     [("BF16", "16.1 GB", "ok"), ("FP8", "8.03 GB", "ok"), ("FP8", "9.08 GB", "ok"), ("INT4", "4.0 GB", "ok"),
      ("INT4", "5.7 GB", "unverifiable"), ("INT8", "16.1 GB", "doubtful")]),
    (table("精度", "Weights"), [("FP32", "32.1 GB", "ok"), ("INT8", "8.03 GB", "ok")]),
    # Memory may hold more than weights.
    (table("Precision", "Memory"), [("FP8", "8.03 GB", "ok"), ("FP8", "10 GB", "unverifiable")]),
]  # fmt: skip


@pytest.mark.parametrize(("head", "rows"), TYPES)
def test_a_column_of_types_says_what_sizes_are_in(head: str, rows: list[tuple[str, str, str]]) -> None:
    # Each row alone: several values of one model in one type are those of variants.
    pages = [f"{head}| {LLAMA} | {kind} | {size} |\n" for kind, size, _ in rows]
    found = [r.verdict for page in pages for r in check_text(page, "page.md", Settings(), offline=True).results if r.field in SIZES]
    assert found == [verdict for *_, verdict in rows]


def test_a_type_beside_weights_may_be_of_the_cache_too() -> None:
    page = table("Precision", "Weights", "KV cache at 32K") + "".join(
        f"| {LLAMA} | {kind} | {weights} | {cache} |\n"
        for kind, weights, cache in (("BF16", "16.1 GB", "4 GiB"), ("FP8", "8.03 GB", "4 GiB"), ("FP8", "8.03 GB", "2 GiB"))
    )
    assert told(page) == [
        "weights=16.1 GB", "kv_cache=4 GiB", "weights=8.03 GB", "kv_cache=4 GiB", "weights=8.03 GB", "kv_cache=2 GiB",
    ]  # fmt: skip


def test_two_columns_of_types_are_of_their_own_sizes() -> None:
    page = table("Weight dtype", "KV dtype", "Weights", "KV cache at 32K") + (
        f"| {LLAMA} | fp8 | bf16 | 8.03 GB | 4 GiB |\n| {LLAMA} | bf16 | fp8 | 16.1 GB | 4 GiB |\n"
    )
    assert told(page) == ["weights=8.03 GB", "kv_cache=4 GiB", "weights=16.1 GB", "kv_cache=4 GiB wrong"]


def test_a_compressed_cache_raises_no_alarm() -> None:
    page = table("Method", "KV cache / token", "Compression") + (
        f"| {LLAMA} | none | 128 KiB | 1x |\n| {LLAMA} | two bits | 20 KiB | 6.4x |\n| {QWEN} | none | 144 KiB | 1x |\n"
    )
    assert told(page) == ["kv_per_token=128 KiB", "kv_per_token=20 KiB doubtful", "kv_per_token=144 KiB"]


def test_a_name_says_at_which_context_its_cache_is() -> None:
    page = table("Layers", "KV cache") + f"| {LLAMA} @ 32k | 32 | 4 GiB |\n| {LLAMA} @ 64k | 32 | 4 GiB |\n"
    assert told(page) == ["layers=32", "kv_cache=4 GiB", "layers=32", "kv_cache=4 GiB wrong"]


@pytest.mark.parametrize("beside", ["GPUs", "Instance", "vCPU", "Replicas", "Energy per token"])
@pytest.mark.parametrize("head", ["Memory", "GPU memory (GB)", "VRAM", "显存"])
def test_the_memory_of_a_machine_is_not_that_of_weights(beside: str, head: str) -> None:
    page = table("Params", beside, head) + f"| {LLAMA} | 8B | 1 | 80 GB |\n| {QWEN} | 8.2B | 2 | 160 GB |\n"
    assert not [said for said in told(page) if said.endswith("wrong")]
    assert told(page.replace(f"| {head} |", "| Weights (BF16) |"))[1] == "weights=80 GB wrong"


RUNS = [
    # What a run sets, shorter than the models' 131,072, 40,960 and 131,072 tokens.
    table("temperature", "top_p", "Context window") + f"| {QWEN} | 0.6 | 0.95 | 16384 |\n| Gemma-3-27B | 1.0 | 0.95 | 8192 |\n",
    table("Context", "Max tokens", "Stop") + f"| {LLAMA} | 16384 | 4096 | eot |\n| {QWEN} | 24576 | 8192 | end |\n",
    "# Agents\n\n| Agent | Model | Context window | Temperature |\n|---|---|---|---|\n| planner | Llama-3.1-8B | 8192 | 0.2 |\n",
    # What has no window is given one.
    table("Window", "Layers with window", "PPL") + f"| {LLAMA} | 4096 | 16 | 6.5 |\n| {QWEN} | 2048 | 18 | 7.7 |\n",
    table("Window", "Score") + f"| {LLAMA} | 16k | 40.1 |\n| {QWEN} | 8k | 41.0 |\n",
    # 32 copies beside 256 experts.
    table("EP", "Experts", "Layers") + "| DeepSeek-V3 | 32 | 288 | 61 |\n",
]


@pytest.mark.parametrize("page", RUNS)
def test_what_a_run_sets_raises_no_alarm(page: str) -> None:
    assert not [said for said in told(page) if said.endswith("wrong")]


def test_a_model_table_beside_settings_is_judged() -> None:
    page = table("Temperature", "Context window", "Layers") + f"| {LLAMA} | 0.6 | 262144 | 32 |\n| {QWEN} | 0.7 | 40960 | 36 |\n"
    assert told(page) == ["context=262144 wrong", "layers=32", "context=40960", "layers=36"]


FILES = [
    ("run.yaml", f"model: {LLAMA}\ntrain: true\nlearning_rate: 1e-5\nbatch_size: 4\niters: 1000\nnum_layers: 16\nmax_seq_length: 2048\n",
     []),
    ("run.yaml", f"model: {LLAMA}\nlayers: 32\ntraining:\n  seq_len: 4096\n  layers: 16\n", ["layers=32"]),
    ("bench.json",
     '{"model_id": "Qwen/Qwen3-8B", "num_prompts": 200, "max_concurrency": 32, "context_length": 8192, "memory": "24 GB"}', []),
    ("eval.json", '{"results": {"arc": {"acc": 0.6}}, "config": {"batch_size": 8}, "model_name": "Qwen3-8B", "context_length": 4096}', []),
    ("served.json", '{"Qwen3-8B": {"max_tokens": 8192, "context_window": 16384}}', ["context=8192 doubtful", "context=16384 doubtful"]),
    # What describes models is read, with a setting beside it too.
    ("models.json", '{"models": [{"model": "Qwen3-8B", "layers": 36, "heads": 31, "temperature": 0.6, "top_p": 0.95}]}',
     ["layers=36", "heads=31 wrong"]),
    ("card.yaml", f"model: {LLAMA}\nlayers: 32\nhidden_size: 4096\nmax_seq_length: 2048\n",
     ["layers=32", "hidden_size=4096", "context=2048 doubtful"]),
    ("card.yaml", f"model: {LLAMA}\nlayers: 32\nhidden_size: 4096\ncontext_length: 2048\n",
     ["layers=32", "hidden_size=4096", "context=2048 wrong"]),
    ("pinned.yaml", "archcalc: qwen3-8b\nbatch_size: 4\nlearning_rate: 1e-4\nlayers: 35\n", ["layers=35 wrong"]),
]  # fmt: skip


@pytest.mark.parametrize(("name", "text", "claims"), FILES)
def test_files_of_settings_are_not_read(name: str, text: str, claims: list[str]) -> None:
    assert told(text, name) == claims
