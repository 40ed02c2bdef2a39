"""vLLM's pool of blocks as functions of the context: what sequences need of the fullest GPU, and what a room holds."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from archcalc.engines._allocation import Workload, declared_dtype
from archcalc.engines.budget import Budget
from archcalc.engines.placement import Placement
from archcalc.engines.plan import Ask, Pool, Pooled, capability
from archcalc.engines.vllm import attention, cache, planner, start
from archcalc.engines.vllm.budget import first_engine_chunks, runs_v0
from archcalc.engines.vllm.rules import NEWEST, rules
from archcalc.engines.vllm.settings import Settings
from archcalc.errors import UnsupportedError
from archcalc.model import Architecture
from archcalc.quant import plain


def settings_of(own: Settings) -> dict[str, Any]:
    """What a command sets of the pool, as fields of `cache.CacheOptions`."""
    return {
        "block_size": own.block_size, "prefix_caching": own.prefix_caching, "hybrid_kv_cache_manager": own.hybrid_manager,
        "mamba_ssm_cache_dtype": own.ssm_dtype, "num_speculative_tokens": own.draft_tokens, "mtp": own.mtp, "draft": own.draft,
        "model_dtype": own.dtype, "windows": not own.caps_to_window and not own.capped_by_backend, "attention": own.attention,
        "expanded": own.expanded,
    }  # fmt: skip


def _stated(ask: Ask, dtype: str) -> bool:
    return ask.kv_dtype is None and dtype in ("fp8", "fp8_e4m3", "nvfp4")


def _unread(architecture: Architecture, ask: Ask, dtype: str, options: cache.CacheOptions) -> tuple[str, str] | None:
    """Why the release reads no cache of that dtype on this GPU, and what to change; None where it does."""
    own: Settings | None = ask.own
    stated = _stated(ask, dtype)
    flag = "--kv-dtype" if own is None else "--kv-cache-dtype"
    half = next((name for name in ("float16", "bfloat16") if name in rules(ask.version).dtypes), None)
    keeps = f"{flag} {half} keeps it otherwise" if half else ""
    if lacking := start.cache_kernels(ask.version, dtype, options.capability):
        named = f"leave {flag} out, or name a newer GPU" if ask.kv_dtype not in (None, "bf16", "fp16") else "name a newer GPU"
        return lacking, (keeps if stated and keeps else named)
    asked = dtype if stated else "auto" if ask.kv_dtype is None else cache.asked_dtype(architecture, ask.kv_dtype, options)
    device = ask.gpus.device
    elsewhere = (device.vendor, device.name) if device.vendor in ("amd", "intel") else None
    text_alone = own is not None and (own.text_alone or (bool(own.limits) and all(n == 0 for _, n in own.limits)))
    why = attention.lacks(
        architecture, ask.version, asked, options.block_size, options.capability, flag, elsewhere,
        named=own.attention if own is not None else "", text_alone=text_alone,
    )  # fmt: skip
    if elsewhere is None and not options.expanded:
        why = why or attention.lacks_latent_fp8(architecture, ask.version, asked, options.capability, flag)
    if why and stated:
        return why[0].replace(f"{flag} {asked}:", f"the checkpoint states a cache in {asked}:"), keeps or "name another GPU"
    return why


def stated_unread(architecture: Architecture, ask: Ask) -> str | None:
    """Why the cache that a checkpoint states is not read on this GPU, and what keeps it otherwise; None where it is, or none is stated."""
    if declared_dtype(architecture) is None or ask.kv_dtype is not None:
        return None
    options = cache.CacheOptions(capability=capability(ask.gpus.device), version=ask.version)
    dtype = cache.cache_dtype(architecture, None, options)
    why = _unread(architecture, ask, dtype, options) if _stated(ask, dtype) else None
    return why and "; ".join(why)


def pooled(architecture: Architecture, placement: Placement, ask: Ask, plan: Budget) -> Pooled:
    """The pool of the fullest stage. Raises what vLLM's rules raise."""
    options = cache.CacheOptions(
        tp=placement.tp, pp=placement.pp, dcp=placement.dcp, max_num_batched_tokens=plan.batched_tokens,
        capability=capability(ask.gpus.device), version=ask.version, model_dtype=plain(ask.quant) if ask.own is None else None,
    )  # fmt: skip
    own: Settings | None = ask.own
    if own is not None:
        options = options._replace(**settings_of(own))
    made = cache.plan(architecture, ask.kv_dtype, options)
    if why := attention.unshared(architecture, made.dtype, options):
        raise UnsupportedError(*why)
    # What a checkpoint states stops the engine (`stated_unread`), and is no option to leave out.
    if (own is not None or not _stated(ask, made.dtype)) and (why := _unread(architecture, ask, made.dtype, options)):
        raise UnsupportedError(*why)
    dtype = (
        options.model_dtype or cache.served_dtype(architecture, options.version, options.capability and options.capability[0])
        if made.dtype == "auto"
        else made.dtype
    )
    groups = max(made.stages, key=planner.bytes_per_block)
    each = planner.bytes_per_block(groups)
    if not each:
        return Pooled(
            lambda _context, _sequences: 0, lambda _room, _context: (float(plan.sequences), 0), dtype, "no cache", whole=True
        )

    def needed(context: int, sequences: int) -> int:
        blocks = planner.request_blocks(groups, cache.demand(Workload(context), options, made.rules))
        return (blocks * sequences + made.rules.null_block) * each

    def held(room: int, context: int) -> tuple[float, int]:
        need = cache.demand(Workload(context), options, made.rules)
        found = planner.capacity(groups, room, need, made.rules)
        return found.max_concurrency, found.kv_tokens

    def blocks_of(group: planner.Group) -> Callable[[int], int]:
        return lambda context: planner.group_blocks(group, cache.demand(Workload(context), options, made.rules))

    states = any(spec.form == "state" for group in groups for spec in group.specs)
    pool = Pool(each, int(made.rules.null_block), tuple(map(blocks_of, groups)), None, states)
    if not made.rules.by_concurrency:
        smallest = min(spec.block for group in groups for spec in group.specs)
        pool = pool._replace(tokens_per_block=smallest * options.dcp)
    size = own.blocks * each if own is not None and own.blocks is not None else None
    whole = ask.batched_tokens is not None and runs_v0(ask.gpus.device, ask.version, own, architecture)
    if whole:
        context = ask.context_tokens or architecture.longest or 0
        whole = not first_engine_chunks(ask.gpus.device, architecture, ask.version, own or Settings(), context)
    rule = f"blocks of {each:,} B, vLLM {options.version or NEWEST}"
    return Pooled(needed, held, dtype, rule, pool, whole=whole, asked_bytes=size)
