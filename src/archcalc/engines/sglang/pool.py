"""SGLang's pool as functions of the context: what sequences need of the fullest GPU, and what a room holds."""

from __future__ import annotations

from typing import Any

from archcalc.engines._allocation import Workload, held_caches, unread
from archcalc.engines.budget import Budget
from archcalc.engines.placement import Placement
from archcalc.engines.plan import Ask, Pooled, capability
from archcalc.engines.served import is_one_of
from archcalc.engines.sglang import cache
from archcalc.engines.sglang.rules import since
from archcalc.engines.sglang.settings import Settings
from archcalc.model import Architecture

_ROWS_OF_THEIR_OWN = ("DFLASH", "DSPARK")


def options_of(architecture: Architecture, placement: Placement, ask: Ask) -> cache.CacheOptions:
    """The pool's options: those of the placement, and what a command sets."""
    options = cache.CacheOptions(tp=placement.tp, dcp=placement.dcp, version=ask.version)
    if ask.own is None:
        return options
    options = options._replace(**settings_of(architecture, ask.own))
    if options.running is not None and ask.own.attention_dp:
        # `resolve_max_num_reqs`: the ranks of attention share what the flag says.
        options = options._replace(running=max(1, options.running // placement.dp))
    return options


def settings_of(architecture: Architecture, own: Settings) -> dict[str, Any]:
    """What a command sets of the pool, as fields of `cache.CacheOptions`."""
    drafts = sum(len(s.pattern) for s in architecture.stacks if s.part == "mtp") if own.mtp else 0
    return {
        "page_size": own.page, "swa_full_tokens_ratio": own.swa_ratio, "mamba_full_memory_ratio": own.state_share,
        "radix_cache": own.radix_cache, "one_pool": own.one_pool, "tracked": own.tracked, "state_slots": own.state_slots,
        "running": own.running, "max_tokens": own.tokens, "ssm_dtype": own.ssm_dtype, "drafts": min(1, drafts), "draft": own.draft,
        "draft_rows": own.speculation in _ROWS_OF_THEIR_OWN, "float32": own.wide_cache,
    }  # fmt: skip


# EmbeddingGemma's class, by the config's name of it, and the generations whose FlashAttention reads its keys and values as they are.
_RAW, _RAW_ON, _RAW_SINCE = frozenset({"Gemma3TextModel"}), (9, 10), (0, 5, 17)


def skips_pool(architecture: Architecture, ask: Ask) -> bool:
    """Whether the pool is one of no bytes: slots are counted as of a pool, and nothing is allocated for them.

    Source: SGLang 0.5.23, srt/arg_groups/model_hook.py `_handle_model_capability_adjustments` (`prefill_only_disable_kv_cache`),
    srt/mem_cache/kv_cache_configurator.py `_build_mha_kv_pool` (`NoOpMHATokenToKVPool`)."""
    cuda = capability(ask.gpus.device)
    raw = is_one_of(architecture, _RAW) and unread(architecture)
    return raw and cuda is not None and cuda[0] in _RAW_ON and since(ask.version, *_RAW_SINCE)


def pooled(architecture: Architecture, placement: Placement, ask: Ask, plan: Budget, slots: int | None = None) -> Pooled:
    """The pool of the fullest stage, by its share of the layers, with so many slots for states. Raises what SGLang's rules raise."""
    options = options_of(architecture, placement, ask)
    if slots is not None:
        options = options._replace(state_slots=slots)
    share = -(-architecture.layers // placement.pp), architecture.layers
    alone = skips_pool(architecture, ask)

    def needed(context: int, sequences: int) -> int:
        if alone:
            return 0
        size = cache.allocate(architecture, Workload(context, sequences, ask.kv_dtype), options).bytes
        return -(-size * share[0] // share[1])

    caches = any(layer.caches or layer.unread for stack in architecture.stacks for layer in stack.kinds)

    def held(room: int, context: int) -> tuple[float, int]:
        if not caches:
            return (float(plan.sequences), context) if room >= 0 else (0.0, 0)
        found = cache.pools(architecture, max(0, room) * share[1] // share[0], context, ask.kv_dtype, options)
        most = found.tokens / context
        return (most if found.max_requests is None else min(most, found.max_requests)), found.tokens

    def divided(sequences: int) -> tuple[Pooled, int]:
        slots = sequences * cache.slots_per_request(architecture, options)
        # Ranks of attention in data parallelism share what the flag says (`attn_dp_size`); other replicas are servers apart.
        together = ask.own.attention_dp if ask.own is not None else architecture.facts.moe is not None
        shared = placement.dp if together else 1
        return pooled(architecture, placement, ask, plan, slots), slots * shared

    from archcalc.engines.sglang import halves

    made = cache.allocate(architecture, Workload(1, 1, ask.kv_dtype), options)
    states = any(held.cache.kind == "state" for held in held_caches(architecture))
    rule = f"token slots, SGLang {cache.VERSION}"
    dtype = "fp16" if made.dtype == "bf16" and ask.kv_dtype is None and halves(ask.gpus.device) else made.dtype
    return Pooled(needed, held, dtype, rule, divided=divided if states and options.state_slots is None else None)
