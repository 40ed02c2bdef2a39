"""What stops an engine at its start although the memory suffices, by release, and the flag that lifts it.

Sources, each read in the release that its row names: vLLM, config/compilation.py `resolve_cudagraph_mode_and_sizes` and
`adjust_cudagraph_sizes_for_mamba_cache` (sequences against blocks of state), v1/worker/utils.py `request_memory` (the share of the memory
against what is free), config/scheduler.py `verify_max_model_len` (tokens of a step against sequences), config/vllm.py
`_get_quantization_config` (kernels against the GPU), v1/core/kv_cache_utils.py `_check_enough_kv_cache_memory` (one sequence of the longest
length); SGLang 0.5.23, srt/model_executor/pool_configurator.py `MemoryPoolConfig`, srt/managers/tp_worker.py `get_worker_info`,
srt/model_loader/loader.py `_initialize_model`; llama.cpp 0c1e57098, src/llama-context.cpp and src/llama-cparams.h `LLAMA_MAX_SEQ`.
"""

from __future__ import annotations

from typing import NamedTuple

from archcalc.engines._vllm_rules import at_least, rules
from archcalc.engines.weights import Engine


class Start(NamedTuple):
    """Whether the engine starts as the printed command says; if not, the limit that stops it, and the flag that lifts that."""

    starts: bool = True
    limit: str | None = None
    flag: str | None = None


class Taken(NamedTuple):
    """What a plan sets so that the engine starts: values for the budget, the flags that say them, and why."""

    utilization: float | None = None
    sequences: int | None = None
    flags: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    def with_flag(self, flag: str, note: str) -> Taken:
        """With a flag, in place of one of the same name, and why."""
        name = flag.partition(" ")[0] + " "
        flags = tuple(f for f in self.flags if not f.startswith(name))
        notes = tuple(n for n in self.notes if not n.startswith(name))
        return self._replace(flags=(*flags, flag), notes=(*notes, note))


# Sequences against blocks of state


LARGEST_GRAPH = 512
"""The most sequences that a graph is captured for by default (vLLM 0.33, config/vllm.py `_set_cudagraph_sizes`)."""


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

CAPABILITY: dict[tuple[Engine, str], tuple[tuple[tuple[int, ...], int], ...]] = {
    ("vllm", "awq"): (((0,), 75),),
    ("vllm", "gptq"): (((0,), 60),),
    ("vllm", "fp8"): (((0, 14), 75), ((0,), 80)),
    ("vllm", "fbgemm_fp8"): (((0,), 80),),
    ("vllm", "experts_int8"): (((0,), 80),),
    ("vllm", "compressed-tensors"): (((0,), 70),),
    ("vllm", "mxfp4"): (((0,), 80),),
    ("vllm", "bitsandbytes"): (((0,), 70),),
    ("vllm", "torchao"): (((0,), 75),),
    ("sglang", "awq"): (((0,), 75),),
    ("sglang", "gptq"): (((0,), 60),),
    ("sglang", "fp8"): (((0,), 80),),
    ("sglang", "compressed-tensors"): (((0,), 70),),
    ("sglang", "mxfp4"): (((0,), 80),),
    ("sglang", "bitsandbytes"): (((0,), 70),),
}
"""`get_min_capability` of each method's config, ten times the compute capability, from a release on."""


def kernels(engine: Engine, version: str | None, method: str, capability: tuple[int, int] | None) -> str | None:
    """Why the engine has no kernels for weights stored so on this GPU; None where it has, or where it is not known."""
    rows = CAPABILITY.get((engine, method))
    if capability is None or rows is None:
        return None
    least = next(least for since, least in rows if at_least(version, *since))
    if capability[0] * 10 + capability[1] >= least:
        return None
    name = {"vllm": "vLLM", "sglang": "SGLang"}[engine]
    return f"{name} runs {method} from compute capability {least / 10:g} on, and this GPU has {capability[0]}.{capability[1]}"


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


METHODS_SINCE: dict[tuple[Engine, str], tuple[int, ...]] = {("vllm", "mxfp4"): (0, 10, 1)}
"""The first release that lists a method (vLLM, model_executor/layers/quantization/__init__.py `QUANTIZATION_METHODS`)."""


def too_old(engine: Engine, version: str | None, method: str) -> str | None:
    """Why the release does not load weights stored so; None where it does, or where it is not known."""
    since = METHODS_SINCE.get((engine, method))
    if since is None or at_least(version, *since):
        return None
    return f"vLLM loads {method} weights from {'.'.join(map(str, since))} on, and {version} is asked for"


# Tokens of a step against sequences

CLAMPS_SEQUENCES = (0, 10)
"""Until then vLLM refuses a step of fewer tokens than it may run sequences; later it runs fewer by itself (engine/arg_utils.py)."""


def step_sequences(version: str | None, asked_tokens: int | None, sequences: int) -> str | None:
    """The flag without which vLLM refuses so small a step. `sequences` is what it may run by default."""
    if asked_tokens is None or sequences < asked_tokens or at_least(version, *CLAMPS_SEQUENCES):
        return None
    return f"--max-num-seqs {min(sequences, asked_tokens)}"


# llama.cpp

LLAMA_MAX_SEQ = 256
LLAMA_MAX_DEVICES = 16


def llama_cpp(sequences: int, gpus: int) -> Start:
    """The sizes that llama.cpp is compiled for."""
    if sequences > LLAMA_MAX_SEQ:
        return Start(
            False, f"llama.cpp runs up to {LLAMA_MAX_SEQ} sequences in one server, and {sequences:,} are asked for", "-np 256"
        )
    if gpus > LLAMA_MAX_DEVICES:
        return Start(False, f"llama.cpp spreads a model over up to {LLAMA_MAX_DEVICES} GPUs, and {gpus:,} are named", None)
    return Start()
