"""What `--quantization` does to a checkpoint, release by release: quantizes it as it loads, names how it is stored, or stops the start.

What a platform takes, and what is taken after a flag alone, is `platforms.json`.

Sources, each read in vLLM 0.8.5 to 0.33: config/model.py `_verify_quantization` (what a checkpoint's method takes beside its own
name) and each method's `override_quantization_method`; model_executor/model_loader/weight_utils.py `get_quant_config` (a checkpoint
without a config of its quantization), each method's `get_config_filenames` and `__init__`; config/quantization.py `_ONLINE_SHORTHANDS`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from archcalc.engines._kernels import Least, lacking
from archcalc.engines.served import is_one_of, listed, platforms, served
from archcalc.engines.vllm.rules import ENGINE, NEWEST, RELEASES, at_least
from archcalc.errors import UnsupportedError
from archcalc.records import NamedTuple

if TYPE_CHECKING:
    from archcalc.engines.plan import Ask
    from archcalc.hardware import Device
    from archcalc.model import Architecture


class _Online(NamedTuple):
    """What a name of the flag makes of weights as they load, from a release on."""

    method: str
    since: tuple[int, ...]
    quant: str


_ONLINE = (
    _Online("fp8", (), "fp8-tensor"),
    _Online("fp8_per_tensor", (0, 20), "fp8-tensor"),
    _Online("fp8_per_block", (0, 20), "fp8"),
    _Online("fp8_per_channel", (0, 24), "fp8-dynamic"),
    _Online("ptpc_fp8", (), "fp8-dynamic"),
    _Online("mxfp8", (0, 19), "mxfp8"),
    _Online("mxfp4", (0, 28), "mxfp4"),
    _Online("experts_int8", (), "int8-experts"),
    _Online("int8_per_channel_weight_only", (0, 20), "int8-experts"),
    _Online("nvfp4_per_token", (0, 26), "nvfp4-experts"),
    _Online("bitsandbytes", (), "nf4"),
)
_PLUGINS = {"gguf": (0, 24), "bitsandbytes": (0, 28)}
"""Methods that a plugin has registered since then."""
_OWN_FILE = frozenset(
    "awq awq_marlin auto_awq cpu_awq gptq gptq_marlin gptq_marlin_24 auto_gptq cpu_gptq gptq_bitblas bitblas marlin moe_wna16 modelopt"
    " modelopt_fp4 modelopt_mxfp8 modelopt_mixed nvfp4 petit_nvfp4 auto-round inc hqq qqq ipex squeezellm deepspeedfp".split()
)
"""Methods that look for a file of their own where config.json states no quantization."""
_OWN_CONFIG = frozenset("compressed-tensors fbgemm_fp8 torchao quark aqlm".split())
"""Methods whose config cannot be made without what config.json states."""
_TAKEN: Mapping[str, frozenset[str]] = {
    "awq": frozenset("awq_marlin auto_awq cpu_awq marlin moe_wna16 ipex".split()),
    "gptq": frozenset("gptq_marlin gptq_marlin_24 auto_gptq cpu_gptq gptq_bitblas bitblas marlin moe_wna16 ipex".split()),
    "fp8": frozenset({"deepseek_v4_fp8"}),
    "auto-round": frozenset({"inc"}),
    "mxfp4": frozenset({"gpt_oss_mxfp4"}),
}
"""What a stored method takes beside its own name."""
_OWN_METHOD: Mapping[str, frozenset[str]] = {
    "mxfp4": frozenset({"GptOssForCausalLM"}),
    "fp8": frozenset({"DeepseekV4ForCausalLM", "DeepseekV4ForConditionalGeneration", "DeepseekV41ForCausalLM"}),
}
"""Classes whose stored method is replaced by one of their own, whatever the flag says (`override_quantization_method`)."""


ALLOW = "--allow-deprecated-quantization"
_ALSO: Mapping[str, tuple[str, ...]] = {
    "awq": ("auto_awq",), "gptq": ("auto_gptq",), "autoround": ("auto-round", "inc"), "auto-round": ("inc",), "nvfp4": ("modelopt_fp4",),
}  # fmt: skip
"""What a stored method is called in lists beside its own name (`override_quantization_method`)."""
_PETIT = (0, 20)
"""Until then another method takes NVFP4 of ModelOpt on AMD's GPUs (0.11 to 0.19, layers/quantization/petit.py)."""


def compared(version: str | None, stored: Mapping[str, Any], vendor: str) -> tuple[str, ...]:
    """The names by which the release looks for a checkpoint's method in its lists: any of them will do."""
    from archcalc.quant import method_of

    method = method_of(stored)
    if method in ("auto-round", "autoround"):
        return ("inc",) if at_least(version, 0, 16) else ("auto-round",)
    if not method.startswith("modelopt"):
        return method, *_ALSO.get(method, ())
    level = stored.get("quantization")
    algorithm = str((level if isinstance(level, Mapping) else stored).get("quant_algo", "")).upper()
    if "NVFP4" in algorithm:
        return ("petit_nvfp4",) if vendor == "amd" and not at_least(version, *_PETIT) else ("modelopt_fp4",)
    return ("modelopt_mxfp8" if algorithm == "MXFP8" else "modelopt_mixed" if algorithm.startswith("MIXED") else method,)


