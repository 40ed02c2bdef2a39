"""What stops vLLM at its start although the memory suffices, by release, and the flag that lifts it.

Sources, each read in the release that its row names: config/compilation.py `resolve_cudagraph_mode_and_sizes` and
`adjust_cudagraph_sizes_for_mamba_cache` (sequences against blocks of state), v1/worker/utils.py `request_memory` (the share of the memory
against what is free), config/scheduler.py `verify_max_model_len` (tokens of a step against sequences), config/vllm.py
`_get_quantization_config` (kernels against the GPU), v1/core/kv_cache_utils.py `_check_enough_kv_cache_memory` (one sequence of the longest
length).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from archcalc.engines._kernels import FP8, Least, experts_stored, lacking, quark_fp8
from archcalc.engines.budget import FITTED, Budget
from archcalc.engines.hosts import crowded
from archcalc.engines.placement import Placement
from archcalc.engines.plan import Ask, Pooled, Start, Taken
from archcalc.engines.vllm.rules import NEWEST, at_least, rules
from archcalc.engines.vllm.settings import Settings, drafts_alone
from archcalc.model import Architecture
from archcalc.records import NamedTuple

if TYPE_CHECKING:
    from archcalc.hardware import Device

# Sequences against blocks of state


LARGEST_GRAPH = 512
"""The most sequences that a graph is captured for by default (vLLM 0.33, config/vllm.py `_set_cudagraph_sizes`)."""

NO_MTP = "vLLM drafts with MTP layers of the checkpoint, and the model has none: Unsupported speculative method: 'mtp'"
"""0.33, config/speculative.py `SpeculativeConfig.__post_init__`: the draft is the model itself, whose type is none of `MTPModelTypes`;
so in 0.11 to 0.32, before 0.15 in other words."""


def no_draft_model(own: Settings, version: str | None) -> str | None:
    """Why a release drafts with no model of its own; None where it does. 0.10.0 to 0.14.0, config.py and config/speculative.py
    `SpeculativeConfig.__post_init__` ("Speculative decoding with draft model is not supported yet"); 0.9.2 and 0.16.0 do."""
    if not drafts_alone(own.draft) or not at_least(version, 0, 10) or at_least(version, 0, 15):
        return None
    return (
        f"vLLM {version} raises NotImplementedError: speculative decoding with a draft model is not supported yet; 0.9 and 0.16 take one,"
        " and this release ngram, EAGLE heads and MTP layers"
    )


def other_vocabulary(own: Settings, target: Architecture, version: str | None) -> str | None:
    """Why a draft model of its own is not taken beside this one: 0.16.0 to 0.33.0, config/speculative.py
    `verify_equal_vocab_size_if_draft_model`, which `use_heterogeneous_vocab` (since 0.25) turns off."""
    if own.draft is None or own.vocabularies_differ or not drafts_alone(own.draft) or not at_least(version, 0, 15):
        return None
    here, there = target.facts.vocab_size, own.draft.facts.vocab_size
    if here == there:
        return None
    lifts = "; use_heterogeneous_vocab in --speculative-config lifts that" if at_least(version, 0, 25) else ""
    return f"the draft has {there:,} tokens in its vocabulary and the model {here:,}, and vLLM raises for it{lifts}"


def state_sequences(version: str | None, sequences: int, blocks: int, wanted: int) -> tuple[int, str]:
    """How many sequences to start vLLM with, where each needs a block of recurrent state, and why; as many as now and "" where all is well.

    A power of two below the blocks that are forecast, or else what is wanted: the forecast may be a few blocks too many.
    """
    rule = rules(version).states_checked
    captured = sequences if rule == "error" else min(sequences, LARGEST_GRAPH)
    if rule == "no" or blocks < 1 or captured <= blocks:
        return sequences, ""
    if rule == "fewer graphs":
        return sequences, f"graphs are captured for up to {blocks:,} sequences, as many as there are blocks of recurrent state"
    fewer = max(wanted if wanted <= blocks else 1, 1 << (blocks.bit_length() - 1))
    told = "refuses to start" if rule == "error" else "captures graphs beyond them, out of bounds (vllm#34094),"
    return fewer, (
        f"--max-num-seqs {fewer}: every sequence needs a block of recurrent state, there are {blocks:,}, and vLLM {told} where it"
        f" may run {sequences:,} sequences"
    )


# The share of the memory against what is free


def free_share(memory: int, budget: int, free: int) -> float | None:
    """The largest share, in hundredths, that what is free holds; None where the budget is no more than that."""
    return None if budget <= free else free * 100 // memory / 100


CHECKS_FREE = (0, 9)
"""Since then vLLM refuses a share of the memory that is not free; before, it ran out of memory later."""


def checks_free(version: str | None) -> bool:
    return at_least(version, *CHECKS_FREE)


# One sequence of the longest length


def counts_first_group(version: str | None) -> bool:
    """Whether vLLM compares the blocks of the first group of layers alone with the memory."""
    return rules(version).check == "first group"


# Kernels against the GPU

CAPABILITY: dict[str, tuple[Least, ...]] = {
    "awq": (Least((0,), 75),),
    "gptq": (Least((0,), 60),),
    "fp8": (Least((0, 14), 75), Least((0,), 80)),
    "fbgemm_fp8": (Least((0,), 80),),
    "experts_int8": (Least((0,), 80),),
    "compressed-tensors": (Least((0,), 70),),
    "mxfp4": (Least((0,), 80),),
    "bitsandbytes": (Least((0,), 70),),
    "torchao": (Least((0,), 75),),
}
"""`get_min_capability` of each method's config, from a release on, the newest first."""


