"""llama.cpp: one buffer of cells for full layers, a smaller one for sliding layers, fp32 rows for recurrent ones.

Sources: llama.cpp 0c1e57098, src/llama-context.cpp (padding, sequences, what a cache type needs), src/llama-kv-cache.cpp (rows),
src/llama-kv-cache-iswa.cpp (cells of sliding layers), src/llama-kv-cache-dsa.cpp and src/llama-kv-cache-msa.cpp (index keys),
src/llama-memory-recurrent.cpp, src/llama-hparams.cpp, src/models/*.cpp (which architectures slide), conversion/*.py (which classes it
reads, and as what: served.json).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from math import prod

from archcalc.engines._allocation import (
    UNREAD,
    Allocation,
    Figure,
    Workload,
    as_cached,
    held_caches,
    lacks_dtype,
    layers_text,
    merged,
    nothing_kept,
    served_window,
    times,
    unread,
    without_caches,
)
from archcalc.engines._once import once
from archcalc.engines.engine import unknown
from archcalc.engines.llamacpp.compute import Batch, Placed, Same, reserved
from archcalc.engines.served import built_of, classes_of, served
from archcalc.errors import UnsupportedError, UsageError
from archcalc.model import Architecture, Bare, Cache, Layer
from archcalc.records import NamedTuple

NAME = "llama.cpp"
VERSION = "0c1e57098"
SOURCE = "llama.cpp, src/llama-kv-cache.cpp and src/llama-kv-cache-iswa.cpp"
STATE_SOURCE = "llama.cpp, src/llama-memory-recurrent.cpp"

TYPES = {
    "f16": (2, 1), "bf16": (2, 1), "f32": (4, 1), "q8_0": (34, 32), "q5_1": (24, 32), "q5_0": (22, 32), "q4_1": (20, 32),
    "q4_0": (18, 32), "iq4_nl": (18, 32),
}  # fmt: skip
"""Cache types (`--cache-type-k`, `--cache-type-v`): bytes of a block, and the elements in it."""
_ALIASES = {"fp16": "f16", "fp32": "f32"}

PAD = 256
STATE_BYTES = 4

# Classes that name a wrapper whose converter is their own, whatever class its text config names (conversion/base.py,
# `get_model_architecture`).
_WRAPPERS = frozenset(
    """
    StepVLForConditionalGeneration Sarashina2VisionForCausalLM Exaone4_5_ForConditionalGeneration Step3p7ForConditionalGeneration
    KimiK3ForConditionalGeneration
    """.split()
)
# Architectures whose models slide in llama.cpp; all others keep every token whatever the config's windows say.
_SLIDE = frozenset(
    """
    afmoe cohere2 cohere2moe deepseek4 dots3note exaone-moe gemma2 gemma3 gemma3n gemma4 gpt-oss granite_swa laguna lfm2 lfm2moe
    llama4 mellum mimo2 muse-glimmer olmo2 plamo3 smallthinker spark2_5 step35
    """.split()
)
# The 64 layers of the 32B slide, smaller ones do not (src/models/exaone4.cpp).
_SLIDE_IF_LAYERS = {"exaone4": 64}
# Windows and shared layers that are written into the program (src/models/llama4.cpp, gemma3n.cpp).
_FIXED_WINDOW = {"llama4": 8192}
_KV_LAYERS = {"gemma3n": 20}
# Index caches: MiniMax-M3's keeps values of the attention's width beside its keys; GLM-5.3's three rows a token, Qwen4's one, neither
# pooled.
_INDEX_WITH_VALUES = frozenset({"minimax-m3"})
_INDEX_ROWS = {"glm5-next": 3, "qwen4exp": 1}
# DeepSeek-V4's windows are never shared by sequences (src/llama-kv-cache-dsv4.cpp).
_OWN_WINDOWS = frozenset({"deepseek4"})
_ROLLBACK = frozenset(
    "bailingmoe3 deepseek4 glm5-next kimi-k3 lfm2 lfm2moe nemotron_h nemotron_h_moe qwen35 qwen35moe qwen4exp".split()
)
_NOT_MODELLED = frozenset({"dots3note"})


# Graphs without a memory; others make one whatever the config says of `is_causal` (src/llama-model.cpp, `llama_model::create_memory`).
_NO_MEMORY = frozenset(
    """
    bert jina-bert-v2 jina-bert-v3 nomic-bert nomic-bert-moe neo-bert eurobert wavtokenizer-dec modern-bert gemma-embedding dream llada
    llada-moe rnd1
    """.split()
)


# Graphs that end with the embeddings, and compute no logits (src/models/*.cpp: none of these sets `t_logits`).
HEADLESS = _NO_MEMORY - {"dream", "llada", "llada-moe", "rnd1"}


class CacheOptions(NamedTuple):
    """llama.cpp's own options: slots (`-np`; the workload's sequences by default), `-kvu`, `-ub`, `--swa-full`, `-fa`, cache types of keys
    and values, and states kept for speculative rollback. `n_outputs` are the rows of logits that are reserved, 0 for one of each token.

    `copies` are those of a graph's inputs, `streamed_bytes` the largest weight in the CPU's memory that the GPU multiplies with, and
    `streamed_head_bytes` the head where it lies there. `head_here` is False on a GPU that has no head, of several; `here` are the layers
    that a GPU has, None for all, and `away` those of the CPU whose products it computes. `wide_masks` is of builds before June 2026, whose
    masks are copied to the GPU in fp32. Where not `computes`, the graph's buffer is not asked for.
    """

    n_parallel: int | None = None
    kv_unified: bool = False
    n_ubatch: int = 512
    swa_full: bool = False
    flash_attn: bool = True
    cache_type_v: str | None = None
    n_rs_seq: int = 0
    n_outputs: int = 0
    copies: int = 1
    streamed_bytes: int = 0
    streamed_head_bytes: int = 0
    head_here: bool = True
    here: frozenset[int] | None = None
    away: frozenset[int] = frozenset()
    wide_masks: bool = True
    unpacks: bool = False
    computes: bool = True


class Row(NamedTuple):
    """One cell of one layer: elements of its key and of its value. `compress` tokens share a cell; `own` windows are never shared."""

    kind: str
    window: int | None
    layers: int
    key: int
    value: int
    compress: int = 1
    own: bool = False


class Cells(NamedTuple):
    """How many cells a layer has, and how often: once for all sequences together, or once for each."""

    streams: int
    base: int
    n_seq_max: int
    n_ubatch: int
    unified: bool
    swa_full: bool

    def of(self, row: Row) -> int:
        """Cells of a layer; a sliding one needs its window (of every sequence, where they share) and a batch beside it."""
        if row.compress > 1:
            return pad(-(-self.base // row.compress))
        if row.window is None or self.swa_full:
            return self.base
        windows = self.n_seq_max if self.unified and not row.own else 1
        return pad(min(self.base, row.window * windows + self.n_ubatch))

    def streams_of(self, row: Row) -> int:
        return self.n_seq_max if row.own else self.streams


def pad(n: int) -> int:
    return -(-n // PAD) * PAD


def cells(n_ctx: int, n_seq_max: int, options: CacheOptions) -> Cells:
    """The context of `n_ctx` tokens (`-c`) shared among sequences, or cut into as many parts, each padded to 256."""
    n_ctx = pad(n_ctx)
    base = n_ctx if options.kv_unified else pad(n_ctx // n_seq_max)
    streams = 1 if options.kv_unified else n_seq_max
    return Cells(streams, base, n_seq_max, options.n_ubatch, options.kv_unified, options.swa_full)


def row_bytes(kind: str, elements: int) -> int:
    size, block = TYPES[kind]
    return elements // block * size


def cache_bytes(rows: Iterable[Row], grid: Cells, type_k: str, type_v: str, flash_attn: bool = True) -> list[int]:
    """Bytes of each row's layers. Without flash attention values lie transposed, as wide as the widest layer's of their cache."""
    rows = list(rows)
    out = []
    for row in rows:
        value = row.value
        if value and not flash_attn:
            value = max(other.value for other in rows if (other.kind == "index") == (row.kind == "index"))
        width = row_bytes(type_k, row.key) + row_bytes(type_v, value)
        out.append(row.layers * grid.streams_of(row) * grid.of(row) * width)
    return out


def recurrent_bytes(elements: int, n_seq_max: int, n_rs_seq: int = 0) -> int:
    """fp32 whatever the cache's type, for every sequence, and again for every state that speculation may roll back to."""
    return elements * STATE_BYTES * max(1, n_seq_max) * (1 + n_rs_seq)


