"""`archcalc kv` and `inspect --engine` as a user calls them."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any

import pytest

import archcalc
from archcalc import report, zoo
from archcalc.api import schema_model
from archcalc.engines.engine import names
from conftest import Run, imported

KEYS = {"source", "engine", "context_tokens", "batch", "bytes", "bytes_per_token", "state_bytes", "by_kind"}
NEVER = {"pydantic", "pydantic_core", "huggingface_hub", "yaml", "numpy", "torch", "asyncio"}


def kv(run: Run, *arguments: str) -> dict[str, Any]:
    done = run("kv", *arguments, "--format", "jsonl")
    assert (done.returncode, done.stderr) == (0, "")
    got: dict[str, Any] = json.loads(done.stdout)
    return got


def test_the_contract(run: Run) -> None:
    got = kv(run, "deepseek-v3", "--ctx", "128k", "--batch", "2")
    assert set(got) >= KEYS
    assert (got["engine"], got["context_tokens"], got["batch"], got["bytes"]) == ("textbook", 131072, 2, 2 * 9210691584)
    assert [{key: kind[key] for key in ("kind", "layers", "bytes")} for kind in got["by_kind"]] == [
        {"kind": "latent", "layers": 61, "bytes": 2 * 9210691584}
    ]
    assert kv(run, "deepseek-v3")["context_tokens"] == 163840


@pytest.mark.parametrize("engine", names())
def test_json_satisfies_its_schema(engine: str, run: Run) -> None:
    for name in ("qwen3-next-80b-a3b", "gpt-oss-20b"):
        done = run("kv", name, "--engine", engine, "--format", "json")
        if done.returncode:
            assert "has no rule for caches of kind" in done.stderr
            continue
        parsed = schema_model(report.KvReport).model_validate_json(done.stdout, strict=True)
        assert parsed.model_dump()["engine"] == engine
    schema = json.loads(run("schema", "kv").stdout)
    assert set(schema["properties"]) >= KEYS


def test_all_engines_side_by_side(run: Run) -> None:
    done = run("kv", "gemma-3-27b", "--ctx", "32k")
    assert (done.returncode, done.stderr) == (0, "")
    assert all(f"\n{engine} " in done.stdout for engine in names())
    rows = list(csv.DictReader(io.StringIO(run("kv", "gemma-3-27b", "gpt2", "--ctx", "1k", "--format", "csv").stdout)))
    assert [(row["source"], row["engine"]) for row in rows] == [(name, e) for name in ("gemma-3-27b", "gpt2") for e in names()]
    markdown = run("kv", "gemma-3-27b", "--explain", "--format", "markdown").stdout
    assert markdown.startswith("## gemma-3-27b\n")
    assert "| vllm | sliding |" in markdown


def test_narrow_terminals(run: Run) -> None:
    done = run("kv", "qwen3.5-27b", "--explain", env={"COLUMNS": "80"})
    assert done.returncode == 0
    assert max(map(len, done.stdout.splitlines())) <= 80
    assert "\x1b" not in done.stdout


def test_explain_has_the_numbers_and_the_source(run: Run) -> None:
    text = " ".join(run("kv", "gpt-oss-20b", "--engine", "transformers", "--ctx", "1k", "--explain").stdout.split())
    assert "12 layers x 8 x (64 + 64) x 2 B x min(1,024, 128 - 1) tokens = 3,121,152 bytes" in text
    assert "cache_utils.py" in text


def test_every_formula_is_its_figure(run: Run) -> None:
    """A formula without words is evaluated: the product is the bytes."""
    for engine in ("textbook", "transformers"):
        for name in ("gemma-3-27b", "deepseek-v3.2", "qwen3-next-80b-a3b"):
            for kind in kv(run, name, "--engine", engine, "--ctx", "32k", "--batch", "3")["by_kind"]:
                text = kind["formula"].replace(",", "").replace(" x ", " * ")
                for word in ("layers", "layer", "sequences", "tokens", " B"):
                    text = text.replace(word, "")
                low = text.replace("min(32768 * ", "min(32768, ")
                low = low.replace("min(32768 ", "min(32768, ") if "min(" in low else low
                assert eval(low) == kind["bytes"], kind["formula"]


def test_options_reach_their_engine(run: Run) -> None:
    base = kv(run, "gpt-oss-20b", "--engine", "vllm", "--ctx", "64k")
    assert base["details"]["bytes_per_block"] == 393216
    assert kv(run, "gpt-oss-20b", "--engine", "vllm", "--ctx", "64k", "--tp", "2")["gpus"] == 2
    held = kv(run, "gpt-oss-20b", "--engine", "vllm", "--kv-cache-memory", "40GiB")["details"]
    assert (held["num_blocks"], held["kv_tokens"]) == (109226, 1551920)
    wide = kv(run, "gpt-oss-20b", "--engine", "vllm", "--ctx", "64k", "--max-num-batched-tokens", "16384", "--block-size", "32")
    assert wide["bytes"] > base["bytes"]
    assert wide["details"]["block_tokens"] == 32
    old = kv(run, "deepseek-v3", "--engine", "transformers", "--engine-version", "5.14", "--ctx", "1k")
    assert (old["bytes"], old["engine_version"]) == (61 * 128 * (192 + 128) * 2 * 1024, "5.14")
    static = kv(run, "mistral-7b-v0.1", "--engine", "transformers", "--static")
    assert static["bytes"] - kv(run, "mistral-7b-v0.1", "--engine", "transformers")["bytes"] == 32 * 8 * 256 * 2
    shared = ("--engine", "llama.cpp", "--batch", "4", "--unified", "--ubatch", "2048", "--kv-dtype", "q8_0")
    assert kv(run, "gpt-oss-20b", *shared, "--ctx", "8k")["details"]["streams"] == 1
    assert kv(run, "gpt-oss-20b", "--engine", "llama.cpp", "--swa-full")["bytes"] == 24 * 131072 * 1024 * 2
    assert kv(run, "gpt-oss-20b", "--engine", "llama.cpp", "--np", "4", "--ctx", "8k")["details"]["streams"] == 4
    half = kv(run, "gpt-oss-20b", "--engine", "sglang", "--ctx", "64k", "--swa-full-tokens-ratio", "0.5", "--page-size", "64")
    assert half["details"]["swa_token_slots"] == 32768
    hybrid = ("qwen3-next-80b-a3b", "--engine", "vllm", "--ctx", "32k")
    assert kv(run, *hybrid, "--no-prefix-caching")["state_bytes"] * 2 == kv(run, *hybrid)["state_bytes"]
    assert kv(run, *hybrid, "--capability", "9.0")["details"]["block_tokens"] == 576


def test_an_engine_that_cannot_stands_with_its_reason(run: Run) -> None:
    done = run("kv", "minimax-text-01", "--kv-dtype", "fp8", "--ctx", "32k")
    assert done.returncode == 0
    assert "no code for the recurrent layers" in " ".join(done.stdout.split())
    assert "transformers keeps caches in" in " ".join(done.stdout.split())
    rows = list(csv.DictReader(io.StringIO(run("kv", "minimax-text-01", "--ctx", "32k", "--format", "csv").stdout)))
    refused = {row["engine"] for row in rows if row["error"]}
    assert refused >= {"vllm", "sglang", "llama.cpp", "mlx"} and "textbook" not in refused


def test_notes(run: Run, tmp_path: Path) -> None:
    beyond = kv(run, "llama-3.1-8b", "--ctx", "1m")
    assert beyond["notes"] == ["1m is beyond the model's 128k of context"]
    inspected = json.loads(run("inspect", "llama-3.1-8b", "--ctx", "1m", "--format", "json").stdout)
    assert beyond["notes"][0] in inspected["notes"]
    assert not any("beyond" in note for note in json.loads(run("inspect", "llama-3.1-8b", "--format", "json").stdout)["notes"])
    config = {**zoo.config("llama-3.1-8b"), "model_type": "sheep"}
    (tmp_path / "config.json").write_text(json.dumps(config), encoding="utf-8")
    guessed = run("kv", str(tmp_path), "--engine", "vllm", "--ctx", "8k")
    assert "~1.00 GiB" in guessed.stdout
    assert "guess" in guessed.stdout
    assert kv(run, str(tmp_path), "--engine", "vllm")["status"] == "guessed"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("gpt2", "--engine", "ollama"), "--engine ollama: no such engine"),
        (("gpt2", "--ctx", "0"), "from 1 to"),
        (("gpt2", "--batch", "0"), "not in the range"),
        (("gpt2", "--batch", "many"), "not a whole number"),
        (("gpt2", "--kv-dtype", "fp3"), "not a dtype"),
        (("gpt2", "--kv-dtype", "q8_0", "--engine", "vllm"), "vLLM keeps caches in auto"),
        (("gpt2", "--engine", "transformers", "--kv-dtype", "fp8"), "transformers keeps caches in fp32, fp16, bf16"),
        (("gpt2", "--engine", "transformers", "--tp", "2"), "--tp is an option of vllm and sglang, not of transformers"),
        (("gpt2", "--engine", "sglang", "--block-size", "16"), "--block-size is an option of vllm, not of sglang"),
        (("gpt2", "--engine-version", "0.33.0"), "--engine-version needs an --engine"),
        (("gpt2", "--engine", "llama.cpp", "--engine-version", "1"), "--engine-version is an option of vllm and transformers"),
        (("gpt2", "--engine", "vllm", "--engine-version", "newest"), "is not a version of vLLM"),
        (("gpt2", "--engine", "vllm", "--tp", "8"), "12 heads do not divide"),
        (("gpt2", "--capability", "hopper"), "is not a compute capability"),
        (("gpt2", "--swa-full-tokens-ratio", "2"), "a number above 0, up to 1"),
        (("gpt2", "--swa-full-tokens-ratio", "nan"), "a number above 0, up to 1"),
        (("gpt2", "--kv-cache-memory", "40"), "lacks a unit"),
        (("no-such-model",), "no-such-model"),
    ],
)
def test_bad_input(arguments: tuple[str, ...], message: str, run: Run) -> None:
    done = run("kv", *arguments)
    assert done.returncode == 2
    assert message in " ".join(done.stderr.replace("│", " ").split())
    assert "Traceback" not in done.stderr


def test_a_source_that_fails_does_not_stop_the_others(run: Run) -> None:
    done = run("kv", "gpt2", "no-such-model", "nanochat-d20", "--engine", "llama.cpp", "--format", "jsonl")
    first, second, *_ = map(json.loads, done.stdout.splitlines())
    assert (done.returncode, first["engine"], second["error"]["code"]) == (1, "llama.cpp", "not-found")


def test_inspect_as_an_engine_allocates(run: Run) -> None:
    got = json.loads(run("inspect", "gemma-3-27b", "--engine", "vllm", "--ctx", "128k", "--format", "json").stdout)
    assert (got["kv_cache"]["engine"], got["kv_cache"]["bytes"]) == ("vllm", 19_301_662_720)
    assert [at["bytes"] for at in got["kv_contexts"]][-1] == 19_301_662_720
    assert "as vllm allocates it" in run("inspect", "gemma-3-27b", "--engine", "vllm").stdout
    assert (
        archcalc.inspect("gemma-3-27b", engine="llama.cpp", context="32k", kv_dtype="q8_0", offline=True).kv_cache.dtype == "q8_0"
    )
    assert run("inspect", "gemma-3-27b", "--engine", "sglang", "--kv-dtype", "q8_0").returncode == 2


@pytest.mark.parametrize("arguments", [("kv", "qwen3-next-80b-a3b", "--engine", "vllm", "--format", "json"), ("kv", "gpt-oss-20b")])
def test_a_bundled_model_needs_no_pydantic(arguments: tuple[str, ...]) -> None:
    assert not imported(*arguments) & NEVER


WHISPER = {
    "model_type": "whisper", "d_model": 64, "encoder_layers": 2, "decoder_layers": 2, "encoder_attention_heads": 4,
    "decoder_attention_heads": 4, "encoder_ffn_dim": 96, "decoder_ffn_dim": 96, "vocab_size": 100, "num_mel_bins": 80,
    "max_source_positions": 1500, "max_target_positions": 448,
}  # fmt: skip
T5 = {
    "model_type": "t5", "d_model": 64, "d_kv": 16, "d_ff": 96, "num_layers": 2, "num_heads": 4, "vocab_size": 100, "n_positions": 512,
}  # fmt: skip


@pytest.mark.parametrize(
    ("config", "said"),
    [
        (WHISPER, True),
        (T5, True),
        # An encoder alone crosses to nothing.
        ({**T5, "architectures": ["T5EncoderModel"]}, False),
        ({**zoo.config("llama-3.1-8b")}, False),
    ],
)
def test_what_cross_attention_keeps_is_said_to_come_on_top(run: Run, tmp_path: Path, config: dict[str, Any], said: bool) -> None:
    """Whisper's decoder keeps keys and values of 1,500 encoded frames in each layer (vLLM, kv_cache_interface.py `CrossAttentionSpec`)."""
    (tmp_path / "config.json").write_text(json.dumps(config), encoding="utf-8")
    path = str(tmp_path / "config.json")
    assert any("cross-attention" in note for note in kv(run, path, "--ctx", "128")["notes"]) == said
    inspected = json.loads(run("inspect", path, "--ctx", "128", "--format", "json").stdout)
    assert any("cross-attention" in note for note in inspected["notes"]) == said


@pytest.mark.parametrize("engine", ["vllm", "sglang"])
def test_engines_have_few_decoders_over_an_encoder(run: Run, tmp_path: Path, engine: str) -> None:
    """vLLM 0.33, models/registry.py: "encoder-decoder models except whisper have been removed"; SGLang, srt/models."""
    for config, status in ((WHISPER, 0), (T5, 2)):
        (tmp_path / "config.json").write_text(json.dumps(config), encoding="utf-8")
        for command in (("kv",), ("fit", "--gpu", "h100")):
            done = run(*command, str(tmp_path / "config.json"), "--engine", engine, "--ctx", "128")
            assert done.returncode == status, (command, config["model_type"])
            assert ("whose decoder reads an encoder's output" in " ".join(done.stderr.split())) == bool(status)


@pytest.mark.parametrize(("model", "states"), [("llama-3.1-8b", False), ("qwen3-next-80b-a3b", True), ("gemma-3-1b", False)])
def test_a_column_of_states_stands_where_there_are_some(model: str, states: bool, cli: Run) -> None:
    assert ("fixed" in cli("kv", model).stdout.splitlines()[2].split()) == states
