"""What a `vllm serve` command sets beside the plan, in one record."""

from __future__ import annotations

from typing import TYPE_CHECKING

from archcalc.engines.served import built_of, classes_of
from archcalc.records import NamedTuple

if TYPE_CHECKING:
    from archcalc.model import Architecture


class Settings(NamedTuple):
    """vLLM's settings by their flags; None is the release's default.

    `graphs` is False for `--enforce-eager` and where compilation captures none; `whole_graphs` and `piece_graphs` whether those kinds are
    captured. `capture_sizes` are `--cudagraph-capture-sizes`, `largest_capture` the largest. `offline` is the `LLM` class.
    `whole_towers` is `--mm-encoder-tp-mode data`. `limits` are
    items of a modality in a prompt. `cache_bytes` is `--kv-cache-memory-bytes`, `blocks` `--num-gpu-blocks-override`. `draft_tokens` are
    those of speculation, `mtp` whether the checkpoint's own MTP layers draft. `loras` adapters of `lora_rank` are kept on the GPU.
    `offload_bytes` of each GPU's weights and `offloaded_cache_bytes` of a replica's cache are kept in the CPU's memory.
    `chunked` False is `--no-enable-chunked-prefill`, `dtype` is `--dtype`, `lowers_context` is
    `--max-model-len auto`. `profiles_images` False is `--skip-mm-profiling`. `draft` is
    a draft model of its own. `method` is `--quantization`, `draft_method`
    that of the draft, `trusts` `--trust-remote-code`, `reads_tokens` whether the model's own
    tokenizer is read, `deprecated`
    `--allow-deprecated-quantization`.
    `allows_longer` is `VLLM_ALLOW_LONG_MAX_MODEL_LEN`, `caps_to_window`
    `--disable-sliding-window`, `capped_by_backend` an attention backend that does the same to models of two kinds of layers.
    `first_engine` is `VLLM_USE_V1`, reversed, `lacking` what of the command its second engine lacks and whether it then refuses that
    variable (`first_engine.Lacking`), `cache_dtype` is `--kv-cache-dtype`, `backend` `VLLM_ATTENTION_BACKEND`, `second_runner`
    `VLLM_USE_V2_MODEL_RUNNER`. `compiled` is whether the model is compiled, `counts_graphs` `VLLM_MEMORY_PROFILER_ESTIMATE_CUDAGRAPHS`,
    `fused_sampler` `VLLM_USE_FLASHINFER_SAMPLER`. `nodes` is `--nnodes`, `replicas_here` `--data-parallel-size-local`, `launched` whether
    Ray, or a launcher that starts each rank, says where ranks run, `processes` whether the command names those of one host
    (`--distributed-executor-backend mp`), `attention` `--attention-backend`, `spreads_experts` `--enable-expert-parallel`, `ranked` is
    whether `--data-parallel-rank` is given, `vocabularies_differ` `use_heterogeneous_vocab` of a draft, `expanded` `VLLM_MLA_DISABLE`,
    `pools` what `--runner`, `--task` and `--convert` say.
    """

    sequences: int | None = None
    graphs: bool = True
    piece_graphs: bool = True
    whole_graphs: bool = True
    capture_sizes: tuple[int, ...] | None = None
    largest_capture: int | None = None
    offline: bool = False
    text_alone: bool = False
    whole_towers: bool = False
    profiles_images: bool = True
    limits: tuple[tuple[str, int], ...] = ()
    prefix_caching: bool | None = None
    chunked: bool | None = None
    lowers_context: bool = False
    dtype: str | None = None
    block_size: int | None = None
    hybrid_manager: bool = True
    cache_bytes: int | None = None
    blocks: int | None = None
    ssm_dtype: str | None = None
    offload_bytes: int = 0
    offloaded_cache_bytes: int = 0
    draft_tokens: int = 0
    mtp: bool = False
    loras: int = 0
    lora_rank: int = 16
    draft: Architecture | None = None
    draft_method: str | None = None
    method: str | None = None
    trusts: bool = False
    reads_tokens: bool = True
    deprecated: bool = False
    allows_longer: bool = False
    caps_to_window: bool = False
    capped_by_backend: str = ""
    first_engine: bool | None = None
    lacking: tuple[str, bool] | None = None
    cache_dtype: str = ""
    backend: str = ""
    second_runner: bool | None = None
    compiled: bool = True
    counts_graphs: bool | None = None
    fused_sampler: bool | None = None
    nodes: int = 1
    replicas_here: int | None = None
    launched: bool = False
    processes: bool = False
    attention: str = ""
    spreads_experts: bool = False
    ranked: bool = False
    vocabularies_differ: bool = False
    expanded: bool = False
    pools: bool | None = None
    prompt_step: int | None = None


def drafts_alone(draft: Architecture | None) -> bool:
    """Whether the draft is a model of its own, of a class that transformers builds, and no head upon the target's layers."""
    return draft is not None and built_of(draft.model_type) in classes_of(draft)
