"""SGLang: one pool of token slots, for models that slide a second one for their sliding layers, for recurrent models a pool of states.

Sources: SGLang 0.5.23, python/sglang/srt/model_executor/pool_configurator.py (`DefaultPoolConfigurator`,
`HybridSWAPoolConfigurator`), srt/mem_cache/kv_cache_configurator.py (`_profile_available_bytes`, `_handle_max_mamba_cache`,
`_calculate_mamba_ratio`, `calculate_mla_kv_cache_dim`), srt/mem_cache/memory_pool.py (slots), srt/arg_groups/memory_hook.py
(`handle_gpu_memory_settings`), srt/configs/model_config.py (`is_hybrid_swa_model`), srt/configs/mamba_utils.py (state dtypes).
"""

from __future__ import annotations

from typing import NamedTuple

from archcalc.engines._allocation import (
    DTYPE_BYTES,
    Allocation,
    Figure,
    Held,
    Workload,
    declared_dtype,
    default_dtype,
    held_caches,
    lacks_dtype,
    layers_text,
    merged,
    times,
)
from archcalc.errors import UnsupportedError, UsageError
from archcalc.model import Architecture, Cache

NAME = "SGLang"
VERSION = "0.5.23"
SOURCE = "SGLang, srt/model_executor/pool_configurator.py"
STATE_SOURCE = "SGLang, srt/mem_cache/kv_cache_configurator.py"

DTYPES = ("auto", "bf16", "fp8_e4m3", "fp8_e5m2", "mxfp8")
"""`--kv-cache-dtype`, less the two FP4 recipes, whose layouts depend on the attention backend."""
_ALIASES = {"fp8": "fp8_e4m3", "bfloat16": "bf16"}
_HINTS = {"fp16": "auto keeps the model's dtype", "fp32": "auto keeps the model's dtype"}

# Model types with a pool of their own for sliding layers (`is_hybrid_swa_model`); all others keep every token in every layer.
_SLIDE = frozenset(
    """
    deepseek_v4 gemma4 gemma4_text gemma4_unified gpt_oss granite_swa granitemoe_swa inkling laguna llama4 mellum mimo_v2 mimo_v2_flash
    muse_glimmer step3p5 step3p7
    """.split()
)
# Model types whose states are tracked beside the running one, so that a request takes five slots (`_MAMBA_EXTRA_BUFFER_ARCHS`).
_TRACKED = (
    "bailing_moe_v2_5", "bailing_moe_v3", "falcon_h1", "glm5_next", "granitemoehybrid", "inkling", "kimi_k3", "kimi_linear", "minicpmv4_6",
    "nemotron_h", "qwen3_5", "qwen3_next", "qwen4_exp",
)  # fmt: skip
_SLOTS_TRACKED, _SLOTS, _SLOTS_WITHOUT_CACHE = 5, 3, 1
# Recurrent models that SGLang has no code for, and recurrences that it has none for.
_NO_MODELS = frozenset({"bamba", "jamba", "minimax", "minimax_m1", "minimax_text_01", "plamo2", "zamba", "zamba2"})
_NO_STATES = frozenset({"rg-lru", "rwkv", "xlstm"})


class Options(NamedTuple):
    """SGLang's own options, by its names. `radix_cache` False is `--disable-radix-cache`."""

    tp: int = 1
    dcp: int = 1
    page_size: int = 1
    swa_full_tokens_ratio: float = 0.8
    mamba_full_memory_ratio: float = 0.9
    radix_cache: bool = True


class Cells(NamedTuple):
    """Bytes of one token in all full layers and in all sliding layers, and of one request's states, on one rank."""

    full: int
    sliding: int
    state: int
    window: int

    def per_token(self, ratio: float) -> float:
        """Bytes of one token of `max_total_num_tokens`."""
        return self.full + ratio * self.sliding if self.full else float(self.sliding)


class Pools(NamedTuple):
    """What a budget holds: `max_total_num_tokens`, of which sliding layers hold `swa_tokens`, and slots for states."""

    tokens: int
    swa_tokens: int
    state_slots: int
    max_requests: int | None


# Bytes of a token


def cache_dtype(architecture: Architecture, asked: str | None) -> str:
    """SGLang's name of the cache's dtype."""
    dtype = _ALIASES.get(asked, asked) if asked else "auto"
    if dtype == "fp16" and architecture.dtype == "F16":
        return "auto"
    declared = declared_dtype(architecture)
    if dtype == "auto" and declared and declared[0].startswith("modelopt") and declared[1] == "fp8":
        return "fp8_e4m3"
    if dtype not in DTYPES:
        raise lacks_dtype(NAME, dtype, DTYPES, _HINTS.get(dtype, ""))
    return dtype


