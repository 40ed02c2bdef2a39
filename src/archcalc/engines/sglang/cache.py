"""SGLang: one pool of token slots, for models that slide a second one for their sliding layers, for recurrent models a pool of states.

Sources: SGLang 0.5.23, python/sglang/srt/model_executor/pool_configurator.py (`DefaultPoolConfigurator`,
`HybridSWAPoolConfigurator`), srt/mem_cache/kv_cache_configurator.py (`_profile_available_bytes`, `_handle_max_mamba_cache`,
`_calculate_mamba_ratio`, `calculate_mla_kv_cache_dim`), srt/mem_cache/memory_pool.py (slots), srt/arg_groups/memory_hook.py
(`handle_gpu_memory_settings`), srt/configs/model_config.py (`is_hybrid_swa_model`), srt/configs/mamba_utils.py (state dtypes).
"""

from __future__ import annotations

from fractions import Fraction
from functools import lru_cache

from archcalc.engines._allocation import (
    DTYPE_BYTES,
    UNREAD,
    Allocation,
    Figure,
    Held,
    Workload,
    as_cached,
    declared_dtype,
    default_dtype,
    held_caches,
    lacks_dtype,
    layers_text,
    merged,
    times,
    unread,
)
from archcalc.engines.engine import unknown
from archcalc.engines.served import classes_of, is_one_of, served
from archcalc.engines.sglang import rules
from archcalc.errors import UnsupportedError, UsageError
from archcalc.model import Architecture, Cache
from archcalc.records import NamedTuple

NAME = "SGLang"
VERSION = "0.5.23"
SOURCE = "SGLang, srt/model_executor/pool_configurator.py"
STATE_SOURCE = "SGLang, srt/mem_cache/kv_cache_configurator.py"

DTYPES = ("auto", "bf16", "fp8_e4m3", "fp8_e5m2", "mxfp8")
"""`--kv-cache-dtype`, less the two FP4 recipes, whose layouts depend on the attention backend."""
_ALIASES = {"fp8": "fp8_e4m3", "bfloat16": "bf16"}
_HINTS = {"fp16": "auto keeps the model's dtype", "fp32": "auto keeps the model's dtype"}

_SLOTS_WITHOUT_CACHE = 1
# Classes whose caches are laid out by code of their own that is not modelled here.
_NOT_MODELLED = frozenset(
    """
    DeepseekV41ForCausalLM Dots3NoteForCausalLM Dots3NoteForConditionalGeneration InklingForCausalLM InklingForConditionalGeneration
    Inkling2ForCausalLM Inkling2ForConditionalGeneration Qwen4ExpForCausalLM Qwen4ExpForConditionalGeneration
    """.split()
)


# DeepSeek-V4: packed rows in pages of 256 tokens, rounded up to whole tiles; a share of 0.1 of the slots for its windows
# (srt/mem_cache/deepseek_v4_memory_pool.py).
PACKED_ROWS = frozenset({"DeepseekV4ForCausalLM"})
_PACKED_PAGE, _TILE, _ROTARY, _SCALES = 256, 576, 64, 8
_RATIO, _PACKED_RATIO = 0.8, 0.1


class CacheOptions(NamedTuple):
    """SGLang's own options, by its names. `radix_cache` False is `--disable-radix-cache`. `page_size` and `swa_full_tokens_ratio` None
    are the model's defaults: 1 and 0.8, DeepSeek-V4's 256 and 0.1. `float32`: the model, and so a cache of its dtype, is in float32.
    `drafts` are MTP layers of the checkpoint that draft, `draft` a model that does, counted in rows of its own with `draft_rows`."""

    tp: int = 1
    dcp: int = 1
    page_size: int | None = None
    swa_full_tokens_ratio: float | None = None
    mamba_full_memory_ratio: float = 0.9
    radix_cache: bool = True
    version: str | None = None
    one_pool: bool = False
    tracked: bool | None = None
    state_slots: int | None = None
    running: int | None = None
    max_tokens: int | None = None
    ssm_dtype: str | None = None
    drafts: int = 0
    draft: Architecture | None = None
    draft_rows: bool = False
    float32: bool = False