def architecture_name(architecture: Architecture) -> str:
    """What a GGUF file of this model calls its architecture: that of the class which the converter reads.

    The class that the text model's own part of the config names goes before the whole model's, and towers are left out. A model whose class
    is not known, as one read from a GGUF file, is of the architecture that is spelled as its type. Raises `UnsupportedError` for a class
    that the converter does not read.
    """
    if architecture.unserved:
        raise UnsupportedError(f"llama.cpp does not read {architecture.model_type}: {architecture.unserved}")
    read, text, names = served("llamacpp").classes, architecture.text, classes_of(architecture)
    if text is not None and text.class_name and text.class_name in read and not set(names) & _WRAPPERS:
        return read[text.class_name]
    if found := next((read[name] for name in names if name in read), None):
        return found
    if text is not None and (inner := built_of(text.model_type)) in read:
        return read[inner]
    if not architecture.classes:
        spelled = _spelled(architecture.model_type.removesuffix("_text"))
        if found := next((name for name in sorted(read.values()) if _spelled(name) == spelled), None):
            return found
    raise UnsupportedError(f"llama.cpp: its converter does not read {names[0] if names else architecture.model_type}")


def as_kept(architecture: Architecture, name: str) -> Architecture:
    """The model as its graph keeps it: without a memory for the GGUF architectures that have none, else with one also for layers that see
    both ways."""
    return without_caches(architecture) if name in _NO_MEMORY else as_cached(architecture)