def kernels(version: str | None, method: str, capability: tuple[int, int] | None) -> str | None:
    """Why there are no kernels for weights stored so on this GPU; None where there are, or where it is not known."""
    rows = CAPABILITY.get(method, ())
    least = next((row.capability for row in rows if at_least(version, *row.since)), None)
    return lacking("vLLM", method, least, capability)


SCHEMES: dict[str, tuple[Least, ...]] = {
    "pack-quantized": (Least((0, 12), 75), Least((0,), 80)),
    "int-quantized": (Least((0,), 75),),
    "float-quantized": CAPABILITY["fp8"],
    "nvfp4-pack-quantized": (Least((0, 16), 75), Least((0,), 80)),
    "mxfp4-pack-quantized": (Least((0,), 80),),
}
"""The same of the schemes of compressed-tensors, by the format that a config states, where its own least is below them: vLLM 0.8.5 to 0.33,
layers/quantization/compressed_tensors/schemes/ and compressed_tensors.py `_check_scheme_supported`."""


def scheme_kernels(version: str | None, stored: Mapping[str, Any] | None, capability: tuple[int, int] | None) -> str | None:
    """Why a scheme of compressed-tensors, or INT8 of another method, has no kernels on this GPU; None where it has, or where it is not
    known."""
    if why := int8_kernels(stored, capability) or quark_fp8("vLLM", stored, capability):
        return why
    if not stored or stored.get("quant_method") != "compressed-tensors":
        return None
    groups = stored.get("config_groups")
    formats = (
        [group.get("format") for group in groups.values() if isinstance(group, Mapping)] if isinstance(groups, Mapping) else []
    )
    for name in dict.fromkeys(str(each) for each in (stored.get("format"), *formats) if each):
        rows = SCHEMES.get(name, ())
        least = next((row.capability for row in rows if at_least(version, *row.since)), None)
        if why := lacking("vLLM", name, least, capability):
            return why
    return None


INT8_BELOW = (10, 0)
"""Linear layers of INT8 weights and activations are CUTLASS's on CUDA, which has none for Blackwell: vLLM 0.11 to 0.33,
csrc/quantization/w8a8/cutlass/scaled_mm_c3x_sm100.cu and _sm120.cu (no function for INT8), c3x/scaled_mm_helper.hpp ("Int8 not supported on
SM"), kernels/linear/__init__.py `_POSSIBLE_INT8_KERNELS` (the first is taken to run on any CUDA), docs/features/quantization/
int8_w8a8.md. Experts alone are multiplied by Triton's kernels, and weights alone by Marlin's."""


