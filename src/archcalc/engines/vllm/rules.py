"""What changed in vLLM, release by release: one row for each change, with the file of vllm/ that it was read in.

A rule not listed below a release is as it was. "Since" is the first release whose source was found to have the change, by comparing the
bodies of functions between releases (`scripts/vllm_changes.py` does it for a new one); 0.15 has no source distribution.
"""

from __future__ import annotations

from functools import cache
from typing import Any, Literal

from archcalc.engines._version import parse, rows_as_of
from archcalc.errors import UsageError
from archcalc.records import NamedTuple

ENGINE = "vLLM"
RELEASES = (
    "0.6.0", "0.6.1", "0.6.2", "0.6.3", "0.6.4", "0.6.5", "0.6.6", "0.7.0", "0.7.1", "0.7.2", "0.7.3", "0.8.0", "0.8.1", "0.8.2",
    "0.8.3", "0.8.4", "0.8.5", "0.9.0", "0.9.0.1", "0.9.1", "0.9.2", "0.10.0", "0.10.1", "0.10.1.1", "0.10.2", "0.11.0", "0.11.1",
    "0.11.2", "0.12.0", "0.13.0", "0.14.0", "0.14.1", "0.15.0", "0.15.1", "0.16.0", "0.17.0", "0.17.1", "0.18.0", "0.18.1", "0.19.0",
    "0.19.1", "0.20.0", "0.20.1", "0.20.2", "0.21.0", "0.22.0", "0.22.1", "0.23.0", "0.24.0", "0.25.0", "0.25.1", "0.26.0", "0.27.0",
    "0.27.1", "0.28.0", "0.29.0", "0.30.0", "0.31.0", "0.32.0", "0.33.0",
)  # fmt: skip
"""Releases on PyPI; what was built before one takes the rules of the first at or after its number."""
NEWEST = RELEASES[-1]

FirstEngine = Literal["always", "lacking", "never"]
SecondRunner = Literal["never", "dense", "all"]
Check = Literal["layers", "first group", "groups"]
Pages = Literal["one size", "one type", "longer blocks", "padded by stride", "padded"]
Packed = Literal["none", "tuples", "slots", "stacked"]
StateCaching = Literal["off", "every block, some", "every block or aligned", "aligned"]
Batches = Literal["first engine", "by name", "all by name", "from 70 GiB", "A100 small", "from 160 GiB", "GB10 small"]
Latent = Literal["expanded", "absorbed, fp8 alone", "absorbed, aligned", "plain"]
SparseRows = Literal["packed", "packed if fp8", "by backend"]


