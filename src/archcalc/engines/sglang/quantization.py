"""What SGLang's `--quantization` does to a checkpoint: quantizes it as it loads, names how it is stored, or stops the start.

Sources: SGLang 0.5.23, srt/configs/model_config.py `_verify_quantization`, srt/model_loader/weight_utils.py `get_quant_config`, each
method's `override_quantization_method`, `get_config_filenames` and `__init__` in srt/layers/quantization/.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from archcalc.engines.served import classes_of, is_one_of, listed, platforms, served
from archcalc.errors import UnsupportedError

if TYPE_CHECKING:
    from archcalc.engines.plan import Ask
    from archcalc.model import Architecture

ONLINE = {"fp8": "fp8", "w8a8_fp8": "fp8", "mxfp8": "mxfp8", "bitsandbytes": "nf4"}
"""What a name makes of weights as they load, by `quant.quantize_as`."""
_OWN_FILE = frozenset("awq awq_marlin gptq gptq_marlin gptq_marlin_24 marlin moe_wna16 auto-round petit_nvfp4".split())
_OWN_CONFIG = frozenset("compressed-tensors fbgemm_fp8 qoq gguf".split())
_REQUANTIZES = frozenset({"quark_mxfp4", "humming"})
"""What is made of any checkpoint: but that Humming leaves MXFP4 as it is (0.5.23, humming.py `override_quantization_method`)."""
_PACKED = frozenset("w8a8_int8 w8a8_fp8 auto-round-int8 compressed_tensors".split())
_TAKEN: Mapping[str, frozenset[str]] = {
    "awq": frozenset("awq_marlin marlin moe_wna16".split()),
    "gptq": frozenset("gptq_marlin marlin moe_wna16".split()),
    "fp8": frozenset("modelopt_fp4 nvfp4_online".split()),
    "mxfp8": frozenset({"minimax_m3_nvfp4"}),
    "compressed-tensors": _PACKED,
    "compressed_tensors": _PACKED | {"compressed-tensors"},
    "modelopt": frozenset("modelopt_fp8 modelopt_fp4 modelopt_mixed petit_nvfp4 nvfp4_online".split()),
}


def refused(version: str | None, method: str, stored: Mapping[str, Any] | None, named: str = "--quantization") -> str | None:
    """Why the release does not start with this `--quantization`; None where it does. `stored` is the checkpoint's own quantization, and
    `named` what the flag is called, which of a draft is another.

    Raises `UnsupportedError` for what is not known."""
    from archcalc.quant import method_of

    table, flag = served("sglang"), f"{named} {method[:40]}"
    if not listed(table.methods.get(method), "SGLang", table.releases, version):
        return f"SGLang {version or table.releases[-1]} has no {method[:40]} among its quantization methods: leave {flag} out"
    if stored:
        own = method_of(stored)
        anew = _REQUANTIZES - {"humming"} if own == "mxfp4" else _REQUANTIZES
        if method in (own, *_TAKEN.get(own, ()), *anew) or (own.startswith("modelopt") and method.startswith("modelopt")):
            return None
        return f"the checkpoint is stored in {own}, and SGLang refuses {flag}, which does not match it: leave the flag out"
    if method in ONLINE:
        return None
    if method in _OWN_FILE or method in _OWN_CONFIG:
        lacks = "is no GGUF file" if method == "gguf" else f"is not quantized, and SGLang finds no config of {method}"
        return f"the checkpoint {lacks}: leave {flag} out, or name a checkpoint that is stored so"
    raise UnsupportedError(
        f"what {flag} makes of a checkpoint that is not quantized is not known here",
        "leave it out to judge the weights as they are stored",
    )


_GPUS = {"amd": "AMD's GPUs", "intel": "Intel's GPUs", "nvidia": "NVIDIA's GPUs", "gfx95": "AMD's GPUs of CDNA 4"}


def off_platform(ask: Ask, architecture: Architecture, words: Sequence[str] | None) -> str | None:
    """Why the release does not take the method on this platform, whose lists are `platforms.json`, or not for this class of model; None
    where it does. `words` are those of a command with which weights are quantized as they load, None where a checkpoint is stored so.

    SGLang 0.5.23, srt/configs/model_config.py `_verify_quantization` ("Unknown quantization method", "currently not supported in ROCm")."""
    from archcalc.engines.sglang.kernels import named
    from archcalc.quant import method_of

    stored, device, release = architecture.quantization, ask.gpus.device, f"SGLang {ask.version or served('sglang').releases[-1]}"
    if ask.own is not None and ask.own.method is not None:
        methods = [ask.own.method]
    elif not stored:
        return None
    else:
        own = words[words.index("--quantization") + 1] if words else named(stored, method_of(stored))
        methods = [own, *(["gptq_marlin"] if own == "gptq" and device.vendor == "nvidia" else []), *_OTHER_NAMES.get(own, ())]
    platform = "gfx95" if str(device.compute).startswith("gfx95") else device.vendor
    table = served("sglang")
    known = any(listed(table.methods.get(method), "SGLang", table.releases, ask.version) for method in methods)
    if known and platforms("sglang", "SGLang").holds(platform, methods, ask.version) is False:
        there = _GPUS.get(platform, device.name)
        if platform == "amd" and platforms("sglang", "SGLang").holds("gfx95", methods, ask.version):
            there += f" but those of CDNA 4, which {device.name} is not"
        left = f"; leave --quantization {methods[0]} out" if stored and ask.own is not None and ask.own.method else ""
        return f"{release} takes no {methods[0]} weights on {there}: its list of what that platform supports lacks them{left}"
    if "bitsandbytes" in methods and ask.version in (None, table.releases[-1]):
        # srt/model_loader/loader.py `BitsAndBytesModelLoader._load_weights`.
        packed = table.sets["bitsandbytes"]
        if classes_of(architecture) and not is_one_of(architecture, packed):
            name = classes_of(architecture)[0]
            return f"{release} does not load {name} with bitsandbytes: the class does not say how its layers are packed"
    return None


_OTHER_NAMES: Mapping[str, tuple[str, ...]] = {
    "autoround": ("auto-round",), "nvfp4": ("modelopt_fp4",), "compressed_tensors": ("compressed-tensors",),
}  # fmt: skip
