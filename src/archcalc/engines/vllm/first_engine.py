"""What had vLLM take its first engine while it had two: `VLLM_USE_V1=1` is refused beside most of it, and goes before the rest.

Source: vLLM 0.8.0 to 0.10.2, each release: engine/arg_utils.py `_is_v1_supported_oracle`, `_raise_or_fallback`, `_warn_or_fallback`;
platforms/cuda.py and rocm.py `is_kv_cache_dtype_supported`; attention/utils/fa_utils.py `flash_attn_supports_fp8`. What the oracle asks of
a model's class (`is_v1_compatible`, recurrent states, pooling) is left out.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from archcalc.engines._version import at_least
from archcalc.engines.vllm.settings import Settings, drafts_alone
from archcalc.records import NamedTuple

if TYPE_CHECKING:
    from archcalc.hardware import Device
    from archcalc.model import Architecture


class Lacking(NamedTuple):
    """What the second engine lacks, in the words of its message, and whether `VLLM_USE_V1=1` is refused with it."""

    feature: str
    raises: bool = True


class _Flag(NamedTuple):
    """A flag that the second engine lacks but for its usual values (with `only`, of these values alone), since and until a release."""

    name: str
    usual: tuple[object, ...] = ()
    only: tuple[object, ...] = ()
    since: tuple[int, ...] = (0, 8)
    until: tuple[int, ...] = (0, 11)
    raises: bool = True


_FLAGS: tuple[_Flag, ...] = (
    _Flag("--load-format", only=("tensorizer", "sharded_state"), until=(0, 9)),
    _Flag("--load-format", only=("sharded_state",), since=(0, 9)),
    _Flag("--logits-processor-pattern"),
    _Flag("--preemption-mode"),
    _Flag("--disable-async-output-proc", usual=(False,)),
    _Flag("--scheduling-policy", usual=("fcfs",), until=(0, 9, 2)),
    _Flag("--worker-cls", usual=("auto",), until=(0, 8, 2)),
    _Flag("--worker-extension-cls", until=(0, 8, 2)),
    _Flag("--num-scheduler-steps", usual=(1,), until=(0, 10, 1)),
    _Flag("--scheduler-delay-factor", usual=(0.0,)),
    _Flag("--additional-config", until=(0, 8, 5)),
    _Flag("--enable-prompt-adapter", usual=(False,), until=(0, 10)),
    _Flag("--enable-prompt-embeds", usual=(False,), since=(0, 9)),
    _Flag("--cpu-offload-gb", usual=(0.0,), until=(0, 8, 3)),
    _Flag("--dtype", only=("float32", "float"), until=(0, 9, 2)),
    _Flag("--quantization", only=("bitsandbytes",), until=(0, 8, 3)),
    _Flag("--quantization", only=("gguf",), until=(0, 9)),
    _Flag("--task", usual=("auto", "generate"), until=(0, 9, 2)),
    _Flag("--max-num-partial-prefills", usual=(1,)),
    _Flag("--max-long-partial-prefills", usual=(1,)),
    _Flag("--long-prefill-token-threshold", usual=(0,), until=(0, 8, 3)),
    _Flag("--otlp-traces-endpoint", until=(0, 10, 2)),
    _Flag("--collect-detailed-traces", until=(0, 10, 2)),
    _Flag("--kv-transfer-config", until=(0, 8, 5)),
    _Flag("--enable-lora", usual=(False,), until=(0, 8, 3), raises=False),
)

_BACKENDS: tuple[tuple[tuple[int, ...], str], ...] = (
    ((0, 8), "FLASH_ATTN_VLLM_V1 FLASH_ATTN PALLAS PALLAS_VLLM_V1 TRITON_MLA FLASHMLA"),
    ((0, 8, 2), "TRITON_ATTN_VLLM_V1"), ((0, 8, 5), "FLASHINFER FLASHINFER_VLLM_V1"), ((0, 9), "ROCM_AITER_MLA"),
    ((0, 9, 1), "CUTLASS_MLA_VLLM_V1 TORCH_SDPA_VLLM_V1 FLEX_ATTENTION"), ((0, 10, 1), "CUTLASS_MLA TREE_ATTN XFORMERS_VLLM_V1"),
    ((0, 10, 2), "FLASHMLA_VLLM_V1 FLASH_ATTN_MLA FLASHINFER_MLA"),
)  # fmt: skip
"""The attention backends of the second engine, each since a release (the oracle's `V1_BACKENDS`)."""


def of_command(version: str | None, get: Callable[[str], Any], pp: int, environment: Mapping[str, str]) -> Lacking | None:
    """What of a command's flags and variables the second engine lacks, whatever the GPU."""
    if not at_least(version, 0, 8) or at_least(version, 0, 11):
        return None
    for flag in _FLAGS:
        value = get(flag.name)
        if value is None or not at_least(version, *flag.since) or at_least(version, *flag.until):
            continue
        if value in flag.only if flag.only else value not in flag.usual:
            return Lacking(flag.name if isinstance(value, (bool, list, dict)) else f"{flag.name} {value}", flag.raises)
    backend = environment.get("VLLM_ATTENTION_BACKEND", "").strip("\"' ")
    if backend and backend not in {name for since, names in _BACKENDS if at_least(version, *since) for name in names.split()}:
        return Lacking(f"VLLM_ATTENTION_BACKEND={backend}")
    if pp > 1 and not at_least(version, 0, 8, 3):
        return Lacking(f"--pipeline-parallel-size {pp}", raises=False)
    if pp > 1 and not at_least(version, 0, 9) and get("--distributed-executor-backend") != "ray":
        return Lacking("Pipeline Parallelism without Ray distributed executor")
    return None


def lacking(device: Device, version: str | None, own: Settings | None, architecture: Architecture | None = None) -> Lacking | None:
    """What the second engine of a release lacks of a command on such a GPU; None of a release that has one engine."""
    from archcalc.engines.budget import capability

    if not at_least(version, 0, 8) or at_least(version, 0, 11):
        return None
    nvidia = device.vendor == "nvidia"
    if own is not None and own.lacking is not None and own.lacking[1]:
        return Lacking(*own.lacking)
    if nvidia and capability(device) < (8, 0) and not at_least(version, 0, 10, 2):
        return Lacking("Compute Capability < 8.0")
    if own is not None and own.cache_dtype and not _caches(device, version, own, architecture):
        return Lacking(f"--kv-cache-dtype {own.cache_dtype}")
    if own is not None and drafts_alone(own.draft):
        return Lacking("Speculative Decoding")
    if own is not None and own.lacking is not None:
        return Lacking(*own.lacking)
    if not nvidia and device.vendor != "custom" and not at_least(version, 0, 9, 2):
        return Lacking(device.vendor, raises=False)
    return None


def falls_back(device: Device, version: str | None, own: Settings | None, architecture: Architecture) -> str:
    """What to say where a command runs on the first engine that names neither; empty else."""
    lacks = None if own is None or own.first_engine is not None else lacking(device, version, own, architecture)
    if lacks is None:
        return ""
    return f"vLLM {version} runs its first engine here (V0), as its second has not {lacks.feature}"


def _caches(device: Device, version: str | None, own: Settings, architecture: Architecture | None) -> bool:
    """Whether the second engine keeps a cache of the type that the command names."""
    from archcalc.engines.budget import capability

    if not at_least(version, 0, 8, 2):
        return False
    if device.vendor != "nvidia":
        return at_least(version, 0, 9)
    if at_least(version, 0, 10) and capability(device) == (10, 0):
        return True
    if at_least(version, 0, 10, 2):
        kinds = (
            {c.kind for s in architecture.stacks if s.part == "decoder" for k in s.kinds for c in k.caches}
            if architecture
            else set()
        )
        if "latent" in kinds and own.backend in ("", "FLASHMLA", "CUTLASS_MLA"):
            return True
        if own.backend == "FLASHINFER" or (own.backend == "TRITON_ATTN_VLLM_V1" and capability(device) >= (8, 9)):
            return True
    # FlashAttention 3 on Hopper.
    return own.cache_dtype.startswith("fp8") and own.backend in ("", "FLASH_ATTN_VLLM_V1") and capability(device)[0] == 9
