"""Caches of Hugging Face transformers: tensors that grow with each token, or `StaticCache`'s, allocated at their full length.

Sources: transformers 5.24, src/transformers/cache_utils.py (`DynamicLayer`, `DynamicSlidingWindowLayer`, `DynamicIndexedLayer`,
`StaticLayer`, `StaticSlidingWindowLayer`, `LinearAttentionLayer`) and models/*/modeling_*.py (what each layer hands to its cache);
cache_utils.py of 4.55.4, 4.56.0, 5.14.1 and 5.15.0 for what changed.
"""

from __future__ import annotations

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
    nothing_kept,
    row_text,
    times,
    unread,
)
from archcalc.engines._version import as_of
from archcalc.errors import UnsupportedError
from archcalc.figures.checkpoint import base_dtype
from archcalc.model import Architecture, Cache, State
from archcalc.records import NamedTuple

NAME = "transformers"
FILE = "transformers, cache_utils.py"


class Rules(NamedTuple):
    """What holds from version `since` on.

    `windows`: `DynamicCache` built with a config drops what a sliding window has left behind. `latent`: MLA layers hand over the
    compressed latent, where they handed over each head's keys and values before. `wide_gates`: gates of
    rows that overlap are kept in fp32, as the bias of their place is made in it whatever the model's dtype.
    """

    since: str
    windows: bool
    latent: bool
    wide_gates: bool = False


VERSIONS = (
    Rules("4.36.0", windows=False, latent=False),
    Rules("4.56.0", windows=True, latent=False),
    Rules("5.15.0", windows=True, latent=True),
    Rules("5.24.0", windows=True, latent=True, wide_gates=True),
)
NEWEST = "5.24.0"


class CacheOptions(NamedTuple):
    """`static` is `StaticCache`, of `max_cache_len` tokens (by default the workload's context)."""

    static: bool = False
    max_cache_len: int | None = None
    version: str | None = None


def allocate(architecture: Architecture, work: Workload, options: CacheOptions | None = None) -> Allocation:
    """The cache after a prefill of the whole context and one step, when views of longer tensors are gone."""
    options = options or CacheOptions()
    rules = as_of(NAME, VERSIONS, options.version)
    dtype = work.kv_dtype or _own_dtype(architecture)
    if dtype not in DTYPE_BYTES:
        hint = "its caches follow the model's dtype; quantized ones (QuantizedCache) are not modelled"
        raise lacks_dtype(NAME, dtype, DTYPE_BYTES, hint)
    given = unread(architecture) and architecture.returned and not options.static
    caches = held_caches(as_cached(architecture) if given else architecture, by_layer=True)
    figures = [_figure(held, work, DTYPE_BYTES[dtype], options, rules) for held in caches]
    name = "StaticCache" if options.static else "DynamicCache"
    rule = f"{name}: {'all of max_cache_len at once' if options.static else 'each cached token once'}"
    if windowed := [held.cache for held in caches if held.cache.window]:
        if all(cache.masked for cache in windowed):
            kept = "all tokens, as a mask alone makes their window"
        else:
            kept = "the whole window" if options.static else "window - 1 tokens" if rules.windows else "all tokens"
        rule += f"; sliding layers {kept}"
    if any(f.kind == "latent" for f in figures):
        rule += f"; MLA as {'latents' if rules.latent else 'full keys and values'}"
    if any(f.state_bytes for f in figures):
        rule += "; convolutions keep their whole kernel"
    if not caches:
        rule = nothing_kept(architecture)
    elif given:
        rule += "; handed back with the output where use_cache is true: the text is read in one pass, and nothing reads them again"
    unstated = work.kv_dtype is None and architecture.dtype is None and architecture.quantization is None
    notes = (
        (f"the config states no dtype: a cache of {dtype}, as weights of its kind are published; --kv-dtype says another",)
        if unstated
        else ()
    )
    return Allocation(NAME, options.version or NEWEST, work.context_tokens, work.batch, dtype, merged(figures), rule, notes=notes)


def _own_dtype(architecture: Architecture) -> str:
    """Keys and values are cached as they are computed, in the dtype that the weights were loaded in: the checkpoint's own, fp32 included
    (modeling_utils.py, `_get_dtype`: "auto" where none is asked for). Where the config states none, that which models of its kind
    are published in, as for their weights."""
    wide = architecture.quantization is None and base_dtype(architecture)[0] == "F32"
    return "fp32" if wide else default_dtype(architecture)


