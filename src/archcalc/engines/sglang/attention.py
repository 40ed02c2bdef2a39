"""What SGLang's attention backends make of a command: the pages that they want, and what they refuse.

Source: SGLang 0.5.23, srt/arg_groups/overrides.py `_mla_backend_page_constraints`, `_mla_kv_cache_dtype_checks`,
`_cutedsl_prefill_backend_fill`. That FlashMLA wants pages of 64 was so in 0.4.5, of TensorRT-LLM's in 0.5.1 and 0.4.10.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from archcalc.engines._allocation import held_caches
from archcalc.engines.budget import capability
from archcalc.engines.served import is_one_of
from archcalc.engines.sglang.cache import PACKED_ROWS
from archcalc.engines.sglang.rules import NEWEST, since

if TYPE_CHECKING:
    from archcalc.hardware import Device
    from archcalc.model import Architecture

FLAGS = ("--attention-backend", "--decode-attention-backend", "--prefill-attention-backend")
_OFTEN, _BEFORE_PREFILL = 3, 2
# What each takes where it is named by the first so many flags; any other page becomes 64.
_PAGES: dict[str, tuple[tuple[int, ...], int]] = {
    "flashmla": ((64,), _BEFORE_PREFILL), "trtllm_mla": ((32, 64), _BEFORE_PREFILL), "cutedsl_mla": ((32, 64), _OFTEN),
    "trtllm_mha": ((16, 32, 64, 128), _OFTEN), "hpc_ops": ((64,), _OFTEN),
}  # fmt: skip
_CACHES = ("auto", "bf16", "bfloat16", "fp8_e4m3")


def page(backends: tuple[str, ...], asked: int | None) -> int | None:
    """The page that SGLang takes for the one asked for, which is None where none is; `backends` are the values of `FLAGS`."""
    found = asked
    for name, (sizes, flags) in _PAGES.items():
        if name in backends[:flags] and found not in sizes:
            found = 64
    return found


# TensorRT-LLM's attention over heads: the major capabilities for the prompt and for what is decoded, since a release
# (srt/server_args.py; since 0.5.19 srt/arg_groups/attention_hook.py).
_HEADS: tuple[tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...]], ...] = (
    ((0, 5, 19), (9, 10, 12), (9, 10, 12)), ((0, 5, 10), (10,), (9, 10, 12)), ((0,), (10,), (10,)),
)  # fmt: skip


def _heads(backends: tuple[str, ...], cache: str, version: str | None, device: Device, generation: int) -> str | None:
    first, decode, prefill = backends
    _, prompts, tokens = next(row for row in _HEADS if since(version, *row[0]))
    for used, majors, what in (((prefill or first), prompts, "prompts"), ((decode or first), tokens, "tokens")):
        if used == "trtllm_mha" and generation not in majors:
            there = " or ".join(f"{major}.x" for major in majors)
            return (
                f"SGLang {version or NEWEST} runs the backend trtllm_mha over {what} on compute capability {there} alone, not on"
                f" {device.name}: leave it out"
            )
    if (prefill or first) == "trtllm_mha" and capability(device) == (12, 0) and cache == "fp8_e4m3":
        # 0.5.19 and 0.5.23, attention_hook.py: "TRTLLM FMHAv2 prefill on SM120 does not support fp8_e4m3 KV cache".
        return (
            f"SGLang's backend trtllm_mha reads no cache in fp8_e4m3 for prompts on {device.name}: name another, or another cache"
        )
    return None


def unread(architecture: Architecture, dtype: str, backends: tuple[str, ...], cuda: tuple[int, int] | None) -> str | None:
    """Why SGLang has no kernels for the model's attention, or for its cache of a dtype, on an NVIDIA GPU; None where it has, or where it is
    not known. `backends` are the values of `FLAGS`, empty where nothing is said.

    Sources: SGLang 0.5.23, srt/arg_groups/model_override_base.py `get_default_attn_backend` (below 9.0 FlashInfer, of MLA Triton),
    srt/arg_groups/deepseek_v4_hook.py `_default_dsv4_attention_backend` (FlashMLA, which is built for 9.0 and newer). Triton's compiler has
    no FP8 of four bits of exponent below 8.9: "type fp8e4nv not supported in this architecture" (sglang#5871, vllm#26431); FlashInfer's
    kernels widen both kinds there. MXFP8 is refused below 10.0: srt/arg_groups/kv_cache_hook.py `handle_mxfp8_kv_cache_compatibility`,
    0.5.16 to 0.5.18 in srt/server_args.py.
    """
    if cuda is not None and cuda < (10, 0) and dtype == "mxfp8":
        return f"SGLang keeps a cache in mxfp8 from compute capability 10.0 on, and this GPU has {cuda[0]}.{cuda[1]}: fp8_e4m3 runs there"
    if cuda is None or cuda >= (9, 0):
        return None
    here = f"on compute capability {cuda[0]}.{cuda[1]}"
    if is_one_of(architecture, PACKED_ROWS):
        return f"SGLang's attention over the packed latents of DeepSeek-V4 (FlashMLA) is for compute capability 9.0 and newer, not {here}"
    if dtype != "fp8_e4m3" or cuda >= (8, 9):
        return None
    latent = any(held.cache.kind == "latent" for held in held_caches(architecture))
    first, decode, prefill = backends if any(backends) else ("", "", "")
    usual = "triton" if latent else "flashinfer"
    if "triton" not in ((decode or first or usual), (prefill or first or usual)):
        return None
    of = "of MLA" if latent else "of the backend triton"
    return f"SGLang's kernels {of} read no cache in fp8_e4m3 {here}: leave it out, or name fp8_e5m2"


def refused(backends: tuple[str, ...], cache: str, device: Device, version: str | None = None) -> str | None:
    """Why SGLang does not start; None where it does. `cache` is `--kv-cache-dtype`."""
    first, decode, prefill = backends
    if device.vendor == "nvidia" and not device.compute:
        # Of a GPU that is not known nothing is refused.
        return None
    generation = capability(device)[0] if device.vendor == "nvidia" else 0
    if "trtllm_mha" in backends and (why := _heads(backends, cache, version, device, generation)):
        return why
    if "trtllm_mla" in (first, decode):
        if generation not in (10, 12):
            return f"SGLang runs the backend trtllm_mla on Blackwell alone, not on {device.name}: leave it out"
        if cache not in _CACHES[:2] + _CACHES[3:]:
            return f"SGLang's backend trtllm_mla takes a cache in fp8_e4m3, bf16 or auto, not in {cache[:40]}"
    if "cutedsl_mla" in backends:
        if prefill == "cutedsl_mla":
            return "SGLang's backend cutedsl_mla only decodes: name it with --decode-attention-backend"
        if generation != 10:
            return f"SGLang runs the backend cutedsl_mla on B200 and B300 alone, not on {device.name}: leave it out"
        if cache not in _CACHES:
            return f"SGLang's backend cutedsl_mla takes a cache in fp8_e4m3, bf16 or auto, not in {cache[:40]}"
    return None
