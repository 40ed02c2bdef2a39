"""What an engine's class of a model raises at where it is built: a plan does not start there, and says the key, its value and the place."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from archcalc import zoo
from archcalc.arch import parse
from archcalc.engines import asks
from archcalc.engines.served import classes_of, listed, served
from archcalc.engines.sglang import registry
from archcalc.engines.vllm.served import REGISTRY
from archcalc.model import Architecture
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


# A row of another release raises at a published checkpoint: those that are read first, last and about where rows begin or end.
@pytest.mark.parametrize(
    ("engine", "version"),
    [
        *(("vllm", version) for version in ("0.8.5", "0.9.2", "0.11.1", "0.16.0", "0.20.0", "0.26.0", None)),
        *(("sglang", version) for version in ("0.4.6", "0.4.9", "0.5.3", "0.5.9", "0.5.14", None)),
    ],
)
def test_no_bundled_model_is_refused_by_its_own_config(engine: str, version: str | None) -> None:
    """The bundled configs are of published checkpoints, which engines serve in the releases that list their class."""
    of, found = OF[engine], {}
    known = served(of.folder).classes
    for name, architecture in _bundled().items():
        if any(listed(known.get(c), of.title, of.releases, version) for c in classes_of(architecture)):
            found[name] = asks.refused(of, architecture, version)
    assert len(found) > 30 and {name: why for name, why in found.items() if why} == {}


@cache
def _bundled() -> dict[str, Architecture]:
    return {name: parse(zoo.config(name) or {}) for name in zoo.names()}


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


# Each release's own files: what it raises at, and what an earlier or a later one takes. Nothing is known of releases before vLLM 0.8.5 and
# SGLang 0.4.6.
PROPORTIONAL = {"rope_scaling": {"rope_type": "proportional", "factor": 2.0}}
BY_RELEASE: list[tuple[str, str, dict[str, Any], str, bool]] = [
    # models/llama.py `LlamaMLP`: "Only silu is supported for now."
    ("vllm", "llama-3.1-8b", {"hidden_act": "gelu"}, "0.8.4", False), ("vllm", "llama-3.1-8b", {"hidden_act": "gelu"}, "0.8.5", True),
    ("vllm", "llama-3.1-8b", {"hidden_act": "gelu"}, "0.12.0", True), ("sglang", "llama-3.1-8b", {"hidden_act": "gelu"}, "0.4.5", False),
    ("sglang", "llama-3.1-8b", {"hidden_act": "gelu"}, "0.4.6", True), ("sglang", "llama-3.1-8b", {"hidden_act": "gelu"}, "0.5.12", True),
    # qwen2_moe.py `Qwen2MoeSparseMoeBlock`: an MLP, which asks for silu, `if config.shared_expert_intermediate_size > 0` alone.
    ("vllm", "qwen1.5-moe-a2.7b", {"hidden_act": "gelu"}, "0.8.5", True),
    ("vllm", "qwen1.5-moe-a2.7b", {"hidden_act": "gelu"}, "0.33.0", True),
    ("vllm", "qwen1.5-moe-a2.7b", {"hidden_act": "gelu", "shared_expert_intermediate_size": 0}, "0.33.0", False),
    ("sglang", "qwen1.5-moe-a2.7b", {"hidden_act": "gelu"}, "0.4.6", True),
    ("sglang", "qwen1.5-moe-a2.7b", {"hidden_act": "gelu", "shared_expert_intermediate_size": 0}, "0.4.6", False),
    # gemma2.py: `hidden_act == hidden_activation == "gelu_pytorch_tanh"` up to 0.17.1, `hidden_activation` alone since; SGLang both.
    ("vllm", "gemma-2-9b", {"hidden_act": "gelu"}, "0.17.1", True), ("vllm", "gemma-2-9b", {"hidden_act": "gelu"}, "0.18.0", False),
    ("vllm", "gemma-2-9b", {"hidden_activation": "gelu"}, "0.17.1", True), ("sglang", "gemma-2-9b", {"hidden_act": "gelu"}, "0.5.23", True),
    ("sglang", "gemma-2-9b", {"hidden_activation": "gelu"}, "0.4.6", True), ("sglang", "gemma-2-9b", {}, "0.4.6", False),
    # layers/rotary_embedding/__init__.py `get_rope`: 0.19.0 has `elif scaling_type == "proportional"`, 0.18.0 has not.
    ("vllm", "qwen3-8b", PROPORTIONAL, "0.18.0", True), ("vllm", "qwen3-8b", PROPORTIONAL, "0.19.0", False),
]  # fmt: skip


@pytest.mark.parametrize(("engine", "model", "changes", "version", "refused"), BY_RELEASE)
def test_a_release_is_judged_by_what_was_read(
    engine: str, model: str, changes: dict[str, Any], version: str, refused: bool
) -> None:
    architecture = parse({**(zoo.config(model) or {}), **changes})
    why = asks.refused(OF[engine], architecture, version)
    assert (why is not None) == refused, why


# layers/activation.py of the releases themselves: vLLM 0.10.2 has "sigmoid", "tanh" and "xielu" more than 0.10.1; SGLang 0.4.10
# "gelu_new" and "relu2" more than 0.4.9, 0.5.3 "xielu".
@pytest.mark.parametrize(
    ("engine", "word", "version", "taken"),
    [
        ("vllm", "tanh", "0.10.1", False), ("vllm", "tanh", "0.10.2", True), ("vllm", "swish", "0.20.2", False),
        ("vllm", "swish", "0.21.0", True), ("vllm", "GELU", "0.8.5", True), ("sglang", "gelu_new", "0.4.9", False),
        ("sglang", "gelu_new", "0.4.10", True), ("sglang", "xielu", "0.5.2", False), ("sglang", "xielu", "0.5.3", True),
    ],
)  # fmt: skip
def test_a_function_knows_what_its_release_lists(engine: str, word: str, version: str, taken: bool) -> None:
    bert = {
        "architectures": ["BertModel"], "model_type": "bert", "hidden_size": 384, "num_hidden_layers": 2, "num_attention_heads": 12,
        "intermediate_size": 1536, "vocab_size": 30522, "max_position_embeddings": 512, "type_vocab_size": 2, "hidden_act": word,
        "position_embedding_type": "absolute",
    }  # fmt: skip
    assert (asks.refused(OF[engine], parse(bert), version) is None) == taken


def test_the_other_key_is_named() -> None:
    architecture = parse({**(zoo.config("qwen1.5-moe-a2.7b") or {}), "hidden_act": "gelu"})
    why = asks.refused(REGISTRY, architecture, None) or ""
    assert "hidden_act 'gelu' and shared_expert_intermediate_size 5632: it takes silu alone" in why


def test_a_plan_says_what_the_class_asks(cli: Run, tmp_path: Path) -> None:
    path = tmp_path / "config.json"
    path.write_text(json.dumps({**(zoo.config("llama-3.1-8b") or {}), "hidden_act": "gelu"}))
    for engine in OF:
        done = cli("fit", str(path), "--gpu", "h100", "--engine", engine, "--offline")
        assert done.returncode == 1 and "does not start" in done.stdout and "hidden_act 'gelu'" in done.stdout, done.stdout
