"""bitsandbytes: 8-bit rows with one scale each (LLM.int8()), or 4-bit blocks of 64 values (NF4, FP4).

Double quantization stores the scales of blocks in 8 bits, in blocks of 256 with a scale each. The Hub counts the scales of 8-bit
rows, and not those of 4-bit blocks. Every linear module is quantized except the head, or except those that
`llm_int8_skip_modules` lists. Fused experts are no linear modules and stay as they are. `loader` says that the weights are quantized
by an engine as it loads them, and which (`_loaders`).

Sources: bitsandbytes 0.48, functional.py `QuantState.as_dict` and nn/modules.py `Linear8bitLt._save_to_state_dict`; transformers
5.23, quantizers/quantizer_bnb_4bit.py; Dettmers et al. 2022, arXiv:2208.07339, and 2023, arXiv:2305.14314.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from archcalc.model import Architecture
from archcalc.quant._plan import Module, Plan, Scheme, Stored, ceil_div, is_linear, is_linear_or_head, names, plan_of, scalar

_BLOCK, _NESTED_BLOCK = 64, 256
_TORCH = {"BF16": "bfloat16", "F16": "float16", "F32": "float32"}


def _int8(out: int, width: int) -> tuple[Stored, ...]:
    return Stored("weight", (out, width), "I8"), Stored("SCB", (out,), "F32"), scalar("weight_format", "U8")


def _four_bit(kind: str, nested: bool, dtype: str) -> Scheme:
    def scheme(out: int, width: int) -> tuple[Stored, ...]:
        values = out * width
        blocks = ceil_div(values, _BLOCK)
        state: dict[str, Any] = {
            "quant_type": kind,
            "blocksize": _BLOCK,
            "dtype": _TORCH.get(dtype, "float32"),
            "shape": [out, width],
        }
        pieces = [Stored("weight", (ceil_div(values, 2), 1), "U8", values), scalar("weight.quant_map", "F32", (16,))]
        if nested:
            pieces += (
                scalar("weight.absmax", "U8", (blocks,)),
                scalar("weight.nested_absmax", "F32", (ceil_div(blocks, _NESTED_BLOCK),)),
                scalar("weight.nested_quant_map", "F32", (256,)),
            )
            # The offset is a float of the data; its text is about this long.
            state |= {"nested_blocksize": _NESTED_BLOCK, "nested_dtype": "float32", "nested_offset": 0.0419921875}
        else:
            pieces.append(scalar("weight.absmax", "F32", (blocks,)))
        pieces.append(scalar(f"weight.quant_state.bitsandbytes__{kind}", "U8", (len(json.dumps(state)),)))
        return tuple(pieces)

    return scheme


def _left_alone(module: Module, shape: tuple[int, int, int]) -> None:
    return None


def plan(quantization: Mapping[str, Any], architecture: Architecture, dtype: str) -> Plan:
    if quantization.get("load_in_4bit") or quantization.get("_load_in_4bit"):
        kind = str(quantization.get("bnb_4bit_quant_type", "fp4"))
        scheme = _four_bit(kind, bool(quantization.get("bnb_4bit_use_double_quant")), dtype)
    else:
        scheme = _int8
    # The model is loaded, and saved as it is held: transformers 4.46 to 5.24, modeling_utils.py (`_keep_in_fp32_modules`, float16 alone).
    widens = dtype == "F16"
    if quantization.get("loader") == "transformers":
        from archcalc.quant._loaders import bitsandbytes_takes

        return plan_of(scheme, None, bitsandbytes_takes)._replace(widens=widens)
    skip = names(quantization, "llm_int8_skip_modules")
    return plan_of(scheme, skip, is_linear_or_head if skip else is_linear)._replace(fused=_left_alone, widens=widens)
