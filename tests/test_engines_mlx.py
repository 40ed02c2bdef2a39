"""mlx-lm 0.32.2: caches against its own classes' shapes (mlx_lm/models/cache.py), weights against published bits a weight."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from archcalc import hardware, zoo
from archcalc.analysis.fit import Ask, candidate
from archcalc.engines._allocation import Workload
from archcalc.engines.engine import engine
from archcalc.engines.mlx.cache import allocate, module_of
from archcalc.engines.served import served
from archcalc.errors import ArchcalcError, UnsupportedError, UsageError
from archcalc.model import Architecture
from conftest import Run

MIB = 1 << 20


def model(name: str) -> Architecture:
    found = zoo.spec(name)
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("name", "tokens", "dtype", "size"),
    [
        # KVCache: 32 layers x 8 heads x (128 + 128) x 2 B x 1,024 cells, whether 769 or 1,024 of them are used.
        ("llama-3.1-8b", 769, None, 128 * MIB),
        ("llama-3.1-8b", 1024, None, 128 * MIB),
        ("llama-3.1-8b", 1025, None, 160 * MIB),
        # RotatingKVCache: 52 of 62 layers keep 1,024 tokens: 16 heads x (128 + 128) x 2 B.
        ("gemma-3-27b", 32768, None, (52 * 1024 + 10 * 32768) * 16 * 256 * 2),
        # QuantizedKVCache: a head's 128 values in 128 bytes, or 64, with two half-precision numbers for each 64.
        ("llama-3.1-8b", 1024, "int8", 32 * 8 * 2 * (128 + 8) * 1024),
        ("llama-3.1-8b", 1024, "int4", 32 * 8 * 2 * (64 + 8) * 1024),
        # DeepSeek-V3 hands over its latents, 512 + 64 wide.
        ("deepseek-v3", 4096, None, 61 * 576 * 2 * 4096),
        # gated_delta.py: 48 x 128 x 128 states in float32, and three inputs of a convolution of 10,240 channels.
        ("qwen3.5-27b", 256, None, 48 * (48 * 128 * 128 * 4 + 10240 * 3 * 2) + 16 * 4 * 512 * 2 * 256),
    ],
)
def test_caches(name: str, tokens: int, dtype: str | None, size: int) -> None:
    assert allocate(model(name), Workload(tokens, 1, dtype)).bytes == size


@given(st.sampled_from(sorted(zoo.names())), st.integers(1, 1 << 17), st.integers(1, 8))
def test_sequences_share_nothing_and_room_is_at_least_what_is_used(name: str, tokens: int, batch: int) -> None:
    try:
        one, many = (allocate(model(name), Workload(tokens, n)).bytes for n in (1, batch))
    except ArchcalcError:
        return
    assert many == batch * one
    assert one <= allocate(model(name), Workload(tokens + 1)).bytes


@pytest.mark.parametrize(
    ("name", "dtype", "kind", "said"),
    [
        ("minimax-text-01", None, UnsupportedError, "lightning"),
        ("deepseek-v3.2", None, UnsupportedError, "'index'"),
        ("gemma-3-27b", "int8", UsageError, "no rotating caches"),
        ("llama-3.1-8b", "fp8", UsageError, "mlx-lm keeps caches in bf16, fp16, int8, int4"),
    ],
)
def test_what_has_no_rule_is_refused_by_name(name: str, dtype: str | None, kind: type[ArchcalcError], said: str) -> None:
    with pytest.raises(kind, match=said):
        engine("mlx").allocate(model(name), Workload(4096, 1, dtype))


def test_a_model_without_a_module_is_refused() -> None:
    with pytest.raises(UnsupportedError, match="mlx-lm has no module for bloom"):
        module_of(model("llama-3.1-8b")._replace(model_type="bloom"))


def test_its_lists_are_those_of_its_source() -> None:
    """mlx_lm/models/gemma3.py builds on gemma3_text.py, which rotates; phi3.py has no `make_cache`."""
    lists = served("mlx")
    assert {"gemma3", "gemma3_text", "gpt_oss", "llama"} <= set(lists.sets["rotating"])
    assert "phi3" in lists.classes and "phi3" not in lists.sets["rotating"]
    assert {"deepseek_v3", "kimi_k25"} <= set(lists.sets["latents"])
    assert "deepseek_v2" not in lists.sets["latents"]
    assert lists.classes["mistral"] == "llama"


@pytest.mark.parametrize(("quant", "bits"), [("mlx-4bit", 4.5), ("mlx-8bit", 8.5), ("bf16", 16.0)])
def test_bits_of_a_weight(quant: str, bits: float) -> None:
    """mlx-lm prints "Quantized model with 4.501 bits per weight" for models whose norms are few."""
    ask = Ask(hardware.parse_spec("m4-max-128gb"), "mlx", quant=quant)
    made = candidate(model("llama-3.1-8b"), ask)
    held = sum(piece.bytes for tensor in made.tensors for piece in tensor.pieces * (len(tensor.layers) or tensor.copies))
    assert held * 8 / 8_030_261_248 == pytest.approx(bits, rel=0.001)


def test_the_command_and_what_it_leaves_open(run: Run) -> None:
    done = run(
        "fit", "llama-3.1-8b", "--gpu", "m4-max-128gb", "--engine", "mlx", "--ctx", "8k", "--concurrency", "4", "--kv-dtype", "int8",
        "--format", "json",
    )  # fmt: skip
    got = json.loads(done.stdout)
    assert done.returncode == 0
    assert got["command"] == (
        "mlx_lm.server --model meta-llama/Llama-3.1-8B --kv-bits 8 --kv-group-size 64 --quantized-kv-start 0 --decode-concurrency 4"
    )
    assert any("reserves nothing" in note for note in got["notes"])


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ("llama-3.1-8b --gpu h100 --engine mlx", "runs on Apple's chips"),
        ("llama-3.1-8b --gpu m4-max-128gb --engine mlx --quant awq", "mlx_lm.convert"),
        ("llama-3.1-8b --gpu h100 --quant mlx-int4", "vLLM reads no MLX weights"),
        ("llama-3.1-8b --gpu m4-max-128gb --engine mlx --tp 2 --pp 1", "1 GPU is named"),
    ],
)
def test_bad_input(arguments: str, said: str, run: Run) -> None:
    done = run("fit", *arguments.split())
    assert done.returncode == 2
    assert said in done.stderr


@pytest.mark.parametrize(("model", "told"), [("qwen3-embedding-0.6b", True), ("qwen3-0.6b", False)])
def test_a_server_of_text_makes_no_embeddings(cli: Run, model: str, told: bool) -> None:
    """mlx-lm 0.32.2, server.py `APIHandler.do_POST`: the paths that it answers are completions and chats."""
    done = cli("fit", "--offline", "--gpu", "m4-max-36gb", "--format", "json", "--", "mlx_lm.server", "--model", model)
    assert ("answers with text alone" in " ".join(json.loads(done.stdout)["notes"])) == told