class Cells(NamedTuple):
    """Bytes of one token in all full layers and in all sliding layers, of one slot for a request's states, and of what a request has
    beside, on one rank. Where several tokens share a row, a token is a fraction of its bytes."""

    full: Fraction
    sliding: Fraction
    state: int
    window: int
    request: int = 0

    def per_token(self, ratio: float) -> float:
        """Bytes of one token of `max_total_num_tokens`."""
        return float(self.full) + ratio * float(self.sliding) if self.full else float(self.sliding)


class Pools(NamedTuple):
    """What a budget holds: `max_total_num_tokens`, of which sliding layers hold `swa_tokens`, and slots for states."""

    tokens: int
    swa_tokens: int
    state_slots: int
    max_requests: int | None


# Bytes of a token


@lru_cache(64)
def choices(version: str | None) -> tuple[str, ...]:
    """What `--kv-cache-dtype` takes in a release."""
    from archcalc.commands import flags

    return flags.choices("sglang", version, "--kv-cache-dtype")


def cache_dtype(architecture: Architecture, asked: str | None, version: str | None) -> str:
    """SGLang's name of the cache's dtype."""
    dtype = _ALIASES.get(asked, asked) if asked else "auto"
    if dtype == "fp16" and architecture.dtype == "F16":
        return "auto"
    declared = declared_dtype(architecture)
    if dtype == "auto" and declared and declared[0].startswith("modelopt") and declared[1] == "fp8":
        return "fp8_e4m3"
    if dtype == "auto":
        return dtype
    known = tuple(name for name in DTYPES if name in choices(version))
    if dtype == "bf16" and "bf16" not in known and architecture.dtype in (None, "BF16"):
        return "auto"
    if dtype not in known:
        raise lacks_dtype(f"{NAME} {version}" if version else NAME, dtype, known, _HINTS.get(dtype, ""))
    return dtype


