"""What a command asks for that no measurement behind a forecast was run with: then the answer is the bound, and says why."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import NamedTuple

from archcalc.engines.engine import server
from archcalc.engines.plan import Ask

_DRAFTS = frozenset(
    "--speculative-config --speculative-model --spec-model --spec-method --speculative-algorithm --speculative-draft-model-path"
    " --spec-draft-model --model-draft --spec-draft-hf --hf-repo-draft --spec-type --draft-model".split()
)
"""The flags that have tokens drafted: vLLM 0.33, SGLang 0.5.14, llama.cpp 0c1e57098 and mlx-lm 0.28, each engine's own parser."""
_POOLS = {
    "--runner": ("pooling",), "--convert": ("embed", "classify", "reward"), "--is-embedding": ("true",),
    "--task": ("embed", "embedding", "classify", "score", "reward"), "--embeddings": ("true",), "--embedding": ("true",),
    "--reranking": ("true",),
}  # fmt: skip
"""The flags with which a decoder makes vectors or scores: vLLM 0.33, config/model.py; SGLang 0.5.23, srt/configs/model_config.py
`is_generation_model`; llama.cpp 0c1e57098, tools/server/server-context.cpp."""
_GRAPHLESS = "--enforce-eager", "--disable-cuda-graph"
_APART = "--disaggregation-mode", "--kv-transfer-config"


class Beside(NamedTuple):
    """Why nothing is forecast, and how many times the bound of plain decoding a step can reach; None where that is not known."""

    why: str
    faster: int | None = 1


def beside(flags: Mapping[str, str], ask: Ask, gpus: int) -> Beside | None:
    """Of a command's flags, by their full names, with their values, and what they ask of the engine; `gpus` is what a layer can be split
    over."""
    # How many tokens are drafted for each step, where the engine's own settings say it.
    drafted = getattr(ask.own, "draft_tokens", 0) if server(ask.engine).torch else 0
    for flag in (name for name, value in flags.items() if name in _DRAFTS and value not in ("", "none", "null", "NONE")):
        # A step keeps the drafted tokens that it accepts, and makes one more (Leviathan et al. 2022, arXiv:2211.17192, algorithm 1).
        return Beside(
            f"tokens are drafted ({flag}): how many are accepted depends on the text, and no measurements of that stand behind a forecast",
            drafted + 1 if drafted else None,
        )
    for flag, values in _POOLS.items():
        if flags.get(flag) in values:
            return Beside(f"the command pools what the model makes ({flag}): it writes no tokens", None)
    for flag in _APART:
        if flag in flags and _apart(flags[flag]):
            return Beside(
                f"prompts are read on other machines than tokens are made ({flag}): no measurements stand behind a forecast"
            )
    if flags.get("--kv-offload") == "false":
        return Beside("the cache lies in the CPU's memory (--no-kv-offload): no measurements of that stand behind a forecast")
    if flags.get("--split-mode", "layer") in ("row", "tensor"):
        return Beside(
            f"--split-mode {flags['--split-mode']}: the measurements behind a forecast split models by layers, one GPU after the other",
            gpus,
        )
    for flag in _GRAPHLESS:
        if flags.get(flag) == "true":
            return Beside(f"{flag}: every kernel is started by itself, and the measurements behind a forecast ran with graphs")
    if re.search(r'"cudagraph_mode"\s*:\s*"NONE"', flags.get("--compilation-config", "")):
        return Beside("--compilation-config without graphs: the measurements behind a forecast ran with them")
    return None


def _apart(value: str) -> bool:
    """Whether a server does one half of the work: a mode by its name, or vLLM's role (config/kv_transfer.py `KVTransferConfig`)."""
    try:
        held = json.loads(value)
    except ValueError:
        return value in ("prefill", "decode")
    return isinstance(held, dict) and held.get("kv_role") in ("kv_producer", "kv_consumer")
