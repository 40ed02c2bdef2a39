"""A command with some of its flags changed, in the engine's own words."""

from __future__ import annotations

import shlex
from collections.abc import Mapping

from archcalc.commands.flags import table
from archcalc.commands.words import Command, Engine

# What a change is called in each engine's command line: the flag to write, and its full name in the table of flags.
FLAGS: Mapping[Engine, Mapping[str, tuple[str, ...]]] = {
    "vllm": {
        "utilization": ("--gpu-memory-utilization",),
        "batched_tokens": ("--max-num-batched-tokens",),
        "kv_dtype": ("--kv-cache-dtype",),
        "context_tokens": ("--max-model-len",),
        "sequences": ("--max-num-seqs",),
        "tp": ("--tensor-parallel-size",),
        "eager": ("--enforce-eager",),
        "text_alone": ("--language-model-only",),
        "limits": ("--limit-mm-per-prompt",),
        "lora_rank": ("--max-lora-rank",),
        "ep": ("--enable-expert-parallel",),
        "quant": ("--quantization",),
        "offload": ("--cpu-offload-gb",),
        "cache_bytes": ("--kv-cache-memory-bytes",),
        "trusts": ("--trust-remote-code",),
        "dtype": ("--dtype",),
    },
    "sglang": {
        "utilization": ("--mem-fraction-static",),
        "kv_dtype": ("--kv-cache-dtype",),
        "context_tokens": ("--context-length",),
        "tp": ("--tp-size",),
        "ep": ("--ep-size",),
        "chunk": ("--chunked-prefill-size",),
        "eager": ("--disable-cuda-graph",),
        "graph_batch": ("--cuda-graph-max-bs",),
        "quant": ("--quantization",),
        "running": ("--max-running-requests",),
        "trusts": ("--trust-remote-code",),
        "dtype": ("--dtype",),
    },
    "llama.cpp": {
        "context_tokens": ("--ctx-size",),
        "kv_dtype": ("--cache-type-k", "--cache-type-v"),
        "gpu_layers": ("--gpu-layers",),
        "cpu_experts": ("--n-cpu-moe",),
        "slots": ("--parallel",),
        "ubatch": ("--ubatch-size",),
        "flash": ("--flash-attn",),
    },
}
VARIABLES: Mapping[Engine, Mapping[str, str]] = {"ollama": {"context_tokens": "OLLAMA_CONTEXT_LENGTH"}}
"""The variables of the environment by which programs are told what others take as flags."""

_SHORT = {
    "--ctx-size": "-c",
    "--cache-type-k": "-ctk",
    "--cache-type-v": "-ctv",
    "--gpu-layers": "-ngl",
    "--parallel": "-np",
    "--ubatch-size": "-ub",
    "--flash-attn": "-fa",
}


def changed(command: Command, changes: Mapping[str, object]) -> str:
    """The command on one line with each change in place of what it said: True writes a flag alone, False takes it out."""
    flags = FLAGS.get(command.engine, {})
    words = list(command.words)
    for name, value in changes.items():
        for flag in flags.get(name, ()):
            words = _set(command.engine, words, flag, value)
    return " ".join(shlex.quote(w) for w in (*command.program.split(), *words))


def _set(engine: Engine, words: list[str], flag: str, value: object) -> list[str]:
    spelled = {flag}
    for row in table(engine).rows.get(flag, ()):
        spelled |= {row.name, *row.others, *row.off}
    out: list[str] = []
    at = place = 0
    found = False
    while at < len(words):
        name, equals, _ = words[at].partition("=")
        plain = name.replace("_", "-") if name.startswith("--") else name
        if plain in spelled:
            place, found = len(out), True
            at += 1
            if not equals and at < len(words) and not words[at].startswith("-"):
                at += 1
            continue
        out.append(words[at])
        at += 1
    if value is False:
        return out
    made = [_SHORT.get(flag, flag) if engine == "llama.cpp" else flag]
    if value is not True:
        made.append(f"{value:g}" if isinstance(value, float) else str(value))
    at = place if found else len(out)
    return [*out[:at], *made, *out[at:]]