def _asked(ask: Ask, stored: Mapping[str, Any] | None, online: bool) -> tuple[str, ...]:
    """The names of the method that a start is with: as the flag says, as the weights are quantized at loading, or as they are stored."""
    from archcalc.engines.vllm.loading import loading
    from archcalc.quant import canonical

    vendor = ask.gpus.device.vendor
    if ask.own is not None and ask.own.method is not None:
        return ask.own.method, *(compared(ask.version, stored, vendor) if stored and not online else ())
    if online and ask.quant is not None:
        words = loading(ask.version, canonical(ask.quant))
        return words[-1:] if words else ()
    return compared(ask.version, stored, vendor) if stored else ()


def _plugged(version: str | None, methods: tuple[str, ...]) -> bool:
    """Whether a plugin has registered one of them, which every platform takes then."""
    return any(method in _PLUGINS and at_least(version, *_PLUGINS[method]) for method in methods)


ONLINE_LEAST: Mapping[str, tuple[Least, ...]] = {
    "nvfp4_per_token": (Least((0,), 100),),
    "fp8_per_channel": (Least((0,), 89),),
}
"""What is quantized at loading so has kernels from a compute capability on alone (0.24 to 0.33, layers/quantization/online/nvfp4.py
`Nvfp4OnlineMoEMethod`, fp8.py `Fp8PerChannelOnlineLinearMethod.create_weights`: Marlin's are refused, which are all there is below)."""


def off_platform(ask: Ask, stored: Mapping[str, Any] | None, online: bool, cuda: tuple[int, int] | None) -> str | None:
    """Why the release does not take the method on this GPU, or not without a flag; None where it does.

    Platforms' lists: platforms/interface.py `verify_quantization`; `DEPRECATED_QUANTIZATION_METHODS`: config/model.py
    `_verify_quantization`. `stored` is how the weights are quantized, as they load where `online`."""
    methods, device, release = _asked(ask, stored, online), ask.gpus.device, f"vLLM {ask.version or NEWEST}"
    if not methods or _plugged(ask.version, methods):
        return None
    vendor = _platform(device)
    known = any(listed(served("vllm").methods.get(method), ENGINE, RELEASES, ask.version) for method in methods)
    if known and platforms("vllm", "vLLM").holds(vendor, methods, ask.version) is False:
        return f"{release} takes no {methods[0]} weights on {_GPUS[vendor]}: its list of what that platform supports lacks them"
    if methods[0] == "nvfp4_per_token" and (vendor != "nvidia" or (cuda is not None and cuda[0] != 10)):
        return f"--quantization {methods[0]} has kernels for NVIDIA's compute capability 10.x alone"
    for method in methods[:1]:
        least = next((row.capability for row in ONLINE_LEAST.get(method, ())), None)
        if why := lacking("vLLM", f"--quantization {method}", least, cuda):
            return why
    if ask.own is not None and not ask.own.deprecated and deprecated(ask, stored, online):
        return f"{release} takes {methods[0]} weights with {ALLOW} alone: they are deprecated"
    return None


def deprecated(ask: Ask, stored: Mapping[str, Any] | None, online: bool) -> bool:
    """Whether the release starts with the method after a flag alone (`ALLOW`)."""
    methods = _asked(ask, stored, online)
    return not _plugged(ask.version, methods) and bool(platforms("vllm", "vLLM").holds("deprecated", methods, ask.version))


_GPUS = {"amd": "AMD's GPUs", "intel": "Intel's GPUs", "nvidia": "NVIDIA's GPUs"}


def _platform(device: Device) -> str:
    """The platform that has a list; Gaudi's is a plugin's."""
    return "" if device.architecture.startswith("Gaudi") else device.vendor


def online(version: str | None, method: str | None) -> str | None:
    """The storage that a name of the flag quantizes to as weights load, by `quant.quantize_as`; None where it does not."""
    return next((row.quant for row in _ONLINE if row.method == method and at_least(version, *row.since)), None)


def _any_name(version: str | None, stored: str, architecture: Architecture) -> bool:
    """Whether a stored method puts itself in place of whatever the flag says."""
    if stored.startswith("modelopt"):
        return at_least(version, 0, 10)
    if stored in ("auto-round", "autoround"):
        return at_least(version, 0, 16)
    return is_one_of(architecture, _OWN_METHOD.get(stored, ())) and at_least(version, 0, 20)