class Rules(NamedTuple):
    """The rules of one release. Defaults are those of the oldest one known.

    Cache. `groups`: layers of a kind have block tables of their own; before, every layer was kept like full attention. `every_nth`: a
    group takes every n-th layer of its kind, not a run of them. `slack`: groups have the most layers of a kind if those are less than so
    many times the fewest. `pages`: what happens to pages of unequal size. `full_fallback`: MLA beside sliding layers whose pages cannot
    be made equal are all kept like full attention. `packed`: how layers of unequal pages lie in a block where the block is outermost.
    `packed_check`: the check at start takes such layers for tuples still. `chunked`: chunked layers have a kind of their own, and
    `chunked_groups` whether groups stay on with them. `flying`: batches in flight are counted, one that runs ahead among them;
    `flying_stages`: one runs ahead of several pipeline stages too.

    Reports. `concurrency`: that of requests is reported. `by_concurrency`: tokens are concurrency times length. `own_pages`: the blocks
    of a request are summed over the groups, each by its own pages; before, bytes were summed and divided by the first group's page.

    Start. `check`: what must fit, `check_stages`: of each pipeline stage's layers; else of all. `null_block`: beside the block that is
    never used. `states_checked`: what happens if there are fewer blocks than sequences (`error`, graphs for fewer sequences, or graphs that
    read beyond the blocks, vllm#34094).

    States. `state_caching`: what prefix caching keeps of recurrent layers where it is asked for; `state_caching_default`: it is on
    without asking. `state_block`: tokens that a block is a multiple of in hybrid models, `state_block_mla` with MLA; `state_block_wide`
    on Blackwell for heads of 256; `state_block_asked`: and at least the block that the backend or the user wants. `checkpoints`:
    recurrences whose kernels export a state from inside a prefill; `aligned_checkpoints`: blocks are a multiple of their alignment.
    `ssm`: dtype of a recurrent state of Nemotron-H without one in its config ("" is the convolution's); `ssm_asked`: what those
    classes begin with whose config is asked for it.

    Rows. `latent`: how MLA is kept: as keys and values of all heads, by its latent, or by that in rows of whole 256 bytes, and for which
    quantization; where it is absorbed, products with the up-projections are kept too. `mla_block`: block of MLA on Blackwell;
    `mla_block_narrow` for unrotated heads of 128. `dtypes`: what `--kv-cache-dtype` takes.
    `sparse_rows`: when DeepSeek-V3.2's rows are packed as fp8. `sparse_fp8`: GLM-5 keeps fp8 by itself on Blackwell. `half_first`: the
    dtype that a float32 config is served in.

    Budget. `first_engine`: where the first engine runs, `second_runner`: which models Model Runner V2 runs, `second_filters`: whether it
    profiles its sampler with filters. `utilization`,
    `graphs_counted`, `sorted_sampling`: see `engines.budget`. `batches`: defaults of batched tokens and sequences; `few_sequences`: no
    more sequences than tokens of a batch; `short_batches`: no more tokens than all sequences have. `encoder_items`: how many images the
    profile run encodes.

    Lengths. `longrope_original`: without a length, a model of LongRoPE serves the positions before scaling. `yarn_length`: YaRN reaches
    its original positions times its factor, or what the config states. `original_outside`: those stated beside the scaling count first.
    `window_with_scaling`: sliding windows may be switched off though positions are scaled. `interleaved_window`: which attention
    backends switch them off by themselves.
    """

    groups: bool = False
    every_nth: bool = False
    slack: float = 0
    pages: Pages = "one size"
    full_fallback: bool = False
    packed: Packed = "none"
    packed_check: bool = False
    chunked: bool = False
    chunked_groups: bool = True
    flying: bool = False
    flying_stages: bool = False
    concurrency: bool = False
    by_concurrency: bool = False
    own_pages: bool = False
    check: Check = "layers"
    check_stages: bool = True
    null_block: bool = False
    states_checked: Literal["no", "out of bounds", "fewer graphs", "error"] = "no"
    state_caching: StateCaching = "off"
    state_caching_default: bool = False
    state_block: int = 16
    state_block_mla: int = 16
    state_block_wide: int = 16
    state_block_asked: bool = False
    checkpoints: tuple[str, ...] = ()
    aligned_checkpoints: bool = False
    ssm: str = ""
    ssm_asked: tuple[str, ...] = ()
    latent: Latent = "expanded"
    mla_block: int = 16
    mla_block_narrow: int = 16
    dtypes: tuple[str, ...] = ("auto", "fp8", "fp8_e4m3", "fp8_e5m2")
    sparse_rows: SparseRows = "by backend"
    sparse_fp8: bool = False
    half_first: str = "fp16"
    first_engine: FirstEngine = "always"
    utilization: float = 0.9
    second_runner: SecondRunner = "never"
    second_filters: bool = False
    graphs_counted: bool = False
    sorted_sampling: bool = True
    batches: Batches = "first engine"
    few_sequences: bool = False
    short_batches: bool = False
    encoder_items: Literal["rounded up", "whole"] = "rounded up"
    longrope_original: bool = False
    yarn_length: Literal["original times factor", "as stated"] = "original times factor"
    original_outside: bool = False
    window_with_scaling: bool = False
    interleaved_window: tuple[str, ...] = ("XFORMERS", "FLASHINFER")


class Change(NamedTuple):
    """One rule, its value since a release, what it means in words, and where that stands."""

    since: str
    rule: str
    value: Any
    means: str
    where: str


_UTILS = "v1/core/kv_cache_utils.py"
_CONFIG = "model_executor/models/config.py"
_ARGS = "engine/arg_utils.py"
_CUDA = "platforms/cuda.py check_and_update_config"
_CACHE = "config/cache.py CacheDType"
_LENGTH = "config/model.py _get_and_verify_max_len"
_8_BITS = ("auto", "fp8", "fp8_e4m3", "fp8_e5m2")

