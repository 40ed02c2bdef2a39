"""Which of vLLM's model runners profiles a model, and what that changes in the budget.

Model Runner V2 samples without filters while it profiles, keeps counts for penalties, and estimates graphs in a way of its own. Until
0.29 a model had to be dense and without states, or of a class that is listed, to be run by it.

Sources, each read in vLLM 0.25 to 0.33: config/vllm.py `use_v2_model_runner`, `_is_default_v2_model_runner_model`,
`DEFAULT_V2_MODEL_RUNNER_ARCHITECTURES`, `_get_v2_model_runner_unsupported_features`, `ROCM_DEFAULT_MRV1_ARCHITECTURES`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from archcalc.engines._once import once
from archcalc.engines.served import is_one_of
from archcalc.engines.vllm.rules import at_least, rules
from archcalc.engines.vllm.settings import Settings
from archcalc.model import Architecture

if TYPE_CHECKING:
    from archcalc.hardware import Device

_LISTED = ((0, 25), frozenset({"DeepseekV2ForCausalLM", "GraniteMoeForCausalLM", "Qwen2MoeForCausalLM"}))
_LISTED_LATER = ((0, 28), frozenset({"DeepseekV4ForCausalLM"}))
_FIRST_ON_AMD = frozenset({"DeepseekV32ForCausalLM", "DeepseekV4ForCausalLM"})


def second_runner(device: Device, architecture: Architecture, version: str | None, own: Settings | None = None) -> bool:
    """Whether Model Runner V2 runs the model."""
    which = rules(version).second_runner
    if which == "never":
        return False
    if own is not None and own.second_runner is not None:
        return own.second_runner
    if device.vendor == "amd" and is_one_of(architecture, _FIRST_ON_AMD) and not at_least(version, 0, 30):
        return False
    if which == "all":
        return True
    if own is not None and own.draft_tokens and not own.mtp and own.draft is None:
        # Drafts of n-grams.
        return False
    if any(at_least(version, *since) and is_one_of(architecture, classes) for since, classes in (_LISTED, _LISTED_LATER)):
        return True
    return architecture.facts.moe is None and not keeps_states(architecture)


@once
def keeps_states(architecture: Architecture) -> bool:
    """Whether some layers of the decoder are recurrent."""
    return any(
        cache.kind == "state" for s in architecture.stacks if s.part == "decoder" for layer in s.kinds for cache in layer.caches
    )


def counts_graphs(device: Device, architecture: Architecture, version: str | None, own: Settings | None = None) -> bool:
    """Whether an estimate of what graphs will take is taken off the budget: where the release, the runner and the GPU make one.

    Source: vLLM 0.18 to 0.33, v1/worker/gpu_worker.py `determine_available_memory`; 0.25 to 0.28, v1/worker/gpu/model_runner.py
    `profile_cudagraph_memory`, which returns 0; platforms/xpu.py, where no graphs are captured unless asked for.
    """
    counted = rules(version).graphs_counted
    if own is not None and own.counts_graphs is not None and at_least(version, 0, 18):
        counted = own.counts_graphs
    if not counted or device.vendor == "intel":
        return False
    if second_runner(device, architecture, version, own):
        return at_least(version, 0, 29)
    return device.vendor != "amd" or at_least(version, 0, 26)


def keeps_penalties(device: Device, architecture: Architecture, version: str | None, own: Settings | None = None) -> bool:
    """Whether the counts that V2 keeps for penalties are taken off the budget: since what the process holds is measured whole (vLLM 0.27,
    utils/mem_utils.py `memory_profiling`)."""
    return at_least(version, 0, 27) and second_runner(device, architecture, version, own)


def benchmarked_table(architecture: Architecture, tp: int, version: str | None, own: Settings, *, eager: bool) -> int:
    """Bytes of the copy of the embedding table that compiling the model allocates, before it runs for the first time.

    Kernels that look up the table and the rotary cache are benchmarked side by side, over random inputs as large as the real ones; later
    starts find the compiled model on disk. Models of images and audio are compiled behind the embedding.

    Source: vLLM 0.11.1 to 0.33, config/compilation.py (`benchmark_combo_kernel`); PyTorch 2.9 and 2.13, torch/_inductor/scheduler.py
    `speedup_by_combo_kernel`, codegen/triton.py `codegen_kernel_benchmark`. Seen in logs: docs/engine-logs.md.
    """
    if eager or not own.compiled or not at_least(version, 0, 11, 1):
        return 0
    towers = architecture.encoders or any(s.part in ("vision", "audio") for s in architecture.stacks)
    if towers and not (own.text_alone or (own.limits and all(n == 0 for _, n in own.limits))):
        return 0
    return (4 if own.dtype == "fp32" else 2) * _table(architecture, tp)


@once
def _table(architecture: Architecture, tp: int) -> int:
    """Elements of the largest embedding table on one rank."""
    tables = [
        tensor.elements // min(tp, tensor.shard.units)
        for group in architecture.groups
        if group.part == "embedding"
        for tensor in group.tensors
        if tensor.role == "embedding" and tensor.shard is not None
    ]
    return max(tables, default=0)
