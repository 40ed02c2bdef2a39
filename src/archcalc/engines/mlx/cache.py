"""mlx-lm: tensors that grow by 256 tokens, rotating ones for windows, packed ones with a scale and a bias for each group.

Source: mlx-lm 0.32.2, mlx_lm/models/cache.py (`KVCache`, `RotatingKVCache`, `QuantizedKVCache`, `ArraysCache`), mlx_lm/models/*.py
(`make_cache`, what each layer hands to its cache), mlx_lm/models/gated_delta.py (states in float32), mlx_lm/server.py.
"""

from __future__ import annotations

from math import prod

from archcalc.engines._allocation import (
    DTYPE_BYTES,
    Allocation,
    Figure,
    Held,
    Workload,
    as_cached,
    batch_text,
    default_dtype,
    held_caches,
    lacks_dtype,
    layers_text,
    merged,
    row_text,
    served_window,
    times,
    unread,
)
from archcalc.engines.engine import unknown
from archcalc.engines.served import served
from archcalc.errors import UnsupportedError, UsageError
from archcalc.model import Architecture, Cache

NAME, VERSION = "mlx-lm", "0.32.2"
FILE = "mlx-lm, mlx_lm/models/cache.py"
STEP = 256
GROUP = 64
BITS = {"int8": 8, "int4": 4}
"""`--kv-bits`, by the cache's dtype."""


def module_of(architecture: Architecture) -> str:
    """The module that builds a model. Raises `UnsupportedError` where there is none."""
    classes = served("mlx").classes
    for name in (architecture.model_type, *sorted(architecture.model_types)):
        if name in classes:
            return classes[name]
    raise UnsupportedError(f"mlx-lm has no module for {architecture.model_type}", "try --engine llama.cpp")


def stepped(tokens: int) -> int:
    """The tokens that a cache has room for once it holds so many."""
    return -(-tokens // STEP) * STEP


def allocate(architecture: Architecture, work: Workload) -> Allocation:
    """The caches of `batch` sequences once each holds the context. Raises `UnsupportedError` for a model without a module."""
    module = module_of(architecture)
    dtype = work.kv_dtype or default_dtype(architecture)
    if dtype not in BITS and dtype not in ("bf16", "fp16"):
        raise lacks_dtype(NAME, dtype, ("bf16", "fp16", *BITS), "--kv-bits packs 4 or 8 bits")
    notes: tuple[str, ...] = ()
    if unread(architecture):
        notes = (f"mlx-lm reads {architecture.model_type} one way, as a decoder: what comes out is another model's",)
    architecture = as_cached(architecture)
    figures = [_figure(module, held, work, dtype, architecture) for held in held_caches(architecture, by_layer=True)]
    rule = f"grown in steps of {STEP} tokens"
    if any(f.window for f in figures):
        rule += "; sliding layers no more than their window"
    if dtype in BITS:
        rule += f"; packed in {BITS[dtype]} bits, with a scale and a bias for each {GROUP}"
    return Allocation("mlx", VERSION, work.context_tokens, work.batch, dtype, merged(figures), rule, notes=notes)


def _figure(module: str, held: Held, work: Workload, dtype: str, architecture: Architecture) -> Figure:
    cache = held.cache
    match cache.kind:
        case "state":
            return _state(held, work, architecture)
        case "latent":
            if module not in served("mlx").sets["latents"]:
                scores = held.layer.attends[0]
                cache = cache._replace(kind="full", heads=scores.heads, key_dim=scores.qk_dim, value_dim=scores.v_dim)
        case "full" | "sliding":
            pass
        case "chunked" | "index":
            raise UnsupportedError(f"mlx-lm has no rule for caches of kind {cache.kind!r}", "try another --engine")
        case _:
            unknown(NAME, "caches of kind", cache.kind)
    window = served_window(cache) if _rotates(module, architecture) else None
    tokens = stepped(work.context_tokens)
    shown = f"{tokens:,} tokens"
    if window is not None:
        if dtype in BITS:
            raise UsageError("mlx-lm packs no rotating caches (`RotatingKVCache.to_quantized`)", "leave --kv-dtype out")
        tokens, shown = min(window, tokens), f"min({window:,}, {tokens:,}) tokens"
    row, text = _row(cache, dtype)
    many = held.layers * work.batch
    grows = window is None or work.context_tokens < window
    formula = times(layers_text(held.layers), batch_text(work.batch), text, shown)
    return Figure(cache.kind, window, held.layers, many * row * tokens, held.layers * row if grows else 0, 0, formula, FILE)


def _rotates(module: str, architecture: Architecture) -> bool:
    """Whether windows are kept. Llama's module reads them off `layer_types` alone, which configs of one window for all layers have not."""
    if module not in served("mlx").sets["rotating"]:
        return False
    return module != "llama" or any(held.cache.window is None for held in held_caches(architecture))


def _row(cache: Cache, dtype: str) -> tuple[int, str]:
    """Bytes of one token in one layer."""
    bits = BITS.get(dtype)
    if bits is None:
        size = DTYPE_BYTES[dtype]
        return cache.per_token * size, times(row_text(cache), f"{size} B")
    widths = (cache.key_dim, cache.value_dim)
    if any(width % GROUP for width in widths):
        raise UsageError(f"mlx-lm packs groups of {GROUP}, and heads of {max(widths)} do not divide", "leave --kv-dtype out")
    # A scale and a bias of each group, in the half precision that was packed.
    each = [width * bits // 8 + width // GROUP * 2 * 2 for width in widths]
    return cache.heads * sum(each), times(cache.heads, f"({each[0]:,} + {each[1]:,}) B")


def _state(held: Held, work: Workload, architecture: Architecture) -> Figure:
    """Convolutions' inputs in the model's half precision, matrices in float32."""
    size, texts = 0, []
    for state in held.cache.states:
        width = 4 if state.name == "recurrent" else 2
        size += prod(state.shape) * width
        texts.append(times(*state.shape, f"{width} B"))
    many = held.layers * work.batch
    formula = times(layers_text(held.layers), batch_text(work.batch), f"({' + '.join(texts)})")
    return Figure("state", None, held.layers, many * size, 0, many * size, formula, "mlx-lm, mlx_lm/models/gated_delta.py")
