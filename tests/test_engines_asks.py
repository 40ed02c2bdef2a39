"""What an engine's class of a model raises at where it is built: a plan does not start there, and says the key, its value and the place."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from archcalc import zoo
from archcalc.arch import parse
from archcalc.engines import asks
from archcalc.engines.sglang import registry
from archcalc.engines.vllm.served import REGISTRY
from conftest import Run

OF = {"vllm": REGISTRY, "sglang": registry()}
BOGUS = {"rope_type": "bogus", "factor": 2.0}
# The files of vLLM 0.33 and SGLang 0.5.23, the release's class being the config's: what it takes, and what it raises at.
CASES: list[tuple[str, str, dict[str, Any], str]] = [
    ("vllm", "llama-3.1-8b", {}, ""),
    ("vllm", "llama-3.1-8b", {"hidden_act": "gelu"}, "llama.py:112"),
    ("vllm", "llama-3.1-8b", {"hidden_act": "silu"}, ""),
    ("vllm", "mistral-7b-v0.1", {"hidden_act": "relu"}, "llama.py:112"),
    ("vllm", "qwen2.5-7b", {"hidden_act": "gelu"}, "qwen2.py:105"),
    ("vllm", "qwen3-8b", {"hidden_act": "relu"}, "qwen2.py:105"),
    ("vllm", "gemma-2-9b", {"hidden_activation": "relu"}, "gemma2.py:81"),
    ("vllm", "gemma-2-9b", {"hidden_activation": "gelu_pytorch_tanh"}, ""),
    ("vllm", "gpt2", {"add_cross_attention": True}, "gpt2.py:200"),
    ("vllm", "gpt2", {"scale_attn_by_inverse_layer_idx": True}, "gpt2.py:201"),
    ("vllm", "gpt2", {"reorder_and_upcast_attn": True}, "gpt2.py:202"),
    ("vllm", "gpt2", {"reorder_and_upcast_attn": False}, ""),
    ("vllm", "deepseek-v3", {"hidden_act": "gelu"}, "deepseek_v2.py"),
    ("vllm", "llama-3.1-8b", {"rope_scaling": BOGUS}, "'bogus'"),
    ("vllm", "qwen3-30b-a3b", {"rope_scaling": BOGUS}, "'bogus'"),
    # Where a class changes the scaling before it is used, or the engine renames it, nothing is known.
    ("vllm", "gpt-j-6b", {}, ""),
    ("vllm", "phi-3-mini-4k", {"rope_scaling": {"type": "su", "factor": 2.0}}, ""),
    ("sglang", "llama-3.1-8b", {"hidden_act": "gelu"}, "srt/models/llama.py"),
    ("sglang", "qwen3-8b", {"hidden_act": "relu"}, "srt/models/qwen2.py"),
    ("sglang", "gpt2", {"add_cross_attention": True}, "srt/models/gpt2.py"),
    ("sglang", "llama-3.1-8b", {}, ""),
]


@pytest.mark.parametrize(("engine", "model", "changes", "told"), CASES)
def test_a_class_is_built_of_what_it_takes(engine: str, model: str, changes: dict[str, Any], told: str) -> None:
    architecture = parse({**(zoo.config(model) or {}), **changes})
    why = asks.refused(OF[engine], architecture, None)
    assert (why is None) == (not told) and told in (why or ""), why


def test_no_bundled_model_is_refused_by_its_own_config() -> None:
    """The bundled configs are of published checkpoints, which both engines serve."""
    found = {}
    for name in zoo.names():
        architecture = parse(zoo.config(name) or {})
        found[name] = [why for of in OF.values() if (why := asks.refused(of, architecture, None))]
    assert {name: why for name, why in found.items() if why} == {}


# qwen3_moe.py `Qwen3MoeSparseMoeBlock`: "Tensor parallel size is greater than the number of experts". Mixtral's block has no such rule.
@pytest.mark.parametrize(
    ("engine", "model", "key", "tp", "refused"),
    [
        ("vllm", "qwen3-30b-a3b", "num_experts", 8, True), ("vllm", "qwen3-30b-a3b", "num_experts", 4, False),
        ("sglang", "qwen3-30b-a3b", "num_experts", 8, True), ("vllm", "mixtral-8x7b", "num_local_experts", 8, False),
    ],
)  # fmt: skip
def test_there_are_no_more_ranks_than_experts(engine: str, model: str, key: str, tp: int, refused: bool) -> None:
    changes = {key: 4, "num_experts_per_tok": 2}
    architecture = parse({**(zoo.config(model) or {}), **changes})
    assert bool(asks.ranks_refused(OF[engine], architecture, None, tp)) is refused


def test_a_release_is_judged_by_what_was_read() -> None:
    """Nothing is known of a release older than all that were read; vLLM 0.11 to 0.33 ask the same of Llama."""
    architecture = parse({**(zoo.config("llama-3.1-8b") or {}), "hidden_act": "gelu"})
    told = {version: asks.refused(REGISTRY, architecture, version) is not None for version in ("0.8.5", "0.12.0", "0.30.0")}
    assert told == {"0.8.5": False, "0.12.0": True, "0.30.0": True}


def test_a_plan_says_what_the_class_asks(cli: Run, tmp_path: Path) -> None:
    path = tmp_path / "config.json"
    path.write_text(json.dumps({**(zoo.config("llama-3.1-8b") or {}), "hidden_act": "gelu"}))
    for engine in OF:
        done = cli("fit", str(path), "--gpu", "h100", "--engine", engine, "--offline")
        assert done.returncode == 1 and "does not start" in done.stdout and "hidden_act 'gelu'" in done.stdout, done.stdout
