"""Ollama's Modelfile. Source: Ollama, docs/modelfile.mdx (`FROM` a GGUF file or `hf.co/` repository, `PARAMETER num_ctx`), api/types.go
(`num_gpu`, layers on the GPUs), docs/faq.mdx (`OLLAMA_NUM_PARALLEL`, `OLLAMA_KV_CACHE_TYPE`, which needs flash attention)."""

from __future__ import annotations

from archcalc.emit import OFFLOADED, Deployment
from archcalc.errors import UnsupportedError

# A command of Ollama's own is said by the same parameters, and by its server's variables.
_OWN = "--num_ctx --num_gpu OLLAMA_CONTEXT_LENGTH OLLAMA_NUM_PARALLEL OLLAMA_FLASH_ATTENTION OLLAMA_KV_CACHE_TYPE"
SAYS = OFFLOADED | {"--cache-type-k", "--cache-type-v", *_OWN.split()}

_CACHES = ("q8_0", "q4_0")


def write(d: Deployment) -> str:
    """The model, its context and its layers on the GPU. What the server sets for all models is told in comments."""
    server = [f"OLLAMA_NUM_PARALLEL={d.concurrency}"] if d.concurrency > 1 else []
    if d.kv_dtype not in ("f16", *_CACHES):
        raise UnsupportedError(
            f"--emit modelfile: Ollama keeps its cache in f16, {' or '.join(_CACHES)}, and the plan in {d.kv_dtype}",
            "ask for --kv-dtype q8_0, or start the printed command",
        )
    if d.kv_dtype != "f16":
        server += ["OLLAMA_FLASH_ATTENTION=1", f"OLLAMA_KV_CACHE_TYPE={d.kv_dtype}"]
    started = (
        f"# {' '.join(server)} ollama serve\n# These are the server's, for all its models: no Modelfile holds them.\n"
        if server
        else ""
    )
    create = f"# ollama create {d.name} -f Modelfile && ollama run {d.name}\n"
    own = d.words[0] == "ollama"
    model = d.model if own or d.path is not None or d.model.startswith("<") else f"hf.co/{d.model}"
    layers = "" if d.gpu_layers is None else f"PARAMETER num_gpu {d.gpu_layers}\n"
    return f"{d.comment}{d.left_out}{started}{create}FROM {model}\nPARAMETER num_ctx {d.context_tokens}\n{layers}"
