"""vLLM: a pool of equal blocks, from which every group of layers takes its own.

Sources: vLLM 0.33, vllm/v1/kv_cache_interface.py (page sizes), vllm/platforms/interface.py (`update_block_size_for_backend`,
`_align_hybrid_block_size`), vllm/model_executor/layers/attention/ (`get_kv_cache_spec`, `customize_spec`),
vllm/model_executor/layers/mamba/mamba_utils.py (state shapes and dtypes), vllm/config/vllm.py (`max_in_flight_tokens`),
vllm/config/model.py (`verify_with_parallel_config`). What changed between releases is in `rules`, grouping and
counting of blocks in `planner`.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from math import lcm

from archcalc.engines._allocation import (
    DTYPE_BYTES,
    Allocation,
    Figure,
    Workload,
    as_cached,
    batch_text,
    declared_dtype,
    default_dtype,
    held_caches,
    lacks_dtype,
    layers_text,
    merged,
    nothing_kept,
    served_window,
    times,
    unread,
)
from archcalc.engines.engine import unknown
from archcalc.engines.served import classes_of, is_one_of
from archcalc.engines.vllm import planner
from archcalc.engines.vllm.planner import Demand, Group, LayerSpec, Spec, cdiv
from archcalc.engines.vllm.rules import NEWEST, Rules, at_least, check_known, rules
from archcalc.engines.vllm.settings import drafts_alone
from archcalc.errors import ArchcalcError, UnsupportedError, UsageError
from archcalc.model import Architecture, Cache, CacheKind, Layer, State
from archcalc.records import NamedTuple

NAME = "vLLM"
SOURCE = "vLLM, v1/kv_cache_interface.py and v1/core/kv_cache_planning.py"

DTYPES = rules().dtypes
"""`--kv-cache-dtype`, less what needs a plugin or another platform (vllm/config/cache.py, `CacheDType`)."""
_ALIASES = {"bf16": "bfloat16", "fp16": "float16"}
_HINTS = {
    "int8": "vLLM has int8_per_token_head, with a scale for each token and head",
    "int4": "vLLM has int4_per_token_head, with a scale for each token and head",
    "fp4": "vLLM has nvfp4 (nvfp4_ds_mla for sparse MLA)",
    "fp32": "vLLM keeps the cache in half precision or less",
}


_UNCOUNTED = ("turboquant_", "octave_", "ultraquant_", "nvfp4_4over6", "fp8_inc")
"""What `CacheDType` lists beside, since 0.18 to 0.33 (config/cache.py)."""


class CacheOptions(NamedTuple):
    """vLLM's own options, by its names, and the GPU's compute capability, whose kernels have wishes of their own (8.x Ampere and Ada,
    9.0 Hopper, 10.x and 12.x Blackwell). Without one, FlashMLA's block and no further wishes.

    `windows` False keeps layers with a window like those without, `attention` is `--attention-backend`, `expanded` `VLLM_MLA_DISABLE`.
    `block_size` None is what the backend prefers. `prefix_caching` None is the version's default. `version` None is the newest.
    """

    tp: int = 1
    pp: int = 1
    dcp: int = 1
    block_size: int | None = None
    max_num_batched_tokens: int = 8192
    model_dtype: str | None = None
    prefix_caching: bool | None = None
    hybrid_kv_cache_manager: bool = True
    mamba_ssm_cache_dtype: str | None = None
    num_speculative_tokens: int = 0
    capability: tuple[int, int] | None = None
    version: str | None = None
    mtp: bool = False
    draft: Architecture | None = None
    windows: bool = True
    attention: str = ""
    expanded: bool = False


class Plan(NamedTuple):
    """All that does not depend on context, batch or budget: groups per pipeline stage, the layers as they were before grouping, and the
    version's rules."""

    stages: tuple[tuple[Group, ...], ...]
    rules: Rules
    dtype: str
    notes: tuple[str, ...]
    layers: tuple[tuple[LayerSpec, ...], ...] = ()
    whole: tuple[Group, ...] = ()

    def fullest(self) -> int:
        """The stage with the widest blocks: it has the fewest, and all stages take as many."""
        return max(range(len(self.stages)), key=lambda i: planner.bytes_per_block(self.stages[i]))


# Cached rows