class _Graph(NamedTuple):
    """A model as its graph keeps it, what one cell of each kind of layer holds, and the rows of each layer."""

    name: str
    architecture: Architecture
    rows: list[Row]
    layers: list[tuple[list[Row], Layer]]


@lru_cache(maxsize=16)
def _graph(model: Same[Architecture]) -> _Graph:
    """Made once: a search for a context asks of the same model again and again."""
    name = architecture_name(model.it)
    kept = as_kept(model.it, name)
    return _Graph(name, kept, rows_of(kept, name), list(_rows_by_layer(kept, name)))


def _spelled(name: str) -> str:
    return name.lower().translate(_SEPARATORS)


_SEPARATORS = str.maketrans("", "", "-_.")


def rows_of(architecture: Architecture, name: str) -> list[Row]:
    """What one cell of each kind of layer holds, by the rules of the GGUF architecture `name`."""
    slides = name in _SLIDE or _SLIDE_IF_LAYERS.get(name) == architecture.layers
    limit = _KV_LAYERS.get(name)
    found: dict[Row, int] = {}
    number = 0
    for stack in architecture.stacks:
        if stack.part != "decoder":
            continue
        counts = [0] * len(stack.kinds)
        for k in stack.pattern:
            counts[k] += limit is None or number < limit
            number += 1
        for layer, layers in zip(stack.kinds, counts, strict=True):
            for each in layer.caches:
                if each.kind != "state" and layers:
                    cache = _whole(each, layer) if each.kind == "latent" and architecture.whole_latents else each
                    values = next((c.heads * c.value_dim for c in layer.caches if c.kind == "full"), 0)
                    row = _row(cache._replace(window=served_window(cache)), name, slides, values)
                    found[row] = found.get(row, 0) + layers
    return [row._replace(layers=layers) for row, layers in found.items()]


