"""Ollama's Modelfile. Source: Ollama, docs/modelfile.mdx (`FROM` a GGUF file, `PARAMETER num_ctx`)."""

from __future__ import annotations

from archcalc.emit import Deployment


def write(d: Deployment) -> str:
    """The model and its context. How many requests run at once is a setting of the server, OLLAMA_NUM_PARALLEL."""
    create = f"# ollama create {d.name} -f Modelfile && ollama run {d.name}\n"
    return f"{d.comment}{create}FROM {d.model}\nPARAMETER num_ctx {d.context_tokens}\n"
