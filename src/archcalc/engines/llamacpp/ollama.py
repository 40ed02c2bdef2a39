"""Flash attention and the cache's type as Ollama's own runners take them, before 0.30 started llama-server.

Source: Ollama 0.5.0 to 0.30.0, each release: llm/server.go `NewLlamaServer` ("quantized kv cache requested but flash attention disabled"),
fs/ggml/ggml.go `FlashAttention`, `SupportsFlashAttention`, `SupportsKVCacheType`, envconfig/config.go `BoolWithDefault`.
"""

from __future__ import annotations

from archcalc.engines._version import at_least
from archcalc.engines.llamacpp.settings import Settings
from archcalc.model import Architecture

LLAMA_SERVER = (0, 30)
"""Since then every model runs in llama-server, which is told the cache's type whatever flash attention is (llm/llama_server.go)."""
_FALSE = frozenset({"0", "f", "F", "FALSE", "false", "False"})

# Names of GGUF files with which flash attention is on where nothing is said, since a release.
_USUAL: tuple[tuple[tuple[int, ...], str], ...] = (
    ((0, 22), "nemotron_h_omni"), ((0, 20, 4), "gemma4"), ((0, 17, 1), "lfm2moe nemotron_h nemotron_h_moe qwen35 qwen35moe"),
    ((0, 15, 5), "glmocr qwen3next"), ((0, 14, 3), "glm4moelite lfm2"), ((0, 13, 5), "bert"), ((0, 13, 4), "olmo3"),
    ((0, 13, 2), "mistral3"), ((0, 12, 8), "qwen3vl qwen3vlmoe"), ((0, 12, 6), "gemma3"), ((0, 12, 4), "qwen3 qwen3moe"),
    ((0, 11, 8), "gptoss gpt-oss"),
)  # fmt: skip
_ALWAYS = (0, 11, 8), (0, 12, 4)
"""Between these the models that have it by themselves have it whatever is asked for."""
# Names of GGUF files with which there is none, and with which there is whatever the heads are.
_NEVER: tuple[tuple[tuple[int, ...], str], ...] = (((0, 19), "grok"), ((0, 11, 11), "gemma2"))
_HEADS_APART = (0, 17, 1), frozenset({"qwen35", "qwen35moe", "qwen3next"})
_TYPES = frozenset({"q8_0", "q4_0"})
_UNQUANTIZED = (0, 11, 5), (0, 12, 4), frozenset({"gptoss", "gpt-oss"})
"""Between these the models with sinks keep no quantized cache."""

Raised = tuple[frozenset[str], int]
"""Names of GGUF files whose context is raised to `LEAST` tokens, and the memory of all GPUs from which it is."""
LEAST = 8192
_RAISED: tuple[tuple[tuple[int, ...], str, int], ...] = (
    ((0, 15, 5), "", 0), ((0, 12, 7), "gptoss gpt-oss qwen3vl qwen3vlmoe", 20 << 30), ((0, 11, 4), "gptoss gpt-oss", 20 << 30),
    ((0, 11), "gptoss gpt-oss", 0),
)  # fmt: skip


def raised(release: str | None) -> Raised | None:
    """Whose context a release raises, whatever was asked for; None for nobody's. Those with a default by the memory have no such rule.

    Source: Ollama 0.11.0 to 0.15.5, each release: server/routes.go `scheduleRunner`, `lowVRAMThreshold`."""
    names, memory = next(((names, memory) for since, names, memory in _RAISED if at_least(release, *since)), ("", 0))
    return (frozenset(names.split()), memory) if names else None


def asked_for(text: str) -> bool | None:
    """`OLLAMA_FLASH_ATTENTION` as Go's `strconv.ParseBool` reads it, true of what is no such word; None where it is not set."""
    value = text.strip("\"' ")
    return None if not value else value not in _FALSE


def cache_of(architecture: Architecture, own: Settings) -> Settings:
    """The settings with flash attention and the cache's type that the runner takes; as they are where Ollama has no runner of its own."""
    release = own.runner
    if not release:
        return own
    from archcalc.engines.llamacpp.cache import architecture_name

    name = architecture_name(architecture)
    by_itself = any(name in names.split() for since, names in _USUAL if at_least(release, *since))
    forced = by_itself and at_least(release, *_ALWAYS[0]) and not at_least(release, *_ALWAYS[1])
    flash = forced or (by_itself if own.flash_asked is None else own.flash_asked)
    flash = flash and _supported(architecture, name, release)
    kept, why = own.type_k, ""
    if own.type_k != "f16":
        sinks = at_least(release, *_UNQUANTIZED[0]) and not at_least(release, *_UNQUANTIZED[1]) and name in _UNQUANTIZED[2]
        if own.type_k not in _TYPES or sinks or not at_least(release, 0, 5):
            why = "which it does not have of this model"
        elif not flash:
            why = "as there is no flash attention" + ("" if own.flash_asked else ": OLLAMA_FLASH_ATTENTION=1 asks for it")
        kept = "f16" if why else own.type_k
    said = (f"Ollama {release} keeps the cache in f16 and not in {own.type_k}, {why}",) if why else ()
    return own._replace(flash=flash, type_k=kept, type_v=kept, runner="", fitted=(*own.fitted, *said))


def _supported(architecture: Architecture, name: str, release: str) -> bool:
    if any(name in names.split() for since, names in _NEVER if at_least(release, *since)):
        return False
    if at_least(release, *_HEADS_APART[0]) and name in _HEADS_APART[1]:
        return True
    caches = [c for s in architecture.stacks if s.part == "decoder" for layer in s.kinds for c in layer.caches]
    rows = [c for c in caches if c.kind not in ("state", "index")]
    return bool(rows) and all(c.key_dim == c.value_dim for c in rows)