def cache_cell(architecture: Architecture, cache: Cache, dtype: str, options: CacheOptions, sparse: bool) -> Fraction:
    """Bytes of one token in one layer on one rank. MLA's latent and index keys are on every rank whole; DCP splits tokens, and so the
    heads among fewer ranks. `sparse` is MLA with an indexer."""
    width = 1 if dtype.startswith(("fp8", "mxfp8")) else 4 if options.float32 and dtype == "auto" else 2
    if is_one_of(architecture, PACKED_ROWS):
        return _packed_cell(cache)
    if cache.kind == "latent":
        if sparse and width == 1:
            return Fraction(cache.key_dim + cache.key_dim // 128 * 4 + 2 * cache.value_dim)
        return Fraction(cache.per_token * width)
    if cache.kind == "index":
        return Fraction(-(-_index_row(cache) // cache.compress) * options.dcp if sparse else cache.key_dim * width)
    if cache.kind != "full" and cache.kind != "sliding" and cache.kind != "chunked":
        return Fraction(0) if cache.kind == "state" else unknown("SGLang", "caches of kind", cache.kind)
    heads = max(1, cache.heads // max(1, options.tp // options.dcp))
    size = heads * (cache.key_dim + cache.value_dim) * width
    return Fraction(size + size // 32 if dtype == "mxfp8" else size)


def _index_row(cache: Cache) -> int:
    """fp8 keys with an fp32 scale for each 128."""
    return cache.key_dim + cache.key_dim // 128 * 4


def _packed_cell(cache: Cache) -> Fraction:
    if cache.kind == "index":
        return Fraction(_index_row(cache), cache.compress)
    rows = _PACKED_PAGE // cache.compress
    page = -(-rows * (cache.key_dim + _ROTARY + _SCALES) // _TILE) * _TILE
    return Fraction(page, _PACKED_PAGE)


def _buffer(architecture: Architecture, cache: Cache) -> tuple[Fraction, int]:
    """What the tokens that wait for compression take: of each sliding token, and of each request.

    DeepSeek-V4's overlapping rows keep a ring of 8 tokens beside each page of the window, the others one of their length for each
    request, both in fp32; GLM-5.3's pooled index keeps raw keys and gates of one pool in bf16.
    """
    of_token, of_request = Fraction(0), 0
    for state in cache.states if cache.kind != "state" else ():
        width, rows = state.shape
        if not is_one_of(architecture, PACKED_ROWS):
            of_request += width * rows * 2
        elif rows > cache.compress:
            of_token += Fraction(rows * width * 4, _PACKED_PAGE)
        else:
            of_request += rows * width * 4
    return of_token, of_request


def state_bytes(cache: Cache, options: CacheOptions) -> int:
    """Bytes of one layer's state on one rank: convolutions in bf16, matrices in the config's dtype, else fp32."""
    total = 0
    for state in cache.states:
        if state.name == "ids":
            continue
        rows, *rest = state.shape
        ranks = min(options.tp, state.units)
        if rows % ranks or (state.name == "recurrent" and options.tp > state.units):
            raise UsageError(f"--tp {options.tp} cannot split a recurrent state of {state.units} heads")
        n = rows // ranks
        for extent in rest:
            n *= extent
        total += n * (2 if state.name == "conv" else DTYPE_BYTES[options.ssm_dtype or state.asked or "fp32"])
    return total


def cells(architecture: Architecture, dtype: str, options: CacheOptions) -> Cells:
    """All layers' cells, sliding ones apart where the model has a pool for them."""
    _check(architecture, options)
    slides = (
        is_one_of(architecture, served("sglang").sets["slides"])
        and rules.since(options.version, 0, 4, 9, 4)
        and not options.one_pool
    )
    full = sliding = Fraction(0)
    state = window = request = 0
    sparse = _sparse(architecture)
    for held in held_caches(architecture):
        if held.cache.kind == "state":
            state += held.layers * state_bytes(held.cache, options)
            continue
        cell = held.layers * cache_cell(architecture, held.cache, dtype, options, sparse)
        of_token, of_request = _buffer(architecture, held.cache)
        sliding += held.layers * of_token
        request += held.layers * of_request
        if held.cache.window and slides:
            sliding += cell
            window = max(window, held.cache.window)
        else:
            full += cell
    return Cells(full, sliding, state, window, request)


# Classes whose MTP layers are put under the key that is looked for in the draft's own reading of the config alone.
_DRAFT_UNSTATED = frozenset(
    """
    Qwen3NextForCausalLM Qwen3_5ForCausalLM Qwen3_5MoeForCausalLM Qwen3_5ForConditionalGeneration Qwen3_5MoeForConditionalGeneration
    """.split()
)


def draft_cell(architecture: Architecture, each: Cells, kv_dtype: str | None, options: CacheOptions) -> Fraction:
    """Bytes of one token of `max_total_num_tokens` that layers which draft add to the target's on one rank.

    Since 0.5.14 a layer of EAGLE, MTP or a standalone draft counts as one of the target's, whatever its own rows are; DFlash and DSpark
    have rows of their own (0.5.14 and 0.5.23, srt/model_executor/pool_configurator.py `DefaultPoolConfigurator`,
    `HybridSWAPoolConfigurator`; srt/model_executor/model_runner_components/spec_aux_hidden_state.py; 0.5.13 counts DFlash alone).
    """
    if options.draft is not None and options.draft_rows:
        alone = options._replace(drafts=0, draft=None)
        return cells(options.draft, cache_dtype(options.draft, kv_dtype, options.version), alone).full
    drafts = options.drafts if options.draft is None else options.draft.layers
    if not drafts or not rules.since(options.version, 0, 5, 14):
        return Fraction(0)
    ratio = Fraction(settled(architecture, options)[1])
    if is_one_of(architecture, PACKED_ROWS):
        return (each.full + ratio * each.sliding) * drafts / architecture.layers
    if options.draft is None and is_one_of(architecture, _DRAFT_UNSTATED):
        return Fraction(0)
    held = [h for h in held_caches(architecture) if h.cache.kind not in ("state", "index")]
    slides = bool(each.sliding)
    windows = sum(h.layers for h in held if h.cache.window)
    if slides and (options.draft is None or not each.full):
        return (ratio if each.full else 1) * each.sliding * drafts / windows
    return each.full * drafts / max(1, sum(h.layers for h in held) - (windows if slides else 0))


def _sparse(architecture: Architecture) -> bool:
    return {"latent", "index"} <= {held.cache.kind for held in held_caches(architecture)}


def settled(architecture: Architecture, options: CacheOptions) -> tuple[int, float]:
    """The page and the sliding layers' share, asked for or the model's."""
    packed = is_one_of(architecture, PACKED_ROWS)
    page = options.page_size or (_PACKED_PAGE if packed else 1)
    return page, options.swa_full_tokens_ratio or (_PACKED_RATIO if packed else _RATIO)


def _check(architecture: Architecture, options: CacheOptions) -> None:
    if is_one_of(architecture, _NOT_MODELLED):
        raise UnsupportedError(
            f"SGLang: the caches of {classes_of(architecture)[0]} are laid out by code of their own, which is not modelled"
        )
    heads = architecture.facts.heads
    if heads and heads % options.tp:
        raise UsageError(f"--tp {options.tp}: SGLang splits whole heads, and {heads} heads do not divide", f"a divisor of {heads}")
    if options.tp % options.dcp:
        raise UsageError(
            f"--dcp {options.dcp}: decode context parallelism lies within tensor parallelism", f"a divisor of --tp {options.tp}"
        )


def slots_per_request(architecture: Architecture, options: CacheOptions) -> int:
    """State slots that a running request takes: its own, and those that the radix cache keeps or tracks for it."""
    if not options.radix_cache:
        return _SLOTS_WITHOUT_CACHE
    tracked = is_one_of(architecture, served("sglang").sets["tracked"])
    return rules.slots_per_request(options.version, tracked=tracked, asked=options.tracked if tracked else None)


# What a budget holds


def memory_fraction(gpu_mib: int, *, tp: int = 1, pp: int = 1, mla: bool = False, vision: tuple[int, int] | None = None) -> float:
    """`--mem-fraction-static` of the newest release by default: the GPU less a prefill chunk's activations, graphs and buffers."""
    chunk, batch = chunk_and_batch(gpu_mib, tp)
    return rules.fraction(None, rules.Reserve(gpu_mib, tp, pp, chunk, batch, mla, vision))


def chunk_and_batch(gpu_mib: int, tp: int) -> tuple[int, int]:
    """`--chunked-prefill-size` and the largest decode batch captured as a graph, by the GPU's memory, of the newest release."""
    return rules.sizes(None, gpu_mib, tp)


def pools(
    architecture: Architecture,
    rest_bytes: int,
    context_tokens: int,
    kv_dtype: str | None = None,
    options: CacheOptions | None = None,
) -> Pools:
    """What `rest_bytes` hold: memory free after loading, less what `--mem-fraction-static` leaves alone."""
    options = options or CacheOptions()
    architecture = as_cached(architecture)
    each = cells(architecture, cache_dtype(architecture, kv_dtype, options.version), options)
    page, ratio = settled(architecture, options)
    slots, requests = 0, None
    if each.state:
        share = options.mamba_full_memory_ratio
        one_more = rules.since(options.version, 0, 5, 17)
        slots = int((rest_bytes * share / (1 + share) - one_more * each.state) // each.state)
        if not rules.since(options.version, 0, 5, 3, 3):
            slots = options.running or 512
        elif not options.radix_cache and options.running is not None:
            slots = options.running
        slots = options.state_slots or slots
        rest_bytes -= (slots + one_more) * each.state
        requests = max(0, slots) // (slots_per_request(architecture, options) if rules.since(options.version, 0, 5, 3, 3) else 1)
    per_token = each.per_token(ratio) + float(draft_cell(architecture, each, kv_dtype, options))
    tokens = int(max(0, rest_bytes) // per_token) // page * page if per_token else 0
    if options.max_tokens is not None:
        tokens = min(tokens, options.max_tokens // page * page)
    swa = int(tokens * ratio) // page * page if each.full else tokens
    most = min(max(min(int(tokens / context_tokens * 512), 4096), 2048), tokens // 2)
    if options.running is not None:
        most = min(most, options.running)
    return Pools(tokens, swa if each.sliding else 0, slots, most if requests is None else min(most, requests))


# The figures


def allocate(architecture: Architecture, work: Workload, options: CacheOptions | None = None) -> Allocation:
    """The pools that hold `batch` requests of the context at once: their tokens, and a page that padding is written to."""
    options = options or CacheOptions()
    kept = unread(architecture)
    architecture = as_cached(architecture)
    dtype = cache_dtype(architecture, work.kv_dtype, options.version)
    each = cells(architecture, dtype, options)
    page, ratio = settled(architecture, options)
    tokens = work.batch * -(-work.context_tokens // (page * options.dcp)) * page
    swa = int(tokens * ratio) // page * page if each.full else tokens
    notes = []
    if each.sliding and each.full and swa <= each.window + page:
        swa = -(-(each.window + page + 1) // page) * page
        notes.append(
            f"sliding layers need more than their window of {each.window:,} tokens: "
            "so short a context wants a higher --swa-full-tokens-ratio"
        )
    slots = work.batch * slots_per_request(architecture, options)
    split = bool(each.sliding and each.full)
    figures: list[Figure] = []
    for held in held_caches(architecture):
        if held.cache.kind == "state":
            figures.append(_state_figure(held, slots, options))
        else:
            figures += _token_figures(architecture, held, dtype, options, tokens, swa, work.batch, split)
    if drafted := draft_cell(architecture, each, work.kv_dtype, options):
        layers = options.drafts if options.draft is None else options.draft.layers
        text = times(f"{_number(drafted):,} B", f"({tokens:,} + {page:,}) slots")
        figures.append(Figure("draft", None, layers, int(drafted * (tokens + page)), int(drafted) // options.dcp, 0, text, SOURCE))
    shown = dtype if dtype != "auto" else "fp8_e4m3" if is_one_of(architecture, PACKED_ROWS) else default_dtype(architecture)
    if options.float32 and shown == default_dtype(architecture):
        shown = "fp32"
    details: dict[str, int | float] = {"token_slots": tokens, "bytes_per_slot": _number(each.full), "page_size": page}
    if each.sliding:
        details |= {"swa_token_slots": swa, "bytes_per_swa_slot": _number(each.sliding)}
    if each.state:
        details |= {"state_slots": slots, "bytes_per_state_slot": each.state}
    rule = _rule(architecture, each, tokens, ratio, split, options) + (UNREAD if kept else "")
    return Allocation(
        "sglang", VERSION, work.context_tokens, work.batch, shown, merged(figures), rule, options.tp, details, tuple(notes)
    )


def _rule(architecture: Architecture, each: Cells, tokens: int, ratio: float, split: bool, options: CacheOptions) -> str:
    rule = f"{tokens:,} token slots and a page for padding"
    if split:
        rule += f"; {ratio:g} of them in sliding layers"
    elif not each.sliding and any(held.cache.window for held in held_caches(architecture)):
        rule += "; windows ignored"
    if each.state:
        rule += f"; {slots_per_request(architecture, options)} state slots a request, and one"
    return rule


def _number(cell: Fraction) -> int | float:
    return int(cell) if cell.denominator == 1 else float(cell)


def _state_figure(held: Held, slots: int, options: CacheOptions) -> Figure:
    one = state_bytes(held.cache, options)
    size = held.layers * one * (slots + 1)
    text = times(layers_text(held.layers), f"{one:,} B", f"({slots} + 1) slots")
    return Figure("state", None, held.layers, size, 0, size, text, STATE_SOURCE)


def _token_figures(
    architecture: Architecture, held: Held, dtype: str, options: CacheOptions, tokens: int, swa: int, batch: int, split: bool
) -> list[Figure]:
    """The slots of one kind of layer, and the buffers of tokens that wait to be compressed."""
    cache, layers = held.cache, held.layers
    page, ratio = settled(architecture, options)
    sliding = bool(cache.window and split)
    cell = cache_cell(architecture, cache, dtype, options, _sparse(architecture))
    slots = (swa if sliding else tokens) + page
    text = times(layers_text(layers), f"{_number(cell):,} B", f"({slots - page:,} + {page:,}) slots")
    if sliding:
        text += f" ({ratio:g} of {tokens:,})"
    per_token = int(layers * cell * (Fraction(ratio) if sliding else 1)) // options.dcp
    out = [Figure(cache.kind, cache.window, layers, int(layers * cell * slots), per_token, 0, text, SOURCE)]
    of_token, of_request = _buffer(architecture, cache)
    if of_token:
        text = times(layers_text(layers), f"{_number(of_token):,} B", f"({swa:,} + {page:,}) slots")
        per_token = int(layers * of_token * Fraction(ratio))
        out.append(Figure("buffer", None, layers, int(layers * of_token * (swa + page)), per_token, 0, text, SOURCE))
    if of_request:
        text = times(layers_text(layers), f"{of_request:,} B", f"{batch} requests" if batch > 1 else 1)
        size = layers * of_request * batch
        out.append(Figure("buffer", None, layers, size, 0, size, text, SOURCE))
    return out