def cached_rows(cache: Cache, tokens: int, options: CacheOptions, rules: Rules) -> tuple[int, str]:
    """Tokens that one layer holds, and the same as text."""
    if options.static:
        length = options.max_cache_len or tokens
        if cache.window is None or cache.masked:
            return length, f"{length:,} tokens"
        return min(cache.window, length), f"min({cache.window:,}, {length:,}) tokens"
    # A window of one keeps everything: the last `window - 1` tokens are sliced as [-0:], which is all of them.
    tokens += cache.before
    if cache.window is None or cache.window == 1 or cache.masked or not rules.windows:
        return tokens, f"{tokens:,} tokens"
    return min(tokens, cache.window - 1), f"min({tokens:,}, {cache.window:,} - 1) tokens"


def _figure(held: Held, work: Workload, size: int, options: CacheOptions, rules: Rules) -> Figure:
    cache = held.cache
    if cache.unpooled:
        cache = Cache(cache.kind, 1, 2 * cache.key_dim + 1)
        held = held._replace(cache=cache)
    if cache.compress > 1:
        return _compressed(held, work, size, options, rules)
    rows, rows_text = cached_rows(cache, work.context_tokens, options, rules)
    width, width_text = _width(held, rules)
    state, state_text = _state(cache, size)
    terms = [layers_text(held.layers), batch_text(work.batch)]
    if width:
        terms += [width_text, f"{size} B", rows_text]
    if state:
        terms.append(state_text)
    many = held.layers * work.batch
    grows = not options.static and cached_rows(cache, work.context_tokens + 1, options, rules)[0] > rows
    return Figure(
        cache.kind, cache.window, held.layers, many * (width * size * rows + state), held.layers * width * size if grows else 0,
        many * state, times(*terms), FILE,
    )  # fmt: skip


def _compressed(held: Held, work: Workload, size: int, options: CacheOptions, rules: Rules) -> Figure:
    """Compressed rows, and in the model's dtype the tokens that wait for theirs to be full, with those of the row before where they
    overlap."""
    cache, n = held.cache, work.context_tokens
    if options.static:
        raise UnsupportedError("transformers: compressed caches have no static form", "leave --static out")
    whole, waiting = divmod(n, cache.compress)
    wide = 0
    elements, texts = cache.per_token * whole, [f"{cache.per_token:,} x {whole:,} rows"]
    for buffer in (state for state in cache.states if state.name == "buffer"):
        width, rows = buffer.shape
        elements += width * waiting
        texts.append(f"{width:,} x {waiting:,} tokens that wait")
        if rows > cache.compress and whole:
            # Half of them are gates (modeling_deepseek_v4.py, `position_bias`).
            half = width // 4 * cache.compress
            elements += half
            wide += half * (4 if rules.wide_gates else size)
            texts.append(f"{width // 4:,} x {cache.compress:,} of the row before, and as many gates")
    many = held.layers * work.batch
    text = times(layers_text(held.layers), batch_text(work.batch), f"({' + '.join(texts)})", f"{size} B")
    per_token = held.layers * cache.per_token * size // cache.compress
    return Figure(cache.kind, cache.window, held.layers, many * (elements * size + wide), per_token, 0, text, FILE)


def _width(held: Held, rules: Rules) -> tuple[int, str]:
    """Elements that one token takes in one layer."""
    cache = held.cache
    if cache.kind == "latent" and not rules.latent:
        whole = held.layer.attends[0]
        return whole.heads * (whole.qk_dim + whole.v_dim), times(whole.heads, f"({whole.qk_dim:,} + {whole.v_dim:,})")
    if cache.repeated:
        cache = cache._replace(heads=cache.repeated)
    if cache.twice:
        cache = cache._replace(value_dim=cache.key_dim)
    return cache.per_token, row_text(cache) if cache.per_token else ""


def _state(cache: Cache, size: int) -> tuple[int, str]:
    """Bytes of one layer's recurrent state: convolutions keep one column more than a step needs."""
    total, texts = 0, []
    for state in cache.states:
        shape = _shape(state)
        width = state.own_bytes or size
        n = width
        for extent in shape:
            n *= extent
        total += n
        texts.append(times(*shape, f"{width} B"))
    return total, f"({' + '.join(texts)})" if len(texts) > 1 else "".join(texts)


def _shape(state: State) -> tuple[int, ...]:
    if state.name != "conv" or state.trimmed:
        return state.shape
    return (*state.shape[:-1], state.shape[-1] + 1)
