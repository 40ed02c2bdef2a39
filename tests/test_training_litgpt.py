"""LitGPT's conventions against its published peaks, and the terms they are made of."""

from __future__ import annotations

import json
import statistics

import pytest

import training_rows
from archcalc.analysis.training import Planner, Run
from archcalc.frameworks.framework import framework, told
from archcalc.loader import load
from training_rows import DATA


@pytest.fixture(scope="module")
def litgpt() -> dict[str, float]:
    """Errors of its published peaks on one GPU (Lightning-AI/litgpt, config_hub/finetune/README.md)."""
    return {row["id"]: error for row, _, error in training_rows.rows("litgpt-")}


def test_published_peaks_of_litgpt_are_met(litgpt: dict[str, float]) -> None:
    errors = sorted(abs(error) for error in litgpt.values())
    assert statistics.median(errors) < 0.03
    assert errors[-1] < 0.07


def test_adapters_of_litgpt_within_a_tenth(litgpt: dict[str, float]) -> None:
    far = {name: error for name, error in litgpt.items() if name.endswith("-lora") and abs(error) > 0.1}
    assert not far


def test_rows_of_litgpt_are_all_there() -> None:
    lines = (DATA / "training_rows.jsonl").read_text(encoding="utf-8").splitlines()
    assert sum(json.loads(line)["id"].startswith("litgpt-") for line in lines) == 28


def _total(**changes: object) -> int:
    a = load("llama-3.1-8b", offline=True).architecture
    return Planner(a).total(Run(**{"seq": 512, "precision": "pure", "lora": 16, **changes}))  # type: ignore[arg-type]


def test_adapters_in_the_computing_type_read_one_tensor() -> None:
    # PEFT 0.21, tuners/lora/layer.py `_cast_input_dtype`: no cast, so queries', keys' and values' adapters keep one storage.
    one = _total(adapter_size=2, targets=("q_proj",))
    three = _total(adapter_size=2, targets=("q_proj", "k_proj", "v_proj"))
    a = load("llama-3.1-8b", offline=True).architecture
    assert three - one < 512 * a.facts.hidden_size * 2 * a.layers


def test_dropout_before_adapters_keeps_a_copy_and_a_mask() -> None:
    # torch.nn.functional.dropout: `native_dropout` saves its mask, the matrix what it reads.
    plain = _total(adapter_size=2, targets=("q_proj",))
    dropped = _total(adapter_size=2, targets=("q_proj",), adapter_dropout=True)
    a = load("llama-3.1-8b", offline=True).architecture
    assert dropped - plain >= 512 * a.facts.hidden_size * (a.layers - 1)


def test_the_graph_of_the_pass_before_adds_what_nf4_matrices_read() -> None:
    # bitsandbytes 0.42, autograd/_functions.py `MatMul4Bit.forward`: `ctx.tensors = (A, B)`.
    common = {"quant": "nf4", "nf4_inputs": True, "loss": "chunked", "fp32_logits": True}
    a = load("llama-3.1-8b", offline=True).architecture
    ffn = 14336
    least = 512 * 2 * (3 * a.facts.hidden_size + ffn) * a.layers
    assert _total(**common, pass_before=True) - _total(**common) >= least


def test_steps_of_a_sharded_run_are_those_of_its_defaults() -> None:
    given = framework("litgpt").defaults({"fsdp": 4, "micro_batch": 1})
    assert given["micro_batches"] == 4 and given["no_sync"]
    assert "no_sync" not in framework("litgpt").defaults({})


def test_an_nf4_matrix_quantized_from_fp16_is_there_twice_in_bf16() -> None:
    # Lightning 2.4, fabric/plugins/precision/bitsandbytes.py `_Linear4bit.quantize`: `dtype=torch.half`; bitsandbytes 0.42,
    # autograd/_functions.py `MatMul4Bit.forward`: `F.dequantize_4bit(B, quant_state).to(A.dtype)`.
    common = {"quant": "nf4", "quantized_head": True, "loss": "chunked", "chunks": 4, "fp32_logits": True, "recompute": "full"}
    a = load("llama-3.1-8b", offline=True).architecture
    # Of 512 tokens the dequantized head is far more than logits: the second copy counts whole, less the chunk that is not there yet.
    more = _total(**common, nf4_half=True) - _total(**common)
    head = 2 * a.facts.vocab_size * a.facts.hidden_size
    assert head - 2 * 128 * a.facts.vocab_size <= more <= head


@pytest.mark.parametrize(
    ("given", "name"),
    [
        ({"loss": "chunked", "chunks": 4, "seq": 512, "precision": "pure"}, "litgpt"),
        ({"loss": "chunked", "chunks": 5, "seq": 520, "precision": "amp", "fsdp": 4}, "litgpt"),
        # Eight chunks of a batch are torchtune's and torchtitan's, whatever the length is.
        ({"loss": "chunked", "chunks": 8, "seq": 1024, "precision": "pure"}, ""),
        ({"loss": "chunked", "seq": 1024, "precision": "pure"}, ""),
        ({"loss": "chunked", "chunks": 4, "seq": 4096, "precision": "pure"}, ""),
        ({"loss": "full", "chunks": 4, "seq": 512, "precision": "pure"}, ""),
        ({"loss": "chunked", "chunks": 4, "seq": 512, "precision": "pure", "zero": 3}, ""),
        ({"loss": "chunked", "chunks": 4, "seq": 512, "precision": "mixed"}, ""),
    ],
)
def test_chunks_of_128_tokens_tell_litgpt(given: dict[str, object], name: str) -> None:
    assert (told(given) or ("", ""))[0] == name