def int8_kernels(stored: Mapping[str, Any] | None, capability: tuple[int, int] | None) -> str | None:
    """Why linear layers of INT8 weights and activations are not multiplied on this GPU; None where they are, or there are none."""
    if capability is None or capability < INT8_BELOW or not _int8_linear(stored or {}):
        return None
    return (
        f"vLLM multiplies weights and activations of INT8 up to compute capability 9.x alone, and this GPU has"
        f" {capability[0]}.{capability[1]}: FP8 runs there"
    )


def _int8_linear(stored: Mapping[str, Any]) -> bool:
    method = stored.get("quant_method")
    if method == "quark":
        whole = stored.get("global_quant_config")
        return isinstance(whole, Mapping) and all(
            isinstance(part := whole.get(name), Mapping) and part.get("dtype") == "int8" for name in ("weight", "input_tensors")
        )
    groups = stored.get("config_groups")
    if method != "compressed-tensors" or not isinstance(groups, Mapping):
        return False
    for group in groups.values():
        parts = [group.get(name) for name in ("weights", "input_activations")] if isinstance(group, Mapping) else []
        eight = len(parts) == 2 and all(
            isinstance(part, Mapping) and part.get("type", "int") == "int" and part.get("num_bits", 8) == 8 for part in parts
        )
        targets = group.get("targets") if eight else None
        if eight and not (isinstance(targets, list) and targets and all("experts" in str(target) for target in targets)):
            return True
    return False


CACHE_KERNELS: dict[str, tuple[tuple[tuple[int, ...], int, int], ...]] = {
    "fp8": (((0, 24), 80, 999), ((0,), 0, 999)),
    "nvfp4": (((0, 32), 80, 999), ((0,), 100, 109)),
}
"""The least and the largest compute capability, times ten, that vLLM has attention kernels for over a cache kept so, from a release on:
v1/attention/backends/flashinfer.py `supports_compute_capability` and `supports_kv_cache_dtype`, triton_attn.py `TritonAttentionImpl`."""


def cache_kernels(version: str | None, dtype: str, capability: tuple[int, int] | None) -> str | None:
    """Why vLLM has no kernels for a cache kept so on this GPU; None where it has, or where it is not known."""
    rows = CACHE_KERNELS.get("fp8" if dtype in ("fp8", "fp8_e4m3", "fp8_e5m2") else dtype)
    if capability is None or rows is None:
        return None
    least, most = next((least, most) for since, least, most in rows if at_least(version, *since))
    if least <= capability[0] * 10 + capability[1] <= most:
        return None
    there = f"from compute capability {least / 10:.1f} on" if most == 999 else f"on compute capability {least // 10}.x alone"
    return f"vLLM reads caches in {dtype} {there}, and this GPU has {capability[0]}.{capability[1]}"


MARLIN_EXPERTS = (0, 9)
"""Since then FP8 experts run in Marlin's kernels where a GPU has no units for FP8 (0.9.0, layers/quantization/fp8.py `Fp8MoEMethod`,
compressed_tensors/compressed_tensors_moe.py `CompressedTensorsW8A8Fp8MoEMethod`: `use_marlin`); 0.6.3 to 0.8.5 have Triton's alone, which
stop there: "type fp8e4nv not supported in this architecture" (vllm#18182)."""


def expert_kernels(version: str | None, architecture: Architecture, capability: tuple[int, int] | None) -> str | None:
    """Why a release has no kernels for the routed experts on this GPU; None where it has, or where it is not known."""
    if capability is None or at_least(version, *MARLIN_EXPERTS) or FP8 not in experts_stored(architecture):
        return None
    return lacking(f"vLLM {version}", "experts in FP8", 89, capability)


MODELOPT: dict[str, tuple[Least, ...]] = {
    "FP8": (Least((0, 28), 80), Least((0,), 89)),
    "NVFP4": (Least((0, 14), 75), Least((0, 9), 80), Least((0, 8), 100)),
    "MXFP8": (Least((0, 24), 80), Least((0,), 100)),
}
"""`get_min_capability` by what an algorithm of ModelOpt's begins with: layers/quantization/modelopt.py, 0.8.0 to 0.33."""


