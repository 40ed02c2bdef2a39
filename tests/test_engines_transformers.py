"""Caches of transformers against caches measured there."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from archcalc.arch import model_types, parse
from archcalc.engines._allocation import Workload
from archcalc.engines.transformers.cache import CacheOptions, allocate
from archcalc.errors import UnsupportedError, UsageError
from conftest import Run

STATIC_TOKENS = 48
DATA = Path(__file__).parent / "data" / "cache_transformers.jsonl"
CASES = [json.loads(line) for line in DATA.read_text(encoding="utf-8").splitlines()[1:]]


@pytest.mark.parametrize("case", CASES, ids=[f"{c['config']['model_type']}-{c['variant']}"[:60] for c in CASES])
def test_every_measured_cache(case: dict[str, Any]) -> None:
    if case["config"]["model_type"] not in model_types():
        pytest.skip("no adapter")
    architecture = parse(case["config"])
    for kind, tokens, batch, dtype, measured in case["rows"]:
        static = STATIC_TOKENS if kind.startswith("StaticCache") else None
        # A cache built without a config ignores windows, as all did up to 4.55.
        version = "4.55.4" if kind == "DynamicCache() no config" else case.get("transformers", "5.23.0")
        made = allocate(architecture, Workload(tokens, batch, dtype), CacheOptions(static is not None, static, version))
        assert made.bytes == measured, (kind, tokens, dtype)
        assert made.state_bytes <= made.bytes


def deepseek(**keys: Any) -> dict[str, Any]:
    return {
        "model_type": "deepseek_v3", "hidden_size": 64, "intermediate_size": 96, "moe_intermediate_size": 32, "num_hidden_layers": 4,
        "num_attention_heads": 4, "num_key_value_heads": 4, "kv_lora_rank": 32, "q_lora_rank": 24, "qk_rope_head_dim": 8,
        "qk_nope_head_dim": 16, "v_head_dim": 20, "n_routed_experts": 4, "num_experts_per_tok": 2, "n_group": 2, "topk_group": 1,
        "vocab_size": 128, **keys,
    }  # fmt: skip


def test_mla_was_cached_per_head_up_to_5_14() -> None:
    a, work = parse(deepseek()), Workload(10)
    assert allocate(a, work, CacheOptions(version="5.15.0")).bytes == 4 * 10 * (32 + 8) * 2
    assert allocate(a, work, CacheOptions(version="5.14.1")).bytes == 4 * 10 * 4 * (16 + 8 + 20) * 2


def test_windows_were_ignored_up_to_4_55() -> None:
    config = next(c["config"] for c in CASES if c["config"]["model_type"] == "mistral" and c["config"].get("sliding_window") == 16)
    a = parse(config)
    row = a.layers * 2 * 2 * 16 * 2
    assert allocate(a, Workload(40), CacheOptions(version="4.55.4")).bytes == 40 * row
    assert allocate(a, Workload(40), CacheOptions(version="4.56.0")).bytes == 15 * row
    assert allocate(a, Workload(40), CacheOptions(static=True)).bytes == 16 * row


@pytest.mark.parametrize("version", ["4.1", "latest", "5.x", ""])
def test_versions_that_are_not_known(version: str) -> None:
    with pytest.raises(UsageError):
        allocate(parse(deepseek()), Workload(10), CacheOptions(version=version))


def test_dtypes_that_it_lacks() -> None:
    with pytest.raises(UsageError, match=r"transformers keeps caches in fp32, fp16, bf16"):
        allocate(parse(deepseek()), Workload(10, 1, "fp8"))


@pytest.mark.parametrize(
    ("keys", "held"),
    [
        ({"torch_dtype": "float32"}, "fp32"),
        ({"dtype": "float32"}, "fp32"),
        ({"dtype": "float16"}, "fp16"),
        ({"dtype": "bfloat16"}, "bf16"),
        # Decoders that state none are published in bf16.
        ({}, "bf16"),
        ({"dtype": "float32", "quantization_config": {"quant_method": "fp8", "weight_block_size": [128, 128]}}, "bf16"),
    ],
)
def test_caches_are_of_the_dtype_that_the_weights_are_loaded_in(keys: dict[str, Any], held: str) -> None:
    made = allocate(parse(deepseek(**keys)), Workload(10))
    assert made.dtype == held
    assert made.bytes == allocate(parse(deepseek()), Workload(10, 1, held)).bytes


def test_a_config_without_a_dtype_has_a_cache_as_its_weights_are_published_and_says_so() -> None:
    """DynamicCache of GPT-Neo holds every token of its local layers too: 32 layers x 2 x 2,560 x 2,048 tokens of two bytes."""
    neo = parse(
        {
            "architectures": ["GPTNeoForCausalLM"], "model_type": "gpt_neo", "vocab_size": 50257, "hidden_size": 2560, "num_layers": 32,
            "num_heads": 20, "max_position_embeddings": 2048, "window_size": 256, "attention_types": [[["global", "local"], 16]],
        }
    )  # fmt: skip
    made = allocate(neo, Workload(2048))
    assert (made.dtype, made.bytes) == ("fp32", 2 * 671_088_640)
    assert allocate(neo, Workload(2048, 1, "bf16")).bytes == 671_088_640
    assert "the config states no dtype" in made.notes[0]
    assert "window - 1" not in made.rule
    # Weights that are loaded settle it: torch's default, and keys and values in it.
    from archcalc import hardware
    from archcalc.engines.transformers.weights import load

    held, name = load(neo, None, hardware.device("h100-sxm-80gb"))
    assert (name, allocate(held, Workload(2048)).bytes) == ("fp32", 2 * 671_088_640)


# Measured: two sequences of so many tokens through MiniMaxForCausalLM of transformers 5.24 with this config, keys and values alone.
@pytest.mark.parametrize(
    ("dtype", "tokens", "measured"), [("fp32", 5, 2560), ("fp32", 19, 9728), ("bf16", 5, 1280), ("bf16", 19, 4864)]
)
def test_minimax_keeps_what_its_window_has_left(dtype: str, tokens: int, measured: int) -> None:
    config = {
        "model_type": "minimax", "vocab_size": 64, "hidden_size": 32, "intermediate_size": 32, "num_hidden_layers": 4,
        "num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 8, "sliding_window": 6, "num_local_experts": 2,
        "num_experts_per_tok": 1, "layer_types": ["full_attention", "linear_attention"] * 2,
    }  # fmt: skip
    made = allocate(parse(config), Workload(tokens, 2, dtype))
    assert made.bytes - made.state_bytes == measured


def test_compressed_caches_have_no_static_form() -> None:
    config = next(c["config"] for c in CASES if c["config"]["model_type"] == "deepseek_v4")
    with pytest.raises(UnsupportedError, match="static"):
        allocate(parse(config), Workload(10), CacheOptions(static=True))


def test_as_many_sequences_are_held_as_fit_at_once(cli: Run) -> None:
    """Each sequence brings activations of its own beside its cache: whatever number is asked for, one more than are held do not fit."""

    def fit(sequences: int) -> dict[str, Any]:
        words = "mistral-nemo-12b --gpu a100-40gb --engine transformers --ctx 4k --offline --format json".split()
        made: dict[str, Any] = json.loads(cli("fit", *words, "--concurrency", str(sequences)).stdout)
        return made

    most = int(fit(1)["max_concurrency"])
    inside, beyond = fit(most), fit(most + 1)
    assert most > 1 and inside["fits"] and not beyond["fits"]
    assert inside["max_concurrency"] == beyond["max_concurrency"] == most