def refused(
    version: str | None,
    method: str,
    stored: Mapping[str, Any] | None,
    architecture: Architecture,
    *,
    moe: bool,
    amd: bool,
    flag: str = "",
) -> str | None:
    """Why the release does not start with this `--quantization`; None where it does. `flag` are the words that say it, where those are
    others.

    `stored` is the quantization of the checkpoint, None where it has none.
    Raises `UnsupportedError` for what is not known."""
    from archcalc.quant import method_of

    flag, release = flag or f"--quantization {method[:40]}", f"vLLM {version or NEWEST}"
    plugged = method in _PLUGINS and at_least(version, *_PLUGINS[method])
    if not plugged and not listed(served("vllm").methods.get(method), ENGINE, RELEASES, version):
        return f"{release} has no {method[:40]} among its quantization methods: leave {flag} out"
    if stored:
        own = method_of(stored)
        if method in (own, *_TAKEN.get(own, ())) or _any_name(version, own, architecture):
            return None
        if method == "humming" and own != "mxfp4":
            return None
        return f"the checkpoint is stored in {own}, and vLLM refuses {flag}, which does not match it: leave the flag out"
    if online(version, method):
        if method == "ptpc_fp8" and not amd:
            return f"{flag} is for AMD's GPUs alone: --quantization fp8 is for any"
        return None
    if method in _OWN_FILE or method in _OWN_CONFIG or method == "gguf":
        lacks = "is no GGUF file" if method == "gguf" else f"is not quantized, and vLLM finds no config of {method}"
        return f"the checkpoint {lacks}: leave {flag} out, or name a checkpoint that is stored so"
    if method in ("mxfp4", "gpt_oss_mxfp4"):
        return f"the checkpoint has no MXFP4 experts, and {release} makes none as it loads: leave {flag} out" if moe else None
    raise UnsupportedError(
        f"what {flag} makes of a checkpoint that is not quantized is not known here",
        "leave it out to judge the weights as they are stored",
    )


_FLOAT32 = frozenset({"torchao", "bitsandbytes", "gguf"})
"""Methods that run with float32 beside the weights: `get_supported_act_dtypes` lists it (vLLM 0.10.1 to 0.33). It does so of
compressed-tensors too, whose kernels take half precision alone (0.33, csrc/quantization/marlin/marlin.cu `marlin_gemm`)."""


DTYPES = {"fp16": "half", "bf16": "bfloat16", "fp32": "float32"}
"""What `--dtype` calls each, in the order in which another is offered."""
_FALLS_BACK = (0, 9)
"""Since then vLLM takes float16 by itself where a GPU has no bfloat16 (0.9.0, config.py `_get_and_verify_dtype`); up to 0.8.5 it asks for
`--dtype=half` (v1/worker/gpu_worker.py and worker/worker.py `_check_if_gpu_supports_dtype`)."""


def asks_for_half(architecture: Architecture, version: str | None, capability: tuple[int, int] | None) -> bool:
    """Whether a start on this GPU is refused until `--dtype half` is given, as the checkpoint is in bfloat16."""
    from archcalc.engines._allocation import default_dtype

    old = capability is not None and capability < (8, 0) and not at_least(version, *_FALLS_BACK)
    return old and architecture.dtype != "F32" and default_dtype(architecture) == "bf16"


def dtype_refused(
    dtype: str,
    stored: Mapping[str, Any] | None,
    online: bool,
    capability: tuple[int, int] | None,
    *,
    overflows: bool = False,
    chosen: bool = False,
) -> str | None:
    """Why vLLM does not start with this dtype: config/vllm.py `_get_quantization_config`, platforms/cuda.py `check_if_supports_dtype`,
    config/model.py `_check_valid_dtype`.

    `stored` is how the weights are quantized, as they load where `online`; `overflows` is true of a class that is refused in float16, and
    `chosen` of a dtype that vLLM takes by itself."""
    from archcalc.quant import method_of

    if dtype == "bf16" and capability is not None and capability < (8, 0):
        return f"--dtype bfloat16 is for compute capability 8.0 and newer, and this GPU has {capability[0]}.{capability[1]}"
    if dtype == "fp16" and overflows:
        return "vLLM refuses float16 with this class of model, which it takes for unstable there: bfloat16 and float32 run it"
    if not stored:
        return None
    method = method_of(stored)
    if dtype == "fp32" and (method not in _FLOAT32 or (online and method != "bitsandbytes")):
        if chosen:
            return (
                "vLLM takes float32 here, as the GPU has no bfloat16 and the class is refused in float16, and these weights do not run "
                "with float32"
            )
        return "vLLM does not run --dtype float32 with these weights: bfloat16 and float16 run them"
    if dtype == "fp16" and method == "mxfp4" and not online:
        if capability is not None and capability < (8, 0):
            return (
                "vLLM runs mxfp4 weights in bfloat16 alone, which is for compute capability 8.0 and newer, and this GPU has"
                f" {capability[0]}.{capability[1]}"
            )
        return "vLLM refuses --dtype float16 with mxfp4 weights: bfloat16 runs them"
    return None
