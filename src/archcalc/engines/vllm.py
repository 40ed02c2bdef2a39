"""vLLM: a pool of equal blocks, from which every group of layers takes its own.

Sources: vLLM 0.33, vllm/v1/kv_cache_interface.py (page sizes), vllm/platforms/interface.py (`update_block_size_for_backend`,
`_align_hybrid_block_size`), vllm/model_executor/layers/attention/ (`get_kv_cache_spec`, `customize_spec`),
vllm/model_executor/layers/mamba/mamba_utils.py (state shapes and dtypes), vllm/config/vllm.py (`max_in_flight_tokens`),
vllm/config/model.py (`verify_with_parallel_config`); 0.11.0, 0.19.0, 0.24.0 and 0.28.0 for what changed. Grouping and counting of
blocks are in `_vllm_planner`.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from math import lcm
from typing import NamedTuple

from archcalc.engines import _vllm_planner as planner
from archcalc.engines._allocation import (
    DTYPE_BYTES,
    Allocation,
    Figure,
    Workload,
    as_of,
    batch_text,
    declared_dtype,
    default_dtype,
    held_caches,
    lacks_dtype,
    layers_text,
    merged,
    served_window,
    times,
)
from archcalc.engines._vllm_planner import Demand, Group, LayerSpec, Spec, cdiv
from archcalc.errors import UnsupportedError, UsageError
from archcalc.model import Architecture, Cache, State

NAME = "vLLM"
NEWEST = "0.33.0"
SOURCE = "vLLM, v1/kv_cache_interface.py and v1/core/kv_cache_planning.py"

DTYPES = (
    "auto", "float16", "bfloat16", "fp8", "fp8_e4m3", "fp8_e5m2", "fp8_ds_mla", "nvfp4", "nvfp4_ds_mla",
    "int4_per_token_head", "int8_per_token_head", "fp8_per_token_head",
)  # fmt: skip
"""`--kv-cache-dtype`, less what needs a plugin or another platform (vllm/config/cache.py, `CacheDType`)."""
_ALIASES = {"bf16": "bfloat16", "fp16": "float16"}
_HINTS = {
    "int8": "vLLM has int8_per_token_head, with a scale for each token and head",
    "int4": "vLLM has int4_per_token_head, with a scale for each token and head",
    "fp4": "vLLM has nvfp4 (nvfp4_ds_mla for sparse MLA)",
    "fp32": "vLLM keeps the cache in half precision or less",
}


class Rules(NamedTuple):
    """What holds from version `since` on, the first whose source was read with it.

    `hybrid`: groups of layers with block tables of their own; before, every layer was kept like full attention. `slack`: see
    `_vllm_planner.group`. `async_batches`: batches in flight beside those of the pipeline. `by_concurrency`: tokens are reported as
    concurrency times length. `hybrid_prefix_caching`: prefix caching is on by default for models with recurrent layers.
    `checkpoints`: a block more for a state exported from inside a prefill. `null_block`: the check at start leaves it out of account.
    """

    since: str
    hybrid: bool
    slack: float
    async_batches: int
    by_concurrency: bool
    hybrid_prefix_caching: bool
    checkpoints: bool
    null_block: bool


VERSIONS = (
    Rules("0.6.0", False, 0, 0, False, False, False, False),
    Rules("0.10.0", True, 0, 0, False, False, False, False),
    Rules("0.19.0", True, 1.5, 0, False, False, False, False),
    Rules("0.24.0", True, 1.5, 0, True, False, False, False),
    Rules("0.28.0", True, 1.5, 1, True, True, False, False),
    Rules("0.33.0", True, 1.5, 1, True, True, True, True),
)


class Options(NamedTuple):
    """vLLM's own options, by its names, and the GPU's compute capability, whose kernels have wishes of their own (8.x Ampere and Ada,
    9.0 Hopper, 10.x and 12.x Blackwell). Without one, FlashMLA's block and no further wishes.

    `block_size` None is what the backend prefers. `prefix_caching` None is the version's default.
    """

    tp: int = 1
    pp: int = 1
    dcp: int = 1
    block_size: int | None = None
    max_num_batched_tokens: int = 8192
    prefix_caching: bool | None = None
    hybrid_kv_cache_manager: bool = True
    mamba_ssm_cache_dtype: str | None = None
    num_speculative_tokens: int = 0
    capability: tuple[int, int] | None = None
    version: str | None = None


class Plan(NamedTuple):
    """All that does not depend on context, batch or budget: groups per pipeline stage, and the version's rules."""

    stages: tuple[tuple[Group, ...], ...]
    rules: Rules
    dtype: str
    notes: tuple[str, ...]