def modelopt_kernels(version: str | None, stored: Mapping[str, Any] | None, capability: tuple[int, int] | None) -> str | None:
    """Why an algorithm of ModelOpt has no kernels on this GPU; None where it has, or where it is not known."""
    level = stored.get("quantization") if stored else None
    algorithm = str((level if isinstance(level, Mapping) else stored or {}).get("quant_algo", "")).upper()
    rows = next((rows for name, rows in MODELOPT.items() if algorithm.startswith(name)), ())
    least = next((row.capability for row in rows if at_least(version, *row.since)), None)
    return lacking("vLLM", f"{algorithm} of ModelOpt", least, capability)


INTEL_LACKS: tuple[tuple[tuple[int, ...], tuple[int, ...] | None, str, str], ...] = (
    ((0, 24), None, "NVFP4", "nvfp4-pack-quantized"),
    ((0, 24), (0, 28), "INT8", "int-quantized"),
)
"""From a release on, up to but without another: what Intel's GPUs have no linear kernels for, as an algorithm of ModelOpt's and as a format
of compressed-tensors. 0.24 to 0.33, model_executor/kernels/linear/__init__.py: `_POSSIBLE_NVFP4_KERNELS` has no `PlatformEnum.XPU`, and
`_POSSIBLE_INT8_KERNELS` has it since 0.28."""


def intel_kernels(version: str | None, stored: Mapping[str, Any] | None, device: Device) -> str | None:
    """Why weights stored so do not run on Intel's GPU; None where they do, where it is not known, or on another's."""
    if not stored or device.vendor != "intel" or device.architecture.startswith("Gaudi"):
        return None
    level, groups = stored.get("quantization"), stored.get("config_groups")
    algorithm = str((level if isinstance(level, Mapping) else stored).get("quant_algo", "")).upper()
    each = groups.values() if isinstance(groups, Mapping) else ()
    formats = {stored.get("format"), *(group.get("format") for group in each if isinstance(group, Mapping))}
    for since, until, name, form in INTEL_LACKS:
        there = at_least(version, *since) and not (until and at_least(version, *until))
        if there and (algorithm.startswith(name) or (form in formats and stored.get("quant_method") == "compressed-tensors")):
            return f"vLLM {version or NEWEST} has no kernels for {name} on Intel's GPUs"
    return None


# What is for mixtures of experts alone


def for_experts(ask: Ask, moe: bool) -> str | None:
    """Why a command's flags stop the start with a model without routed experts (config/model.py `_verify_with_expert_parallelism` since
    0.8.0; engine/arg_utils.py `create_engine_config` since 0.21); None where they do not."""
    if moe or ask.own is None:
        return None
    if ask.own.spreads_experts:
        return "vLLM refuses --enable-expert-parallel for a model without experts: leave it out"
    if ask.own.ranked and at_least(ask.version, 0, 21):
        return (
            "vLLM refuses --data-parallel-rank for a model without experts: start a server for each replica, without flags of data"
            " parallelism"
        )
    return None


class Built(NamedTuple):
    """What published wheels and images hold code for, from a release on: ten times the least compute capability, and the majors."""

    since: tuple[int, ...]
    least: int
    majors: tuple[int, ...]


BUILT = (
    Built((0, 20), 75, (7, 8, 9, 10, 11, 12)),
    Built((0, 9, 2), 70, (7, 8, 9, 10, 12)),
    Built((0, 9), 70, (7, 8, 9, 10)),
    Built((0,), 70, (7, 8, 9)),
)
"""docker/Dockerfile `torch_cuda_arch_list`, which .buildkite/release-pipeline.yaml leaves as it is.

The least: 7.0 up to 0.19.0, built with CUDA 12.9, and 7.5 since 0.20.0, built with CUDA 13.0, whose compiler has no Volta. CMakeLists.txt
`CUDA_SUPPORTED_ARCHS` has 7.0 below CUDA 12.8 alone since then; 0.33, docs/getting_started/installation/gpu.cuda.inc.md: "compute
capability 7.5 or higher".

The majors: the list ends with 9.0+PTX up to 0.8.5 (CUDA 12.4, PyTorch 2.6, which has no Blackwell either), with 10.0+PTX in 0.9.0 and
0.9.1, with 10.0 and 12.0 from 0.9.2 on, and has 11.0 since 0.20.0. Code for an x.y runs on every x.z from there on. No code is left to a
driver to compile: cmake/utils.cmake `extract_unique_cuda_archs_ascending` drops `+PTX`, so that 0.9.0 and 0.9.1 have nothing for 12.x;
issues #13306, #16901, #18995: "no kernel image is available"."""