CHANGES: tuple[Change, ...] = (
    Change(
        "0.7.1", "latent", "absorbed, fp8 alone", "MLA keeps its latent, and products of its matrices; not with quantization but fp8",
        "config.py ModelConfig.use_mla; attention/backends/mla/utils.py process_weights_after_loading",
    ),
    Change(
        "0.7.3", "latent", "absorbed, aligned", "with any quantization, in rows of whole 256 bytes",
        "config.py ModelConfig.use_mla; worker/cache_engine.py _align_cache",
    ),
    Change(
        "0.8.0", "latent", "plain", "the latent alone, in rows as long as it is",
        "worker/cache_engine.py get_cache_block_size; v1/attention/backends/mla/common.py",
    ),
    Change("0.8.0", "first_engine", "lacking", "V1 is the engine, but where it lacks something", f"{_ARGS} _is_v1_supported_oracle"),
    Change(
        "0.8.0", "batches", "by name", "batches of 8,192 tokens on H100 and H200, else 2,048; 1,024 sequences",
        f"{_ARGS} _set_default_args_v1",
    ),
    Change("0.8.4", "batches", "all by name", "and 256 sequences where not H100 or H200", f"{_ARGS} _set_default_args_v1"),
    Change(
        "0.8.5", "batches", "from 70 GiB", "batches by memory: 8,192 and 1,024 from 70 GiB, else 2,048 and 256",
        f"{_ARGS} _set_default_args_v1",
    ),
    Change("0.9.0", "batches", "A100 small", "A100 counts as a small GPU", f"{_ARGS} _set_default_args_v1"),
    Change(
        "0.9.1", "half_first", "bf16", "a float32 config is served in bfloat16",
        "config.py _get_and_verify_dtype, platforms/cuda.py supported_dtypes",
    ),
    Change(
        "0.9.1", "groups", True, "sliding layers have block tables of their own",
        f"{_UTILS} _get_kv_cache_config_uniform_page_size",
    ),
    Change(
        "0.9.1", "concurrency", True, "concurrency is blocks over the blocks of a request",
        f"{_UTILS} get_max_concurrency_for_kv_cache_config",
    ),
    Change(
        "0.10.0", "chunked", True, "chunked layers have a spec of their own",
        "v1/kv_cache_interface.py ChunkedLocalAttentionSpec",
    ),
    Change(
        "0.10.0", "encoder_items", "whole", "the profile run encodes whole items only, one at least",
        "v1/worker/gpu_model_runner.py profile_run",
    ),
    Change(
        "0.10.1", "chunked_groups", False, "groups are off for models with chunked layers",
        "envs.py VLLM_ALLOW_CHUNKED_LOCAL_ATTN_WITH_HYBRID_KV_CACHE",
    ),
    Change("0.10.1", "few_sequences", True, "no more sequences than tokens of a batch", f"{_ARGS} _set_default_args_v1"),
    Change(
        "0.10.1", "interleaved_window", (), "interleaved windows stay with every attention backend of this engine",
        "config/__init__.py ModelConfig.__post_init__",
    ),
    Change("0.10.1", "mla_block", 128, "MLA on Blackwell is CUTLASS's: blocks of 128", _CUDA),
    Change("0.10.1", "mla_block_narrow", 128, "MLA on Blackwell is CUTLASS's: blocks of 128", _CUDA),
    Change(
        "0.11.0", "states_checked", "out of bounds", "graphs of decoding may be captured beyond the blocks of state",
        "config/__init__.py CompilationConfig (whole graphs by default)",
    ),
    Change("0.11.0", "first_engine", "never", "the first engine is gone", f"{_ARGS} _is_v1_supported_oracle"),
    Change(
        "0.11.0", "every_nth", True, "a group takes every n-th layer of its kind",
        f"{_UTILS} _get_kv_cache_groups_uniform_page_size",
    ),
    Change(
        "0.11.0", "pages", "one type", "layers of full attention may have unequal pages",
        "v1/kv_cache_interface.py UniformTypeKVCacheSpecs",
    ),
    Change(
        "0.11.0", "sparse_rows", "packed", "DeepSeek-V3.2 keeps packed fp8 rows unless told bfloat16",
        f"{_CONFIG} DeepseekV32ForCausalLM",
    ),
    Change("0.11.0", "dtypes", (*_8_BITS, "bfloat16"), "`--kv-cache-dtype bfloat16`", _CACHE),
    Change(
        "0.11.1", "longrope_original", True, "LongRoPE without a length serves the positions before scaling", _LENGTH,
    ),
    Change("0.11.1", "dtypes", (*_8_BITS, "bfloat16", "fp8_ds_mla"), "`fp8_ds_mla`", _CACHE),
    Change(
        "0.11.1", "sparse_rows", "packed if fp8", "DeepSeek-V3.2 keeps bfloat16 unless told fp8",
        f"{_CONFIG} DeepseekV32ForCausalLM",
    ),
    Change(
        "0.11.1", "short_batches", True, "no more tokens in a batch than all sequences have",
        f"{_ARGS} _set_default_max_num_seqs_and_batched_tokens_args",
    ),
    Change(
        "0.11.1", "state_caching", "every block, some",
        "prefix caching keeps a state for each block of Mamba layers, by request",
        f"{_CONFIG} MambaModelConfig",
    ),
    Change(
        "0.11.1", "state_block_mla", 64, "blocks of hybrids with MLA are a multiple of 64",
        f"{_CONFIG} HybridAttentionMambaModelConfig",
    ),
    Change(
        "0.11.1", "state_block_wide", 32, "and of 32 on Blackwell for heads of 256",
        f"{_CONFIG} HybridAttentionMambaModelConfig",
    ),
    Change("0.12.0", "window_with_scaling", True, "windows may be switched off though positions are scaled", _LENGTH),
    Change(
        "0.12.0", "original_outside", True, "positions before scaling that stand beside it count first",
        "transformers_utils/config.py patch_rope_parameters",
    ),
    Change(
        "0.12.0", "slack", 1.25, "groups have the most layers of a kind if less than 1.25 times the fewest",
        f"{_UTILS} _get_kv_cache_groups_uniform_page_size",
    ),
    Change(
        "0.12.0", "pages", "longer blocks", "smaller pages get longer blocks where that divides",
        f"{_UTILS} unify_kv_cache_spec_page_size",
    ),
    Change("0.13.0", "ssm", "fp16", "Nemotron-H's states follow its config, else float16", f"{_CONFIG} NemotronHForCausalLMConfig"),
    Change(
        "0.13.0", "ssm_asked", ("NemotronH",), "Nemotron-H's config is asked for the dtype of its states",
        f"{_CONFIG} NemotronHForCausalLMConfig",
    ),
    Change(
        "0.14.0", "chunked_groups", True, "groups stay on for models with chunked layers",
        "envs.py VLLM_ALLOW_CHUNKED_LOCAL_ATTN_WITH_HYBRID_KV_CACHE",
    ),
    Change(
        "0.14.0", "check", "first group", "the first group's blocks alone must fit at start",
        f"{_UTILS} _max_memory_usage_bytes_from_groups",
    ),
    Change("0.14.0", "check_stages", False, "and the layers of all pipeline stages are counted", f"{_UTILS} get_kv_cache_configs"),
    Change(
        "0.16.0", "state_caching", "every block or aligned",
        "prefix caching by request: a state for each block, or the running and the last",
        f"{_CONFIG} MambaModelConfig",
    ),
    Change("0.16.0", "mla_block_narrow", 64, "MLA on Blackwell is FlashInfer's for heads of 128: blocks of 64", _CUDA),
    Change(
        "0.17.0", "sorted_sampling", False, "top-k and top-p without sorting",
        "v1/sample/ops/topk_topp_sampler.py apply_top_k_top_p",
    ),
    Change(
        "0.17.0", "ssm_asked", ("NemotronH", "Qwen3_5"), "Qwen3.5's config is asked too",
        f"{_CONFIG} Qwen3_5ForConditionalGenerationConfig",
    ),
    Change("0.17.0", "check_stages", True, "each pipeline stage is checked by itself", f"{_UTILS} get_kv_cache_configs"),
    Change("0.18.0", "slack", 1.5, "... if less than 1.5 times the fewest", f"{_UTILS} _get_kv_cache_groups_uniform_page_size"),
    Change(
        "0.18.0", "states_checked", "fewer graphs", "graphs are captured for no more sequences than there are blocks",
        "config/compilation.py adjust_cudagraph_sizes_for_mamba_cache",
    ),
    Change(
        "0.18.0", "sparse_rows", "by backend", "the backend decides how rows of sparse MLA are kept",
        f"{_CONFIG} DeepseekV32ForCausalLM",
    ),
    Change(
        "0.18.0", "mla_block", 32, "MLA on Blackwell: the backend's block, 32",
        "v1/attention/backend.py get_preferred_block_size",
    ),
    Change(
        "0.18.0", "mla_block_narrow", 32, "MLA on Blackwell: the backend's block, 32",
        "v1/attention/backend.py get_preferred_block_size",
    ),
    Change("0.18.0", "state_block_wide", 16, "heads of 256 are as others", f"{_CONFIG} HybridAttentionMambaModelConfig"),
    Change("0.18.0", "dtypes", (*_8_BITS, "bfloat16", "fp8_ds_mla", "float16"), "`float16`", _CACHE),
    Change(
        "0.19.0", "check", "groups", "the blocks of all groups must fit at start",
        f"{_UTILS} _max_memory_usage_bytes_from_groups",
    ),
    Change("0.20.0", "utilization", 0.92, "`--gpu-memory-utilization` is 0.92 without asking", "config/cache.py CacheConfig"),
    Change(
        "0.20.0", "graphs_counted", True, "CUDA graphs are taken off the budget",
        "v1/worker/gpu_worker.py determine_available_memory",
    ),
    Change(
        "0.20.0", "states_checked", "error", "it is an error if there are fewer blocks than sequences",
        "config/compilation.py resolve_cudagraph_mode_and_sizes",
    ),
    Change("0.20.0", "packed", "tuples", "DeepSeek-V4: blocks of tuples of layers", f"{_UTILS} _get_kv_cache_config_deepseek_v4"),
    Change("0.20.0", "packed_check", True, "and the check at start counts tuples", f"{_UTILS} _max_memory_usage_bytes_from_groups"),
    Change(
        "0.20.0", "ssm", "fp32", "Nemotron-H's states are float32 without a word of its config",
        f"{_CONFIG} NemotronHForCausalLMConfig",
    ),
    Change(
        "0.20.0", "state_block_asked", True, "blocks of hybrids are a multiple of the backend's block",
        "platforms/interface.py _align_hybrid_block_size",
    ),
    Change("0.20.0", "state_block_mla", 16, "also with MLA", "platforms/interface.py _align_hybrid_block_size"),
    Change(
        "0.20.0", "dtypes", (*_8_BITS, "bfloat16", "fp8_ds_mla", "float16", "int8_per_token_head", "fp8_per_token_head", "nvfp4"),
        "scales for each token and head, `nvfp4`", _CACHE,
    ),
    Change("0.20.1", "by_concurrency", True, "tokens are concurrency times length", f"{_UTILS} _report_kv_cache_config"),
    Change("0.23.0", "packed", "slots", "DeepSeek-V4: a slot for each page size and place", f"{_UTILS} _pool_bytes_per_block"),
    Change(
        "0.24.0", "pages", "padded by stride",
        "pages that do not divide are padded where the backend reads by the block's stride",
        f"{_UTILS} unify_kv_cache_spec_page_size",
    ),
    Change(
        "0.25.0", "second_runner", "dense", "Model Runner V2 runs dense models without states",
        "config/vllm.py _is_default_v2_model_runner_model",
    ),
    Change(
        "0.25.0", "dtypes",
        (*_8_BITS, "bfloat16", "fp8_ds_mla", "float16", "int8_per_token_head", "fp8_per_token_head", "nvfp4", "int4_per_token_head"),
        "`int4_per_token_head`", _CACHE,
    ),
    Change(
        "0.26.0", "flying", True, "two batches are in flight, or one for each pipeline stage",
        "config/vllm.py max_in_flight_tokens",
    ),
    Change(
        "0.27.0", "own_pages", True, "concurrency by each group's own pages",
        f"{_UTILS} get_max_concurrency_for_kv_cache_config",
    ),
    Change(
        "0.27.0", "packed", "stacked", "DeepSeek-V4: each group's pages one after the other",
        f"{_UTILS} _get_packed_kv_cache_layout",
    ),
    Change(
        "0.27.0", "full_fallback", True, "MLA beside sliding layers may all be kept like full attention",
        f"{_UTILS} _try_get_full_allocation_fallback_groups",
    ),
    Change(
        "0.27.0", "state_block_mla", 128, "blocks of hybrids with MLA are at least 128",
        "platforms/interface.py _align_hybrid_block_size",
    ),
    Change(
        "0.28.0", "state_caching", "aligned", "prefix caching keeps the running state and the last at a block's end",
        f"{_CONFIG} MambaModelConfig",
    ),
    Change(
        "0.28.0", "state_caching_default", True, "prefix caching is on for hybrids",
        "config/model.py is_prefix_caching_supported",
    ),
    Change("0.28.0", "batches", "from 160 GiB", "batches of 16,384 tokens from 160 GiB", f"{_ARGS} get_batch_defaults"),
    Change("0.29.0", "null_block", True, "the check at start leaves the unused block out", f"{_UTILS} get_kv_cache_configs"),
    Change(
        "0.29.0", "packed_check", False, "the check at start counts blocks as they are",
        f"{_UTILS} _max_memory_usage_bytes_from_groups",
    ),
    Change(
        "0.29.0", "pages", "padded", "pages that do not divide are padded, but MLA's",
        f"{_UTILS} unify_kv_cache_spec_page_size",
    ),
    Change(
        "0.29.0", "flying_stages", True, "a batch more than pipeline stages is in flight",
        "config/vllm.py max_concurrent_batches, use_v2_model_runner",
    ),
    Change("0.29.0", "second_runner", "all", "Model Runner V2 runs all models", "config/vllm.py use_v2_model_runner"),
    Change("0.30.0", "yarn_length", "as stated", "YaRN's factor is no part of the length", _LENGTH),
    Change(
        "0.30.0", "dtypes",
        (
            *_8_BITS, "bfloat16", "fp8_ds_mla", "float16", "int8_per_token_head", "fp8_per_token_head", "nvfp4", "int4_per_token_head",
            "nvfp4_ds_mla",
        ),
        "`nvfp4_ds_mla`", _CACHE,
    ),
    Change(
        "0.32.0", "checkpoints", ("mamba2",), "Mamba2 exports a state from inside a prefill: one block more",
        "model_executor/layers/mamba/mamba_mixer2.py get_kv_cache_spec",
    ),
    Change("0.32.0", "sparse_fp8", True, "GLM-5 keeps fp8 on Blackwell without asking", f"{_CONFIG} GlmMoeDsaForCausalLM"),
    Change(
        "0.33.0", "checkpoints", ("mamba2", "gated-delta"), "gated delta layers with FlashInfer too",
        "model_executor/layers/mamba/gdn/qwen_gdn_linear_attn.py",
    ),
    Change(
        "0.33.0", "aligned_checkpoints", True, "blocks of hybrids are a multiple of what the kernel exports at",
        "platforms/interface.py _align_hybrid_block_size",
    ),
    Change(
        "0.33.0", "second_filters", True, "the second runner's sampler is profiled with filters too",
        "v1/worker/gpu/model_runner.py _dummy_sampler_run",
    ),
    Change("0.33.0", "batches", "GB10 small", "GB10 counts as a small GPU", f"{_ARGS} get_batch_defaults"),
)  # fmt: skip


@cache
def rules(version: str | None = None) -> Rules:
    """The rules in force at a version, the newest without one; versions before the first known take its rules."""
    values: dict[str, Any] = {}
    for change in CHANGES if version is None else _until(version):
        values[change.rule] = change.value
    return Rules()._replace(**values)


def _until(version: str) -> list[Change]:
    rows = [Change(RELEASES[0], "", None, "", ""), *CHANGES]
    try:
        return list(rows_as_of(ENGINE, rows, version, RELEASES))[1:]
    except UsageError:
        # Raises for what is no version at all; an old one has no changes.
        parse(ENGINE, version)
        return []


def check_known(version: str | None) -> None:
    """Raises `UsageError` for a version before the first whose source was read."""
    if version is not None:
        rows_as_of(ENGINE, [Change(RELEASES[0], "", None, "", ""), Change(NEWEST, "", None, "", "")], version, RELEASES)


def at_least(version: str | None, *wanted: int) -> bool:
    """Whether a version of vLLM is this one or newer, or leads to one that is; None is the newest."""
    if version is None:
        return True
    from archcalc.engines._version import leads_to

    return leads_to(parse(ENGINE, version), RELEASES) >= (*wanted, *(0,) * (3 - len(wanted)))