# Cached rows


DEFAULT_BLOCK = 16
# Kernels that export a state from inside a prefill, at multiples of so many tokens; FlashInfer's, used from Hopper on.
_EXPORTS = {"mamba2": 1}
_EXPORTS_FROM_HOPPER = {**_EXPORTS, "gated-delta": 64}
# FlashMLA's block (FlashAttention's MLA kernels, which Hopper has too, take 16), FlashInfer's on Blackwell, Triton's elsewhere.
_MLA_BLOCK = {None: 64, 9: 64, 10: 32}
_SPARSE_MLA_BLOCK = 64
# GLM-5's sparse kernels on this generation want fp8 when nothing is asked for (vllm/model_executor/models/config.py).
_FP8_BY_DEFAULT = frozenset({("glm_moe_dsa", 10)})
# Models whose state is kept as `mamba_ssm_dtype` or `mamba_ssm_cache_dtype` of the config says, and what without it (config.py).
_ASKED_STATES = {"qwen3_5": None, "qwen4": None, "nemotron_h": "fp32"}
# Recurrences that vLLM has no layers for, models whose recurrent layers it has no code for, and models whose caches are laid out by code
# of their own that is not modelled here.
_NO_STATES = frozenset({"rg-lru", "rwkv", "xlstm"})
_NO_MODELS = frozenset({"lfm3", "zamba"})
_NOT_MODELLED = frozenset(
    "deepseek_v41 dots3_note dots3_note_text inkling inkling_text inkling2 inkling2_text qwen4_exp qwen4_exp_text".split()
)


class Row(NamedTuple):
    """One cached token of one layer: so many slots of so many bytes."""

    slots: int
    bytes: int