def not_built(version: str | None, capability: tuple[int, int] | None) -> str | None:
    """Why a release as it is published has no code for this GPU; None where it has, or where the GPU is not known."""
    if capability is None:
        return None
    built, here = next(row for row in BUILT if at_least(version, *row.since)), capability[0] * 10 + capability[1]
    builds = f"vLLM's published builds{'' if version is None else f' of {version}'}"
    if here < built.least:
        until = (
            "" if here < BUILT[-1].least else ": those up to 0.19 have it, and so has a build of one's own with CUDA before 12.8"
        )
        return (
            f"{builds} hold code for compute capability {built.least / 10:g} and newer, and this GPU has"
            f" {capability[0]}.{capability[1]}{until}"
        )
    later = next((row for row in reversed(BUILT) if capability[0] in row.majors), None)
    if capability[0] in built.majors or later is None:
        # Of GPUs that are newer than every release nothing is known.
        return None
    return (
        f"{builds} hold no code for compute capability {capability[0]}.x, which this GPU has: those since"
        f" {'.'.join(map(str, later.since))} do"
    )


# Tokens of a step against sequences

CLAMPS_SEQUENCES = (0, 10)
"""Until then vLLM refuses a step of fewer tokens than it may run sequences; later it runs fewer by itself (engine/arg_utils.py)."""


def step_sequences(version: str | None, asked_tokens: int | None, sequences: int) -> str | None:
    """The flag without which vLLM refuses so small a step. `sequences` is what it may run by default."""
    if asked_tokens is None or sequences <= asked_tokens or at_least(version, *CLAMPS_SEQUENCES):
        return None
    return f"--max-num-seqs {min(sequences, asked_tokens)}"


# What a plan sets


def fewer_sequences(ask: Ask, plan: Budget, sequences: int, taken: Taken, replicas: int = 1) -> Taken | None:
    """What the plan takes where fewer sequences than by default are asked for; None where they are not, or one replica has more."""
    if ask.sequences is None:
        return None
    fewer = min(ask.sequences, ask.batched_tokens or ask.sequences)
    if not sequences <= fewer < plan.sequences:
        return None
    return taken._replace(sequences=fewer).with_flag(
        f"--max-num-seqs {fewer}",
        f"--max-num-seqs {fewer}: with its default of {plan.sequences:,} sequences vLLM keeps more memory for sampling and graphs than"
        f" there is; at most {fewer} run at once so{f' in each of {replicas} replicas' if replicas > 1 else ''}, and others wait",
    )


def share(ask: Ask, plan: Budget) -> tuple[Start, Taken]:
    """vLLM's share of the memory against what it finds free at its start."""
    device = ask.gpus.device
    free = device.free_bytes or device.visible_bytes - FITTED.context
    if ask.own is not None and ask.own.cache_bytes is not None:
        return Start(), Taken()
    most = free_share(plan.memory_bytes, plan.budget_bytes, free)
    if most is None or most <= 0 or not (device.free_bytes or checks_free(ask.version)):
        return Start(), Taken()
    flag, seen = f"--gpu-memory-utilization {most:g}", f"{free / 2**30:.1f} of {plan.memory_bytes / 2**30:.1f} GiB"
    if ask.utilization is None and ask.own is None:
        note = f"{flag}: {seen} are free for an engine here, and vLLM's default share of {plan.utilization:g} is more than that"
        return Start(), Taken(utilization=most, flags=(flag,), notes=(note,))
    reached = device.free_most_bytes or free
    if plan.budget_bytes > reached and checks_free(ask.version):
        found = f" ({reached / 2**30:.1f} on the freest)" if reached > free else ""
        return Start(False, f"vLLM refuses a share of {plan.utilization:g} where {seen}{found} are free", flag), Taken()
    # Of some such machines so much is free, and before the check vLLM ran out later.
    note = (
        f"a share of {plan.utilization:g} needs {plan.budget_bytes / 2**30:.1f} GiB free: {seen} were found free on such machines"
    )
    return Start(), Taken(notes=(note,))