def cache_cell(held: Held, dtype: str, options: Options) -> int:
    """Bytes of one token in one layer on one rank. MLA's latent and index keys are on every rank whole; DCP splits tokens, and so the
    heads among fewer ranks."""
    cache = held.cache
    width = 1 if dtype.startswith(("fp8", "mxfp8")) else 2
    sparse = {"latent", "index"} <= {c.kind for c in held.layer.caches}
    if cache.kind == "latent":
        if sparse and width == 1:
            return cache.key_dim + cache.key_dim // 128 * 4 + 2 * cache.value_dim
        return cache.per_token * width
    if cache.kind == "index":
        return (cache.key_dim + cache.key_dim // 128 * 4) * options.dcp if sparse else cache.key_dim * width
    heads = max(1, cache.heads // max(1, options.tp // options.dcp))
    size = heads * (cache.key_dim + cache.value_dim) * width
    return size + size // 32 if dtype == "mxfp8" else size


def state_bytes(cache: Cache, options: Options) -> int:
    """Bytes of one layer's state on one rank: convolutions in bf16, matrices in the config's dtype, else fp32."""
    total = 0
    for state in cache.states:
        rows, *rest = state.shape
        ranks = min(options.tp, state.units)
        if rows % ranks or (state.name == "recurrent" and options.tp > state.units):
            raise UsageError(f"--tp {options.tp} cannot split a recurrent state of {state.units} heads")
        n = rows // ranks
        for extent in rest:
            n *= extent
        total += n * (2 if state.name == "conv" else DTYPE_BYTES[state.asked or "fp32"])
    return total


def cells(architecture: Architecture, dtype: str, options: Options) -> Cells:
    """All layers' cells, sliding ones apart where the model has a pool for them."""
    _check(architecture, options)
    slides = architecture.model_type in _SLIDE
    full = sliding = state = window = 0
    for held in held_caches(architecture):
        if held.cache.kind == "state":
            state += held.layers * state_bytes(held.cache, options)
        elif held.cache.window and slides:
            sliding += held.layers * cache_cell(held, dtype, options)
            window = max(window, held.cache.window)
        else:
            full += held.layers * cache_cell(held, dtype, options)
    return Cells(full, sliding, state, window)


def _check(architecture: Architecture, options: Options) -> None:
    recurrences = {held.cache.recurrence for held in held_caches(architecture)}
    if architecture.model_type in _NO_MODELS or recurrences & _NO_STATES:
        raise UnsupportedError(
            f"SGLang has no code for the recurrent layers of {architecture.model_type}", "try --engine vllm or transformers"
        )
    heads = architecture.facts.heads
    if heads and heads % options.tp:
        raise UsageError(f"--tp {options.tp}: SGLang splits whole heads, and {heads} heads do not divide", f"a divisor of {heads}")
    if options.tp % options.dcp:
        raise UsageError(
            f"--dcp {options.dcp}: decode context parallelism lies within tensor parallelism", f"a divisor of --tp {options.tp}"
        )


def slots_per_request(architecture: Architecture, options: Options) -> int:
    """State slots that a running request takes: its own, and those that the radix cache keeps or tracks for it."""
    if not options.radix_cache:
        return _SLOTS_WITHOUT_CACHE
    return _SLOTS_TRACKED if architecture.model_type.startswith(_TRACKED) else _SLOTS


# What a budget holds


def memory_fraction(gpu_mib: int, *, tp: int = 1, pp: int = 1, mla: bool = False, vision: tuple[int, int] | None = None) -> float:
    """`--mem-fraction-static` by default: the GPU less activations of a prefill chunk, graphs and parallel buffers, as SGLang estimates.

    `vision` is the layers and width of an image encoder, for which it leaves more.
    """
    chunk, batch = _chunk_and_batch(gpu_mib, tp)
    graphs = 1536 if mla else 8 * _prefill_graphs(chunk)
    reserved = 512 + 1.5 * max(chunk, 2048) + tp * pp / 8 * 1024 + 2 * batch + graphs
    if gpu_mib > 60 * 1024:
        reserved = max(reserved, 10 * 1024)
    fraction = round((gpu_mib - reserved) / gpu_mib, 3)
    if vision is not None:
        complexity = vision[0] * vision[1] ** 2 / (24 * 1024**2)
        fraction *= 0.95 * max(0.8, min(1.05, 1 - 0.1 * (complexity - 1)))
    return fraction


def _chunk_and_batch(gpu_mib: int, tp: int) -> tuple[int, int]:
    """`--chunked-prefill-size` and the largest decode batch captured as a graph, by the GPU's memory."""
    for limit, chunk, small, large in ((20, 2048, 8, 8), (35, 4096, 48, 160), (60, 4096, 32, 160), (160, 8192, 256, 512)):
        if gpu_mib < limit * 1024:
            return chunk, small if tp < 4 else large
    return 16384, 512


def _prefill_graphs(chunk: int) -> int:
    """How many prefill lengths are captured."""
    steps = ((4, 33, 4), (48, 257, 16), (288, 513, 32), (576, 1025, 64), (1280, 4097, 256), (4608, chunk + 1, 512))
    return sum(size <= chunk for step in steps for size in range(*step))


def pools(
    architecture: Architecture, rest_bytes: int, context_tokens: int, kv_dtype: str | None = None, options: Options | None = None
) -> Pools:
    """What `rest_bytes` hold: memory free after loading, less what `--mem-fraction-static` leaves alone."""
    options = options or Options()
    each = cells(architecture, cache_dtype(architecture, kv_dtype), options)
    slots, requests = 0, None
    if each.state:
        ratio = options.mamba_full_memory_ratio
        slots = int((rest_bytes * ratio / (1 + ratio) - each.state) // each.state)
        rest_bytes -= (slots + 1) * each.state
        requests = max(0, slots) // slots_per_request(architecture, options)
    per_token = each.per_token(options.swa_full_tokens_ratio)
    tokens = _whole_pages(int(max(0, rest_bytes) // per_token), options) if per_token else 0
    swa = _whole_pages(int(tokens * options.swa_full_tokens_ratio), options) if each.full else tokens
    most = min(max(min(int(tokens / context_tokens * 512), 4096), 2048), tokens // 2)
    return Pools(tokens, swa if each.sliding else 0, slots, most if requests is None else min(most, requests))


def _whole_pages(tokens: int, options: Options) -> int:
    return tokens // options.page_size * options.page_size


# The figures


def allocate(architecture: Architecture, work: Workload, options: Options | None = None) -> Allocation:
    """The pools that hold `batch` requests of the context at once: their tokens, and a page that padding is written to."""
    options = options or Options()
    dtype = cache_dtype(architecture, work.kv_dtype)
    each = cells(architecture, dtype, options)
    page, ratio = options.page_size, options.swa_full_tokens_ratio
    tokens = work.batch * -(-work.context_tokens // (page * options.dcp)) * page
    swa = _whole_pages(int(tokens * ratio), options) if each.full else tokens
    notes = []
    if each.sliding and each.full and swa <= each.window + page:
        swa = _whole_pages(each.window + 2 * page, options)
        notes.append(
            f"sliding layers need more than their window of {each.window:,} tokens: raise --swa-full-tokens-ratio for so short a context"
        )
    slots = work.batch * slots_per_request(architecture, options)
    figures = []
    for held in held_caches(architecture):
        cache = held.cache
        if cache.kind == "state":
            one = state_bytes(cache, options)
            size = held.layers * one * (slots + 1)
            text = times(layers_text(held.layers), f"{one:,} B", f"({slots} + 1) slots")
            figures.append(Figure("state", None, held.layers, size, 0, size, text, STATE_SOURCE))
            continue
        sliding = bool(cache.window and each.sliding)
        cell, rows = cache_cell(held, dtype, options), (swa if sliding else tokens) + page
        per_token = held.layers * int(cell * (ratio if sliding and each.full else 1)) // options.dcp
        text = times(layers_text(held.layers), f"{cell:,} B", f"({rows - page:,} + {page:,}) slots")
        if sliding and each.full:
            text += f" ({ratio:g} of {tokens:,})"
        figures.append(Figure(cache.kind, cache.window, held.layers, held.layers * cell * rows, per_token, 0, text, SOURCE))
    rule = f"{tokens:,} token slots and a page for padding"
    if each.sliding and each.full:
        rule += f"; {ratio:g} of them in sliding layers"
    elif any(held.cache.window for held in held_caches(architecture)) and not each.sliding:
        rule += "; windows ignored"
    if each.state:
        rule += f"; {slots_per_request(architecture, options)} state slots a request, and one"
    shown = dtype if dtype != "auto" else default_dtype(architecture)
    details: dict[str, int | float] = {"token_slots": tokens, "bytes_per_slot": each.full, "page_size": page}
    if each.sliding:
        details |= {"swa_token_slots": swa, "bytes_per_swa_slot": each.sliding}
    if each.state:
        details |= {"state_slots": slots, "bytes_per_state_slot": each.state}
    return Allocation(
        "sglang", VERSION, work.context_tokens, work.batch, shown, merged(figures), rule, options.tp, details, tuple(notes)
    )