def layer_bytes(architecture: Architecture, work: Workload, options: CacheOptions) -> tuple[list[int], list[int]]:
    """What each layer of the decoder caches, and its recurrent state, in the order of the layers; all add up to `allocate`'s bytes."""
    name, architecture, rows, by_layer = _graph(Same(architecture))
    type_k = _type(work.kv_dtype or "f16")
    type_v = _type(options.cache_type_v) if options.cache_type_v else type_k
    n_seq = options.n_parallel or work.batch
    grid = cells(work.context_tokens * work.batch, n_seq, options)
    sizes = dict(zip(rows, cache_bytes(rows, grid, type_k, type_v, options.flash_attn), strict=True))
    each = {row._replace(layers=1): size // row.layers for row, size in sizes.items() if row.layers}
    rollback = options.n_rs_seq if name in _ROLLBACK else 0
    made: dict[tuple[int, int], tuple[int, int]] = {}
    for kept, held in by_layer:
        # Layers of one kind have the same rows.
        if (id(kept), id(held)) not in made:
            elements = sum(
                prod(state.shape)
                for cache in held.caches
                if not (cache.kind == "index" and name in _INDEX_ROWS)
                for state in cache.states
                if state.name != "ids"
            )
            state_bytes = recurrent_bytes(elements, n_seq, rollback) if elements else 0
            made[id(kept), id(held)] = sum(each.get(row, 0) for row in kept), state_bytes
    sizes_of = [made[id(kept), id(held)] for kept, held in by_layer]
    return [cached for cached, _ in sizes_of], [kept_states for _, kept_states in sizes_of]


def _rows_by_layer(architecture: Architecture, name: str) -> Iterator[tuple[list[Row], Layer]]:
    """The rows of each layer, as those of `rows_of`, one layer each."""
    slides = name in _SLIDE or _SLIDE_IF_LAYERS.get(name) == architecture.layers
    limit = _KV_LAYERS.get(name)
    number = 0
    for stack in architecture.stacks:
        if stack.part != "decoder":
            continue
        made: list[list[Row]] = []
        for layer in stack.kinds:
            values = next((c.heads * c.value_dim for c in layer.caches if c.kind == "full"), 0)
            made.append(
                [
                    _row(cache._replace(window=served_window(cache)), name, slides, values)
                    for cache in (
                        _whole(c, layer) if c.kind == "latent" and architecture.whole_latents else c for c in layer.caches
                    )
                    if cache.kind != "state"
                ]
            )
        for k in stack.pattern:
            yield (made[k] if limit is None or number < limit else []), stack.kinds[k]
            number += 1


def _whole(cache: Cache, layer: Layer) -> Cache:
    """MLA of a file without `key_length_mla`: every head's key and value, `key_length` and `value_length` long (llama-hparams.cpp)."""
    scores = next(each for each in layer.attends if each.v_dim)
    return cache._replace(kind="full", heads=scores.heads, key_dim=scores.qk_dim, value_dim=scores.v_dim)


def _row(cache: Cache, name: str, slides: bool, values: int) -> Row:
    window = _FIXED_WINDOW.get(name, cache.window) if cache.window and slides else None
    if cache.kind == "latent":
        # The value is the start of the key, so nothing is kept for it.
        return Row("latent", window, 1, cache.key_dim + cache.value_dim, 0, cache.compress)
    if cache.kind == "index":
        pooled = cache.compress if name not in _INDEX_ROWS else 1
        value = values if name in _INDEX_WITH_VALUES else 0
        return Row("index", None, 1, cache.key_dim * _INDEX_ROWS.get(name, 1), value, pooled)
    if cache.kind == "state":
        raise ValueError("a state has no rows")
    if cache.kind != "full" and cache.kind != "sliding" and cache.kind != "chunked":
        unknown("llama.cpp", "caches of kind", cache.kind)
    if name in _OWN_WINDOWS:
        return Row(cache.kind, window, 1, cache.per_token, 0, 1, own=True)
    return Row(cache.kind if window else "full", window, 1, cache.heads * cache.key_dim, cache.heads * cache.value_dim)


def allocate(architecture: Architecture, work: Workload, options: CacheOptions | None = None) -> Allocation:
    """The buffers of a context that gives each of `batch` sequences `context_tokens` tokens."""
    options = options or CacheOptions()
    type_k = _type(work.kv_dtype or "f16")
    type_v = _type(options.cache_type_v) if options.cache_type_v else type_k
    if not options.flash_attn and TYPES[type_v][1] > 1:
        raise UsageError(f"llama.cpp: values in {type_v} need flash attention", "f16 and bf16 do not")
    name = architecture_name(architecture)
    if name in _NOT_MODELLED:
        raise UnsupportedError(f"llama.cpp: the caches of {name} are not modelled")
    whole = architecture
    _, architecture, rows, by_layer = _graph(Same(whole))
    n_seq = options.n_parallel or work.batch
    grid = cells(work.context_tokens * work.batch, n_seq, options)
    _check_blocks(architecture, type_k, type_v)
    figures = _figures(rows, grid, type_k, type_v, options) + _states(architecture, name, n_seq, options)
    shared = "shared by all sequences" if grid.unified else f"for each of {n_seq} sequences" if n_seq > 1 else "for one sequence"
    rule = f"{grid.base:,} cells {shared}" if name not in _NO_MEMORY else nothing_kept(whole)
    if name not in _NO_MEMORY and unread(whole):
        rule += UNREAD
    notes = []
    if grid.base < work.context_tokens:
        notes.append(
            f"{n_seq:,} slots share -c {work.context_tokens * work.batch:,}: a sequence has {grid.base:,} tokens, not "
            f"{work.context_tokens:,}; without --np there is a slot for each sequence"
        )
    if n_seq < work.batch and not grid.unified:
        notes.append(f"{n_seq:,} of the {work.batch:,} sequences run at once, the others wait")
    sliding = sorted({grid.of(row) for row in rows if row.window})
    if sliding:
        rule += f", {' or '.join(f'{n:,}' for n in sliding)} in sliding layers"
    if any(f.state_bytes for f in figures):
        rule += "; recurrent state in fp32"
    details: dict[str, int | float] = {"cells": grid.base, "streams": grid.streams}
    if options.computes:
        details["compute_buffer_bytes"] = compute_buffer(architecture, name, by_layer, grid, options, type_k, type_v)
    dtype = type_k if type_k == type_v else f"{type_k}/{type_v}"
    if any(held.cache.window for held in held_caches(architecture)) and not sliding:
        notes.append(f"llama.cpp keeps every token of {name} models: it does not use their windows")
    return Allocation("llama.cpp", VERSION, work.context_tokens, work.batch, dtype, merged(figures), rule, 1, details, tuple(notes))


def _type(asked: str) -> str:
    name = _ALIASES.get(asked, asked)
    if name not in TYPES:
        hint = (
            "q8_0 is its 8-bit cache"
            if asked in ("fp8", "int8", "fp8_e5m2")
            else "q4_0 is its 4-bit cache"
            if asked in ("fp4", "int4")
            else ""
        )
        raise lacks_dtype(NAME, asked, TYPES, hint)
    return name


def _check_blocks(architecture: Architecture, type_k: str, type_v: str) -> None:
    for held in held_caches(architecture):
        c = held.cache
        head_k = c.key_dim + c.value_dim if c.kind == "latent" else c.key_dim
        for kind, dim in ((type_k, head_k), (type_v, 0 if c.kind in ("latent", "index") else c.value_dim)):
            if dim % TYPES[kind][1]:
                raise UsageError(
                    f"llama.cpp: {kind} packs {TYPES[kind][1]} values, and heads of {dim} do not divide", "f16 takes any width"
                )


def _figures(rows: Sequence[Row], grid: Cells, type_k: str, type_v: str, options: CacheOptions) -> list[Figure]:
    out = []
    for row, size in zip(rows, cache_bytes(rows, grid, type_k, type_v, options.flash_attn), strict=True):
        n, count = grid.of(row), grid.streams_of(row)
        each = size // (count * n)
        streams = f"{count} sequences" if count > 1 else 1
        values = f" and {row.value:,} values" if row.value else ""
        text = times(
            layers_text(row.layers), streams, f"{n:,} cells", f"({row.key:,} keys{values} in {type_k}) {each // row.layers:,} B"
        )
        per_token = each // row.compress if row.compress > 1 or n == grid.base else 0
        out.append(Figure(row.kind, row.window, row.layers, size, per_token, 0, text, SOURCE))
    return out


def _states(architecture: Architecture, name: str, n_seq: int, options: CacheOptions) -> list[Figure]:
    rollback = options.n_rs_seq if name in _ROLLBACK else 0
    out = []
    for held in held_caches(architecture):
        states = [state for state in held.cache.states if state.name != "ids"]
        elements = sum(prod(state.shape) for state in states)
        if elements and not (held.cache.kind == "index" and name in _INDEX_ROWS):
            size = held.layers * recurrent_bytes(elements, n_seq, rollback)
            parts = " + ".join(times(*state.shape) for state in states)
            text = times(
                layers_text(held.layers), f"({parts})", f"{STATE_BYTES} B", f"{n_seq} sequences" if n_seq > 1 else 1, 1 + rollback
            )
            out.append(Figure("state", None, held.layers, size, 0, size, text, STATE_SOURCE))
    return out


# Copies of a graph's inputs where GPUs run micro-batches one behind the other (ggml/src/ggml-backend.cpp `GGML_SCHED_MAX_COPIES`), and
# the fewest rows for which a weight in the CPU's memory is brought to the GPU (ggml/src/ggml-cuda/ggml-cuda.cu `offload_op`).
PIPELINE_COPIES, OFFLOADED_ROWS = 4, 32
# Graphs whose hidden state of every token is an output, for drafts: those that take the rows with logits behind the last norm, and before
# it (src/models/*.cpp, `t_h_nextn`).
_LATE = dict.fromkeys("bailingmoe3 cohere2moe hy-v3 nemotron_h nemotron_h_moe qwen35 qwen35moe qwen3next".split(), "norm")
_LATE |= dict.fromkeys("gemma4 gpt-oss mimo2 step35".split(), "rows")
# Graphs that add the stream to what a layer made, not the other way round (src/models/phi3.cpp, openelm.cpp).
_STREAM_FIRST = frozenset({"openelm", "phi3", "phimoe"})

# Layers repeat, and what lies where with them: of a long stack so many decide, others are left out in whole periods.
_ENOUGH, _PERIOD, _ENOUGH_ALIKE = 12, 4, 4


_CENTRED = frozenset({"layer", "layer-fp32", "layer-1p", "layer-apart", "bare-layer"})


@once
def _routed(architecture: Architecture) -> bool:
    return any(t.role == "experts" for s in architecture.stacks if s.part == "decoder" for k in s.kinds for t in k.tensors)


@once
def _centred(architecture: Architecture) -> bool:
    """Whether the norms of the residual stream take a mean away."""
    wide = (architecture.facts.hidden_size,)
    layers = [layer for stack in architecture.stacks if stack.part == "decoder" for layer in stack.kinds]
    found = {t.norm for layer in layers for t in layer.tensors if t.norm is not None and t.shape == wide}
    return not _CENTRED.isdisjoint(found | {step.kind for layer in layers for step in layer.steps if isinstance(step, Bare)})


def compute_buffer(
    architecture: Architecture,
    name: str,
    layers: Sequence[tuple[list[Row], Layer]],
    grid: Cells,
    options: CacheOptions,
    type_k: str,
    type_v: str,
) -> int:
    """What the graph of one micro-batch needs on a GPU, as ggml's allocator lays it out.

    llama-server since 2026 asks for the logits of its slots alone. A weight that lies in the CPU's memory is copied to the GPU for a batch,
    one at a time, and freed before the next. Where GPUs run micro-batches one behind the other, masks and the hidden state that comes in
    are kept in four copies throughout.

    Sources: llama.cpp 0c1e57098, src/llama-context.cpp `sched_reserve`, and those of `compute` and `graph`. Equal to what llama.cpp itself
    reserves (tests/test_llamacpp_graph.py).
    """
    facts, batch = architecture.facts, options.n_ubatch
    outputs = min(batch, options.n_outputs or batch)
    first = options.here is None or 0 in options.here or bool(options.away)
    # The first GPU multiplies with what lies in the CPU's memory, whose layers ever they are.
    streamed = options.streamed_bytes if batch >= OFFLOADED_ROWS and first else 0
    routed = _routed(architecture)
    away = (("experts" if routed else "mlp", streamed),) if streamed else ()
    placed = []
    here: dict[tuple[int, int], Placed] = {}
    deep: dict[int, tuple[int, int]] = {}
    for number, (rows, layer) in enumerate(layers):
        if id(rows) not in deep:
            depth = max((grid.of(row) * grid.streams_of(row) for row in rows if row.kind != "index"), default=0)
            wide = sum(
                grid.of(row) * grid.streams_of(row) * elements * 2
                for row in rows
                for kind, elements in ((type_k, row.key), (type_v, row.value))
                if kind != "f16" and row.kind != "index"
            )
            deep[id(rows)] = depth, wide
        depth, wide = deep[id(rows)]
        depth = depth or (batch if layer.unread else 0)
        if options.here is None or number in options.here:
            if (at := (id(rows), id(layer))) not in here:
                here[at] = Placed(layer, depth, wide if options.unpacks else 0, (), False, away)
            placed.append(here[at])
        elif number in options.away:
            # Its cache is copied for each attention, a layer at a time.
            carried = (
                (
                    sum(row_bytes(type_k, r.key) * grid.of(r) for r in rows),
                    sum(row_bytes(type_v, r.value) * grid.of(r) for r in rows),
                )
                if rows
                else ()
            )
            placed.append(Placed(layer, depth, 0, carried, False, away))
        elif routed and streamed and any(t.role == "experts" for t in layer.tensors):
            placed.append(Placed(layer, 0, 0, (), True, away))
    one = Batch(
        batch,
        grid.n_seq_max,
        outputs,
        options.flash_attn,
        options.wide_masks and first,
        "" if options.wide_masks else _LATE.get(name, ""),
        options.copies,
        name in _STREAM_FIRST,
        _centred(architecture),
    )
    # Few rows are multiplied where the head lies.
    head = options.head_here and not (options.streamed_head_bytes and outputs < OFFLOADED_ROWS)
    alike = all(each is placed[0] or (each.layer is placed[0].layer and each[1:] == placed[0][1:]) for each in placed)
    enough, period = (_ENOUGH_ALIKE, 1) if alike else (_ENOUGH, _PERIOD)
    spare = max(0, len(placed) - enough) // period * period
    if spare and not any(each.elsewhere for each in placed):
        middle = (len(placed) - spare) // 2
        placed[middle : middle + spare] = []
    if name in HEADLESS:
        head = False
    return reserved(facts.hidden_size, facts.vocab_size, placed, one, head, options.streamed_head_bytes if head else 0, first)