DEFAULT_BLOCK = 16
# Kernels that export a state from inside a prefill, at multiples of so many tokens; those of gated delta layers are FlashInfer's, used
# from Hopper on.
_EXPORTS = {"mamba2": 1, "gated-delta": 64}
_EXPORTS_FROM_HOPPER = frozenset({"gated-delta"})
# Layers whose states prefix caching could keep for each block (`SupportsMambaPrefixCaching`).
_EVERY_BLOCK = frozenset({"mamba1", "mamba2"})
# FlashMLA's block on Hopper (FlashAttention's MLA kernels, which it has too, take 16); Triton's elsewhere.
_FLASH_MLA_BLOCK = 64
_SPARSE_MLA_BLOCK = 64
_FA4_PAGE = 128
# GLM-5's sparse kernels on Blackwell want fp8 when nothing is asked for (vllm/model_executor/models/config.py).
_FP8_BY_DEFAULT, _FP8_GENERATION = frozenset({"GlmMoeDsaForCausalLM"}), 10
# The class whose rows are packed by a rule of its own (vllm/model_executor/models/config.py, `DeepseekV32ForCausalLM`).
_PACKED_SPARSE = frozenset({"DeepseekV32ForCausalLM"})
# Classes whose state is kept as `mamba_ssm_dtype` or `mamba_ssm_cache_dtype` of the config says (config.py, `MODELS_CONFIG_MAP`), by what
# their names begin with, and the one that has a dtype of its own without a word of its config.
_ASKED_STATES, _OWN_STATES = ("Qwen3_5", "Qwen4", "NemotronH"), ("NemotronH",)
# Classes whose caches are laid out by code of their own that is not modelled here.
_NOT_MODELLED = frozenset(
    """
    DeepseekV41ForCausalLM Dots3NoteForCausalLM Dots3NoteForConditionalGeneration InklingForCausalLM InklingForConditionalGeneration
    Inkling2ForCausalLM Inkling2ForConditionalGeneration Qwen4ExpForCausalLM Qwen4ExpForConditionalGeneration
    """.split()
)
# Classes that overflow in float16, by what their names begin with, the release that lists the type first and the one that does so no
# more (vLLM 0.8.5 to 0.33, config/model.py `_FLOAT16_NOT_SUPPORTED_MODELS`).
_NO_FP16: tuple[tuple[tuple[str, ...], tuple[int, ...], tuple[int, ...]], ...] = (
    (("Gemma2For", "Gemma2Model", "Gemma3ForConditional", "Gemma3Model", "Glm4For", "Glm4Model"), (0, 9, 1), ()),
    (("Gemma3ForCausalLM", "Gemma3ForSequence", "Gemma3Text"), (0, 10, 2), ()),
    (("Plamo2For",), (0, 9, 1), (0, 27)),
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


def cache_dtype(architecture: Architecture, asked: str | None, options: CacheOptions) -> str:
    """vLLM's name of the dtype that the cache is kept in, sparse MLA's forms resolved."""
    rule = rules(options.version)
    dtype = _ALIASES.get(asked, asked) if asked else "auto"
    if dtype == _HALVES[default_dtype(architecture)] and dtype not in rule.dtypes:
        dtype = "auto"
    if dtype.startswith(_UNCOUNTED):
        raise UnsupportedError(
            f"--kv-dtype {dtype}: how {_named(options)} lays out a cache in {dtype}, if that release has it, is not modelled",
            f"counted are {', '.join(rule.dtypes)}",
        )
    if dtype not in rule.dtypes:
        raise lacks_dtype(_named(options), dtype, rule.dtypes, _HINTS.get(dtype, ""))
    major = _generation(options)
    declared = declared_dtype(architecture)
    if dtype == "auto" and declared and declared[0].startswith(("modelopt", "compressed-tensors")):
        dtype = declared[1]
    if dtype == "auto" and rule.sparse_fp8 and major == _FP8_GENERATION and is_one_of(architecture, _FP8_BY_DEFAULT):
        dtype = "fp8_e4m3"
    if is_one_of(architecture, PACKED_ROWS):
        return "fp8_ds_mla" if dtype in ("auto", "fp8", "fp8_e4m3", "fp8_ds_mla") else dtype
    if is_one_of(architecture, _PACKED_SPARSE) and rule.sparse_rows != "by backend":
        if dtype.startswith("fp8") or (dtype == "auto" and rule.sparse_rows == "packed"):
            return "fp8_ds_mla"
    elif _sparse(architecture):
        # FlashMLA's sparse kernels, and FlashInfer's of SM120, read one form of fp8 only; those of SM100 plain rows.
        if major == 12 and dtype in ("auto", "fp8", "fp8_e4m3"):
            return "fp8_ds_mla"
        if major != 10 and dtype.startswith("fp8"):
            return "fp8_ds_mla"
    return dtype


def asked_dtype(architecture: Architecture, asked: str, options: CacheOptions) -> str:
    """The dtype that backends are asked for: as it is named, and packed where the class's own config turns it into that."""
    made = cache_dtype(architecture, asked, options)
    packs = is_one_of(architecture, PACKED_ROWS) or (
        is_one_of(architecture, _PACKED_SPARSE) and rules(options.version).sparse_rows != "by backend"
    )
    dtype = _ALIASES.get(asked, asked)
    return made if packs or dtype not in rules(options.version).dtypes else dtype


_HALVES = {"fp16": "float16", "bf16": "bfloat16"}


def _named(options: CacheOptions) -> str:
    return f"{NAME} {options.version}" if options.version else NAME


def served_dtype(architecture: Architecture, version: str | None, generation: int | None = None) -> str:
    """What a model and its cache are held in when nothing is asked for: a float32 config's is the platform's first half precision, and
    float16 of a model that pools (0.9.1, config.py, and later).

    GPUs before Ampere have no bfloat16: float16 there, and float32 for what overflows in float16. `generation` is the major compute
    capability. Source: vLLM 0.30, config/model.py `_get_and_verify_dtype`, `_resolve_auto_dtype`.
    """
    overflows = overflows_in_fp16(architecture, version)
    half = default_dtype(architecture) if architecture.dtype != "F32" else "bf16" if overflows else rules(version).half_first
    if architecture.dtype == "F32" and not architecture.writes and at_least(version, 0, 9, 1):
        half = "fp16"
    if half == "fp16" and overflows:
        half = "bf16"
    if half == "bf16" and generation is not None and generation < 8:
        # Read in 0.10.0; 0.8.5 asks for --dtype half whatever the model.
        return "fp32" if overflows else "fp16"
    return half


def overflows_in_fp16(architecture: Architecture, version: str | None) -> bool:
    """Whether the release takes the class in float16 for unstable, and refuses it."""
    names = classes_of(architecture)
    return any(
        name.startswith(begins) and at_least(version, *since) and not (until and at_least(version, *until))
        for begins, since, until in _NO_FP16
        for name in names
    )


def _model_dtype(architecture: Architecture, options: CacheOptions) -> str:
    """What `--dtype` says, in which a cache that is left to the engine is kept too (vLLM 0.33, utils/torch_utils.py
    `get_kv_cache_torch_dtype`); else what is served by itself."""
    return options.model_dtype or served_dtype(architecture, options.version, _generation(options))


def _generation(options: CacheOptions) -> int | None:
    return options.capability[0] if options.capability else None


def _sparse(architecture: Architecture) -> bool:
    """Whether the model's MLA is sparse; layers without an indexer of their own then use an earlier layer's."""
    return {"latent", "index"} <= {held.cache.kind for held in held_caches(architecture)}


# States


def state_bytes(architecture: Architecture, cache: Cache, options: CacheOptions, model_bytes: int) -> int:
    """Bytes of one layer's recurrent state on one rank: convolutions in the model's dtype, matrices mostly too."""
    total, names = 0, classes_of(architecture)
    for state in cache.states:
        width = model_bytes if state.name == "conv" else _recurrent_width(names, cache, state, options, model_bytes)
        total += _rank_elements(state, options) * width
    return total


def _recurrent_width(names: Sequence[str], cache: Cache, state: State, options: CacheOptions, model_bytes: int) -> int:
    if options.mamba_ssm_cache_dtype:
        return DTYPE_BYTES[options.mamba_ssm_cache_dtype]
    if cache.recurrence == "kda":
        return 4
    # Releases before a model was known plan it as the first that did would: they cannot serve it.
    rule = rules(options.version)
    if any(name.startswith(_ASKED_STATES) for name in names):
        known = rule if any(name.startswith(rule.ssm_asked or ("-",)) for name in names) else rules()
        dtype = state.asked or (known.ssm if any(name.startswith(_OWN_STATES) for name in names) else "")
        return DTYPE_BYTES[dtype] if dtype else model_bytes
    return model_bytes


def _rank_elements(state: State, options: CacheOptions) -> int:
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


# Classes whose attention is of encoders where the config's `is_causal` is false, or EmbeddingGemma's key is set, and those made of them
# (vLLM 0.33, models/*.py: AttentionType.ENCODER_ONLY).
_TURNS = frozenset(
    """
    ApertusForCausalLM DeepseekForCausalLM DeepseekV2ForCausalLM DeepseekV3ForCausalLM DeepseekV3BidirectionalModel DomynEdgeForCausalLM
    DotsOCRForCausalLM Ernie4_5ForCausalLM Gemma3ForCausalLM Gemma3TextModel IQuestCoderForCausalLM IQuestLoopCoderForCausalLM
    InternLM3ForCausalLM JinaEmbeddingsV5Model JinaForRanking LLaMAForCausalLM LlamaBidirectionalForSequenceClassification
    LlamaBidirectionalModel LlamaForCausalLM LlamaForSequenceClassification LlamaModel MiMoForCausalLM Ministral3ForCausalLM
    MistralForCausalLM MistralModel PanguEmbeddedForCausalLM Phi3ForCausalLM Qwen2ForCausalLM Qwen2ForProcessRewardModel
    Qwen2ForRewardModel Qwen2ForSequenceClassification Qwen2Model Qwen3ForCausalLM Qwen3ForSequenceClassification Qwen3Model
    Qwen3NextForCausalLM Qwen3VLForConditionalGeneration Qwen3_5ForCausalLM Qwen3_5MoeForCausalLM Qwen3_5ForConditionalGeneration
    Qwen3_5MoeForConditionalGeneration TeleChat2ForCausalLM TeleChat3ForCausalLM TeleFLMForCausalLM VoyageQwen3BidirectionalEmbedModel
    """.split()
)


def read_as(architecture: Architecture) -> Architecture:
    """The model as vLLM reads it: a decoder's class that does not know of `is_causal` keeps a cache."""
    one_way = architecture.returned and unread(architecture) and not is_one_of(architecture, _TURNS)
    return as_cached(architecture) if one_way else architecture


def plan(architecture: Architecture, kv_dtype: str | None = None, options: CacheOptions | None = None) -> Plan:
    """The groups of a model on each pipeline stage."""
    options = options or CacheOptions()
    check_known(options.version)
    rule = rules(options.version)
    whole, architecture = architecture, read_as(architecture)
    dtype = cache_dtype(architecture, kv_dtype, options)
    _check(architecture, options)
    layers, notes = specs(architecture, dtype, options, rule)
    if whole is not architecture:
        notes.append(f"{NAME}'s {classes_of(whole)[0]} reads one way whatever the config says, and keeps a cache")
    if options.draft is not None:
        layers += _drafting(options.draft, layers, dtype, options, rule)
    held = [item.cache for item in held_caches(architecture)]
    if not options.windows:
        layers = [layer._replace(spec=_unwindowed(layer.spec)) for layer in layers]
    chunked = any(cache.kind == "chunked" for cache in held)
    if chunked and not rule.chunked:
        layers = list(planner.promoted(layers))
    hybrid = options.hybrid_kv_cache_manager and (rule.chunked_groups or not chunked)
    packed = any(cache.compress > 1 for cache in held)
    if drafts_alone(options.draft) and apart(options.version):
        layers = list(planner.promoted(layers))
        groups = [planner.Group(tuple(layers), tuple(dict.fromkeys(layer.spec for layer in layers)))]
    else:
        groups = planner.group(layers, rule, packed=packed, hybrid=hybrid)
    spans = planner.stages(architecture.layers, options.pp)
    drafts = max((layer.layer + 1 for layer in layers), default=0)
    if drafts > architecture.layers:
        # Draft layers lie on the last stage.
        spans = [*spans[:-1], range(spans[-1].start, drafts)]
    return Plan(
        tuple(tuple(planner.stage(groups, span, rule)) for span in spans),
        rule,
        dtype,
        tuple(notes),
        tuple(tuple(layer for layer in layers if layer.layer in span) for span in spans),
        tuple(planner.stage(groups, range(max(architecture.layers, drafts)), rule)),
    )


def _unwindowed(spec: Spec) -> Spec:
    """Without windows, layers keep every token (vLLM 0.8.5 to 0.33, config/model.py: the text config's `sliding_window` is None then)."""
    if spec.form not in ("sliding", "sliding-mla") or spec.kind == "buffer":
        return spec
    return spec._replace(form="full" if spec.form == "sliding" else "mla", window=None)


def apart(version: str | None) -> bool:
    """Whether drafts run on the first engine, whose draft has a cache of its own with as many blocks as the target's (0.6.3 to 0.9.2,
    spec_decode/spec_decode_worker.py `split_num_cache_blocks_evenly`: a block is as large as both). From 0.10 on no model drafts there.

    `_is_v1_supported_oracle` of 0.8.5 and 0.9.2: V1 has no draft models, only EAGLE and n-grams."""
    return not at_least(version, 0, 10)


def _drafting(draft: Architecture, target: Sequence[LayerSpec], dtype: str, options: CacheOptions, rule: Rules) -> list[LayerSpec]:
    """The layers of a draft model, behind the target's, in its blocks: they share its pool (v1/spec_decode/eagle.py)."""
    block = max((layer.spec.block for layer in target if layer.spec.form in ("full", "mla", "sliding")), default=DEFAULT_BLOCK)
    alone = options._replace(mtp=False, draft=None, block_size=block)
    made, _ = specs(draft, dtype, alone, rule)
    first = max((layer.layer + 1 for layer in target), default=0)
    return [layer._replace(layer=first + layer.layer) for layer in made]


class Frame(NamedTuple):
    """What the pages of all layers have in common: the block, and for recurrent states the page they are padded to and their blocks."""

    architecture: Architecture
    dtype: str
    options: CacheOptions
    model_bytes: int
    sparse: bool
    packed: bool = False
    expanded: bool = False
    block: int = DEFAULT_BLOCK
    state_page: int = 0
    state_blocks: int = 1


def specs(architecture: Architecture, dtype: str, options: CacheOptions, rule: Rules) -> tuple[list[LayerSpec], list[str]]:
    """What each layer asks for, in the order of the layers, and what is worth telling of it."""
    frame, notes = _frame(architecture, dtype, options, rule)
    out: list[LayerSpec] = []
    number = 0
    for stack in architecture.stacks:
        if stack.part != "decoder" and not (options.mtp and stack.part == "mtp"):
            continue
        made = [
            [spec for cache in layer.caches for spec in _cache_specs(frame, _as_kept(cache, layer, frame.expanded))]
            for layer in stack.kinds
        ]
        for k in stack.pattern:
            out += [LayerSpec(number, spec) for spec in made[k]]
            number += 1
    return out, notes


def _frame(architecture: Architecture, dtype: str, options: CacheOptions, rule: Rules) -> tuple[Frame, list[str]]:
    """The block that the attention backends want, and in hybrid models one long enough that its page holds a recurrent state."""
    # float32 configs are served in half precision (config/model.py, `_resolve_auto_dtype`).
    model_bytes = DTYPE_BYTES[_model_dtype(architecture, options)]
    expanded = expands(architecture, rule, options.expanded)
    frame = Frame(architecture, dtype, options, model_bytes, _sparse(architecture), is_one_of(architecture, PACKED_ROWS), expanded)
    if frame.packed:
        return frame._replace(block=_PACKED_BLOCK), []
    held = [_as_kept(item.cache, item.layer, expanded) for item in held_caches(architecture)]
    rows = [_row(frame, cache) for cache in held if cache.kind not in ("state", "index")]
    states = [state_bytes(architecture, cache, options, model_bytes) for cache in held if cache.kind == "state"]
    mla = any(cache.kind == "latent" for cache in held)
    block = options.block_size or _preferred_block(architecture, frame.sparse, mla, options, rule)
    caching = options.prefix_caching if options.prefix_caching is not None else rule.state_caching_default
    recurrences = {cache.recurrence for cache in held if cache.kind == "state"}
    state_blocks, alignment = _state_blocks(recurrences, caching and bool(rows), options, rule)
    if not states or not rows:
        return frame._replace(block=block, state_blocks=state_blocks), []
    one = max(row.slots * row.bytes for row in rows)
    wide = _generation(options) == 10 and any(256 in (cache.key_dim, cache.value_dim) for cache in held)
    aligned = _aligned_block(max(states), one, block, alignment, mla, wide, rule)
    notes = [f"block of {aligned:,} tokens, so that a page of attention holds a recurrent state"] if aligned > block else []
    block = max(block, aligned)
    return frame._replace(block=block, state_page=block * one, state_blocks=state_blocks), notes


def expands(architecture: Architecture, rule: Rules, asked: bool) -> bool:
    """Whether MLA is kept as keys and values of all heads: in releases without it, for the methods of quantization that it lacks, or where
    that is `asked` for."""
    method = str((architecture.quantization or {}).get("quant_method", ""))
    return asked or rule.latent == "expanded" or (rule.latent == "absorbed, fp8 alone" and method not in ("", "fp8"))


def _as_kept(cache: Cache, layer: Layer, expanded: bool) -> Cache:
    """A latent where it is `expanded`: values are padded to the width of keys (vLLM 0.6 to 0.33, models/deepseek_v2.py
    `DeepseekV2Attention`, config.py `get_head_size`)."""
    if not expanded or cache.kind != "latent" or not layer.attends:
        return cache
    attend = layer.attends[0]
    return cache._replace(kind="full", heads=attend.heads, key_dim=attend.qk_dim, value_dim=attend.qk_dim)


def _row(frame: Frame, cache: Cache) -> Row:
    row = cache_row(cache, frame.dtype, frame.options.tp, sparse=frame.sparse, model_bytes=frame.model_bytes)
    if cache.kind == "latent" and rules(frame.options.version).latent == "absorbed, aligned":
        return row._replace(bytes=row.bytes + -row.bytes % _ALIGNED)
    return row


_ALIGNED = 256


def _preferred_block(architecture: Architecture, sparse: bool, mla: bool, options: CacheOptions, rule: Rules) -> int:
    held = held_caches(architecture)
    pool = max((item.cache.compress for item in held if item.cache.kind == "index"), default=1)
    if pool > 1:
        # Pages of the pooled index hold at least 32 keys.
        return max(_SPARSE_MLA_BLOCK, 32 * pool)
    if sparse:
        return _SPARSE_MLA_BLOCK
    if not mla:
        return _FA4_PAGE if _wide_pages(architecture, options, rule) else DEFAULT_BLOCK
    if _generation(options) == 10:
        narrow = any(
            attend.qk_dim - item.cache.value_dim == 128
            for item in held if item.cache.kind == "latent"
            for attend in item.layer.attends
        )  # fmt: skip
        return rule.mla_block_narrow if narrow else rule.mla_block
    return _FLASH_MLA_BLOCK if _generation(options) in (None, 9) else DEFAULT_BLOCK


def _wide_pages(architecture: Architecture, options: CacheOptions, rule: Rules) -> bool:
    """Whether FlashAttention 4 reads pages of its own: for heads of 256 on Blackwell's data centre GPUs, where it is asked for (FlashInfer
    comes first there). Source: vLLM 0.30 to 0.33, v1/attention/backends/flash_attn.py `_get_fa4_hd256_block_size`."""
    if options.attention != "FLASH_ATTN" or _generation(options) != 10 or not at_least(options.version, 0, 30):
        return False
    heads = {(cache.key_dim, cache.value_dim) for cache in (held.cache for held in held_caches(architecture)) if cache.heads}
    sinks = any(tensor.name.endswith("sinks") for _, tensor, _ in architecture.each_tensor())
    return heads == {(256, 256)} and options.dcp == 1 and not sinks


def _state_blocks(found: Collection[str], caching: bool, options: CacheOptions, rule: Rules) -> tuple[int, int]:
    """Blocks of state that a request holds, and the tokens that a block must be a multiple of.

    Without prefix caching one; with it the running one, the last one at a block's end, and one more where a kernel exports a state from
    inside a prefill.
    """
    alone = 1 + options.num_speculative_tokens, 1
    if not caching or not found or rule.state_caching == "off":
        return alone
    if rule.state_caching.startswith("every block"):
        if set(found) <= _EVERY_BLOCK:
            raise UnsupportedError(
                f"{_named(options)} keeps a state for every block of Mamba layers with prefix caching, which is not modelled",
                "leave prefix caching off, as that release does, or take a newer --engine-version",
            )
        if rule.state_caching == "every block, some":
            return alone
    exports = set(rule.checkpoints) - (_EXPORTS_FROM_HOPPER if (_generation(options) or 0) < 9 else set())
    if exports >= set(found):
        alignment = lcm(*(_EXPORTS[recurrence] for recurrence in found)) if rule.aligned_checkpoints else 1
        return 3 + options.num_speculative_tokens, alignment
    return 2 + options.num_speculative_tokens, 1


def _aligned_block(state_page: int, one: int, block: int, alignment: int, mla: bool, wide: bool, rule: Rules) -> int:
    """The shortest block of attention whose page is no smaller than a recurrent state."""
    step = rule.state_block_mla if mla else rule.state_block_wide if wide else rule.state_block
    if rule.state_block_asked:
        step = max(step, block)
    step = lcm(step, alignment)
    return step * cdiv(state_page, step * one)


def _cache_specs(frame: Frame, cache: Cache) -> list[Spec]:
    if cache.kind == "state":
        own = state_bytes(frame.architecture, cache, frame.options, frame.model_bytes)
        return [Spec("state", frame.block, max(own, frame.state_page), (own,), None, frame.state_blocks, "state")]
    if frame.packed:
        return _packed_specs(frame, cache)
    row = _row(frame, cache)
    page = frame.block // cache.compress * row.slots * row.bytes
    window = served_window(cache)
    form = _form(cache.kind, window is not None)
    specs = [Spec(form, frame.block, page, (row.slots, row.bytes, cache.compress), window, 0, cache.kind)]
    for buffer in (state for state in cache.states if state.name == "buffer"):
        # A ring of the raw keys and gates of the pool that is still open, in bf16, long enough for draft tokens too.
        width, pool = buffer.shape
        ring = pool * (1 << (cdiv(pool + frame.options.num_speculative_tokens, pool) - 1).bit_length())
        specs.append(Spec("ring", ring, ring * width * 2, (1, width * 2, 1), None, 1, "buffer"))
    return specs


def _form(kind: CacheKind, windowed: bool) -> planner.Form:
    """What the planner takes a kind of cache for."""
    match kind:
        case "full" | "index":
            return "full" if kind == "full" else "mla"
        case "sliding":
            return "sliding"
        case "chunked":
            return "chunked"
        case "latent":
            return "sliding-mla" if windowed else "mla"
        case "state":
            return "state"
    return unknown("vLLM", "caches of kind", kind)


# DeepSeek-V4: rows packed as fp8 with a rotary part of 64 in bf16 and 8 bytes of scales, pages rounded up to whole tiles, all in blocks
# of 256 tokens but the window's of 64 and the compressors' states', which share pages with the rest
# (vllm/models/deepseek_v4/attention.py, compressor.py; vllm/v1/attention/backends/mla/sparse_swa.py).
PACKED_ROWS = frozenset({"DeepseekV4ForCausalLM", "DeepseekV4ForConditionalGeneration"})
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


def _check(architecture: Architecture, options: CacheOptions) -> None:
    """vLLM's own conditions on a placement."""
    tp, dcp, facts = options.tp, options.dcp, architecture.facts
    if is_one_of(architecture, _NOT_MODELLED):
        raise UnsupportedError(
            f"vLLM: the caches of {classes_of(architecture)[0]} are laid out by code of their own, which is not modelled"
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


def demand(work: Workload, options: CacheOptions, rule: Rules) -> Demand:
    """What a request of the workload's context asks for."""
    return Demand(work.context_tokens, in_flight_tokens(options, rule), options.dcp)


def in_flight_tokens(options: CacheOptions, rule: Rules) -> int:
    """Tokens scheduled and not yet settled: a full batch; since batches in flight are counted, one for each stage of the pipeline and one
    more that runs ahead, which several stages had not with the first model runner."""
    if not rule.flying:
        return options.max_num_batched_tokens
    ahead = options.pp == 1 or rule.flying_stages
    return (options.pp + ahead) * options.max_num_batched_tokens


def allocate(
    architecture: Architecture,
    work: Workload,
    options: CacheOptions | None = None,
    available_bytes: int | None = None,
    pool_blocks: int | None = None,
) -> Allocation:
    """Blocks that `batch` requests hold of the fullest rank's pool; with `available_bytes` also what that budget holds, or a pool of
    `pool_blocks` (`--num-gpu-blocks-override`)."""
    options = options or CacheOptions()
    made = plan(architecture, work.kv_dtype, options)
    need = demand(work, options, made.rules)
    if not any(g.layers for groups in made.stages for g in groups):
        return _nothing(architecture, work, options, made)
    widest = made.fullest()
    fullest = made.stages[widest]
    each, blocks = planner.bytes_per_block(fullest), planner.request_blocks(fullest, need)
    figures = _figures(fullest, need, each, work.batch)
    details: dict[str, int | float] = {
        "block_tokens": max((g.specs[0].block for g in fullest if g.specs[0].form != "state"), default=0),
        "groups": len(fullest), "bytes_per_block": each, "blocks_per_request": blocks,
    }  # fmt: skip
    notes = list(made.notes)
    if pool_blocks is not None:
        available_bytes = pool_blocks * each
        notes += _few(blocks + made.rules.null_block, pool_blocks, work.context_tokens, options.version)
    if available_bytes is not None:
        if pool_blocks is None and (error := not_started(made, need, available_bytes, options.version)):
            raise error
        held = planner.capacity(fullest, available_bytes, need, made.rules)
        details |= {"num_blocks": held.num_blocks, "max_concurrency": held.max_concurrency, "kv_tokens": held.kv_tokens}
        if pool_blocks is None:
            notes += thin(held.max_concurrency, options.version)
    rule = f"{blocks:,} blocks a request of {each:,} bytes each, out of one pool"
    if len(fullest) > 1:
        rule += f" that {len(fullest)} groups of layers share"
    dtype = made.dtype if made.dtype != "auto" else _model_dtype(architecture, options)
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
        tuple(notes),
    )


def _nothing(architecture: Architecture, work: Workload, options: CacheOptions, made: Plan) -> Allocation:
    """Layers that see both ways ask for no pages (layers/attention/attention.py `Attention.get_kv_cache_spec`)."""
    dtype = made.dtype if made.dtype != "auto" else _model_dtype(architecture, options)
    ranks, version = options.tp * options.pp, options.version or NEWEST
    return Allocation("vllm", version, work.context_tokens, work.batch, dtype, (), nothing_kept(architecture), ranks)


def _few(needed: int, pool_blocks: int, context: int, version: str | None) -> list[str]:
    """A note where a release starts with fewer blocks than one sequence takes. Raises `UsageError` where it does not start."""
    from archcalc.engines.vllm.start import CHECKS_OVERRIDE

    if needed <= pool_blocks:
        return []
    what = f"one sequence of {context:,} tokens takes {needed:,} blocks, and {pool_blocks:,} are asked for"
    if at_least(version, *CHECKS_OVERRIDE):
        raise UsageError(
            f"vLLM {version or NEWEST} does not start: {what}", f"--num-gpu-blocks-override {needed}, or a shorter context"
        )
    return [f"{what}: vLLM {version} starts, and serves none so long"]


def not_started(made: Plan, need: Demand, available_bytes: int, version: str | None) -> ArchcalcError | None:
    """The error that the release stops with at start, if the pool is too small for its check; None if it starts."""
    widest = made.fullest()
    groups = made.stages[widest] if made.rules.check_stages else made.whole
    return planner.why_not(groups, made.layers[widest], available_bytes, need, made.rules, version or NEWEST)


def thin(concurrency: float, version: str | None) -> list[str]:
    """A note where a release starts although not one request of the full length fits."""
    if concurrency >= 1:
        return []
    return [
        f"vLLM {version or NEWEST} starts with room for {concurrency:.2g} of a request of the full length, as its check does not count "
        "all layers' blocks: longer requests than fit never finish; lower --max-model-len, or take a newer release, which stops"
    ]


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
