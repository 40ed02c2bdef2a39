"""Which type a model's matrices are multiplied in: that of the weights where the activations are narrowed to it too, 16 bits else."""

from __future__ import annotations

from collections.abc import Mapping
from math import prod
from typing import Any

from archcalc.figures.checkpoint import DTYPE_BYTES, Entry, base_dtype, inventory, storage_bytes
from archcalc.model import Architecture
from archcalc.quant import made_as_loaded, method_of
from archcalc.records import NamedTuple

_FLOATS = frozenset(("BF16", "F16", "F32", "F64"))
_EIGHT = frozenset(("F8_E4M3", "F8_E5M2"))
_WEIGHT_ONLY = frozenset(
    {"awq", "gptq", "auto-round", "autoround", "intel/auto-round", "inc", "exl2", "exl3", "hqq", "aqlm", "eetq", "mlx", "torchao"}
)


class Product(NamedTuple):
    """Operations of matrices that one token visits, `kind` as `rates.FORMATS` names it; `routed` and `head` are what of `flops` is of
    routed experts, and of what is behind the last layer."""

    kind: str
    flops: int
    routed: int = 0
    head: int = 0


def kind_of(quantization: Mapping[str, Any], dtype: str) -> str:
    """What weights stored in `dtype` under a quantization config are multiplied as; empty for 16 bits.

    >>> kind_of({"quant_method": "gptq", "bits": 8}, "I32"), kind_of({"quant_method": "fp8"}, "F8_E4M3")
    ('', 'fp8')
    """
    if dtype in _FLOATS:
        return ""
    if dtype not in DTYPE_BYTES:
        return "blocks"
    method = method_of(quantization)
    if method in _WEIGHT_ONLY:
        return ""
    if method == "bitsandbytes":
        return "int8" if dtype == "I8" else ""
    if method == "compressed-tensors":
        return _compressed(quantization, dtype)
    algorithm = str(quantization.get("quant_algo") or (quantization.get("quantization") or {}).get("quant_algo") or "").upper()
    if "A16" in algorithm:
        return ""
    if dtype in _EIGHT:
        return "mxfp8" if method == "mxfp8" or "MXFP8" in algorithm else "fp8"
    if method == "mxfp4":
        return "mxfp4-experts"
    if method == "fp8":
        # DeepSeek-V4 states FP8, and beside it experts of four bits.
        return "mxfp4-mxfp8"
    if dtype == "I32":
        return ""
    return "mxfp4" if method == "quark" else "nvfp4" if method.startswith(("modelopt", "nvfp4")) else "int8"


def _compressed(quantization: Mapping[str, Any], dtype: str) -> str:
    """Of compressed-tensors the group whose weights have the type; without a type for its activations it is weights alone, but for MXFP4,
    whose activations vLLM narrows all the same."""
    groups = quantization.get("config_groups")
    found = [g for g in groups.values() if isinstance(g, Mapping)] if isinstance(groups, Mapping) else []
    wanted = {"F8_E4M3": ("float", 8), "F8_E5M2": ("float", 8), "U8": ("float", 4), "I8": ("int", 8)}.get(dtype)
    for group in found:
        weights, inputs = group.get("weights") or {}, group.get("input_activations")
        has = weights.get("type", "int"), weights.get("num_bits", 8)
        if wanted is not None and has != wanted:
            continue
        small = weights.get("group_size") == 32
        if has == ("float", 4):
            if small:
                return "mxfp4"
            return "nvfp4" if inputs or made_as_loaded(quantization) else ""
        if not inputs:
            return ""
        if has == ("float", 8):
            return "mxfp8" if small else "fp8"
        return "int8" if dtype == "I8" else "w4a8" if has == ("int", 4) else ""
    return ""


def products(architecture: Architecture, total: int, head: int, routed: int) -> tuple[Product, ...]:
    """The matrices' operations for one token by what they are multiplied as; `total` are all, of which `head` and `routed` are told apart.

    What is stored in floats, and recurrences, is the first.
    """
    quantization = architecture.quantization
    if not quantization:
        return (Product("bf16" if base_dtype(architecture)[0] != "F16" else "fp16", total, routed, head),)
    largest: dict[tuple[str, str, tuple[int, ...], tuple[int, ...]], Entry] = {}
    half = False
    for e in inventory(architecture):
        t = e.tensor
        if e.part not in ("embedding", "decoder", "head") or t.role == "embedding" or len(t.shape) < 2 or t.kind == "copy":
            continue
        half = half or (e.dtype == "F16" and method_of(quantization) == "gguf")
        key = e.part, t.name, t.shape, e.layers
        if key not in largest or _bytes(e) > _bytes(largest[key]):
            largest[key] = e
    found: dict[str, Product] = {}
    for e in largest.values():
        kind = kind_of(quantization, e.dtype)
        t = e.tensor
        if not kind or (t.experts is not None and len(t.shape) < 3 and t.shape[0] == t.experts.total):
            continue
        flops = 2 * (t.elements if t.experts is None else t.elements // t.experts.total * t.experts.active) * (len(e.layers) or 1)
        before = found.get(kind, Product(kind, 0))
        found[kind] = Product(
            kind,
            before.flops + flops,
            before.routed + (flops if t.experts is not None else 0),
            before.head + (flops if e.part == "head" else 0),
        )
    narrow = tuple(found.values())
    rest = Product(
        "fp16" if half or base_dtype(architecture)[0] == "F16" else "bf16",
        max(0, total - sum(p.flops for p in narrow)),
        max(0, routed - sum(p.routed for p in narrow)),
        max(0, head - sum(p.head for p in narrow)),
    )
    return (rest, *narrow)


def _bytes(e: Entry) -> int:
    return storage_bytes(e.dtype, prod(e.shape) * (e.experts or 1))