def cache_row(cache: Cache, dtype: str, tp: int, *, sparse: bool, model_bytes: int = 2) -> Row:
    """Bytes of one token in one layer on one rank; KV heads that do not divide are replicated, MLA's latent and index always are.

    `sparse` is MLA beside an indexer, whose fp8 rows keep scales and an unquantized rotary key.
    """
    if cache.kind == "latent":
        return Row(1, _latent_row(cache.key_dim, cache.value_dim, dtype, sparse, model_bytes))
    if cache.kind == "index":
        # DeepSeek's indexer keeps fp8 keys with an fp32 scale for each 128 whatever the cache's dtype; MiniMax-M3's follows the cache.
        return Row(1, cache.key_dim + cache.key_dim // 128 * 4 if sparse else cache.key_dim * _element(dtype, model_bytes))
    heads = max(1, cache.heads // tp)
    k, v = cache.key_dim, cache.value_dim
    if dtype.startswith("nvfp4"):
        if k != v or dtype != "nvfp4":
            raise UnsupportedError(f"vLLM: {dtype} is not for keys of {k} and values of {v}")
        return Row(2 * heads, k // 2 + k // 16)
    if dtype == "int4_per_token_head":
        return Row(heads, k // 2 + v // 2 + 8)
    if dtype.endswith("_per_token_head"):
        return Row(heads, k + v + 8)
    if dtype == "fp8_ds_mla":
        raise UnsupportedError("vLLM: fp8_ds_mla is for sparse MLA only", "fp8 suits grouped-query attention")
    return Row(heads, (k + v) * _element(dtype, model_bytes))


def _latent_row(rank: int, rope: int, dtype: str, sparse: bool, model_bytes: int) -> int:
    if dtype in ("fp8_ds_mla", "nvfp4_ds_mla") and not sparse:
        raise UnsupportedError(f"vLLM: {dtype} is for sparse MLA only", "fp8 suits dense MLA")
    if dtype == "fp8_ds_mla":
        # 512 fp8 values, an fp32 scale for each 128 of them, 64 rotary values in bf16: 656 bytes.
        return rank + rank // 128 * 4 + 2 * rope
    if dtype == "nvfp4_ds_mla":
        # Two values a byte, an fp8 scale for each 16, rotary values in fp8: 352 bytes.
        return rank // 2 + rank // 16 + rope
    if dtype.startswith("nvfp4"):
        raise UnsupportedError("vLLM: nvfp4 is not for MLA", "fp8 and auto are; nvfp4_ds_mla for sparse MLA")
    return (rank + rope) * _element(dtype, model_bytes) + (8 if dtype.endswith("_per_token_head") else 0)


def _element(dtype: str, model_bytes: int) -> int:
    return model_bytes if dtype == "auto" else 2 if dtype in ("float16", "bfloat16") else 1


def cache_dtype(architecture: Architecture, asked: str | None, options: Options) -> str:
    """vLLM's name of the dtype that the cache is kept in, sparse MLA's forms resolved."""
    dtype = _ALIASES.get(asked, asked) if asked else "auto"
    if dtype not in DTYPES:
        raise lacks_dtype(NAME, dtype, DTYPES, _HINTS.get(dtype, ""))
    major = _generation(options)
    declared = declared_dtype(architecture)
    if dtype == "auto" and declared and declared[0].startswith(("modelopt", "compressed-tensors")):
        dtype = declared[1]
    if dtype == "auto" and (architecture.model_type, major) in _FP8_BY_DEFAULT:
        dtype = "fp8_e4m3"
    if architecture.model_type in _PACKED_ROWS:
        return "fp8_ds_mla" if dtype in ("auto", "fp8", "fp8_e4m3", "fp8_ds_mla") else dtype
    if _sparse(architecture):
        # FlashMLA's sparse kernels, and FlashInfer's of SM120, read one form of fp8 only; those of SM100 plain rows.
        if major == 12 and dtype in ("auto", "fp8", "fp8_e4m3"):
            return "fp8_ds_mla"
        if major != 10 and dtype.startswith("fp8"):
            return "fp8_ds_mla"
    return dtype


def _generation(options: Options) -> int | None:
    return options.capability[0] if options.capability else None


def _sparse(architecture: Architecture) -> bool:
    """Whether the model's MLA is sparse; layers without an indexer of their own then use an earlier layer's."""
    return {"latent", "index"} <= {held.cache.kind for held in held_caches(architecture)}


# States


def state_bytes(architecture: Architecture, cache: Cache, options: Options, model_bytes: int) -> int:
    """Bytes of one layer's recurrent state on one rank: convolutions in the model's dtype, matrices mostly too."""
    if cache.recurrence in _NO_STATES:
        raise UnsupportedError(f"vLLM has no {cache.recurrence} layers", "try --engine transformers")
    total = 0
    for state in cache.states:
        width = (
            model_bytes if state.name == "conv" else _recurrent_width(architecture.model_type, cache, state, options, model_bytes)
        )
        total += _rank_elements(state, options) * width
    return total


def _recurrent_width(model_type: str, cache: Cache, state: State, options: Options, model_bytes: int) -> int:
    if options.mamba_ssm_cache_dtype:
        return DTYPE_BYTES[options.mamba_ssm_cache_dtype]
    if cache.recurrence == "kda":
        return 4
    for prefix, default in _ASKED_STATES.items():
        if model_type.startswith(prefix):
            dtype = state.asked or default
            return DTYPE_BYTES[dtype] if dtype else model_bytes
    return model_bytes


def _rank_elements(state: State, options: Options) -> int:
    """Elements of one rank. Groups fewer than ranks are replicated, heads must divide; a convolution keeps a column per draft token."""
    rows, *rest = state.shape
    if state.units >= options.tp:
        if rows % options.tp:
            raise UsageError(f"--tp {options.tp} cannot split a recurrent state of {rows:,} rows")
        rows //= options.tp
    elif state.name == "conv":
        rows //= state.units
    else:
        raise UsageError(f"--tp {options.tp} is more than the {state.units} heads of the recurrent layers")
    if state.name == "conv":
        rest[-1] += options.num_speculative_tokens
    n = rows
    for extent in rest:
        n *= extent
    return n


# Specs of a model


def plan(architecture: Architecture, kv_dtype: str | None = None, options: Options | None = None) -> Plan:
    """The groups of a model on each pipeline stage."""
    options = options or Options()
    rules = as_of(NAME, VERSIONS, options.version)
    dtype = cache_dtype(architecture, kv_dtype, options)
    _check(architecture, options)
    layers, notes = specs(architecture, dtype, options, rules)
    hybrid = rules.hybrid and options.hybrid_kv_cache_manager
    packed = any(held.cache.compress > 1 for held in held_caches(architecture))
    groups = planner.group(layers, packed=packed, hybrid=hybrid, slack=rules.slack)
    spans = planner.stages(architecture.layers, options.pp)
    return Plan(tuple(tuple(planner.stage(groups, span)) for span in spans), rules, dtype, tuple(notes))


class Frame(NamedTuple):
    """What the pages of all layers have in common: the block, and for recurrent states the page they are padded to and their blocks."""

    architecture: Architecture
    dtype: str
    options: Options
    model_bytes: int
    sparse: bool
    block: int = DEFAULT_BLOCK
    state_page: int = 0
    state_blocks: int = 1


def specs(architecture: Architecture, dtype: str, options: Options, rules: Rules) -> tuple[list[LayerSpec], list[str]]:
    """What each layer asks for, in the order of the layers, and what is worth telling of it."""
    frame, notes = _frame(architecture, dtype, options, rules)
    out: list[LayerSpec] = []
    number = 0
    for stack in architecture.stacks:
        if stack.part != "decoder":
            continue
        made = [[spec for cache in layer.caches for spec in _cache_specs(frame, cache)] for layer in stack.kinds]
        for k in stack.pattern:
            out += [LayerSpec(number, spec) for spec in made[k]]
            number += 1
    return out, notes


def _frame(architecture: Architecture, dtype: str, options: Options, rules: Rules) -> tuple[Frame, list[str]]:
    """The block that the attention backends want, and in hybrid models one long enough that its page holds a recurrent state."""
    model_bytes = 4 if architecture.dtype == "F32" and dtype == "auto" else 2
    frame = Frame(architecture, dtype, options, model_bytes, _sparse(architecture))
    if architecture.model_type in _PACKED_ROWS:
        return frame._replace(block=_PACKED_BLOCK), []
    held = [item.cache for item in held_caches(architecture)]
    rows = [_row(frame, cache) for cache in held if cache.kind not in ("state", "index")]
    states = [state_bytes(architecture, cache, options, model_bytes) for cache in held if cache.kind == "state"]
    mla = any(cache.kind == "latent" for cache in held)
    block = options.block_size or _preferred_block(frame.sparse, mla, options, held)
    caching = options.prefix_caching if options.prefix_caching is not None else rules.hybrid_prefix_caching
    recurrences = {cache.recurrence for cache in held if cache.kind == "state"}
    state_blocks, alignment = _state_blocks(recurrences, caching and bool(rows), options, rules)
    if not states or not rows:
        return frame._replace(block=block, state_blocks=state_blocks), []
    one = max(row.slots * row.bytes for row in rows)
    aligned = _aligned_block(max(states), one, block, alignment, mla)
    notes = [f"block of {aligned:,} tokens, so that a page of attention holds a recurrent state"] if aligned > block else []
    block = max(block, aligned)
    return frame._replace(block=block, state_page=block * one, state_blocks=state_blocks), notes


def _row(frame: Frame, cache: Cache) -> Row:
    return cache_row(cache, frame.dtype, frame.options.tp, sparse=frame.sparse, model_bytes=frame.model_bytes)


def _preferred_block(sparse: bool, mla: bool, options: Options, caches: Sequence[Cache]) -> int:
    pool = max((cache.compress for cache in caches if cache.kind == "index"), default=1)
    if pool > 1:
        # Pages of the pooled index hold at least 32 keys.
        return max(_SPARSE_MLA_BLOCK, 32 * pool)
    if sparse:
        return _SPARSE_MLA_BLOCK
    return _MLA_BLOCK.get(_generation(options), DEFAULT_BLOCK) if mla else DEFAULT_BLOCK


def _state_blocks(found: Collection[str], caching: bool, options: Options, rules: Rules) -> tuple[int, int]:
    """Blocks of state that a request holds, and the tokens that a block must be a multiple of.

    Without prefix caching one; with it the running one, the last one at a block's end, and one more where a kernel exports a state from
    inside a prefill.
    """
    if not caching:
        return 1 + options.num_speculative_tokens, 1
    exports = _EXPORTS_FROM_HOPPER if (_generation(options) or 0) >= 9 else _EXPORTS
    if rules.checkpoints and found and exports.keys() >= set(found):
        return 3 + options.num_speculative_tokens, lcm(*(exports[recurrence] for recurrence in found))
    return 2 + options.num_speculative_tokens, 1


def _aligned_block(state_page: int, one: int, block: int, alignment: int, mla: bool) -> int:
    """The shortest block of attention whose page is no smaller than a recurrent state."""
    step = lcm(max(block, 128) if mla else block, alignment)
    return step * cdiv(state_page, step * one)


def _cache_specs(frame: Frame, cache: Cache) -> list[Spec]:
    if cache.kind == "state":
        own = state_bytes(frame.architecture, cache, frame.options, frame.model_bytes)
        return [Spec("state", frame.block, max(own, frame.state_page), (own,), None, frame.state_blocks, "state")]
    if frame.architecture.model_type in _PACKED_ROWS:
        return _packed_specs(frame, cache)
    row = _row(frame, cache)
    page = frame.block // cache.compress * row.slots * row.bytes
    window = served_window(frame.architecture, cache)
    form = _FORMS[cache.kind, window is not None]
    specs = [Spec(form, frame.block, page, (row.slots, row.bytes, cache.compress), window, 0, cache.kind)]
    for buffer in (state for state in cache.states if state.name == "buffer"):
        # A ring of the raw keys and gates of the pool that is still open, in bf16, long enough for draft tokens too.
        width, pool = buffer.shape
        ring = pool * (1 << (cdiv(pool + frame.options.num_speculative_tokens, pool) - 1).bit_length())
        specs.append(Spec("ring", ring, ring * width * 2, (1, width * 2, 1), None, 1, "buffer"))
    return specs


_FORMS: Mapping[tuple[str, bool], planner.Form] = {
    ("full", False): "full", ("sliding", True): "sliding", ("chunked", True): "chunked",
    ("latent", False): "mla", ("latent", True): "sliding-mla", ("index", False): "mla",
}  # fmt: skip

# DeepSeek-V4: rows packed as fp8 with a rotary part of 64 in bf16 and 8 bytes of scales, pages rounded up to whole tiles, all in blocks
# of 256 tokens but the window's of 64 and the compressors' states', which share pages with the rest
# (vllm/models/deepseek_v4/attention.py, compressor.py; vllm/v1/attention/backends/mla/sparse_swa.py).
_PACKED_ROWS = frozenset({"deepseek_v4"})
_PACKED_BLOCK, _PACKED_WINDOW_BLOCK = 256, 64
_PACKED_STATE_BLOCK = {4: 4, 128: 8}
_ROTARY, _SCALES = 64, 8


def _packed_specs(frame: Frame, cache: Cache) -> list[Spec]:
    packed = frame.dtype == "fp8_ds_mla"
    tile = 576 if packed else 512
    row = cache.key_dim + _ROTARY + _SCALES if packed else cache.key_dim * _element(frame.dtype, frame.model_bytes)

    def page(rows: int, width: int) -> int:
        return cdiv(rows * width, tile) * tile

    if cache.kind == "sliding":
        block = _PACKED_WINDOW_BLOCK
        return [Spec("sliding-mla", block, page(block, row), (1, row, 1), cache.window, 0, "sliding")]
    if cache.compress not in _PACKED_STATE_BLOCK:
        raise UnsupportedError(f"vLLM: DeepSeek-V4's kernels compress 4 or 128 tokens, not {cache.compress}")
    if cache.kind == "index":
        row = cache.key_dim + cache.key_dim // 128 * 4
    block = _PACKED_BLOCK
    specs = [Spec("mla", block, page(block // cache.compress, row), (1, row, cache.compress), None, 0, cache.kind)]
    for buffer in cache.states:
        width, window = buffer.shape
        small = _PACKED_STATE_BLOCK[cache.compress]
        specs.append(Spec("sliding-mla", small, page(small, width * 4), (1, width * 4, 1), window, 0, "buffer"))
    return specs


def _check(architecture: Architecture, options: Options) -> None:
    """vLLM's own conditions on a placement."""
    tp, dcp, facts = options.tp, options.dcp, architecture.facts
    if architecture.model_type in _NO_MODELS:
        raise UnsupportedError(
            f"vLLM has no code for the recurrent layers of {architecture.model_type}", "try --engine transformers"
        )
    if architecture.model_type in _NOT_MODELLED:
        raise UnsupportedError(
            f"vLLM: the caches of {architecture.model_type} are laid out by code of their own, which is not modelled"
        )
    if facts.heads and facts.heads % tp:
        raise UsageError(
            f"--tp {tp}: vLLM splits whole heads, and {facts.heads} heads do not divide", f"a divisor of {facts.heads}"
        )
    if tp % dcp:
        raise UsageError(f"--dcp {dcp}: decode context parallelism lies within tensor parallelism", f"a divisor of --tp {tp}")
    caches = [held.cache for held in held_caches(architecture)]
    for heads in {cache.heads for cache in caches if cache.kind in ("full", "sliding", "chunked")}:
        if heads % tp and tp % heads:
            raise UsageError(f"--tp {tp}: vLLM neither splits nor replicates {heads} KV heads over it", "one must divide the other")
    if dcp > 1 and any(cache.window for cache in caches):
        raise UsageError(f"--dcp {dcp}: vLLM does not split sliding windows by context", "leave --dcp out")
    if dcp > 1 and not any(cache.kind == "latent" for cache in caches):
        kv_heads = facts.kv_heads
        most = tp // kv_heads if kv_heads else 1
        if tp <= kv_heads or dcp > most:
            raise UsageError(
                f"--dcp {dcp}: with {kv_heads} KV heads on --tp {tp} vLLM takes at most {max(most, 1)}",
                "DCP splits what tensor parallelism would replicate; raise --tp above the KV heads",
            )


# The figures


def demand(work: Workload, options: Options, rules: Rules) -> Demand:
    """What a request of the workload's context asks for."""
    return Demand(work.context_tokens, in_flight_tokens(options, rules), options.dcp)


def in_flight_tokens(options: Options, rules: Rules) -> int:
    """Tokens scheduled and not yet settled: a full batch for each stage of the pipeline, and one more that runs ahead."""
    return (options.pp + rules.async_batches) * options.max_num_batched_tokens


def allocate(
    architecture: Architecture, work: Workload, options: Options | None = None, available_bytes: int | None = None
) -> Allocation:
    """Blocks that `batch` requests hold of the fullest rank's pool; with `available_bytes` also what that budget holds."""
    options = options or Options()
    made = plan(architecture, work.kv_dtype, options)
    need = demand(work, options, made.rules)
    if not any(g.layers for groups in made.stages for g in groups):
        raise UnsupportedError(f"vLLM: {architecture.model_type} has no caches")
    fullest = max(made.stages, key=planner.bytes_per_block)
    each, blocks = planner.bytes_per_block(fullest), planner.request_blocks(fullest, need)
    figures = _figures(fullest, need, each, work.batch)
    details: dict[str, int | float] = {
        "block_tokens": max((g.specs[0].block for g in fullest if g.specs[0].form != "state"), default=0),
        "groups": len(fullest), "bytes_per_block": each, "blocks_per_request": blocks,
    }  # fmt: skip
    if available_bytes is not None:
        held = planner.capacity(fullest, available_bytes, need, by_concurrency=made.rules.by_concurrency)
        details |= {"num_blocks": held.num_blocks, "max_concurrency": held.max_concurrency, "kv_tokens": held.kv_tokens}
    rule = f"{blocks:,} blocks a request of {each:,} bytes each, out of one pool"
    if len(fullest) > 1:
        rule += f" that {len(fullest)} groups of layers share"
    dtype = made.dtype if made.dtype != "auto" else default_dtype(architecture)
    return Allocation(
        "vllm",
        options.version or NEWEST,
        work.context_tokens,
        work.batch,
        dtype,
        figures,
        rule,
        options.tp * options.pp,
        details,
        made.notes,
    )


def _figures(groups: Sequence[Group], need: Demand, each: int, batch: int) -> tuple[Figure, ...]:
    """The pages of each kind of cache, and what the blocks hold beside them."""
    layers: dict[tuple[Spec, int], int] = {}
    spare = spare_per_token = 0
    for g in groups:
        blocks = planner.group_blocks(g, need)
        for layer in g.layers:
            layers[layer.spec, blocks] = layers.get((layer.spec, blocks), 0) + 1
        spare += (each - g.page_bytes) * blocks
        if _grows(g.specs[0], need):
            spare_per_token += (each - g.page_bytes) // (g.specs[0].block * need.dcp)
    figures = []
    for (spec, blocks), n in layers.items():
        text = times(layers_text(n), f"{blocks:,} blocks", batch_text(batch), _page_text(spec))
        size = n * spec.page * blocks * batch
        per_token = n * spec.page // (spec.block * need.dcp) if _grows(spec, need) else 0
        held = size if spec.form in ("state", "ring") else 0
        figures.append(Figure(spec.kind, spec.window, n, size, per_token, held, text + _why(spec, need), SOURCE))
    if spare:
        slots = {(each - g.page_bytes, planner.group_blocks(g, need)) for g in groups if g.page_bytes < each}
        texts = (
            f"{sum((each - g.page_bytes, planner.group_blocks(g, need)) == (free, n) for g in groups)} groups x {free:,} B x {n:,} blocks"
            for free, n in sorted(slots)
        )
        text = " + ".join(times(each_text, batch_text(batch)) for each_text in texts)
        figures.append(Figure("padding", None, 0, spare * batch, spare_per_token, 0, text, SOURCE))
    return merged(figures)


def _page_text(spec: Spec) -> str:
    """The bytes of one page, as text."""
    if spec.form == "state":
        return f"{spec.page:,} B" + (f" (a state of {spec.layout[0]:,} B, padded)" if spec.page > spec.layout[0] else "")
    slots, row, compress, *padded = spec.layout
    if padded:
        return f"{spec.page:,} B, padded"
    text = times(f"{spec.block:,} tokens" + (f" / {compress}" if compress > 1 else ""), slots, f"{row:,} B")
    return text if spec.page == spec.block // compress * slots * row else f"{spec.page:,} B ({text}, in whole tiles)"


def _grows(spec: Spec, need: Demand) -> bool:
    return planner.spec_blocks(spec, need._replace(max_model_len=need.max_model_len + spec.block * need.dcp)) > planner.spec_blocks(
        spec, need
    )


def _why(spec: Spec, need: Demand) -> str:
    """Where the blocks of a layer come from."""
    length, flying = f"{need.max_model_len:,}", f"{need.in_flight_tokens:,} in flight"
    if spec.form in ("sliding", "sliding-mla"):
        return f" (min({spec.window:,} - 1 + {flying}, {length}) tokens, and one block)"
    if spec.form == "chunked":
        return f" (min({spec.window:,} + {flying}, {length}) tokens)"
    if spec.form in ("full", "mla"):
        return f" ({length} tokens{f' / DCP {need.dcp}' if need.dcp > 1 else ''})"
    return ""
