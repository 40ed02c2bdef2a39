"""Recurrent layers that tensor parallelism does not split any number of ways."""

from __future__ import annotations

from archcalc.model import Architecture


def cannot_split(architecture: Architecture, tp: int, *, quantized: bool = False) -> str:
    """Why the heads or groups of recurrent layers do not divide among the ranks; empty where they do.

    `quantized`: as an engine holds it that copies no groups of weights that are quantized.

    Sources: vLLM 0.33, layers/mamba/mamba_mixer2.py `MambaMixer2.__init__` ("num_groups must equal 1"; so in 0.21), layers/mamba/gdn/
    qwen_gdn_linear_attn.py (states of `num_k_heads // tp_size` heads, none past so many ranks) and kimi_gdn_linear_attn.py; SGLang 0.5.23,
    srt/layers/attention/mamba/mamba.py `MambaMixer2.__init__`, srt/models/qwen3_next.py.
    """
    if tp == 1:
        return ""
    caches = (
        cache
        for stack in architecture.stacks
        if stack.part == "decoder"
        for layer in stack.kinds
        for cache in layer.caches
        if cache.kind == "state" and cache.recurrence in ("mamba2", "gated-delta", "kda")
    )
    for cache in caches:
        for i, state in enumerate(cache.states):
            if state.units % tp == 0:
                continue
            if cache.recurrence != "mamba2" or i != 1:
                what = "key heads" if state.name == "conv" and cache.recurrence == "gated-delta" else "heads"
                return f"tp is {tp}, and the {state.units} {what} of its recurrent layers do not divide by it"
            if state.units != 1:
                return f"tp is {tp}, and the {state.units} groups of its Mamba-2 layers do not divide by it"
            if quantized:
                return (
                    f"tp is {tp}, and the one group of its Mamba-2 layers is copied to ranks only where weights are not quantized"
                )
    return ""