def whole_prompts(own: Settings | None, version: str | None) -> bool:
    """Whether a step takes prompts whole: chunks are turned off, which releases before 0.12 do by themselves again (0.11,
    engine/arg_utils.py `_set_default_args`)."""
    return own is not None and own.chunked is False and at_least(version, 0, 12)


CHECKS_OVERRIDE = (0, 21)
"""Since then the blocks that are asked for are compared with one request; before, the engine started and served none so long
(v1/core/kv_cache_utils.py and kv_cache_planning.py `get_kv_cache_configs`)."""


def few_blocks(ask: Ask, pooled: Pooled, context: int) -> Start | None:
    """What is wrong with fewer blocks than one sequence takes; None where they are not so few."""
    if ask.own.blocks is None or pooled.pool is None:
        return None
    needed = pooled.needed(context, 1) // pooled.pool.block_bytes
    if needed <= ask.own.blocks:
        return None
    limit = f"one sequence of {context:,} tokens takes {needed:,} blocks, and {ask.own.blocks:,} are asked for"
    return Start(not at_least(ask.version, *CHECKS_OVERRIDE), limit, f"--num-gpu-blocks-override {needed}", serves=False)


def memory(ask: Ask, plan: Budget, pooled: Pooled, context: int) -> tuple[Start, tuple[str, ...]]:
    """The check at start: one sequence of the whole context, or what the release takes for that."""
    room = plan.kv_room_bytes
    if plan.budget_bytes > plan.memory_bytes:
        return Start(False, "the cache asked for is more than weights and activations leave of the memory", None), ()
    if pooled.asked_bytes is not None and plan.taken_bytes + pooled.asked_bytes > plan.memory_bytes:
        # Blocks that are asked for are made, whatever the memory (v1/core/kv_cache_planning.py `get_kv_cache_configs`).
        left = max(0, plan.memory_bytes - plan.taken_bytes)
        limit = f"the blocks asked for take {pooled.asked_bytes / 2**30:.2f} GiB, and {left / 2**30:.2f} GiB of the memory are left"
        most = left // (pooled.asked_bytes // ask.own.blocks)
        return Start(False, limit, f"--num-gpu-blocks-override {most}" if most else None), ()
    if ask.own is not None and (why := states_short(ask, plan, pooled)):
        return why, ()
    if (whole_prompts(ask.own, ask.version) or pooled.whole) and plan.batched_tokens < context:
        limit = f"without chunked prefill a step of {plan.batched_tokens:,} tokens takes no prompt of {context:,}"
        return Start(False, limit, f"--max-num-batched-tokens {context}"), ()
    if ask.own is not None and (few := few_blocks(ask, pooled, context)):
        return few, ()
    if pooled.needed(context, 1) <= room:
        return Start(), ()
    if room < 0:
        return Start(False, "the weights and what the engine needs leave no memory for the cache", None), ()
    limit = f"one sequence of {context:,} tokens needs more memory than is left for the cache"
    pool = pooled.pool
    if pool is not None and counts_first_group(ask.version) and pool.block_bytes * pool.groups[0](context) <= room:
        held = room / pooled.needed(context, 1)
        return Start(), (
            f"vLLM {ask.version} starts all the same, as its check counts the first group of layers alone: there is room for {held:.2f} of"
            " one such sequence, and a longer one is never finished",
        )
    return Start(False, limit, None), ()


def settle(ask: Ask, plan: Budget, sequences: int, replicas: int = 1) -> tuple[Start, Taken]:
    """The share of the memory, and the sequences that run at once."""
    start, taken = share(ask, plan)
    if ask.own is not None:
        return start if not start.starts else refused_step(ask, plan), taken
    asked = fewer_sequences(ask, plan, sequences, taken, replicas)
    if asked is not None:
        taken = asked
    elif ask.concurrency > 1 and sequences > plan.sequences:
        taken = taken._replace(sequences=sequences).with_flag(
            f"--max-num-seqs {sequences}",
            f"--max-num-seqs {sequences}: by default vLLM runs {plan.sequences:,} sequences at once",
        )
        if sequences > plan.batched_tokens:
            limit = f"a step of {plan.batched_tokens:,} tokens cannot run {sequences:,} sequences"
            start = Start(False, limit, f"--max-num-batched-tokens {sequences}")
    elif flag := step_sequences(ask.version, ask.batched_tokens, plan.sequences):
        taken = taken.with_flag(flag, f"{flag}: vLLM refuses a step of fewer tokens than sequences")
    return start, taken


