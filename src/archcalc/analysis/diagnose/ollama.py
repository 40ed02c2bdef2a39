"""Logs of Ollama, which starts llama.cpp and is told by its environment."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from archcalc.analysis.diagnose.llamacpp import LlamaCpp
from archcalc.commands.change import altered
from archcalc.commands.logs import Logged
from archcalc.commands.words import Command


class Ollama(LlamaCpp):
    executable = "ollama run"
    releases = False
    usual = "q4_k_m"

    def name(self, log: Logged, model: str | None) -> str | None:
        return (model or log.model) if log.model and "/blobs/" in log.model else super().name(log, model)

    def printed(self, log: Logged, command: Command, changes: Mapping[str, Any]) -> str | None:
        asked = dict(log.asked)
        slots, kind = max(1, int(asked.get("--parallel", 1))), asked.get("--cache-type-k")
        words = [f"OLLAMA_NUM_PARALLEL={slots}"] if slots > 1 else []
        if kind is not None and "kv_dtype" not in changes:
            words += ["OLLAMA_FLASH_ATTENTION=1", f"OLLAMA_KV_CACHE_TYPE={kind}"]
        if "--ctx-size" in asked and "context_tokens" not in changes:
            words.append(f"OLLAMA_CONTEXT_LENGTH={int(asked['--ctx-size']) // slots}")
        for name, value in changes.items():
            if name == "context_tokens":
                words.append(f"OLLAMA_CONTEXT_LENGTH={int(value) // slots}")
            elif name == "kv_dtype":
                words += ["OLLAMA_FLASH_ATTENTION=1", f"OLLAMA_KV_CACHE_TYPE={value}"]
            else:
                return None
        return " ".join([*words, "ollama serve"])

    def again(self, log: Logged, command: Command, changes: Mapping[str, Any]) -> Command | None:
        # What the server's variables make of the command that it starts.
        return None if self.printed(log, command, changes) is None else altered(command, changes)

    def stands(self, log: Logged, command: Command) -> str:
        return self.printed(log, command, {}) or ""


PROGRAM = Ollama()
