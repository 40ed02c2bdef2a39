"""What is said of model types that no adapter reads: a refusal, or a guess about a decoder that names what it left out.

tests/data/guesses.jsonl.gz holds the default config of every such type of transformers 5.24.0 (keys that change no figure left out), the
class that the reference builds from it on the meta device with its number of parameters, where it builds one, and whether its automatic
classes list the type among those that generate text.
"""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from archcalc.analysis.params import components
from archcalc.arch import adapter_name, parse
from archcalc.errors import UnsupportedError
from archcalc.model import Architecture
from conftest import Run

DATA = Path(__file__).parent / "data" / "guesses.jsonl.gz"
ROWS = [json.loads(line) for line in gzip.decompress(DATA.read_bytes()).decode().splitlines()]
# Decoders that stand inside other models, and so are in none of the automatic classes: modeling_blt.py (`BltPatcher`, causal),
# modeling_glm_image.py (`GlmImageTextModel`), modeling_omniasr.py (a Llama that writes what was said).
INSIDE = {"blt_patcher", "glm_image_text", "omniasr"}
NEAR = 0.1


def total(a: Architecture) -> int:
    return sum(c.total for c in components(a))


def said(config: dict[str, Any]) -> Architecture | str:
    try:
        return parse(config)
    except UnsupportedError as error:
        return f"{error.message} | {error.hint}"


@pytest.mark.parametrize("row", ROWS, ids=[row["config"]["model_type"] for row in ROWS])
def test_a_type_without_an_adapter_is_refused_or_guessed_as_the_decoder_that_it_is(row: dict[str, Any]) -> None:
    config = row["config"]
    if adapter_name(config) is not None:
        return
    for classes in ({}, {"architectures": [row["class"]]} if row["class"] else {}):
        got = said({**config, **classes})
        if isinstance(got, str):
            assert config["model_type"] in got and "headers" in got and "models --types" in got
            continue
        assert got.status == "guessed"
        assert row["generates"] or config["model_type"] in INSIDE
        if row["total"]:
            assert abs(total(got) / row["total"] - 1) < NEAR or got.unmodelled_keys


GLM = {
    "model_type": "new_moe", "architectures": ["NewMoeForCausalLM"], "hidden_size": 256, "num_hidden_layers": 4, "vocab_size": 1000,
    "num_attention_heads": 8, "num_key_value_heads": 2, "head_dim": 32, "intermediate_size": 512, "moe_intermediate_size": 64,
    "n_routed_experts": 16, "num_experts_per_tok": 4, "tie_word_embeddings": False, "rms_norm_eps": 1e-6, "rope_theta": 10000.0,
}  # fmt: skip
EXPERT = 3 * 256 * 64


@pytest.mark.parametrize(
    ("keys", "more"),
    [
        ({}, 0),
        ({"n_shared_experts": 2}, 4 * 2 * EXPERT),
        ({"num_shared_experts": 1}, 4 * EXPERT),
        ({"shared_expert_intermediate_size": 128}, 4 * 2 * EXPERT),
        ({"first_k_dense_replace": 1}, 3 * 256 * 512 - 16 * EXPERT - 16 * 256),
        ({"attention_bias": True}, 4 * (256 + 2 * 64)),
        ({"use_qk_norm": True}, 4 * 2 * 32),
        ({"layer_types": ["full_attention", "sliding_attention"] * 2, "sliding_window": 16}, 0),
    ],
)
def test_a_guess_reads_what_is_usual(keys: dict[str, Any], more: int) -> None:
    plain, got = parse(GLM), parse({**GLM, **keys})
    assert got.status == "guessed" and not got.unmodelled_keys
    assert total(got) - total(plain) == more


@pytest.mark.parametrize("key", ["hash_layers", "vision_config", "swa_head_dim", "hybrid_layer_pattern", "attention_sinks"])
def test_a_guess_names_what_it_left_out(key: str) -> None:
    value = {"hidden_size": 8, "num_hidden_layers": 1} if key == "vision_config" else 3
    assert parse({**GLM, key: value}).unmodelled_keys == (key,)
    nested = {
        "model_type": "new_vl",
        "architectures": ["NewForConditionalGeneration"],
        "text_config": {**GLM, key: value},
        "extra": 1,
    }
    assert parse(nested).unmodelled_keys == (f"text_config.{key}", "extra")


def test_a_known_text_model_of_an_unknown_whole_is_counted_alone() -> None:
    llama = {
        "model_type": "llama", "hidden_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 128,
        "vocab_size": 1000, "rms_norm_eps": 1e-6, "rope_theta": 10000.0,
    }  # fmt: skip
    got = parse({"model_type": "new_vl", "text_config": llama, "vision_config": {"hidden_size": 8}})
    assert (got.status, got.unmodelled_keys, total(got)) == ("guessed", ("vision_config",), total(parse(llama)))
    assert any("counted alone" in note for note in got.notes)


@pytest.mark.parametrize(
    ("keys", "named"),
    [
        ({"architectures": ["NewForMaskedLM"]}, "NewForMaskedLM"),
        ({"is_encoder_decoder": True}, "encoder"),
        ({"num_mel_bins": 80}, "num_mel_bins"),
        ({"patch_size": 14}, "patch_size"),
        ({"codec_config": {"model_type": "mimi"}}, "codec_config"),
        ({"n_recurrent_loops": 2}, "n_recurrent_loops"),
        ({"kv_lora_rank": 512}, "kv_lora_rank"),
        ({"type_vocab_size": 2}, "type_vocab_size"),
    ],
)
def test_what_speaks_of_another_kind_of_model_is_named(keys: dict[str, Any], named: str) -> None:
    got = said({**GLM, **keys})
    assert isinstance(got, str) and named in got and "new_moe" in got


def test_null_keys_speak_of_nothing() -> None:
    assert parse({**GLM, "kv_lora_rank": None, "patch_size": None}).status == "guessed"


def test_a_number_for_each_layer_is_the_number_where_all_are_the_same() -> None:
    lists = {"num_experts_per_tok": [4] * 4, "moe_intermediate_size": [64] * 4, "num_shared_expert": [1] * 4}
    assert total(parse({**GLM, **lists})) == total(parse({**GLM, "n_shared_experts": 1}))


def test_a_guess_says_what_would_make_it_counted(cli: Run, tmp_path: Path) -> None:
    """And what it says works: a type of the same blocks, or the checkpoint itself."""
    config = {"hidden_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4, "vocab_size": 100, "intermediate_size": 128}
    path = tmp_path / "config.json"
    more = {"model_type": "mine", "architectures": ["MineForCausalLM"], "max_position_embeddings": 512, "num_key_value_heads": 2}
    path.write_text(json.dumps({**config, **more}), encoding="utf-8")
    done = cli("inspect", str(path), "--offline")
    assert "to have it counted: --reference" in " ".join(done.stdout.split())
    refused = cli("fit", str(path), "--gpu", "h100", "--offline")
    assert refused.returncode != 0 and "what would make it counted" in refused.stderr
    counted = json.loads(cli("inspect", str(path), "--set", "model_type=llama", "--format", "json", "--offline").stdout)
    assert counted["status"] == "counted" and not any("to have it counted" in note for note in counted["notes"])
