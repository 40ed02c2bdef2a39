"""Whether a name says how a checkpoint is stored already: its method's own name, or one that stands for the same numbers.

What is stored so is the checkpoint itself, with all that its publisher left alone, and not what a tool would make of the model anew.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

_ONE_NAME = {"mxfp4": "mxfp4", "fp8": "fp8", "mxfp8": "mxfp8", "awq": "awq"}
_MODELOPT = {
    "NVFP4": "nvfp4", "NVFP4_AWQ": "nvfp4", "FP8": "fp8", "FP8_PB_WO": "fp8", "FP8_PER_CHANNEL_PER_TOKEN": "fp8-dynamic",
    "MXFP8": "mxfp8", "MXFP4": "mxfp4", "W4A16_AWQ": "w4a16",
}  # fmt: skip


def names_it(quantization: Mapping[str, Any], name: str) -> bool:
    """Whether `name`, as a user writes it, is the storage that a quantization config states."""
    from archcalc.quant import canonical, method_of

    if str(quantization.get("expert_dtype", "")).lower() == "fp4":
        # FP4 experts beside the rest in FP8 are neither.
        return False
    plain = name.lower().replace("_", "-")
    return (
        plain == method_of(quantization).replace("_", "-")
        or plain in (found := set(_names(quantization)))
        or canonical(name) in found
    )


def _names(quantization: Mapping[str, Any]) -> Iterator[str]:
    from archcalc.quant import method_of

    method, bits = method_of(quantization), quantization.get("bits", quantization.get("w_bit"))
    if method in _ONE_NAME:
        yield _ONE_NAME[method]
    elif method == "fbgemm_fp8":
        yield from ("fp8", "fp8-dynamic")
    elif method == "gptq":
        yield "gptq-int8" if bits == 8 else "gptq"
    elif method == "bitsandbytes":
        if quantization.get("load_in_8bit"):
            yield "bnb-int8"
        else:
            yield from ("nf4", "nf4-dq") if quantization.get("bnb_4bit_use_double_quant") else ("nf4",)
    elif method.startswith(("modelopt", "nvfp4")):
        inner = quantization.get("quantization")
        stated = inner if isinstance(inner, Mapping) else quantization
        yield _MODELOPT.get(str(stated.get("quant_algo", "NVFP4" if method == "nvfp4" else "")).upper(), method)
    elif method == "compressed-tensors":
        yield from _of_groups(quantization)
    if method in ("awq", "gptq", "auto-round", "autoround") and bits in (4, 8):
        yield f"int{bits}"


def _of_groups(quantization: Mapping[str, Any]) -> Iterator[str]:
    """The one storage of all groups of a compressed-tensors config; none where they differ."""
    groups = quantization.get("config_groups")
    found = {_of_group(group, quantization) for group in groups.values()} if isinstance(groups, Mapping) else set()
    if len(found) == 1:
        yield found.pop()


def _of_group(group: Any, quantization: Mapping[str, Any]) -> str:
    weights = group.get("weights") if isinstance(group, Mapping) else None
    if not isinstance(weights, Mapping):
        return ""
    bits, size = weights.get("num_bits"), weights.get("group_size")
    stored = str(group.get("format") or quantization.get("format"))
    if weights.get("type") == "float":
        if bits == 4:
            return "mxfp4" if size == 32 or stored.startswith("mxfp4") else "nvfp4"
        if size == 32:
            return "mxfp8"
        return "fp8-dynamic" if bits == 8 and weights.get("strategy") == "channel" else "fp8" if bits == 8 else ""
    if bits == 4 and group.get("input_activations") is None:
        return "w4a16"
    return "int8" if bits == 8 and group.get("input_activations") is not None else ""
