"""FP8 weights with scales per block or per tensor, as DeepSeek-V3, Qwen3-FP8 and GLM publish them; FP4 experts of DeepSeek-V4.

A block of `weight_block_size` shares one scale; without it the tensor has one. `activation_scheme: static` adds one scale for
the input. Transformers calls the scales `weight_scale_inv` and `activation_scale`; checkpoints of AutoFP8, whose configs state no
`weight_block_size` at all, call them `weight_scale` and `input_scale`; DeepSeek-V4 calls the first `scale`.

Source: transformers 5.23, integrations/finegrained_fp8.py `FP8Linear`, `FP8Experts`, `FP8Embedding`, `replace_with_fp8_linear` and
utils/quantization_config.py `FineGrainedFP8Config`; vLLM 0.11, model_executor/layers/quantization/fp8.py (absent block size).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from archcalc.model import Architecture, Part, Tensor
from archcalc.quant._names import Layers, Names
from archcalc.quant._plan import (
    FP8,
    Module,
    Plan,
    Scheme,
    Split,
    Stored,
    block_of,
    by_names,
    ceil_div,
    is_linear,
    is_linear_or_head,
    names,
    plan_of,
    scalar,
)

# The indexer's head weights stay unquantized: they are used in float32. Lists call them `indexers_proj`.
_INDEXER = "indexer.weights_proj.weight"


def plan(quantization: Mapping[str, Any], architecture: Architecture, dtype: str) -> Plan:
    block = quantization.get("weight_block_size")
    if block is not None:
        block = block_of(block, "weight_block_size")
    fp4_experts = str(quantization.get("expert_dtype", "")).lower() == "fp4"
    static = quantization.get("activation_scheme") == "static"
    scheme = block_scheme(block, static, **_scale_of(quantization, fp4_experts))
    skip = names(quantization, "modules_to_not_convert", "ignored_layers")
    plain = plan_of(scheme, skip, _converted if skip else _converted_by_default)
    if fp4_experts:
        plain = plain._replace(split=_with_fp4_experts(plain.split), scheme=None)
    tables = names(quantization, "modules_to_convert")
    return _with_tables(plain, tables) if tables else plain


def _with_tables(plan: Plan, tables: Names) -> Plan:
    """Embedding tables that `modules_to_convert` names have one scale each."""

    def split(module: Module, layers: Layers) -> Iterable[tuple[Scheme | None, Layers]]:
        if module.role == "embedding":
            return by_names(((tables, _table),))(module, layers)
        return plan.split(module, layers)

    def linear(tensor: Tensor, part: Part) -> bool:
        return plan.linear(tensor, part) or (tensor.role == "embedding" and len(tensor.shape) == 2)

    return plan._replace(split=split, linear=linear, scheme=None)


def _table(rows: int, width: int) -> tuple[Stored, ...]:
    return Stored("weight", (rows, width), FP8), scalar("weight_scale", "F32", (1,))


def _scale_of(quantization: Mapping[str, Any], fp4_experts: bool) -> dict[str, str]:
    if fp4_experts:
        return {"scale": "scale", "scale_dtype": "F8_E8M0"}
    if quantization.get("quant_method") == "mxfp8":
        return {"scale_dtype": "U8"}
    if "weight_block_size" not in quantization:
        return {"scale": "weight_scale", "input_scale": "input_scale"}
    # `scale_fmt: ue8m0` alone says that scales are powers of two: DeepSeek-V3.1 and V3.2 state it and store F32.
    return {}


def block_scheme(
    block: Any,
    static: bool = False,
    scale: str = "weight_scale_inv",
    input_scale: str = "activation_scale",
    scale_dtype: str = "F32",
) -> Scheme:
    """FP8 weights with a scale per block, or one for all without blocks."""

    def scheme(out: int, width: int) -> tuple[Stored, ...]:
        shape = (ceil_div(out, block[0]), ceil_div(width, block[1])) if block else ()
        pieces = (Stored("weight", (out, width), FP8), scalar(scale, scale_dtype, shape))
        return (*pieces, scalar(input_scale)) if static else pieces

    return scheme


def _fp4(out: int, width: int) -> tuple[Stored, ...]:
    """Two E2M1 values in a byte, a scale for every 32 of a row."""
    return Stored("weight", (out, ceil_div(width, 2)), "I8", out * width), scalar("scale", "F8_E8M0", (out, ceil_div(width, 32)))


def _with_fp4_experts(split: Split) -> Split:
    def experts_apart(module: Module, layers: Layers) -> Iterable[tuple[Scheme | None, Layers]]:
        for scheme, chosen in split(module, layers):
            yield (_fp4 if scheme is not None and module.role == "experts" else scheme), chosen

    return experts_apart


def _converted(tensor: Tensor, part: Part) -> bool:
    return is_linear_or_head(tensor, part) and not tensor.name.endswith(_INDEXER)


def _converted_by_default(tensor: Tensor, part: Part) -> bool:
    return is_linear(tensor, part) and not tensor.name.endswith(_INDEXER)