# Ranks against the GPUs of a host

RAY_BY_ITSELF = (0, 11, 1)
"""Until then vLLM takes Ray for a replica that is larger than a host, and asks for nothing; since, it refuses to start (0.6.6 to 0.11.0,
config.py and config/parallel.py `__post_init__`: `backend = "ray"`; 0.11.1 to 0.33: "World size is larger than the number of available
GPUs in this node")."""


def hosted(ask: Ask, placement: Placement) -> tuple[Start | None, tuple[str, ...]]:
    """Whether a command's ranks find their GPUs on the hosts that it names, and what to do first where Ray joins them.

    Every replica is started where the command runs, but for those that are left to other hosts: vLLM 0.33, engine/arg_utils.py
    `create_engine_config` (`data_parallel_size_local`), v1/engine/utils.py `get_device_indices`.
    """
    from archcalc.engines.vllm.command import joined

    own, world = ask.own, placement.tp * placement.pp
    if own is None:
        return None, ()
    replicas = 1 if own.ranked else placement.dp if own.replicas_here is None else own.replicas_here
    here = world * placement.dp // own.nodes if own.nodes > 1 else world * replicas
    hosts = ask.gpus.nodes
    by_itself = (
        not own.processes and world > ask.gpus.device.per_host and placement.dp == 1 and not at_least(ask.version, *RAY_BY_ITSELF)
    )
    if own.launched or by_itself:
        return None, (
            f"Ray spreads the ranks: join the {hosts} hosts first, ray start --head and ray start --address",
        ) if hosts > 1 else ()
    words, note = joined(hosts, ask.version, placement)
    found = crowded(ask, "vLLM", here, " ".join(words))
    return found, (note,) if found else ()


def fits_pool(ask: Ask, plan: Budget, pooled: Pooled, sequences: int, taken: Taken) -> Taken:
    """Sequences that each need a block of recurrent state, against the blocks that there are."""
    if pooled.pool is None or not pooled.pool.states or (ask.own is not None and rules(ask.version).states_checked == "error"):
        return taken
    blocks = max(0, plan.kv_room_bytes) // pooled.pool.block_bytes
    # More sequences than half of the blocks never fit where each holds another block besides that of its state.
    wanted = sequences if pooled.pool.lasting else 1
    fewer, why = state_sequences(ask.version, plan.sequences, blocks, wanted)
    if ask.own is not None:
        return taken
    if fewer < plan.sequences:
        return taken._replace(sequences=fewer).with_flag(f"--max-num-seqs {fewer}", why)
    return taken._replace(notes=(*taken.notes, why)) if why else taken


def states_short(ask: Ask, plan: Budget, pooled: Pooled) -> Start | None:
    """A command's sequences against the blocks of recurrent state that there are, where the release refuses too many."""
    pool = pooled.pool
    if pool is None or not pool.states or rules(ask.version).states_checked != "error" or not ask.own.graphs:
        return None
    blocks = max(0, plan.kv_room_bytes) // pool.block_bytes
    if blocks < 1 or plan.sequences <= blocks:
        return None
    limit = f"every sequence needs a block of recurrent state: {plan.sequences:,} may run, and there are {blocks:,}"
    return Start(False, limit, f"--max-num-seqs {1 << (blocks.bit_length() - 1)}")


def refused_step(ask: Ask, plan: Budget) -> Start:
    """A command's tokens of a step against its sequences."""
    if plan.batched_tokens < plan.sequences and ask.own.sequences is not None:
        limit = f"a step of {plan.batched_tokens:,} tokens cannot run {plan.sequences:,} sequences"
        return Start(False, limit, f"--max-num-seqs {plan.batched_tokens}")
    if flag := step_sequences(ask.version, ask.batched_tokens, plan.sequences):
        return Start(False, f"vLLM {ask.version} refuses a step of fewer tokens than sequences", flag)
    return Start()
