"""Frameworks whose configuration is not read, known by their marks, so that a refusal names them and says what to do instead."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from archcalc.errors import UnsupportedError
from archcalc.records import NamedTuple


class _Other(NamedTuple):
    """A framework, the keys that its tables have (joined by dots), and the words or imports of its scripts."""

    name: str
    keys: tuple[str, ...]
    words: str
    instead: str


_ADAPTERS = "SOURCE and options: --lora 16 --qlora --checkpointing full --loss fused --framework transformers"
_MODULES = (
    "its Megatron-LM arguments in a YAML file under MODEL_ARGS, or SOURCE with --implementation megatron --tp, --pp, --ep, and "
    "--grad-dtype and --moment-dtype as it has them"
)
_ROLLOUTS = "SOURCE and options: --method grpo --completion, --fsdp, --rollout-share"
_OTHERS = (
    # NeMo 1's YAML (examples/nlp/language_modeling/conf) and NeMo 2's recipes, which are Python; Megatron-Bridge's are too.
    _Other(
        "NeMo",
        ("model.restore_from_path", "model.megatron_amp_O2", "model.mcore_gpt", "exp_manager", "nemo_version"),
        r"\bnemo\.collections|\bnemo_run\b|\bnemo\s+llm\b|megatron_gpt_(?:pretraining|finetuning)",
        _MODULES,
    ),
    _Other("Megatron-Bridge", (), r"\bmegatron\.bridge\b|\bmegatron_bridge\b", _MODULES),
    _Other("NeMo-RL", ("policy.megatron_cfg", "policy.dtensor_cfg"), r"\bnemo_rl\b", _ROLLOUTS),
    _Other(
        "Unsloth",
        ("use_gradient_checkpointing", "finetune_language_layers"),
        r"\bimport unsloth\b|\bfrom unsloth\b|FastLanguageModel|\bunsloth[-_]cli\b|\bunsloth\s+train\b",
        _ADAPTERS,
    ),
    _Other("veRL", ("actor_rollout_ref",), r"\bverl\.trainer\b|\bactor_rollout_ref\.", _ROLLOUTS),
    _Other("OpenRLHF", (), r"\bopenrlhf\.cli\b", _ROLLOUTS),
    _Other("ms-swift", ("train_type", "tuner_type"), r"\b(?:mega)?swift\s+(?:sft|pt|rlhf)\b|\bswift/cli/", _ADAPTERS),
    _Other("xtuner", (), r"\bxtuner\s+train\b|\bfrom xtuner\b", _ADAPTERS),
    _Other(
        "LitGPT's pretraining",
        ("initial_checkpoint_dir",),
        r"\blitgpt\s+pretrain\b",
        "SOURCE and options: --fsdp 8 --framework litgpt",
    ),
    _Other("MaxText", ("base_emb_dim",), r"\bMaxText\b", "SOURCE and options: its TPUs are not in the catalog"),
    _Other("fsdp_qlora", (), r"--train_type\s+(?:custom_)?q?lora\b", f"{_ADAPTERS} --framework-version 4.39"),
    _Other("Composer", (), r"\bfrom composer\b", "llm-foundry's YAML, or SOURCE and options"),
)


def refuse_others(path: str, data: Mapping[str, Any], text: str) -> None:
    """Raises `UnsupportedError` for a file of a framework that is known by its marks and not read."""
    for other in _OTHERS:
        if any(_has(data, key) for key in other.keys) or re.search(other.words, text):
            raise UnsupportedError(f"{path} is a configuration of {other.name}, which is not read", other.instead)


def _has(data: Mapping[str, Any], key: str) -> bool:
    first, dot, rest = key.partition(".")
    if not dot:
        return first in data
    inner = data.get(first)
    return isinstance(inner, dict) and _has(inner, rest)
